"""Offered: whether the milder stage's treatment was offered to a borrower before a harsher one begins.

In:   facts, what each borrower is asked for, the harsher stage's strategy.
Out:  the borrowers to whom it was offered; how many written messages arrived.
Pure: no I/O, no clock.
Source: ARCHITECTURE.md I12; DOMAIN.md, "Offered": delivered, or three lawful tries over at least 7 days on at least two
        contact points failed. A portfolio taken over late enters by a first, mild contact, then its stage.

How the sentences are read here:
- What the milder stage's own steps said counts, not its onboarding; and this stage's onboarding counts.
- It must be about one of the loans that are asked for now, and not before their oldest unpaid due date: what was offered
  the last time that somebody was late, and paid, was about something else.
- A message of which no delivery is known was neither delivered nor did it fail: it counts as nothing.
- Every try was lawful, because the gate let it through (I3); one that the provider surely never took is not in the log.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from decisions.facts import Facts
from decisions.local_days import with_local_dates
from decisions.strategy import ONBOARDING, SPOKEN, Strategy

# Results that say for sure that it reached the person.
ARRIVED: Final = ("delivered", "read", "conversation")
# Results that say for sure that nothing reached the person: no pressure was felt, and nothing was offered.
NEVER_ARRIVED: Final = ("undelivered", "failed", "not_in_service")


def offered(facts: Facts, asked: pl.DataFrame, strategy: Strategy) -> pl.DataFrame:
    """Borrowers to whom the stage that comes before the strategy's was offered.

    Args:
        facts: With the `treatments` of `strategy.looks_at`.
        asked: decisions/candidates.owed.
        strategy: Of the harsher stage.

    Returns:
        `party_id`, unique; everybody in `asked` where the stage asks for nothing milder.
    """
    first = strategy.offered_first
    if first is None:
        return asked.select("party_id")
    onboarding = pl.col("message") == ONBOARDING
    tries = _about_what_is_asked(facts, asked).filter(
        ((pl.col("stage") == first.stage) & ~onboarding) | ((pl.col("stage") == strategy.stage) & onboarding)
    )
    failed = pl.col("result").is_in(NEVER_ARRIVED)
    failed_on = pl.col("contacted_on").filter(failed)
    return (
        tries.group_by("party_id")
        .agg(
            arrived=pl.col("result").is_in(ARRIVED).any(),
            failed_tries=failed.sum(),
            span_days=(failed_on.max() - failed_on.min()).dt.total_days(),
            contact_points=pl.col("contact_point_id").filter(failed).n_unique(),
        )
        .filter(
            pl.col("arrived")
            | (
                (pl.col("failed_tries") >= first.failed_tries_min)
                & (pl.col("span_days") >= first.span_days_min)
                & (pl.col("contact_points") >= first.contact_points_min)
            ).fill_null(False)
        )
        .select("party_id")
    )


def written(facts: Facts, asked: pl.DataFrame) -> pl.DataFrame:
    """How many written messages of this stage and the milder one arrived.

    Args:
        facts: As above.
        asked: As above; what arrived must have been about it, as what was offered must.

    Returns:
        `party_id`, `written` > 0; nobody else.
    """
    arrived = pl.col("result").is_in(ARRIVED) & ~pl.col("channel").is_in(SPOKEN)
    return _about_what_is_asked(facts, asked).filter(arrived).group_by("party_id").agg(written=pl.len().cast(pl.Int32))


def _about_what_is_asked(facts: Facts, asked: pl.DataFrame) -> pl.DataFrame:
    return (
        with_local_dates(facts.treatments, facts.borrowers)
        .join(asked.select("party_id", "due_on", asked_loans="loans"), on="party_id")
        .filter(
            pl.col("contacted_on") >= pl.col("due_on"),
            pl.col("loans").list.set_intersection("asked_loans").list.len() > 0,
        )
    )

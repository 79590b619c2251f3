"""Rests: for how many days somebody is left in peace after what she did herself, or because a better moment is near.

"No contact" for reasons that facts show, not a model: she spoke with us, money of hers came in, the next step of the ladder is due in a
day or two. Numbers are the strategy's. What a pay day or a likely cure would say is not known to the ledger, so it is no reason here.

In:   facts, where the strategy stands, a business date.
Out:  who rests, and why.
Pure: no I/O, no clock.
Source: DOMAIN.md ("I paid this morning" is the field's first complaint); SCIENCE.md A1, A3: fewer contacts, and a reminder can harm.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

import polars as pl

from decisions.facts import Facts
from decisions.local_days import with_local_dates
from decisions.strategy import Strategy

ANSWERED: Final = "answered_lately"
PAID: Final = "paid_lately"
KEPT: Final = "kept_for_next_step"


def resting(facts: Facts, strategy: Strategy, business_date: date) -> pl.DataFrame:
    """Who is left in peace after what she did: `party_id`, `reason`; one row for each reason.

    Days count from the one on which it happened: with 1 she rests for that day.

    Args:
        facts: With the `payments` of `strategy.payments_since`.
        strategy: Of the stage.
        business_date: The local day that is treated.
    """
    rests = strategy.rests
    found = []
    if rests.after_answer_days:
        spoke = facts.history.filter((pl.col("direction") == "inbound") | (pl.col("result") == "conversation")).select("party_id", "at")
        since = business_date - timedelta(days=rests.after_answer_days)
        found.append((with_local_dates(spoke, facts.borrowers).filter(pl.col("contacted_on") > since), ANSWERED))
    if rests.after_payment_days:
        since = business_date - timedelta(days=rests.after_payment_days)
        found.append((facts.payments.filter((pl.col("paid_on") > since) & (pl.col("paid_on") <= business_date)), PAID))
    none = pl.DataFrame(schema={"party_id": pl.Int64, "reason": pl.String})
    return pl.concat([none, *(rows.select("party_id", reason=pl.lit(reason)) for rows, reason in found)]).unique(maintain_order=True)


def keeps_for_next_step(strategy: Strategy) -> pl.Expr:
    """Whether the next step of the ladder is so near that the contact is kept for it; of rows with `day` and `offered`."""
    within = strategy.rests.before_next_step_days
    ahead = sorted({step.from_day for step in strategy.steps if not step.is_onboarding})
    near = [day for from_day in ahead for day in range(from_day - within, from_day)]
    return (pl.col("offered") & pl.col("day").is_in(near)).fill_null(False) if near else pl.lit(False)

"""Report: everything about a stage's day, gathered from the ledger.

In:   a campaign run, or a date; the ledger; prices of config/prices.yaml.
Out:  a `StageDay`: funnel, rolls, cures, promises, answers, cost, what was not sent.
Pure: no; reads. Counts, rule ids and words of ours only.
Source: SCIENCE.md F; each figure is defined in decisions/kpis.py, decisions/roll_rates.py or ledger/figures.py, and only there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import polars as pl

from config.aging import aging_policy
from config.prices import prices
from config.settings import settings
from decisions.kpis import CURRENT, Share, contacts_per_cured, cure_rate, forward_roll, roll_states
from decisions.prices import Cost, cost_of
from decisions.roll_rates import roll_rates
from ledger import campaigns, clock, figures, helped
from ledger.campaigns import Run
from ledger.engine import arrow, connection
from ledger.figures import WEEK, HoldOut, Moved
from ledger.funnel import Funnel, read_funnel

ONE_DAY: Final = timedelta(days=1)
HELPED_WITHIN: Final = timedelta(days=28)


@dataclass(frozen=True, slots=True, kw_only=True)
class Roll:
    """Where the loans of a date are at another one.

    Attributes:
        since: t0.
        until: t1.
        buckets: From early to late, `current` first: the rows that can have loans.
        matrix: decisions/roll_rates.roll_rates, by accounts; its balances add currencies together and are not shown.
        by_currency: Currency → the same, of its loans alone.
        cure: Of the accounts in arrears at t0.
        cure_by_balance: Currency → the same, weighed by what was owed at t0.
        forward: Bucket → share in a later one.
        cured_borrowers: Borrowers all of whose loans cured.
        contacts: Contacts made with them in between.
    """

    since: date
    until: date
    buckets: tuple[str, ...]
    matrix: pl.DataFrame
    by_currency: dict[str, pl.DataFrame]
    cure: Share
    cure_by_balance: dict[str, Share]
    forward: dict[str, Share]
    cured_borrowers: int
    contacts: int

    @property
    def per_cured(self) -> float | None:
        """Contacts per cured borrower; None where nobody cured."""
        return contacts_per_cured(self.contacts, self.cured_borrowers)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageDay:
    """A stage on a business date.

    Attributes:
        run: The campaign run.
        at: Business instant of the look.
        places: Where it is seen in the Prefect UI.
        funnel: Of the run.
        not_sent: Rows of `ledger.figures.not_sent`.
        rolls: Since the last aged date, and since a week before; those that there are.
        promises: State → promises that fell due in the last seven days.
        answers: Intent → borrowers.
        contacted: Borrowers to whom something went out.
        cost: Of what went out.
        hold_out: What the hold-out paid.
        helped: What was solved → how many said that it helped, of how many who said so or not, in four weeks; of all stages.
    """

    run: Run
    at: datetime
    places: tuple[str, ...]
    funnel: Funnel
    not_sent: tuple[dict[str, Any], ...]
    rolls: tuple[Roll, ...]
    promises: dict[str, int]
    answers: dict[str, int]
    contacted: int
    cost: Cost
    hold_out: HoldOut
    helped: dict[str, tuple[int, int]]

    @property
    def title(self) -> str:
        """As the run is called: "early 2026-03-17", "early TW 2026-03-17 (preview)"."""
        return " ".join(self._parts) + (" (preview)" if self.run.preview else "")

    @property
    def key(self) -> str:
        """Of its artifacts: "early-tw-2026-03-17"."""
        return "-".join(self._parts).replace("_", "-").lower()

    @property
    def _parts(self) -> list[str]:
        part = [] if self.run.scope == campaigns.ALL else [self.run.scope]
        return [self.run.stage, *part, self.run.business_date.isoformat()]


def read_stage_day(campaign_run_id: int) -> StageDay:
    """Gather everything about a run of a stage, as it stands now."""
    with connection() as tx:
        run = campaigns.read_run(tx, campaign_run_id)
    day, stage, scope = run.business_date, run.stage, run.scope
    rolls = read_rolls(day, stage, scope)
    with connection() as tx:
        at = clock.now(tx)
        return StageDay(
            run=run,
            at=at,
            places=tuple(settings().flow_run_address(one) or str(one) for one in campaigns.read_flow_runs(tx, run.id)),
            funnel=read_funnel(tx, run.id),
            not_sent=tuple(figures.not_sent(tx, run.id, at=at)),
            rolls=rolls,
            promises=figures.promises(tx, stage=stage, first=day - WEEK, last=day, scope=scope),
            answers=figures.answers(tx, run.id),
            contacted=figures.contacted(tx, run.id),
            cost=cost_of(figures.usage(tx, run.id), prices()),
            hold_out=figures.hold_out(tx, stage=stage, until=day, scope=scope),
            helped=helped.counts(tx, since=at - HELPED_WITHIN, until=at),
        )


def read_rolls(day: date, stage: str | None, scope: str = campaigns.ALL) -> tuple[Roll, ...]:
    """Rolls up to a date since the last date that was aged, and since one at least a week before; none where nothing was.

    Args:
        day: t1.
        stage: Whose loans at t0; None = of every stage, and those that were not late.
        scope: `all`, or the creditors' country.
    """
    with connection() as tx:
        dates = [figures.aged_before(tx, day), figures.aged_before(tx, day - WEEK + ONE_DAY)]
        if not figures.is_aged(tx, day):
            return ()
    rolls = []
    for since in sorted({one for one in dates if one is not None}, reverse=True):
        with arrow() as source:
            pair = figures.moved(source, since=since, until=day, stage=stage, scope=scope)
        rolls.append(roll_of(pair, stage, scope))
    return tuple(rolls)


def roll_of(pair: Moved, stage: str | None, scope: str = campaigns.ALL) -> Roll:
    """The matrix of a pair of dates, and what is read off it."""
    schemes = aging_policy().schemes.values()
    first_days = sorted({(day, name) for scheme in schemes for name, day in scheme.buckets})
    known = {*pair.before["bucket"], *pair.after["bucket"]}
    buckets = (CURRENT, *(name for _, name in first_days if name in known))
    states = roll_states(buckets)
    matrix = roll_rates(pair.before, pair.after, buckets=states)
    parts = sorted(pair.before.partition_by("currency", as_dict=True).items())
    by_currency = {str(currency): roll_rates(some, pair.after, buckets=states) for (currency,), some in parts}
    with connection() as tx:
        contacts = figures.contacts_made(tx, stage=stage, since=pair.since, until=pair.until, scope=scope)
    return Roll(
        since=pair.since,
        until=pair.until,
        buckets=buckets,
        matrix=matrix,
        cure=cure_rate(matrix),
        by_currency=by_currency,
        cure_by_balance={currency: cure_rate(part, "balance_minor") for currency, part in by_currency.items()},
        forward=forward_roll(matrix, buckets),
        cured_borrowers=figures.cured_borrowers(pair),
        contacts=contacts,
    )

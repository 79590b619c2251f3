"""Plan: `pick` and `choose` for a whole early stage, as the flow runs them: two shards at a time.

The floor is what any program would have to do that decides at all: read the same columns of the same rows as Arrow, one
plain SELECT a table without joins, one trivial expression over them, and COPY the same number of decisions into a table
like `decision`, with its indexes and constraints.

In:   a number of borrowers, every one of them 1 to 30 days late, with 1.3 loans, 1.8 contact points, payments and 5 past
      contacts.
Out:  one result.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from functools import partial
from typing import Final

import polars as pl
from prefect.logging import disable_run_logger
from sqlalchemy import text

from config.policies import policies
from ledger import clock
from ledger.campaigns import open_run
from ledger.engine import arrow, connection, engine
from tasks.choose import choose
from tasks.pick import pick
from tests.bench.ground import address_of, apart, new_ledger, use
from tests.bench.harness import Result, by_turns
from tests.bench.portfolio import Filled, Wanted, copy, fill_ledger

ROUNDS: Final = 5
SECONDS_MAX: Final = 240.0
# As the flow's own task runner.
SHARDS_AT_ONCE: Final = 2
LEDGER: Final = "bench_plan"
# What a run writes.
WRITTEN: Final = ("attempt", "decision", "campaign_shard", "campaign_run", "loan_aging", "ageing_run")
TARGET: Final = 3.0
TODAY: Final = date(2026, 3, 17)
# Half past three in the afternoon in Taipei: open in most countries of the portfolio, later in the others.
AT: Final = datetime(2026, 3, 17, 7, 30, tzinfo=UTC)


def at(size: int) -> Iterator[Result]:
    """Measure with so many borrowers."""
    yield _measure(size)


def portfolio(borrowers: int) -> Filled:
    """Fill a new ledger with borrowers who are all late."""
    new_ledger(LEDGER)
    return late_portfolio(borrowers)


def late_portfolio(borrowers: int) -> Filled:
    """Fill an empty ledger with borrowers who are all late."""
    filled = fill_ledger(Wanted(borrowers=borrowers, as_of=TODAY, paid=2, contacts=5))
    with connection() as tx:
        clock.step(tx, AT)
    return filled


def _measure(borrowers: int) -> Result:
    filled = apart(partial(portfolio, borrowers))
    use(address_of(LEDGER))
    decisions = plan()
    with connection() as tx:
        tx.execute(text("CREATE TABLE floor_decision (LIKE decision INCLUDING ALL)"))
        rows = pl.DataFrame(tx.execute(text("SELECT * FROM decision")).mappings().all(), infer_schema_length=None).drop("propensities")
        planned = tx.scalar(text("SELECT count(*) FROM attempt"))
    assert decisions == rows.height == borrowers, "every borrower is decided for"
    sides = by_turns(
        plan,
        partial(floor, rows),
        rounds=ROUNDS,
        seconds_max=SECONDS_MAX,
        before_product=forget,
        before_floor=_forget_floor,
    )
    ratio = sides.report()["seconds"] / sides.report()["floor_seconds"]
    return Result(
        name="plan",
        size=borrowers,
        **sides.report(),
        ratio=ratio,
        unit="borrowers",
        ratio_means="seconds ÷ floor_seconds",
        target=f"≤ {TARGET:g}",
        met=ratio <= TARGET,
        more={**sides.spread(), "rows_in_ledger": filled.total, "decisions": decisions, "planned": planned},
    )


def plan() -> int:
    """One run of the early stage, without sending; returns the number of decisions."""
    with connection() as tx:
        run_id = open_run(tx, stage="early", business_date=TODAY, preview=False, borrowers_max=None, policies=policies("early"), at=AT)
    with disable_run_logger():
        shards = pick.fn(run_id)
        with ThreadPoolExecutor(SHARDS_AT_ONCE) as threads:
            list(threads.map(partial(choose.fn, campaign_run_id=run_id), shards))
    with connection() as tx:
        return int(
            tx.execute(
                text("SELECT sum(planned + withheld) FROM campaign_shard WHERE campaign_run_id = :run"), {"run": run_id}
            ).scalar_one()
        )


def forget() -> None:
    """Bring the ledger back to before a run."""
    with connection() as tx:
        # Whole tables go: there is nothing for the foreign keys to look for, row by row.
        tx.execute(text("SET LOCAL session_replication_role = replica"))
        for table in WRITTEN:
            tx.execute(text(f"DELETE FROM {table}"))  # noqa: S608  # names above
    with engine().connect().execution_options(isolation_level="AUTOCOMMIT") as server:
        for table in WRITTEN:
            server.execute(text(f"VACUUM ANALYZE {table}"))
        server.execute(text("CHECKPOINT"))


def _forget_floor() -> None:
    with connection() as tx:
        tx.execute(text("TRUNCATE floor_decision"))


def floor(decisions: pl.DataFrame) -> None:
    """Read what planning reads, look at each row once, and write as many decisions as planning writes."""
    with arrow() as source, source.cursor() as cursor:
        for statement, number in READS.items():
            cursor.execute(statement)
            pl.DataFrame(cursor.fetch_arrow_table()).select(pl.col(number) + 1)
    with connection() as tx:
        copy(tx, "floor_decision", decisions)


# Every column that planning reads, table by table → a number of each row.
READS: Final = {
    "SELECT loan_id, status, grace_days, bucket_scheme, product, account, currency, disputed_minor, charged_off, time_barred, servicing_status FROM loan_version WHERE superseded_at IS NULL": "loan_id",
    "SELECT loan_id, due_on, penalty_minor, fee_minor, interest_minor, principal_minor FROM instalment WHERE superseded_at IS NULL": "loan_id",
    "SELECT loan_id, paid_on, amount_minor FROM payment WHERE superseded_at IS NULL": "loan_id",
    "SELECT party_id, loan_id, role FROM loan_party WHERE superseded_at IS NULL": "party_id",
    "SELECT id, creditor_id FROM party": "id",
    "SELECT party_id, country, region, locale, known_zone, zones, facts FROM party_version WHERE superseded_at IS NULL": "party_id",
    "SELECT id, party_id, kind FROM contact_point": "party_id",
    "SELECT contact_point_id, blind_index, owner, employer_owned, country, zones, verified_on, status FROM contact_point_version WHERE superseded_at IS NULL": "contact_point_id",
    "SELECT id, blind_index, ownership FROM contact_value WHERE superseded_at IS NULL": "id",
    "SELECT party_id, channel, given_to, at, until, withdrawn_at FROM consent WHERE superseded_at IS NULL": "party_id",
    "SELECT party_id, id, at, channel, direction, loans, contact_point_id, counterparty, purpose, result, about_event_id, uncounts FROM contact_event": "party_id",
}

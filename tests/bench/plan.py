"""Plan: `pick` and `choose` for a whole early stage, as the flow runs them: two shards at a time.

The floor is what any program would have to do that decides at all: read the same columns of the same rows as Arrow, one
plain SELECT a table without joins, one trivial expression over them, and COPY the same decisions and planned attempts into
tables like `decision` and `attempt`, with their indexes and constraints, but without anything that asks whether what they
name is there. The ratio to a floor that writes the decisions alone stands beside it.

In:   a number of borrowers, every one of them 1 to 30 days late, with 1.3 loans, three contact points for five channels,
      payments and 5 past contacts within 30 days; the ladder of every channel, and the whole law.
Out:  one result.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final

import polars as pl
from prefect.logging import disable_run_logger
from sqlalchemy import text

from config.policies import policies
from ledger import clock
from ledger.campaigns import open_run
from ledger.decisions_log import ATTEMPT_COLUMNS, DECISION_COLUMNS
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
TARGET: Final = 2.5
# Of a million, on two quiet cores.
MILLION: Final = 1_000_000
SECONDS_TARGET: Final = 30.0
BYTES_TARGET: Final = 4 * 2**30
LADDER: Final = "every-channel"
FLOOR_TABLES: Final = ("decision", "attempt")
TODAY: Final = date(2026, 3, 17)
# Half past three in the afternoon in Taipei: open in most countries of the portfolio, later in the others.
AT: Final = datetime(2026, 3, 17, 7, 30, tzinfo=UTC)


def at(size: int) -> Iterator[Result]:
    """Measure with so many borrowers."""
    yield _measure(size)


def portfolio(borrowers: int) -> Filled:
    """Fill a new ledger with borrowers who are all late, reached by text message and by the app: what others plan too."""
    new_ledger(LEDGER)
    return late_portfolio(borrowers)


def late_portfolio(borrowers: int) -> Filled:
    """Fill an empty ledger with borrowers who are all late."""
    return _filled(Wanted(borrowers=borrowers, as_of=TODAY, paid=2, contacts=5))


def reached_by_five_channels(borrowers: int) -> Filled:
    """Fill a new ledger with borrowers who are all late and have three contact points each."""
    new_ledger(LEDGER)
    return _filled(Wanted(borrowers=borrowers, as_of=TODAY, paid=2, contacts=5, contact_days=6, with_email=True))


def _filled(wanted: Wanted) -> Filled:
    filled = fill_ledger(wanted)
    with connection() as tx:
        clock.step(tx, AT)
    return filled


def _measure(borrowers: int) -> Result:
    filled = apart(partial(reached_by_five_channels, borrowers))
    use(address_of(LEDGER))
    decisions = plan(LADDER)
    assert decisions == borrowers, "every borrower is decided for"
    with TemporaryDirectory() as folder:
        floor = _Floor(Path(folder))
        sides = by_turns(
            partial(plan, LADDER),
            floor.work,
            rounds=ROUNDS,
            seconds_max=SECONDS_MAX,
            before_product=forget,
            before_floor=floor.prepare,
            # Planning has run once; of a million the floor's caches are cold whatever ran before.
            warm_up=borrowers < MILLION,
        )
    found = sides.report()
    ratio = found["seconds"] / found["floor_seconds"]
    cpu = sides.spread()["floor_cpu_seconds"]
    whole = borrowers < MILLION or (found["seconds"] <= SECONDS_TARGET and found["peak_rss_bytes"] <= BYTES_TARGET)
    return Result(
        name="plan",
        size=borrowers,
        **found,
        ratio=ratio,
        unit="borrowers",
        ratio_means="seconds ÷ floor_seconds",
        target=f"≤ {TARGET:g}; of a million ≤ {SECONDS_TARGET:g} s and ≤ {BYTES_TARGET >> 30} GiB",
        met=ratio <= TARGET and whole,
        more={
            **sides.spread(),
            "ratio_to_decisions_alone": found["seconds"] / median(floor.seconds_of_decisions),
            "cpu_ratio": found["cpu_seconds"] / cpu,
            "rows_in_ledger": filled.total,
            "decisions": decisions,
            "planned": floor.planned,
        },
    )


def plan(named: str | None = None) -> int:
    """One run of the early stage, without sending; returns the number of decisions.

    Args:
        named: The ladder; None = the one in force.
    """
    with connection() as tx:
        in_force = policies("early", named=named)
        run_id = open_run(tx, stage="early", business_date=TODAY, preview=False, borrowers_max=None, policies=in_force, at=AT)
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


class _Floor:
    """Reads what planning reads, looks at each row once, and writes what the first plan wrote.

    The rows wait in files: in memory they would be counted as the product's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows: dict[str, pl.DataFrame] = {}
        self.planned = 0
        self.seconds_of_decisions: list[float] = []
        for table, columns in zip(FLOOR_TABLES, (DECISION_COLUMNS, ("id", *ATTEMPT_COLUMNS)), strict=True):
            with connection() as tx:
                tx.execute(text(f"CREATE TABLE floor_{table} (LIKE {table} INCLUDING ALL)"))
            with arrow() as source, source.cursor() as cursor:
                shown = ", ".join(f"{name}::text AS {name}" if name in {"propensities", "token"} else name for name in columns)
                cursor.execute(f"SELECT {shown} FROM {table} ORDER BY id")  # noqa: S608  # names above
                rows = pl.DataFrame(cursor.fetch_arrow_table())
            rows.write_ipc(folder / table)
            self.planned = rows.height

    def prepare(self) -> None:
        """Bring its tables back to before, and the rows into memory."""
        with connection() as tx:
            tx.execute(text("TRUNCATE floor_decision, floor_attempt"))
        self._rows = {table: pl.read_ipc(self._folder / table) for table in FLOOR_TABLES}

    def work(self) -> None:
        """Read and write, one after the other."""
        began = perf_counter()
        with arrow() as source, source.cursor() as cursor:
            for statement, number in READS.items():
                cursor.execute(statement)
                pl.DataFrame(cursor.fetch_arrow_table()).select(pl.col(number) + 1)
        for table in FLOOR_TABLES:
            with connection() as tx:
                copy(tx, f"floor_{table}", self._rows.pop(table))
            if table == "decision":
                self.seconds_of_decisions.append(perf_counter() - began)


# Every column that planning reads, table by table → a number of each row.
READS: Final = {
    "SELECT loan_id, status, grace_days, bucket_scheme, product, account, currency, disputed_minor, charged_off, time_barred, servicing_status FROM loan_version WHERE superseded_at IS NULL": "loan_id",
    "SELECT loan_id, due_on, penalty_minor, fee_minor, interest_minor, principal_minor FROM instalment WHERE superseded_at IS NULL": "loan_id",
    "SELECT loan_id, paid_on, amount_minor FROM payment WHERE superseded_at IS NULL": "loan_id",
    "SELECT party_id, loan_id, role FROM loan_party WHERE superseded_at IS NULL": "party_id",
    "SELECT id, creditor_id FROM party": "id",
    "SELECT party_id, country, region, locale, known_zone, zones, facts FROM party_version WHERE superseded_at IS NULL": "party_id",
    "SELECT id, party_id, kind FROM contact_point": "party_id",
    "SELECT contact_point_id, owner, employer_owned, country, zones, verified_on, status FROM contact_point_version WHERE superseded_at IS NULL": "contact_point_id",
    "SELECT id, blind_index, ownership FROM contact_value WHERE superseded_at IS NULL AND ownership <> 'claimed'": "id",
    "SELECT party_id, channel, given_to, at, until, withdrawn_at FROM consent WHERE superseded_at IS NULL": "party_id",
    "SELECT party_id, id, at, channel, direction, loans, contact_point_id, counterparty, purpose, result, about_event_id, uncounts FROM contact_event": "party_id",
}

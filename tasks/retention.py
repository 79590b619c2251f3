"""Retention's steps: erase whose day has come, and remove what is older than it is kept.

In:   a local business date; the ledger; config/retention.yaml.
Out:  erased people, removed rows; counts as a table artifact and a log line: nothing personal.
Pure: no. A batch and a person are a transaction each; done again, there is nothing left to do.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from prefect import get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from config.retention import retention_policy
from ledger import clock, erasures, partitions, retention
from ledger.engine import connection
from tasks.progress import tell

BATCH: Final = 5_000


@task(task_run_name="erase whose day has come {on}", retries=2, retry_delay_seconds=[10, 60], persist_result=False, cache_policy=NO_CACHE)
def erase_due(on: date, *, dry_run: bool = False) -> dict[str, int]:
    """Look again at everybody who asked to be erased, and erase those whose day has come and against whom nothing stands.

    Args:
        on: Local business date.
        dry_run: Only count.

    Returns:
        `erased` (or, of a dry run, `due`), and `waiting` → how many people.

    Raises:
        ConfigError: config/retention.yaml cannot be read.
    """
    duties = retention_policy().records
    with connection() as tx:
        asked = erasures.listed(tx)
    done = 0
    for one in asked:
        # One transaction a person, so that no lock is held over many.
        with connection() as tx:
            at = clock.now(tx)
            if dry_run:
                now = erasures.standing(tx, one.party_id, duties, at=at, besides=one.case_id)
                done += now.due_on is not None and now.due_on <= on
            else:
                done += erasures.erase(tx, one.party_id, duties, on=on, at=at) is not None
    get_run_logger().info("%s: %d of %d people who asked %s", on.isoformat(), done, len(asked), "are due" if dry_run else "are erased")
    return {"due" if dry_run else "erased": done, "waiting": len(asked) - done}


@task(task_run_name="end what is over {on}", retries=2, retry_delay_seconds=[10, 60], persist_result=False, cache_policy=NO_CACHE)
def end_what_is_over(on: date, *, dry_run: bool = False, batch: int = BATCH) -> dict[str, int]:
    """Remove what is older than it is kept.

    Args:
        on: Local business date; names the step.
        dry_run: Only count.
        batch: Rows a transaction.

    Returns:
        What → rows that were removed, or would be.

    Raises:
        ConfigError: config/retention.yaml cannot be read.
    """
    days = retention_policy().days
    counts = {}
    for number, (what, kept) in enumerate(sorted(days.items())):
        tell(100 * number / len(days), what.replace("_", " "))
        counts[what] = _to_end(what, kept) if dry_run else _ended(what, kept, batch)
    create_table_artifact(
        key="retention",
        description=f"What was kept long enough on {on.isoformat()}{', only counted' if dry_run else ''}; see config/retention.yaml.",
        table=[{"what": what.replace("_", " "), "days": days[what], "rows": rows} for what, rows in counts.items()],
    )
    get_run_logger().info("%s: %d rows are over%s", on.isoformat(), sum(counts.values()), ", not removed" if dry_run else " and removed")
    return counts


@task(task_run_name="make months {on}", retries=2, retry_delay_seconds=[10, 60], persist_result=False, cache_policy=NO_CACHE)
def make_months(on: date, *, dry_run: bool = False) -> list[str]:
    """Give this month and the next one a part of their own in each table that lies by months (ledger/partitions.py).

    Args:
        on: Local business date.
        dry_run: Make nothing.

    Returns:
        Names of the parts that were made.
    """
    made = []
    for table in () if dry_run else partitions.PARTITIONED:
        with connection() as tx:
            made += partitions.make_months(tx, table, on)
        with connection() as tx:
            partitions.gather(tx, table)
    get_run_logger().info("%s: %s", on.isoformat(), f"made {', '.join(made)}" if made else "every month has its part")
    return made


@task(task_run_name="archive old months {on}", retries=2, retry_delay_seconds=[10, 60], persist_result=False, cache_policy=NO_CACHE)
def archive_old_months(on: date, *, dry_run: bool = False) -> int:
    """Move the months of history that config/retention.yaml does not keep at hand into the archive; nothing of them is removed.

    Args:
        on: Local business date; one that has not come yet counts as today.
        dry_run: Only count.

    Returns:
        Rows that were moved, or would be.

    Raises:
        ConfigError: config/retention.yaml cannot be read.
    """
    with connection(read_only=True) as tx:
        before = partitions.at_hand_from(tx, on=on, months=retention_policy().history_months)
    moved: list[tuple[str, int]] = []
    for table in partitions.HISTORY:
        # One transaction a table: each waits for its own users alone.
        with connection(read_only=dry_run) as tx:
            for part in partitions.over_before(tx, table, before):
                moved.append((part.name, partitions.count(tx, part.name)))
                if not dry_run:
                    partitions.detach(tx, table, part)
    if moved:
        became = "only counted" if dry_run else "now in the archive"
        create_table_artifact(
            key="history-archived",
            description=f"History of before {before.isoformat()}, {became}; see docs/retention.md.",
            table=[{"month": month, "rows": rows} for month, rows in moved],
        )
    get_run_logger().info("%s: %d months are old%s", on.isoformat(), len(moved), ", not moved" if dry_run else "")
    return sum(rows for _, rows in moved)


def _to_end(what: str, days: int) -> int:
    with connection(read_only=True) as tx:
        return retention.to_end(tx, what, days=days)


def _ended(what: str, days: int, batch: int) -> int:
    rows = 0
    while True:
        with connection() as tx:
            gone = retention.end(tx, what, days=days, at_most=batch)
        rows += gone
        if gone < batch:
            return rows

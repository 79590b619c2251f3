"""Retention: erase whose day has come, end what is older than it is kept, make the next month's parts, archive old ones.

Every night; scheduled in prefect.yaml. Safe to run again: what is gone is not found again.
"""

from __future__ import annotations

from datetime import date

from prefect import flow
from prefect.runtime import flow_run

from flows.run_names import local_day
from tasks.record import business_date
from tasks.retention import archive_old_months, end_what_is_over, erase_due, make_months


def run_name() -> str:
    """Name the run by its date, so that the list in the UI reads as a calendar."""
    return f"retention {flow_run.parameters.get('as_of') or local_day()}"


@flow(name="retention", flow_run_name=run_name, timeout_seconds=6 * 3600)
def retention(as_of: date | None = None, *, dry_run: bool = False) -> dict[str, int]:
    """Erase people, remove rows that are over, and move months of history that are old into the archive.

    Args:
        as_of: Local business date. Empty = the date on which this run was due, in the portfolio's zone.
        dry_run: Count and show, remove and move nothing.

    Returns:
        `erased` (`due`) and `waiting` → people; `archived` → rows that moved; every kind of row that ends by itself → rows.
    """
    day = as_of or business_date(flow_run.scheduled_start_time)
    make_months(day, dry_run=dry_run)
    people = erase_due(day, dry_run=dry_run)
    archived = archive_old_months(day, dry_run=dry_run)
    return {**people, "archived": archived, **end_what_is_over(day, dry_run=dry_run)}

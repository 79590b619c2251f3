"""Names of runs: the list of runs in the Prefect UI reads as a calendar.

In:   what Prefect knows of the run that is about to start.
Out:  its name. Never free text, a file's name or a person: a name is kept in many places.
Pure: no; reads the ledger's clock. Where the ledger is away the name still comes, and the run says what is the matter.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from zoneinfo import ZoneInfo

from prefect.runtime import flow_run
from sqlalchemy.exc import SQLAlchemyError

from ledger.embedded import EmbeddedDatabaseError
from tasks.record import business_date, business_zone


def local_day(country: str | None = None) -> date:
    """The business date of a run without a date of its own."""
    due = flow_run.scheduled_start_time
    try:
        return business_date(due, country)
    except (SQLAlchemyError, EmbeddedDatabaseError):
        day: date = due.astimezone(ZoneInfo(business_zone(country))).date()
        return day


def by_minute(what: str) -> Callable[[], str]:
    """For what runs many times a day: "dispatch 2026-03-02 10:05", in the portfolio's zone."""

    def run_name() -> str:
        due = flow_run.scheduled_start_time.astimezone(ZoneInfo(business_zone(None)))
        return f"{what} {due:%Y-%m-%d %H:%M}"

    return run_name

"""Promises to pay: judge whether each was kept, so that nobody's peace ends by guesswork; remind of those that are near.

A promise is kept when enough of it was posted by the end of the days of settlement; it is broken only when the payment
feed covers them. Sends nothing itself: reminders go through the gate with the next dispatch. Scheduled in prefect.yaml
before the stages, so that they treat people as they stand. Safe to run again for the same date: what is judged stays judged,
and is corrected where a payment arrives late; who is reminded is reminded once.
"""

from __future__ import annotations

from datetime import date

from prefect import flow
from prefect.runtime import flow_run

from flows.run_names import local_day
from tasks.promises import judge_promises, plan_reminders
from tasks.record import business_date


def run_name() -> str:
    """Name the run by its date, so that the list in the UI reads as a calendar."""
    return f"promises {flow_run.parameters.get('as_of') or local_day()}"


@flow(name="promises", flow_run_name=run_name, timeout_seconds=3600)
def promises(as_of: date | None = None) -> dict[str, int]:
    """Judge the promises whose time has come: kept, partly kept, or broken; plan one kind reminder of each that is near.

    Args:
        as_of: Local business date to judge at. Empty = the date on which this run was due, in the portfolio's zone.

    Returns:
        How many came into each state, and how many `reminders` are planned; the ledger has them, and this run's artifact the counts.
    """
    day = as_of or business_date(flow_run.scheduled_start_time)
    counts = judge_promises(day)  # first: whose promise is kept already needs no reminder
    reminders = plan_reminders(day)
    return {**counts, "reminders": reminders} if reminders else counts

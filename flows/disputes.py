"""Disputes: what people are owed an answer to, every morning: say that it was received or answered, tell whose deadline is near or past.

Disputes, complaints, hardship and every other kind of case. Scheduled in prefect.yaml before the morning page. Sends nothing itself:
what is planned goes through the gate with the next dispatch. Safe to run again for the same date: nobody is written to twice, and
nothing is told twice.
"""

from __future__ import annotations

from datetime import date

from prefect import flow
from prefect.runtime import flow_run

from flows.run_names import local_day
from tasks.disputes import note_acknowledged, plan_case_messages, tell_deadlines
from tasks.record import business_date


def run_name() -> str:
    """Name the run by its date, so that the list in the UI reads as a calendar."""
    return f"disputes {flow_run.parameters.get('as_of') or local_day()}"


@flow(name="disputes", flow_run_name=run_name, timeout_seconds=3600)
def disputes(as_of: date | None = None) -> dict[str, int]:
    """Note who was told, plan what people are told by a machine, and tell of deadlines that are near or have passed.

    Args:
        as_of: Local business date to look at. Empty = the date on which this run was due, in the portfolio's zone.

    Returns:
        How many cases are open, near, late, later than the law says; how many deadlines were told; how many cases are acknowledged now;
        how many people are to hear that theirs was received, or was answered.
    """
    day = as_of or business_date(flow_run.scheduled_start_time)
    noted = note_acknowledged(day)  # first: whoever was told needs no second message
    planned = plan_case_messages(day)
    return {**tell_deadlines(day), "acknowledged": noted, **planned}

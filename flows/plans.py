"""Plans: judge how each agreed plan stands, say of one that it is agreed, remember kindly of payments that are near.

Sends nothing itself: what is planned goes through the gate with the next dispatch. Scheduled in prefect.yaml before the stages, so that
they treat people as they stand. Safe to run again for the same date: nobody is told twice, and nothing is judged twice.
"""

from __future__ import annotations

from datetime import date

from prefect import flow
from prefect.runtime import flow_run

from flows.run_names import local_day
from tasks.plans import judge_plans, plan_plan_messages
from tasks.record import business_date


def run_name() -> str:
    """Name the run by its date, so that the list in the UI reads as a calendar."""
    return f"plans {flow_run.parameters.get('as_of') or local_day()}"


@flow(name="plans", flow_run_name=run_name, timeout_seconds=3600)
def plans(as_of: date | None = None) -> dict[str, int]:
    """Judge the plans that are agreed and not over; plan the words that one is agreed, and one kind reminder of each payment.

    Args:
        as_of: Local business date to judge at. Empty = the date on which this run was due, in the portfolio's zone.

    Returns:
        What became of how many plans, and how many messages are planned; the ledger has them, and this run's artifact the counts.
    """
    day = as_of or business_date(flow_run.scheduled_start_time)
    counts = judge_plans(day)  # first: of what is paid nobody is reminded
    planned = plan_plan_messages(day)
    return {**counts, **{what: number for what, number in planned.items() if number}}

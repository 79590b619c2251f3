"""Morning: one page at half past seven with what a person has to see to today, worst first, and the command to do it.

Late feeds, parked attempts, people who wait, promises and time limits, texts and packs without approval, pauses, what changed since
yesterday, what is planned. Reads the ledger, contacts nobody. Scheduled in prefect.yaml; `tideover morning` prints the same.
"""

from __future__ import annotations

from prefect import flow
from prefect.runtime import flow_run

from tasks.morning_artifact import show_morning
from tasks.record import business_date


def run_name() -> str:
    """Name the run by its date, so that the list in the UI reads as a calendar."""
    return f"morning {business_date(flow_run.scheduled_start_time)}"


@flow(name="morning", flow_run_name=run_name, timeout_seconds=900)
def morning() -> int:
    """Show what has to be done today.

    Returns:
        How many things somebody has to do; the artifact `morning` names them.
    """
    return show_morning()

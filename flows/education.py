"""Education: one short lesson before a payment is due, or after a loan is current again. Asks for nothing.

Whom and when is said by config/education.yaml; how often at most by config/rules/house.yaml, at planning and at the gate. Nobody
who is late, nearly due or in a plan gets one. Sends nothing itself: lessons go through the gate with the next dispatch.
Scheduled in prefect.yaml behind the stages, so that who is late is known. Safe to run again for the same date.
"""

from __future__ import annotations

from datetime import date

from prefect import flow
from prefect.runtime import flow_run

from flows.run_names import local_day
from tasks.education import plan_lessons
from tasks.preview import show_preview
from tasks.record import business_date


def run_name() -> str:
    """Name the run by its date, so that the list in the UI reads as a calendar."""
    return f"education {flow_run.parameters.get('as_of') or local_day()}"


@flow(name="education", flow_run_name=run_name, timeout_seconds=3600)
def education(
    as_of: date | None = None,
    preview: bool = False,  # noqa: FBT001, FBT002  # parameters of a flow are given by name, in the UI's form
) -> int | None:
    """Offer one short lesson to whom it may help, and show which to whom before anything is sent.

    Args:
        as_of: Local business date. Empty = the date on which this run was due, in the portfolio's zone.
        preview: Decide and show, send nothing.

    Returns:
        Id of the campaign run; what is planned is in this run's artifact. None where a lesson is in time for nobody.
    """
    run = plan_lessons(as_of or business_date(flow_run.scheduled_start_time), preview=preview)
    if run is not None:
        show_preview(run)
    return run

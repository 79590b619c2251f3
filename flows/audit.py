"""Audit: prove every night that nobody was contacted against a rule, and that the rows bear out what is promised.

Scheduled in prefect.yaml. Reads the ledger and the providers' own lists; contacts nobody. A violation is an event, a row of an
artifact, and a failed run. Running it again for the same dates finds the same.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from prefect import flow
from prefect.runtime import flow_run

from flows.run_names import local_day
from tasks.audit import audit_and_show
from tasks.record import business_date


def run_name() -> str:
    """Name the run by its last date, so that the list in the UI reads as a calendar."""
    return f"audit {flow_run.parameters.get('last') or local_day()}"


@flow(name="audit", flow_run_name=run_name, timeout_seconds=4 * 3600)
def audit(first: date | None = None, last: date | None = None) -> dict[str, Any]:
    """Audit a period.

    Args:
        first: First business date. Empty = the day before the last.
        last: Last business date, included. Empty = the date on which this run was due, in the portfolio's zone.

    Returns:
        Counts, and for each invariant whether it held.

    Raises:
        InvariantsBroken: Something is broken; the artifacts of this run name it.
        AuditIncomplete: A provider's list, or the folder of the heads, could not be used.
    """
    until = last or business_date(flow_run.scheduled_start_time)
    return audit_and_show(first or until - timedelta(days=1), until)

"""The monthly kill-switch drill: whether a stop stops, and how fast.

It waits until messages are on their way, stops contact, measures until the last call was begun, and resumes: some seconds in
all. What it held up waits and goes out with the next dispatch. Scheduled in prefect.yaml while the early stage sends.
"""

from __future__ import annotations

from typing import Annotated

from prefect import flow
from prefect.runtime import flow_run
from pydantic import Field

from flows.run_names import local_day
from tasks.drill import What, hold_drill

Minutes = Annotated[int, Field(ge=0, le=60)]
Said = Annotated[str, Field(min_length=1)]


def run_name() -> str:
    """Name the run by its date and by what it stops."""
    return f"drill {flow_run.parameters.get('what', 'sms')} {local_day()}"


@flow(name="drill", flow_run_name=run_name, timeout_seconds=2 * 3600)
def drill(what: What = "sms", by: Said = "drill", wait_minutes: Minutes = 30) -> float | None:
    """Stop contact for some seconds while messages are on their way, and measure until the last call was begun.

    Args:
        what: What is stopped. "everything" stops every channel of every stage, in live mode real contact too; choose it on purpose.
        by: Who holds the drill; kept with its result.
        wait_minutes: So long is waited until something is on its way; nothing is stopped before. 0 = not at all.

    Returns:
        Seconds from the stop to the last call begun after it (0 = none was); None where nothing was on its way, which proves nothing.

    Raises:
        DrillFailed: A call was begun too late; the result is in the ledger and in this run's artifact. Contact goes on.
        DrillRefused: Contact is stopped already.
    """
    drilled = hold_drill(what, by, wait_minutes * 60.0)
    return None if drilled.verdict == "nothing_under_way" else drilled.last_send_seconds

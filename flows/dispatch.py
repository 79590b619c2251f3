"""Dispatch: send what has come due since, in whatever zone and whatever stage, until its window ends.

A stage's own run sends what may be sent at its hour. What was blocked for now but not for good, what was planned for a
later hour, and what an interrupted run left behind is taken here, every few minutes (prefect.yaml). Each message passes the
gate like any other. Safe beside a stage's run and beside another dispatch: a borrower whom another lane holds is passed over.
"""

from __future__ import annotations

from prefect import flow
from prefect.futures import wait
from prefect.task_runners import ThreadPoolTaskRunner

from flows.run_names import by_minute
from tasks.dispatch import add_up, find_due
from tasks.send import send


@flow(name="dispatch", flow_run_name=by_minute("dispatch"), timeout_seconds=3600, task_runner=ThreadPoolTaskRunner(max_workers=2))  # type: ignore[arg-type]  # Prefect's stub wants a runner of a narrower future type
def dispatch() -> int:
    """Send what is due now.

    Returns:
        Messages that providers took.

    Raises:
        LanesUnfinished: A lane did not come to its end; the next run takes what is left.
    """
    due = find_due()
    lanes = send.map([shard for shard, _ in due], [run for _, run in due])
    wait(lanes)
    return add_up([lane.state for lane in lanes])

"""The phone team's queue, kept up to date: who belongs in it, and which call-backs were missed.

In:   the ledger; config/call_queue.yaml.
Out:  tasks of the queue; an event for each call-back that was missed, for Prefect's automations: ids only. What voices might have
      said in calls that are over is dropped.
Pure: no. Looking twice tells nothing twice.
"""

from __future__ import annotations

from typing import Final

from prefect import get_run_logger
from prefect.events import emit_event

from config.load import ConfigError
from gate.dial import refresh
from ledger import call_words
from ledger.engine import connection

MISSED_EVENT: Final = "tideover.callback.missed"


def watch_calls() -> int:
    """Put in the queue who belongs there, tell of the call-backs that nobody made in time, and drop the words of calls that are over.

    A queue that cannot be filled stops no message.

    Returns:
        How many call-backs were missed since the last time.
    """
    with connection() as tx:
        dropped = call_words.drop_over(tx)
    if dropped:
        get_run_logger().info("the words of %d calls that are over were dropped", dropped)
    try:
        missed = refresh()
    except ConfigError as error:
        get_run_logger().error("the phone team's queue was not filled: %s", error)
        return 0
    for task in missed:
        get_run_logger().error("call-back %d was missed: %s owes it since %s", task.id, task.owner, task.asked_at.isoformat())
        emit_event(
            event=MISSED_EVENT,
            resource={"prefect.resource.id": f"tideover.call-task.{task.id}", "prefect.resource.name": f"call-back {task.id}"},
            payload={"owner": task.owner, "until": task.closes_at.isoformat()},
        )
    return len(missed)

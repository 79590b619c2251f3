"""Send: a lane through the gate for one shard, until nothing is due.

A lane, not a list: what is sent is what the ledger says is planned at that moment, each message after the gate's last
look. Running it again, or twice at once, sends nothing twice.

In:   a shard's number and a campaign run's id; the providers that the settings name.
Out:  number of messages that providers took in this call; an event where a channel is halted.
Pure: no.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import FlowRunContext, TaskRunContext
from prefect.events import emit_event
from prefect.tasks import Task, exponential_backoff
from sqlalchemy.exc import OperationalError

from channels.registry import openers
from gate.lane import ChannelFactory, LaneHalted, LaneReport, run_lane
from tasks.progress import stage_progress, watched

# The lane itself decides what may be called again; only its own interruptions are a reason to run it again.
RETRIES: Final = 3
RETRY_SECONDS: Final = 10
HALTED_EVENT: Final = "tideover.channel.halted"

CHANNELS: Final[Mapping[str, ChannelFactory]] = openers()


def is_temporary(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:
    """Whether running the lane again may help: the database or a provider was away, and nobody has to mend anything."""
    del task, task_run
    error = state.result(raise_on_failure=False)
    return isinstance(error, OperationalError) or (isinstance(error, LaneHalted) and not error.for_good)


@task(
    task_run_name="send shard {shard}",
    retries=RETRIES,
    retry_delay_seconds=exponential_backoff(RETRY_SECONDS),
    retry_jitter_factor=0.5,
    retry_condition_fn=is_temporary,
    persist_result=False,
    cache_policy=NO_CACHE,
)
def send(shard: int | None, campaign_run_id: int) -> int:
    """Send whatever is due of one shard; of the whole run where the shard is None.

    Idempotent: the ledger knows what was sent, and what nobody knows is never sent again.

    Returns:
        Messages that providers took now.

    Raises:
        LaneHalted: A provider takes nothing from us; what was not sent is still planned.
    """
    try:
        with watched(partial(stage_progress, campaign_run_id)):
            report = run_lane(campaign_run_id, shard=shard, channels=CHANNELS, cancelled=_end_of_run())
    except LaneHalted as error:
        _tell(error, campaign_run_id, shard)
        raise
    if report.law_fault is not None:
        get_run_logger().error("shard %s: %s", shard, report.law_fault)
    get_run_logger().info("shard %s: %s", shard, in_words(report))
    return report.accepted


def _end_of_run() -> Callable[[], bool]:
    """Whether Prefect ends this run (cancelled in its UI, or its worker stops): the lane asks between chunks.

    Prefect ends the process half a minute later at the latest; until then a lane that does not ask would go on sending.
    """
    task_run, flow_run = TaskRunContext.get(), FlowRunContext.get()
    if task_run is None or flow_run is None:
        return lambda: False
    # Prefect tells a task that it is cancelled in no public way; tests/journeys/test_a_real_day.py cancels a run and looks.
    told = getattr(flow_run.task_runner, "_cancel_events", {}).get(task_run.task_run.id)
    return told.is_set if told is not None else lambda: False


def _tell(error: LaneHalted, campaign_run_id: int, shard: int | None) -> None:
    """Say in the run's log what to do, and give automations an event to act on: ids and the provider's code, nothing else."""
    get_run_logger().error("shard %s: %s", shard, error)
    emit_event(
        event=HALTED_EVENT,
        resource={"prefect.resource.id": f"tideover.channel.{error.channel}", "prefect.resource.name": error.channel},
        payload={"campaign_run_id": campaign_run_id, "shard": shard, "code": error.code, "for_good": error.for_good},
    )


def in_words(report: LaneReport) -> str:
    """A lane's counts as one line of a log."""
    counts = {
        **{f"gate: {action}": number for action, number in sorted(report.actions.items())},
        **{f"now {state}": number for state, number in sorted(report.became.items())},
        "unknown found": report.unknown_found,
        "never called, planned again": report.never_called_found,
        "expired found": report.expired_found,
        "paused": report.paused,
        "for later": report.later,
    }
    said = ", ".join(f"{what} {number}" for what, number in counts.items() if number)
    return (said or "nothing was due") + (" (stopped)" if report.stopped else "")

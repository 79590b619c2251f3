"""Send: a lane through the gate for one shard, until nothing is due.

A lane, not a list: what is sent is what the ledger says is planned at that moment, each message after the gate's last
look. Running it again, or twice at once, sends nothing twice.

In:   a shard's number and a campaign run's id; the providers that the settings name.
Out:  number of messages that providers took in this call.
Pure: no.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task, exponential_backoff
from sqlalchemy.exc import OperationalError

from channels.push import Push
from channels.sms import Sms
from config.settings import settings
from gate.lane import ChannelFactory, LaneHalted, LaneReport, run_lane

# The lane itself decides what may be called again; only its own interruptions are a reason to run it again.
RETRIES: Final = 3
RETRY_SECONDS: Final = 10

CHANNELS: Final[Mapping[str, ChannelFactory]] = {"sms": lambda: Sms(settings()), "push": lambda: Push(settings())}


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
def send(shard: int, campaign_run_id: int) -> int:
    """Send whatever is due of one shard.

    Idempotent: the ledger knows what was sent, and what nobody knows is never sent again.

    Returns:
        Messages that providers took now.

    Raises:
        LaneHalted: A provider takes nothing from us; what was not sent is still planned.
    """
    report = run_lane(campaign_run_id, shard=shard, channels=CHANNELS)
    get_run_logger().info("shard %d: %s", shard, in_words(report))
    return report.accepted


def in_words(report: LaneReport) -> str:
    """A lane's counts as one line of a log."""
    counts = {
        **{f"gate: {action}": number for action, number in sorted(report.actions.items())},
        **{f"now {state}": number for state, number in sorted(report.became.items())},
        "unknown found": report.unknown_found,
        "expired found": report.expired_found,
        "paused": report.paused,
        "for later": report.later,
    }
    said = ", ".join(f"{what} {number}" for what, number in counts.items() if number)
    return (said or "nothing was due") + (" (stopped)" if report.stopped else "")

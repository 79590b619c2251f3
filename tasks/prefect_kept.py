"""How much Prefect's server keeps of its own runs, and whether that is what is expected of it.

The ledger says what was done; Prefect's database says how its runs went, and grows by every one of them, with nothing to do too. Its server
removes what is over only where it is told to (config/retention.yaml, `prefect`).

In:   a Prefect server's client, the wall clock.
Out:  `Kept`; the `Item` of the morning page, if there is something to say.
Pure: no; asks the server. `to_do` is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterEndTime, FlowRunFilterParentTaskRunId

from config.retention import PrefectForm, retention_policy_in_force
from tasks.morning_items import Item, Urgency

# The server looks every hour; what was over yesterday has to be gone today.
ONE_DAY: Final = timedelta(days=1)
MEND: Final = "give Prefect's server the settings PREFECT_SERVER_… of deploy/etc/prefect-server.env and restart it (docs/retention.md)"
LOOK: Final = "look in Prefect's UI which deployment starts so often; where that is wanted, raise prefect.runs_max in config/retention.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Runs of flows that the server knows.

    Attributes:
        runs: All that have ended.
        over: Those of them that ended so long ago that they should be gone.
    """

    runs: int
    over: int


def kept(client: SyncPrefectClient, *, now: datetime) -> Kept:
    """Count.

    Args:
        client: Of the server.
        now: On the server's own clock, which no sandbox moves.
    """
    days = retention_policy_in_force().prefect.runs_days
    return Kept(runs=_ended(client, before=now), over=_ended(client, before=now - timedelta(days=days) - ONE_DAY))


def _ended(client: SyncPrefectClient, *, before: datetime) -> int:
    """Runs of their own; one within another goes with that one."""
    return client.count_flow_runs(
        flow_run_filter=FlowRunFilter(
            end_time=FlowRunFilterEndTime(before_=before), parent_task_run_id=FlowRunFilterParentTaskRunId(is_null_=True)
        )
    )


def to_do(found: Kept, policy: PrefectForm) -> Iterator[Item]:
    """What to say of it in the morning; nothing where it is as expected."""
    if found.over:
        said = f"Prefect's database keeps {found.over:,} runs for longer than {policy.runs_days} days: its retention is off, and it grows"
        yield Item(urgency=Urgency.SOON, what=said, do=MEND)
    if found.runs > policy.runs_max:
        said = f"Prefect's database has {found.runs:,} runs, more than the {policy.runs_max:,} that are expected"
        yield Item(urgency=Urgency.SOON, what=said, do=LOOK)

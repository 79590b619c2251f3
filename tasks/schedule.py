"""What the Prefect server will start today: by its own word, because operations change schedules there.

In:   an instant and the end of the day; a Prefect server.
Out:  `Scheduled` values in the order of their first start.
Pure: no; asks the server.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort

PAGE: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduled:
    """A deployment that starts today.

    Attributes:
        name: As `prefect deployment run` takes it: "early/daily".
        starts: Of each run still to come.
        parameters: Of the first one that are not empty; dates, flags and scopes.
    """

    name: str
    starts: tuple[datetime, ...]
    parameters: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"deployment": self.name, "starts": [start.isoformat() for start in self.starts], "parameters": self.parameters}


def scheduled(client: SyncPrefectClient, *, since: datetime, until: datetime) -> list[Scheduled]:
    """Runs that are scheduled in [since, until), by deployment.

    Args:
        client: Of the server.
        since: On the server's own clock, which no sandbox moves.
        until: Likewise.
    """
    names = {one.id: one.name for one in client.read_deployments(limit=PAGE)}
    flows = {one.id: one.name for one in client.read_flows(limit=PAGE)}
    found: defaultdict[tuple[str, str], list[FlowRun]] = defaultdict(list)
    asked = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
        expected_start_time=FlowRunFilterExpectedStartTime(after_=since, before_=until),
    )
    offset = 0
    while page := client.read_flow_runs(flow_run_filter=asked, sort=FlowRunSort.EXPECTED_START_TIME_ASC, limit=PAGE, offset=offset):
        for run in page:
            if run.deployment_id in names:
                found[f"{flows.get(run.flow_id, '?')}/{names[run.deployment_id]}", str(sorted(run.parameters.items()))].append(run)
        offset += PAGE
    rows = [
        Scheduled(
            name=name,
            starts=tuple(run.expected_start_time for run in runs if run.expected_start_time is not None),
            parameters={key: str(value) for key, value in runs[0].parameters.items() if value not in (None, False, "")},
        )
        for (name, _), runs in found.items()
    ]
    return sorted((row for row in rows if row.starts), key=lambda row: row.starts[0])

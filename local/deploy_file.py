"""Reads prefect.yaml: what each deployment is to be. The same file serves a plain `prefect deploy`.

In:   prefect.yaml; the flows that its entry points name.
Out:  `Wanted` values, and the pool with its queues.
Pure: no; reads the file and imports the flows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from prefect import Flow
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema

from config.settings import HOUSE
from local.deploy_report import DeployRefused

FILE: Final = HOUSE / "prefect.yaml"
# What is applied; Prefect knows more, and what would be passed over in silence is refused.
KEYS: Final[Mapping[str, frozenset[str]]] = {
    "deployment": frozenset({"name", "entrypoint", "description", "tags", "parameters", "schedules", "concurrency_limit", "work_pool"}),
    "schedule": frozenset({"slug", "cron", "timezone", "day_or", "active", "parameters"}),
    "work_pool": frozenset({"name", "work_queue_name", "job_variables"}),
    "concurrency_limit": frozenset({"limit", "collision_strategy"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A queue of the pool; the lower the priority's number, the sooner it is served."""

    name: str
    priority: int
    concurrency_limit: int | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A deployment as the file wants it.

    Attributes:
        flow_name: As operations see it: "pre-due".
        name: Of the deployment: "daily".
        code: What belongs to the program, and follows it: entry point, pull steps, form of the parameters.
        things: What operations may change, by name: description, tags, job variables, work queue, concurrency, and each `parameter NAME`.
        schedules: Slug → cron, zone and parameters.
        active: Slug → whether it is switched on when it is made.
    """

    flow_name: str
    name: str
    code: dict[str, Any]
    things: dict[str, Any]
    schedules: dict[str, dict[str, Any]]
    active: dict[str, bool]

    @property
    def full_name(self) -> str:
        """As Prefect names it: "pre-due/daily"."""
        return f"{self.flow_name}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The whole file.

    Attributes:
        pool: Name of the work pool.
        queues: By priority.
        deployments: In the file's order.
    """

    pool: str
    queues: tuple[Queue, ...]
    deployments: tuple[Wanted, ...]


def read_plan(file: Path = FILE) -> Plan:
    """Read the file and load every flow that it names.

    Raises:
        DeployRefused: The file cannot be read, or a deployment of it cannot be understood or loaded.
    """
    try:
        document = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise DeployRefused(f"{file}: {error}") from None
    # `{{ $TIDEOVER_HOME }}` stays as it is: each worker says where its own checkout lies.
    wanted = tuple(_wanted(one, document.get("pull") or [], file.name) for one in document["deployments"])
    pools = {one.things["work queue"].split("/")[0] for one in wanted}
    if len(pools) != 1:
        raise DeployRefused(f"{file.name}: one work pool for all, not {', '.join(sorted(pools))}")
    queues = sorted((Queue(**queue) for queue in document["definitions"]["queues"]), key=lambda queue: queue.priority)
    return Plan(pool=pools.pop(), queues=tuple(queues), deployments=wanted)


def _wanted(one: dict[str, Any], pull: list[dict[str, Any]], file: str) -> Wanted:
    where = f"{file}: {one.get('entrypoint')}: {one.get('name')}"
    try:
        flow: Flow[..., Any] = load_flow_from_entrypoint(one["entrypoint"])
    except Exception as error:
        raise DeployRefused(f"{where}: the flow cannot be loaded: {type(error).__name__}: {error}") from error
    pool, limit = one["work_pool"], one.get("concurrency_limit") or {}
    _refuse_unknown(where, "deployment", one)
    _refuse_unknown(where, "work_pool", pool)
    _refuse_unknown(where, "concurrency_limit", limit)
    schedules: dict[str, dict[str, Any]] = {}
    active: dict[str, bool] = {}
    for schedule in one.get("schedules", []):
        _refuse_unknown(where, "schedule", schedule)
        if missing := sorted({"slug", "cron", "timezone"} - set(schedule)):
            raise DeployRefused(f"{where}: a schedule without {', '.join(missing)}")
        if schedule["slug"] in schedules:
            raise DeployRefused(f"{where}: two schedules with the slug {schedule['slug']}")
        schedules[schedule["slug"]] = schedule_of(
            schedule["cron"], schedule["timezone"], schedule.get("parameters") or {}, day_or=schedule.get("day_or", True)
        )
        active[schedule["slug"]] = schedule.get("active", True)
    return Wanted(
        flow_name=flow.name,
        name=one["name"],
        code={
            "version": flow.version,
            "entrypoint": one["entrypoint"],
            "pull_steps": pull,
            "parameter_openapi_schema": parameter_schema(flow).model_dump(mode="json", exclude_unset=True),
            "enforce_parameter_schema": flow.should_validate_parameters,
        },
        things={
            "description": one.get("description") or flow.description,
            "tags": sorted(one.get("tags", [])),
            "job variables": pool.get("job_variables") or {},
            "work queue": f"{pool['name']}/{pool.get('work_queue_name') or 'default'}",
            "concurrency": concurrency_of(limit.get("limit"), limit.get("collision_strategy")),
            **{f"parameter {name}": value for name, value in (one.get("parameters") or {}).items()},
        },
        schedules=schedules,
        active=active,
    )


def _refuse_unknown(where: str, kind: str, given: dict[str, Any]) -> None:
    if unknown := sorted(set(given) - KEYS[kind]):
        raise DeployRefused(
            f"{where}: {kind}: {unknown[0]!r} is not applied by `tideover deploy`; what is: {', '.join(sorted(KEYS[kind]))}"
        )


def schedule_of(cron: str, timezone: str | None, parameters: dict[str, Any], *, day_or: bool) -> dict[str, Any]:
    """A schedule as it is compared; `day_or`: a day of the month or of the week is enough, else it takes both."""
    return {"cron": cron, "timezone": timezone, "day_or": day_or, "parameters": parameters}


def concurrency_of(limit: int | None, strategy: str | None) -> dict[str, Any] | None:
    """A limit as it is compared; None = as many as there are."""
    return None if limit is None else {"limit": limit, "collision_strategy": strategy or "ENQUEUE"}

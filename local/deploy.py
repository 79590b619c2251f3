"""Deploys prefect.yaml and config/automations.yaml to Prefect's server, and leaves alone what operations changed there (docs/adr/0015).

A plain `prefect deploy --all` deletes schedules that operations made and switches stopped ones on again; this does neither. It
never deletes anything, never touches whether a deployment, a schedule or an automation is switched on, and repeating it changes nothing.

In:   the two files; Prefect's server (`PREFECT_API_URL`).
Out:  what was done, or would be, as `Done` values; the server as the files want it.
Pure: no.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from httpx import HTTPStatusError, TransportError
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, DeploymentUpdate, WorkPoolCreate
from prefect.client.schemas.objects import ConcurrencyOptions
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ObjectNotFound
from prefect.settings.context import get_current_settings
from prefect.workers.process import ProcessWorker

from config.automation_files import AUTOMATIONS, AutomationsForm, PauseForm, automations
from local.deploy_automations import automation_name, deploy_automations
from local.deploy_file import FILE, Plan, Queue, Wanted, concurrency_of, read_plan, schedule_of
from local.deploy_memory import Memory, settle
from local.deploy_report import DeployRefused, Done, How, said

PARAMETER: Final = "parameter "
SCHEDULE: Final = "schedule "
AS_USUAL: Final = How()


def deploy(how: How = AS_USUAL, *, file: Path = FILE, automations_file: Path = AUTOMATIONS) -> list[Done]:
    """Deploy the pool and its queues, every deployment of the file, and the automations.

    Args:
        how: Dry run, restore, overwrite.
        file: prefect.yaml.
        automations_file: config/automations.yaml.

    Returns:
        One entry a thing, in the order of the files; a deployment of which nothing differs is one entry.

    Raises:
        DeployRefused: A file or a flow cannot be read, or the server cannot be reached.
        ConfigError: The automations cannot be read. In both cases nothing was deployed.
    """
    with _server() as client:
        plan, acts = read_plan(file), automations(automations_file)
        _refuse_unknown(plan, acts, how)
        done = [*_pool(client, plan, how)]
        for wanted in plan.deployments:
            done += _Deployment(client, wanted, how).apply()
        done += deploy_automations(client, acts, how)
    return done


def _refuse_unknown(plan: Plan, acts: AutomationsForm, how: How) -> None:
    """What the files name, or a person on the command line, and there is not."""
    there = {wanted.full_name for wanted in plan.deployments}
    for one in acts.automations:
        for action in one.actions:
            if isinstance(action, PauseForm) and action.deployment is not None and action.deployment not in there:
                raise DeployRefused(f"config/automations.yaml: {one.name}: there is no deployment {action.deployment}")
    things = {f"{wanted.full_name}: {thing}" for wanted in plan.deployments for thing in wanted.things}
    things |= {f"{wanted.full_name}: {SCHEDULE}{slug}" for wanted in plan.deployments for slug in wanted.schedules}
    things |= {automation_name(one.name) for one in acts.automations}
    if unknown := sorted(how.overwrite - things):
        raise DeployRefused(f"--overwrite: there is no {unknown[0]!r}; write it as a deploy does: 'early/daily: parameter limit'")


@contextmanager
def _server() -> Iterator[SyncPrefectClient]:
    """Prefect's server; never one that lives only as long as this process, which Prefect would start where none is named.

    Raises:
        DeployRefused: None is named, or it does not answer.
    """
    address = get_current_settings().api.url
    if not address:
        raise DeployRefused("PREFECT_API_URL is not set; it names the Prefect server to deploy to (`make up` deploys by itself)")
    try:
        with get_client(sync_client=True) as client:
            _greet(client, address)
            yield client
    except TransportError as error:
        raise DeployRefused(f"Prefect's server does not answer at {address} ({type(error).__name__})") from None


def _greet(client: SyncPrefectClient, address: str) -> None:
    try:
        client.read_work_pools(limit=1)
    except HTTPStatusError as error:
        status = error.response.status_code
        raise DeployRefused(f"Prefect's server at {address} answers {status}; PREFECT_API_AUTH_STRING says who we are") from None


def _pool(client: SyncPrefectClient, plan: Plan, how: How) -> Iterator[Done]:
    """The pool and its queues, where they are missing; what is there is operations'."""
    existing: list[str] = []
    try:
        client.read_work_pool(plan.pool)
    except ObjectNotFound:
        if not how.dry_run:
            template = ProcessWorker.get_default_base_job_template()
            client.create_work_pool(WorkPoolCreate(name=plan.pool, type=ProcessWorker.type, base_job_template=template))
        yield Done(what=f"work pool {plan.pool}", action="create")
    else:
        existing = [queue.name for queue in client.read_work_queues(work_pool_name=plan.pool)]
    for queue in plan.queues:
        if queue.name not in existing:
            if not how.dry_run:
                _create_queue(client, plan.pool, queue)
            yield Done(what=f"work queue {plan.pool}/{queue.name}", action="create")


def _create_queue(client: SyncPrefectClient, pool: str, queue: Queue) -> None:
    client.create_work_queue(
        name=queue.name,
        description=queue.description,
        concurrency_limit=queue.concurrency_limit,
        priority=queue.priority,
        work_pool_name=pool,
    )


class _Deployment:
    """One deployment of the file against the server's."""

    def __init__(self, client: SyncPrefectClient, wanted: Wanted, how: How) -> None:
        self._client, self._wanted, self._how = client, wanted, how
        self._memory = Memory(client, wanted.full_name)

    def apply(self) -> list[Done]:
        """Create it, or change of it what is ours."""
        name = self._wanted.full_name
        try:
            found = self._client.read_deployment_by_name(name)
        except ObjectNotFound:
            if self._memory.left and not self._how.restore:
                return [said(name, "gone")]
            done = self._create()
        else:
            try:
                done = self._update(found)
            except HTTPStatusError as error:
                return [
                    Done(what=name, action="refused", because=f"Prefect's server: {error.response.status_code} {error.response.text[:300]}")
                ]
        if not self._how.dry_run:
            self._remember(done)
        return done or [Done(what=name, action="same")]

    def _create(self) -> list[Done]:
        wanted, things = self._wanted, self._wanted.things
        pool, queue = things["work queue"].split("/", 1)
        if not self._how.dry_run:
            self._client.create_deployment(
                self._client.create_flow_from_name(wanted.flow_name),
                wanted.name,
                **wanted.code,
                description=things["description"],
                tags=things["tags"],
                job_variables=things["job variables"],
                work_pool_name=pool,
                work_queue_name=queue,
                parameters=_parameters(things),
                schedules=[self._schedule(slug) for slug in wanted.schedules],
                **_concurrency(things["concurrency"]),
            )
        return [said(wanted.full_name, "create"), *(said(f"{wanted.full_name}: {SCHEDULE}{slug}", "create") for slug in wanted.schedules)]

    def _update(self, found: DeploymentResponse) -> list[Done]:
        wanted, name, left = self._wanted, self._wanted.full_name, self._memory.left
        has, has_code, has_schedules = _things(found), _code(found), _schedules(found)
        done: list[Done] = []
        if has_code != wanted.code:
            done.append(said(f"{name}: code", "update"))
        # A value may be null: what is compared is a list of it, and nothing is no list.
        actions = {
            thing: settle(
                [value], [has[thing]] if thing in has else None, left.get(thing), overwrite=f"{name}: {thing}" in self._how.overwrite
            )
            for thing, value in wanted.things.items()
        }
        done += [said(f"{name}: {thing}", action) for thing, action in actions.items() if action != "same"]
        self._patch(
            found, has, {thing for thing, action in actions.items() if action in {"create", "update"}}, code=has_code != wanted.code
        )
        for slug, schedule in wanted.schedules.items():
            action = settle(
                schedule,
                has_schedules.get(slug),
                left.get(SCHEDULE + slug),
                restore=self._how.restore,
                overwrite=f"{name}: {SCHEDULE}{slug}" in self._how.overwrite,
            )
            if action == "create" and not self._how.dry_run:
                self._client.create_deployment_schedules(found.id, [self._schedule(slug)])
            if action == "update" and not self._how.dry_run:
                (one,) = (one for one in found.schedules if one.slug == slug)
                # `active` is not named, so it stays as operations have it.
                self._client.update_deployment_schedule(
                    found.id, one.id, schedule=_cron(schedule), parameters=schedule["parameters"], slug=slug
                )
            if action != "same":
                done.append(said(f"{name}: {SCHEDULE}{slug}", action))
        once = {thing.removeprefix(SCHEDULE) for thing in left if thing.startswith(SCHEDULE)}
        done += [said(f"{name}: {SCHEDULE}{slug}", "left") for slug in sorted(once & has_schedules.keys() - wanted.schedules.keys())]
        return done

    def _patch(self, found: DeploymentResponse, has: dict[str, Any], ours: set[str], *, code: bool) -> None:
        """Change the deployment itself; not at all where nothing is ours to change: the server plans its runs anew each time."""
        if self._how.dry_run or not (ours or code):
            return
        wanted = self._wanted
        now = {**has, **{thing: wanted.things[thing] for thing in ours}}
        # A parameter that the flow no longer has would make every run invalid.
        takes = wanted.code["parameter_openapi_schema"].get("properties", {})
        fields: dict[str, Any] = dict(wanted.code) if code else {}
        if code or any(thing.startswith(PARAMETER) for thing in ours):
            fields["parameters"] = {name: value for name, value in _parameters(now).items() if name in takes}
        if "work queue" in ours:
            fields["work_pool_name"], fields["work_queue_name"] = now["work queue"].split("/", 1)
        if "concurrency" in ours:
            fields |= _concurrency(now["concurrency"])
        fields |= {field: now[thing] for thing, field in _FIELDS.items() if thing in ours}
        self._client.update_deployment(found.id, DeploymentUpdate(**fields))

    def _schedule(self, slug: str) -> DeploymentScheduleCreate:
        schedule = self._wanted.schedules[slug]
        return DeploymentScheduleCreate(
            schedule=_cron(schedule), parameters=schedule["parameters"], slug=slug, active=self._wanted.active[slug]
        )

    def _remember(self, done: list[Done]) -> None:
        """How all that is ours was left; what operations keep is remembered as it was before they changed it."""
        name = self._wanted.full_name
        theirs = {one.what.removeprefix(f"{name}: ") for one in done if one.action in {"kept", "gone", "left"}}
        found = self._client.read_deployment_by_name(name) if done or not self._memory.left else None
        if found is not None:
            has, schedules = _things(found), _schedules(found)
            for thing, value in self._wanted.things.items():
                if thing not in theirs:
                    self._memory.note(thing, [value], [has[thing]])
            for slug, schedule in self._wanted.schedules.items():
                if SCHEDULE + slug not in theirs:
                    self._memory.note(SCHEDULE + slug, schedule, schedules[slug])
        self._memory.write()


_FIELDS: Final = {"description": "description", "tags": "tags", "job variables": "job_variables"}


def _parameters(things: dict[str, Any]) -> dict[str, Any]:
    return {thing.removeprefix(PARAMETER): value for thing, value in things.items() if thing.startswith(PARAMETER)}


def _concurrency(wanted: dict[str, Any] | None) -> dict[str, Any]:
    if wanted is None:
        return {"concurrency_limit": None}
    return {
        "concurrency_limit": wanted["limit"],
        "concurrency_options": ConcurrencyOptions(collision_strategy=wanted["collision_strategy"]),
    }


def _cron(schedule: dict[str, Any]) -> CronSchedule:
    return CronSchedule(cron=schedule["cron"], timezone=schedule["timezone"], day_or=schedule["day_or"])


def _things(found: DeploymentResponse) -> dict[str, Any]:
    """What the server has, named as in `Wanted.things`."""
    limit = found.global_concurrency_limit.limit if found.global_concurrency_limit else None
    strategy = found.concurrency_options.collision_strategy.value if found.concurrency_options else None
    return {
        "description": found.description,
        "tags": sorted(found.tags),
        "job variables": found.job_variables,
        "work queue": f"{found.work_pool_name}/{found.work_queue_name}",
        "concurrency": concurrency_of(limit, strategy),
        **{PARAMETER + name: value for name, value in found.parameters.items()},
    }


def _code(found: DeploymentResponse) -> dict[str, Any]:
    return {
        "version": found.version,
        "entrypoint": found.entrypoint,
        "pull_steps": found.pull_steps,
        "parameter_openapi_schema": found.parameter_openapi_schema,
        "enforce_parameter_schema": found.enforce_parameter_schema,
    }


def _schedules(found: DeploymentResponse) -> dict[str, dict[str, Any]]:
    """Schedules that have a slug; those without one are operations'."""
    known = {}
    for one in found.schedules:
        if one.slug is not None:
            kind = one.schedule
            known[one.slug] = (
                schedule_of(kind.cron, kind.timezone, one.parameters, day_or=kind.day_or)
                if isinstance(kind, CronSchedule)
                else {**kind.model_dump(mode="json"), "parameters": one.parameters}
            )
    return known

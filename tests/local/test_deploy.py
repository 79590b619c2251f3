"""Deploying to a real server: what operations made, changed or switched off in the UI survives; the rest follows the files.

The changes are made as the UI makes them, through the API.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, DeploymentUpdate, WorkPoolCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.objects import ConcurrencyOptions, FlowRun
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import ObjectNotFound

from config.automation_files import AUTOMATIONS
from config.settings import HOUSE, settings
from local.deploy import deploy
from local.deploy_file import FILE, read_plan
from local.deploy_report import DeployRefused, Done, How
from tests.plugins.prefect_process import PrefectProcess, until

pytestmark = pytest.mark.usefixtures("prefect_process")
KEPT = {
    "early/daily: schedule taipei-morning": "kept",
    "late/daily: description": "kept",
    "late/daily: tags": "kept",
    "late/daily: concurrency": "kept",
    "late/daily: parameter limit": "kept",
    "late/daily: schedule taipei-morning-late": "gone",
    "audit/nightly: work queue": "kept",
    "automation 'tideover: a run is late'": "kept",
}
STAGES = ("pre-due", "early", "mid", "late", "recovery")


@pytest.fixture
def client(prefect_process: PrefectProcess) -> Iterator[SyncPrefectClient]:
    """Of the module's server, on which nothing is deployed."""
    del prefect_process
    with get_client(sync_client=True) as talking:
        for deployment in talking.read_deployments():
            talking.delete_deployment(deployment.id)
        for automation in talking.read_automations():
            talking.delete_automation(automation.id)
        for document in talking.read_block_documents():
            talking.delete_block_document(document.id)
        for variable in talking.read_variables():
            talking.delete_variable_by_name(variable.name)
        with suppress(ObjectNotFound):
            talking.delete_work_pool("tideover")
        yield talking


def operate(client: SyncPrefectClient) -> None:
    """What operations do in the UI over some weeks."""
    early, mid, late, audit = (client.read_deployment_by_name(name) for name in ("early/daily", "mid/daily", "late/daily", "audit/nightly"))
    # A stopped schedule, with another hour and parameters; one of their own beside it, one without a slug, one deleted.
    client.update_deployment_schedule(
        early.id, early.schedules[0].id, active=False, schedule=CronSchedule(cron="0 13 * * 1-5", timezone="Asia/Taipei")
    )
    client.create_deployment_schedules(
        early.id,
        [
            DeploymentScheduleCreate(
                schedule=CronSchedule(cron="0 15 * * 6", timezone="Asia/Manila"), slug="saturday", parameters={"country": "PH"}
            ),
        ],
    )
    client.create_deployment_schedules(
        mid.id, [DeploymentScheduleCreate(schedule=IntervalSchedule(interval=timedelta(days=1)), active=False)]
    )
    client.delete_deployment_schedule(late.id, late.schedules[0].id)
    # A paused deployment; another's parameters, limit, tags, words and queue.
    client.pause_deployment(mid.id)
    client.update_deployment(
        late.id,
        DeploymentUpdate(
            parameters={**late.parameters, "limit": 500},
            tags=[*late.tags, "watched"],
            description="Ask Anna first.",
            concurrency_limit=2,
            concurrency_options=ConcurrencyOptions(collision_strategy="CANCEL_NEW"),
        ),
    )
    client.update_deployment(audit.id, DeploymentUpdate(work_pool_name="tideover", work_queue_name="backfill"))
    # A deployment and an automation of their own; ours switched off, and one changed.
    client.create_deployment(early.flow_id, "by-hand", entrypoint="flows.early.early", parameters={"preview": True})
    named = {one.name: one for one in client.read_automations()}
    client.pause_automation(named["tideover: a run failed"].id)
    changed_one = named["tideover: a run is late"]
    client.update_automation(
        changed_one.id,
        AutomationCore(name=changed_one.name, description="Ours now", trigger=changed_one.trigger, actions=changed_one.actions),
    )
    client.update_work_queue(
        next(queue.id for queue in client.read_work_queues(work_pool_name="tideover") if queue.name == "around"), concurrency_limit=7
    )


def changed(done: list[Done]) -> dict[str, str]:
    return {one.what: one.action for one in done if one.action not in {"same", "missing"}}


def state_of(client: SyncPrefectClient) -> Any:
    """All that is deployed, without ids and the times at which the server wrote it."""
    left_out = {"id", "created", "updated", "last_polled", "deployment_id", "status", "work_queue_id", "flow_id", "labels", "active_slots"}

    def bare(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: bare(inner) for key, inner in value.items() if key not in left_out}
        return [bare(inner) for inner in value] if isinstance(value, list) else value

    deployments = sorted(
        (one.model_dump(mode="json") for one in client.read_deployments()), key=lambda one: (one["entrypoint"], one["name"])
    )
    for one in deployments:
        one["schedules"].sort(key=lambda schedule: str(schedule["slug"]))
        if one["global_concurrency_limit"]:
            one["global_concurrency_limit"].pop("name")
    queues = client.read_work_queues(work_pool_name="tideover")
    return {
        "deployments": bare(deployments),
        "queues": bare([queue.model_dump(mode="json", include={"name", "priority", "concurrency_limit", "is_paused"}) for queue in queues]),
        "automations": bare([one.model_dump(mode="json") for one in client.read_automations()]),
    }


def written(tmp_path: Path, change: Any) -> Path:
    document = yaml.safe_load(FILE.read_text())
    change({f"{one['entrypoint'].split('.')[-1]}": one for one in document["deployments"]}, document)
    file = tmp_path / "prefect.yaml"
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    return file


def reviewed(named: dict[str, Any], _document: Any) -> None:
    """What engineers change in the file meanwhile."""
    named["early"]["schedules"][0]["cron"] = "15 10 * * 1-6"
    named["early"]["schedules"].append(
        {"slug": "manila", "cron": "0 9 * * 1-6", "timezone": "Asia/Manila", "parameters": {"country": "PH"}}
    )
    named["mid"]["schedules"][0]["cron"] = "45 10 * * 1-6"
    named["mid"]["schedules"][0]["active"] = True
    named["late"]["parameters"]["preview"] = True
    named["recovery"]["description"] = "Other words."
    named["recovery"]["concurrency_limit"]["limit"] = 3


def test_deploying_to_an_empty_server_makes_all_and_the_second_time_nothing(client: SyncPrefectClient) -> None:
    before = deploy(How(dry_run=True))
    assert client.read_deployments() == []
    done = deploy()
    assert changed(before) == changed(done)
    assert {one.action for one in done} == {"create", "missing"}
    names = {deployment["name"] for deployment in yaml.safe_load(FILE.read_text())["deployments"]}
    assert {one.name for one in client.read_deployments()} == names
    queues = {queue.name: queue for queue in client.read_work_queues(work_pool_name="tideover")}
    assert sorted(queues, key=lambda name: queues[name].priority or 0) == ["stop", "today", "around", "backfill", "default"]
    assert queues["backfill"].concurrency_limit == 1
    for stage in STAGES:
        deployed = client.read_deployment_by_name(f"{stage}/daily")
        assert deployed.work_queue_name == "today"
        assert deployed.concurrency_options is not None
        assert deployed.concurrency_options.collision_strategy == "ENQUEUE"
    first = state_of(client)
    assert changed(deploy()) == {}
    assert state_of(client) == first


def test_what_operations_changed_made_deleted_or_switched_off_survives(client: SyncPrefectClient) -> None:
    deploy()
    operate(client)
    theirs = state_of(client)
    assert changed(deploy(How(dry_run=True))) == KEPT
    assert changed(deploy()) == KEPT
    assert state_of(client) == theirs
    # A second time too: keeping is not learning.
    assert changed(deploy()) == KEPT
    assert state_of(client) == theirs


def test_a_changed_file_moves_what_is_ours_and_nothing_of_theirs(client: SyncPrefectClient, tmp_path: Path) -> None:
    deploy()
    operate(client)
    mid = client.read_deployment_by_name("mid/daily")
    ours = next(one for one in mid.schedules if one.slug == "taipei-morning-mid")
    client.update_deployment_schedule(mid.id, ours.id, active=False)
    done = changed(deploy(file=written(tmp_path, reviewed)))
    assert done["early/daily: schedule taipei-morning"] == "kept"
    assert {what for what, action in done.items() if action in {"update", "create"}} == {
        "early/daily: schedule manila",
        "mid/daily: schedule taipei-morning-mid",
        "late/daily: parameter preview",
        "recovery/daily: description",
        "recovery/daily: concurrency",
    }
    after = client.read_deployment_by_name("mid/daily")
    moved = next(one for one in after.schedules if one.slug == "taipei-morning-mid")
    assert isinstance(moved.schedule, CronSchedule)
    assert (moved.schedule.cron, moved.active, after.paused) == ("45 10 * * 1-6", False, True)
    late = client.read_deployment_by_name("late/daily")
    assert (late.parameters["preview"], late.parameters["limit"]) == (True, 500)
    recovery = client.read_deployment_by_name("recovery/daily")
    assert recovery.description == "Other words."
    assert recovery.global_concurrency_limit is not None
    assert recovery.global_concurrency_limit.limit == 3


def test_a_schedule_with_a_country_makes_runs_for_it(client: SyncPrefectClient, tmp_path: Path) -> None:
    """Manila's morning, by Manila's clock, is a run of its own."""
    deploy(file=written(tmp_path, reviewed))
    early = client.read_deployment_by_name("early/daily")

    def planned() -> list[FlowRun]:
        runs = client.read_flow_runs(deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[early.id])), limit=200)
        return [run for run in runs if run.parameters.get("country") == "PH"]

    for run in until(planned):
        assert run.parameters["country"] == "PH"
        assert run.parameters["as_of"] is None
        assert run.expected_start_time is not None
        assert run.expected_start_time.astimezone(ZoneInfo("Asia/Manila")).strftime("%H:%M") == "09:00"


def test_what_the_file_no_longer_names_is_left_and_said(client: SyncPrefectClient, tmp_path: Path) -> None:
    deploy(file=written(tmp_path, reviewed))
    done = changed(deploy())
    assert done["early/daily: schedule manila"] == "left"
    assert "manila" in {one.slug for one in client.read_deployment_by_name("early/daily").schedules}


def test_a_deleted_schedule_comes_back_when_asked_for(client: SyncPrefectClient) -> None:
    deploy()
    operate(client)
    assert changed(deploy(How(restore=True)))["late/daily: schedule taipei-morning-late"] == "create"
    assert [one.slug for one in client.read_deployment_by_name("late/daily").schedules] == ["taipei-morning-late"]
    assert "late/daily: schedule taipei-morning-late" not in changed(deploy())


def test_what_operations_changed_follows_the_file_again_when_asked_for(client: SyncPrefectClient) -> None:
    deploy()
    operate(client)
    asked = frozenset({"late/daily: parameter limit", "early/daily: schedule taipei-morning", "automation 'tideover: a run is late'"})
    done = changed(deploy(How(overwrite=asked)))
    assert {what for what, action in done.items() if action == "update"} == asked
    late, early = (client.read_deployment_by_name(name) for name in ("late/daily", "early/daily"))
    assert late.parameters["limit"] is None
    (schedule,) = (one for one in early.schedules if one.slug == "taipei-morning")
    assert isinstance(schedule.schedule, CronSchedule)
    assert (schedule.schedule.cron, schedule.active) == ("0 10 * * 1-6", False)
    assert client.read_automations_by_name("tideover: a run is late")[0].description != "Ours now"
    assert asked & changed(deploy()).keys() == set()
    with pytest.raises(DeployRefused, match="there is no 'late/daily: limit'"):
        deploy(How(overwrite=frozenset({"late/daily: limit"})))


def test_a_deleted_deployment_stays_away_until_asked_for(client: SyncPrefectClient) -> None:
    deploy()
    client.delete_deployment(client.read_deployment_by_name("recovery/daily").id)
    assert changed(deploy())["recovery/daily"] == "gone"
    assert changed(deploy(How(restore=True)))["recovery/daily"] == "create"
    assert "recovery/daily" not in changed(deploy())


def test_a_notification_block_of_operations_is_found_and_one_is_made_of_the_setting(
    client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [one.action for one in deploy() if "notification" in one.what] == ["missing"]
    operate(client)
    monkeypatch.setenv("TIDEOVER_NOTIFY_URL", "https://hooks.example/T0/secret")
    settings.cache_clear()
    done = changed(deploy())
    assert done["notification block 'operations'"] == "create"
    assert done["automation 'tideover: a run failed'"] == "update"
    failed = client.read_automations_by_name("tideover: a run failed")[0]
    assert not failed.enabled, "operations switched it off"
    assert [action.type for action in failed.actions] == ["send-notification"]
    assert "notification block 'operations'" not in changed(deploy())
    (block,) = (one for one in client.read_block_documents(include_secrets=False) if one.name == "operations")
    assert "hooks.example" not in json.dumps(block.data)
    settings.cache_clear()


def test_a_notification_block_that_operations_made_is_told_and_not_written_over(
    client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    CustomWebhookNotificationBlock(name="ours", url="https://hooks.example/theirs").save("operations")
    monkeypatch.setenv("TIDEOVER_NOTIFY_URL", "https://hooks.example/T0/secret")
    settings.cache_clear()
    done = changed(deploy())
    settings.cache_clear()
    assert done["notification block 'operations'"] == "kept"
    (block,) = client.read_block_documents()
    assert block.data["url"] == "https://hooks.example/theirs"
    late = client.read_automations_by_name("tideover: a run is late")[0]
    assert [action.block_document_id for action in late.actions if isinstance(action, SendNotification)] == [block.id]


def test_the_command_says_what_it_did_and_what_to_do(prefect_process: PrefectProcess, client: SyncPrefectClient) -> None:
    deploy()
    client.update_deployment(client.read_deployment_by_name("resume/now").id, DeploymentUpdate(description="Ask Ben."))

    def run(*options: str, **more: str) -> subprocess.CompletedProcess[str]:
        environment = {**prefect_process.environment, **more}
        return subprocess.run(
            [sys.executable, "-m", "tideover", "deploy", *options], cwd=HOUSE, env=environment, capture_output=True, text=True, check=False
        )

    told = run("--dry-run")
    assert told.returncode == 0, told.stderr
    assert "kept    resume/now: description (operations changed it" in told.stdout
    lines = [json.loads(line) for line in run("--dry-run", "--json").stdout.splitlines()]
    assert {"what": "pause/now", "action": "same", "because": ""} in lines
    refused = run(PREFECT_API_URL="http://127.0.0.1:9/api")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "does not answer" in refused.stderr
    homeless = run(PREFECT_API_URL="")
    assert homeless.returncode == 2
    assert "PREFECT_API_URL is not set" in homeless.stderr


def test_a_file_that_cannot_be_used_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    def no_flow(named: dict[str, Any], _document: Any) -> None:
        named["recovery"]["entrypoint"] = "flows.recovery.nothing"

    def no_slug(named: dict[str, Any], _document: Any) -> None:
        del named["early"]["schedules"][0]["slug"]

    stray = tmp_path / "automations.yaml"
    stray.write_text(AUTOMATIONS.read_text().replace("deployment: mid/daily", "deployment: middle/daily"))
    with pytest.raises(DeployRefused, match="there is no deployment middle/daily"):
        deploy(automations_file=stray)

    def more_than_is_applied(named: dict[str, Any], _document: Any) -> None:
        named["early"]["concurrency_limit"]["grace_period_seconds"] = 60

    for change, says in (
        (no_flow, "cannot be loaded"),
        (no_slug, "a schedule without slug"),
        (more_than_is_applied, "'grace_period_seconds' is not applied"),
    ):
        with pytest.raises(DeployRefused, match=says):
            deploy(file=written(tmp_path, change))
    with pytest.raises(DeployRefused, match=r"nothing\.yaml"):
        deploy(file=tmp_path / "nothing.yaml")


def test_a_plain_prefect_deploy_agrees_with_ours_in_everything(prefect_process: PrefectProcess, client: SyncPrefectClient) -> None:
    """What Prefect's own deploy makes of the file, ours finds as it wants it, but for where the checkout lies: that each worker says."""
    client.create_work_pool(WorkPoolCreate(name="tideover", type="process"))
    plain = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"],
        cwd=HOUSE,
        env=prefect_process.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert plain.returncode == 0, plain.stdout + plain.stderr
    done = changed(deploy())
    names = {wanted.full_name for wanted in read_plan().deployments}
    assert {what for what in done if what.split(":")[0] in names} == {f"{name}: code" for name in names}
    assert client.read_deployment_by_name("pre-due/daily").pull_steps == yaml.safe_load(FILE.read_text())["pull"]


def test_ours_makes_what_a_plain_prefect_deploy_finds_as_it_wants_it(client: SyncPrefectClient) -> None:
    """The other way about: each schedule as Prefect reads it from the file."""
    deploy()
    document = yaml.safe_load(FILE.read_text())
    for wanted, one in zip(read_plan().deployments, document["deployments"], strict=True):
        made = {schedule.slug: schedule for schedule in client.read_deployment_by_name(wanted.full_name).schedules}
        for schedule in one.get("schedules", []):
            found = made[schedule["slug"]]
            assert isinstance(found.schedule, CronSchedule)
            said = {"cron": schedule["cron"], "timezone": schedule["timezone"], "day_or": schedule.get("day_or", True)}
            assert found.schedule.model_dump() == said
            assert (found.active, found.parameters) == (schedule.get("active", True), schedule.get("parameters", {}))

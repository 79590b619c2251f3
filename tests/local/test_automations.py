"""Automations on a real server: what happens there is acted upon, and a webhook on loopback hears of it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import StateType
from prefect.events import emit_event
from prefect.events.worker import EventsWorker
from prefect.states import Completed, Failed, Running, Scheduled

from config.automation_files import AUTOMATIONS, automations
from config.load import ConfigError
from config.settings import settings
from gate import danger
from ledger.audit import Violation
from local.deploy import deploy
from portal.calling import to_prefect
from tasks.audit import _tell
from tests.plugins.prefect_process import PrefectProcess, until

STAGES = ("pre-due", "early", "mid", "late", "recovery")
DISPATCH = "dispatch/every-few-minutes"


class Heard:
    """A chat's incoming webhook: keeps the texts that it is told."""

    def __init__(self) -> None:
        """Listen on a free port."""
        self.texts: list[str] = []
        heard = self

        class Hook(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                heard.texts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def of(self, word: str) -> list[str]:
        """The texts that hold a word."""
        return [text for text in self.texts if word in text]

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture(scope="module")
def heard(prefect_process: PrefectProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Heard]:
    """Everything deployed, and somebody who listens. Only the patience for a silent run is shortened."""
    del prefect_process
    listener = Heard()
    hasty = tmp_path_factory.mktemp("config") / "automations.yaml"
    shipped = AUTOMATIONS.read_text()
    assert shipped.count("within: 600   # three") == 1
    hasty.write_text(shipped.replace("within: 600   # three", "within: 10   # three"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIDEOVER_NOTIFY_URL", listener.address)
        settings.cache_clear()
        done = deploy(automations_file=hasty)
    settings.cache_clear()
    assert [one.what for one in done if one.action == "missing"] == []
    yield listener
    EventsWorker.drain_all()
    listener.close()


@pytest.fixture
def client(heard: Heard) -> Iterator[SyncPrefectClient]:
    """Of the module's server."""
    del heard
    with get_client(sync_client=True) as talking:
        yield talking


def begin(client: SyncPrefectClient, deployment: str, due: datetime | None = None) -> UUID:
    """A run of a deployment that no worker takes."""
    due = due or datetime.now(UTC) + timedelta(hours=1)
    return client.create_flow_run_from_deployment(client.read_deployment_by_name(deployment).id, state=Scheduled(scheduled_time=due)).id


def paused(client: SyncPrefectClient, deployment: str) -> bool:
    return client.read_deployment_by_name(deployment).paused


def test_a_stage_that_fails_three_times_is_paused_and_somebody_is_told(client: SyncPrefectClient, heard: Heard) -> None:
    for _ in range(3):
        assert not paused(client, "early/daily")
        client.set_flow_run_state(begin(client, "early/daily"), Failed(message="for the test"), force=True)
    until(lambda: paused(client, "early/daily"))
    until(lambda: heard.of("daily of early is paused"))
    until(lambda: len(heard.of("failed\n")) == 3)  # each single one is told too
    assert not paused(client, "mid/daily")


def test_a_late_run_is_told(client: SyncPrefectClient, heard: Heard) -> None:
    begin(client, "mid/daily", datetime.now(UTC) - timedelta(minutes=5))
    until(lambda: heard.of("mid is late"))


def test_a_halted_channel_is_told_once_an_hour(client: SyncPrefectClient, heard: Heard) -> None:
    del client
    for channel in ("sms", "sms", "push"):
        emit_event(
            "tideover.channel.halted", resource={"prefect.resource.id": f"tideover.channel.{channel}", "prefect.resource.name": channel}
        )
    until(lambda: heard.of("push halted"))
    assert len(heard.of("sms halted")) == 1


def test_danger_is_told_at_once_for_each_and_again_only_after_an_hour(
    client: SyncPrefectClient, heard: Heard, prefect_process: PrefectProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    del client
    monkeypatch.setenv("PREFECT_API_URL", prefect_process.api)
    settings.cache_clear()

    async def by_the_portal() -> None:
        tell = await to_prefect()
        assert tell is not None
        await tell([7, 9])

    asyncio.run(by_the_portal())
    until(lambda: heard.of("a person is needed now (answer 9)"))
    for answer in (7, 7, 8):
        emit_event(danger.PERSON_NEEDED, resource=danger.resource(answer))
    until(lambda: heard.of("a person is needed now (answer 8)"))
    assert len(heard.of("a person is needed now (answer 7)")) == 1


def test_a_run_that_falls_silent_is_marked_as_crashed_and_one_that_ended_is_not(client: SyncPrefectClient, heard: Heard) -> None:
    silent, ended = (begin(client, "late/daily") for _ in range(2))
    for run in (silent, ended):
        client.set_flow_run_state(run, Running(), force=True)
        emit_event(
            "prefect.flow-run.heartbeat", resource={"prefect.resource.id": f"prefect.flow-run.{run}", "prefect.resource.name": "late"}
        )
    client.set_flow_run_state(ended, Completed(), force=True)
    until(lambda: client.read_flow_run(silent).state_type == StateType.CRASHED)
    until(lambda: heard.of("died without a word"))
    assert client.read_flow_run(ended).state_type == StateType.COMPLETED


def test_a_violation_found_by_the_audit_pauses_every_stage_and_dispatch(client: SyncPrefectClient, heard: Heard) -> None:
    names = [*(f"{stage}/daily" for stage in STAGES), DISPATCH]
    assert not paused(client, DISPATCH)
    for attempt in (1, 2):
        _tell(Violation(check="sent_outside_its_hours", invariant="I3", attempt_id=attempt))
    until(lambda: all(paused(client, name) for name in names))
    until(lambda: heard.of("violation of I3 sent_outside_its_hours"))
    # What only looks on goes on.
    assert not any(paused(client, name) for name in ("audit/nightly", "reconcile/settle-unknown", "pause/now", "resume/now"))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("posture: Proactive", "posture: Nervous", "posture"),
        ("within: 600   # three", "within: 5   # three", "proactive trigger waits"),
        ("threshold: 3", "treshold: 3", "unknown field"),
        ('name: "tideover: a run failed"', 'name: "tideover: a run is late"', "given twice"),
        ("deployment: mid/daily", "deployment: mid", "deployment"),
    ],
)
def test_a_file_that_is_not_of_its_form_is_refused_with_its_reason(tmp_path: Path, old: str, new: str, says: str) -> None:
    shipped = AUTOMATIONS.read_text()
    assert shipped.count(old) == 1
    file = tmp_path / "automations.yaml"
    file.write_text(shipped.replace(old, new))
    with pytest.raises(ConfigError, match=says):
        automations(file)

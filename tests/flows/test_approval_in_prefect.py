"""A stage that asks people, as Prefect runs it: suspended, answered through the API as the UI does, run again from its top."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State
from prefect.client.schemas.responses import SetStateStatus
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow
from prefect.logging import disable_run_logger
from prefect.testing.utilities import prefect_test_harness
from sqlalchemy import text
from typer.testing import CliRunner

import tasks.approve_run as asking
from config.settings import settings
from config.strategy_files import strategy
from flows.early import early
from ledger.engine import connection
from tasks.approve_run import ApprovalNeeded, make_code
from tasks.dispatch import find_due
from tests.plugins.portfolio import TODAY, Portfolio, noon
from tests.plugins.sandbox_process import Sandbox
from tideover import app

PEOPLE = 3


@pytest.fixture(scope="module")
def prefect() -> Iterator[SyncPrefectClient]:
    """A Prefect server with the stage's flow deployed."""
    with prefect_test_harness(server_startup_timeout=120), get_client(sync_client=True) as client:
        yield client


@pytest.fixture(scope="module")
def deployment(prefect: SyncPrefectClient) -> UUID:
    return prefect.create_deployment(prefect.create_flow(early), name="daily")


@pytest.fixture
def people(portfolio: Portfolio, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Three borrowers, and a Twilio that may be sent to."""
    for name, value in {
        "TWILIO_BASE_URL": sandbox.url,
        "TWILIO_ACCOUNT_SID": sandbox.account_sid,
        "TWILIO_AUTH_TOKEN": sandbox.auth_token,
    }.items():
        monkeypatch.setenv(f"TIDEOVER_{name}", value)
    settings.cache_clear()
    portfolio.clock(noon("US"))
    sandbox.step(noon("US").isoformat())
    for _ in range(PEOPLE):
        portfolio.borrower(days_past_due=5, push=False)
    return sandbox


class Runs:
    """The stage's runs, started and resumed as a worker and the UI do."""

    def __init__(self, client: SyncPrefectClient, deployment: UUID) -> None:
        self._client, self._deployment = client, deployment

    def start(self, **parameters: Any) -> UUID:
        """A new flow run, up to where it ends or waits."""
        asked = {"as_of": TODAY, "approval": "required", **parameters}
        created = self._client.create_flow_run_from_deployment(self._deployment, parameters=asked)
        self.go_on(created.id)
        return created.id

    def go_on(self, run: UUID) -> State[Any]:
        """What a worker does with a run that is due: the flow, from its top, in a context of its own."""
        try:
            state = run_flow(early, flow_run=self._client.read_flow_run(run), return_type="state")
        except Pause as waits:
            state = waits.state
        assert isinstance(state, State)
        return state

    def resume(self, run: UUID, **filled: Any) -> tuple[SetStateStatus, str]:
        """What the UI's button does with the form."""
        told = self._client.resume_flow_run(run, run_input=filled)
        return told.status, str(getattr(told.details, "reason", ""))

    def answer(self, run: UUID, **filled: Any) -> State[Any]:
        """Resume with a form that the UI accepts, and let the worker go on."""
        assert self.resume(run, **filled) == (SetStateStatus.ACCEPT, "")
        return self.go_on(run)

    def ended(self, run: UUID) -> State[Any]:
        """How it stands."""
        state = self._client.read_flow_run(run).state
        assert state is not None
        return state

    def form(self, run: UUID) -> tuple[dict[str, Any], str]:
        """The form that a suspended run shows: its schema, and the words above it."""
        state = self._client.read_flow_run(run).state
        assert state is not None
        assert state.name == "Suspended"
        keys = state.state_details.run_input_keyset
        assert keys is not None
        found = {name: self._client.read_flow_run_input(run, key) for name, key in keys.items() if name != "response"}
        return json.loads(found["schema"]), str(json.loads(found["description"]))

    def artifact(self, run: UUID) -> str:
        """The preview that a run showed."""
        found = self._client.request("POST", "/artifacts/filter", json={"artifacts": {"flow_run_id": {"any_": [str(run)]}}}).json()
        (page,) = (one["data"] for one in found if one["key"] == f"early-{TODAY}-preview")
        return str(page)


@pytest.fixture
def runs(prefect: SyncPrefectClient, deployment: UUID, people: Sandbox) -> Runs:
    del people
    return Runs(prefect, deployment)


def campaign() -> tuple[int, str]:
    with connection() as tx:
        row = tx.execute(text("SELECT id, approval FROM campaign_run")).one()
    return row.id, row.approval


def due() -> list[tuple[int | None, int]]:
    with disable_run_logger():
        return find_due.fn()


def sent(sandbox: Sandbox) -> int:
    return sum(sandbox.summary()["messages"].values())


def test_a_stage_waits_for_a_yes_shows_what_for_and_sends_once(runs: Runs, people: Sandbox) -> None:
    run = runs.start(request_code=make_code(person="anna", role="operations"))
    schema, said = runs.form(run)
    assert (campaign()[1], sent(people)) == ("awaiting", 0)
    # What the form asks for, with its bounds, and until when.
    assert schema["properties"]["decision"]["enum"] == ["approve", "approve up to", "reject"]
    assert (schema["properties"]["up_to"]["type"], schema["properties"]["up_to"]["minimum"]) == ("integer", 0)
    assert schema["required"] == ["decision", "code"]
    assert "Asked for by **anna**" in said
    assert re.search(r"waits until \*\*\d{4}-\d\d-\d\d \d\d:\d\d UTC\*\*", said)
    # The page before the form: counts, and no one who could be recognised.
    page = runs.artifact(run)
    assert "3 contacts planned" in page
    assert "| sms | US | early_reminder | en | pay_link | 3 | 2.0 |" in page
    assert "/b/" not in page
    assert "[link to the borrower's own page]" in page
    assert "Nobody Atall" not in page
    assert "+1" not in page
    # A form that breaks its own bounds is not even taken.
    status, why = runs.resume(run, decision="approve up to", up_to=-1, code="x")
    assert (status, "-1 is less than the minimum" in why) == (SetStateStatus.REJECT, True)
    # Whoever asked cannot approve; a wrong code leads to another form that says so.
    assert runs.answer(run, decision="approve", code=make_code(person="Anna", role="compliance")).name == "Suspended"
    assert "four eyes" in runs.form(run)[1]
    assert runs.answer(run, decision="approve", code="7-AAAA-AAAA-AAAA-AAAA").name == "Suspended"
    assert "no approval code" in runs.form(run)[1]
    assert sent(people) == 0
    assert runs.answer(run, decision="approve", code=make_code(person="ben", role="operations")).is_completed()
    assert sent(people) == PEOPLE
    # The same date again: approved, done, nothing twice.
    again = runs.start()
    assert campaign()[1] == "approved"
    assert sent(people) == PEOPLE
    assert again != run


def test_two_people_say_yes_where_nobody_known_asked_and_only_so_many_are_sent(runs: Runs, people: Sandbox) -> None:
    run = runs.start()
    assert "two people" in runs.form(run)[1]
    assert runs.answer(run, decision="approve up to", code=make_code(person="anna", role="operations")).name == "Suspended"
    assert "needs a number" in runs.form(run)[1]
    code = make_code(person="anna", role="operations")
    assert runs.answer(run, decision="approve up to", up_to=1, code=code).name == "Suspended"
    assert runs.answer(run, decision="approve", code=code).name == "Suspended"
    assert "used already" in runs.form(run)[1]
    assert runs.answer(run, decision="approve", code=make_code(person="ben", role="compliance")).is_completed()
    assert sent(people) == 1
    with connection() as tx:
        states = tx.execute(text("SELECT state, count(*) FROM attempt GROUP BY state ORDER BY state")).all()
    assert [tuple(row) for row in states] == [("accepted", 1), ("withheld", 2)]


def test_rejected_the_run_ends_and_nobody_is_contacted(runs: Runs, people: Sandbox) -> None:
    run = runs.start(request_code=make_code(person="anna", role="operations"))
    assert runs.answer(run, decision="reject", code=make_code(person="ben", role="operations")).name == "Suspended"
    assert "say why you reject" in runs.form(run)[1]
    assert runs.answer(run, decision="reject", reason="wrong amount", code=make_code(person="ben", role="operations")).is_completed()
    assert (campaign()[1], sent(people)) == ("rejected", 0)
    assert due() == []


def test_when_its_time_is_over_a_run_has_sent_nothing_and_is_started_again(
    runs: Runs, people: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon = replace(strategy("static-ladder", "early"), approval_wait_hours=1.0 / 3600)  # type: ignore[arg-type]  # a second
    monkeypatch.setattr(asking, "treatment_of", lambda *_: soon)
    run = runs.start(request_code=make_code(person="anna", role="operations"))
    code = make_code(person="ben", role="operations")
    over = runs.ended(run).state_details.pause_timeout
    with connection() as tx:  # until the instant that Prefect has written down, which is no earlier than the ledger's
        tx.execute(
            text("SELECT pg_sleep(greatest(0.0, extract(epoch FROM CAST(:over AS timestamptz) - clock_timestamp())))"), {"over": over}
        )
    assert runs.resume(run, decision="approve", code=code)[0] != SetStateStatus.ACCEPT
    assert runs.ended(run).is_failed(), "by Prefect's own service, or by the answer that came too late"
    assert due() == []
    assert (campaign()[1], sent(people)) == ("lapsed", 0)
    monkeypatch.undo()
    for name in ("BASE_URL", "ACCOUNT_SID", "AUTH_TOKEN"):
        value = {"BASE_URL": people.url, "ACCOUNT_SID": people.account_sid, "AUTH_TOKEN": people.auth_token}[name]
        monkeypatch.setenv(f"TIDEOVER_TWILIO_{name}", value)
    again = runs.start()
    assert runs.answer(again, decision="approve", code=code).is_completed()
    assert sent(people) == PEOPLE


def test_an_answer_on_the_terminal_lets_the_waiting_run_go_on(runs: Runs, people: Sandbox) -> None:
    run = runs.start(request_code=make_code(person="anna", role="operations"))
    listed = CliRunner().invoke(app, ["approve", "list"]).stdout.splitlines()[0]
    number = campaign()[0]
    assert listed.startswith(f"run {number}  early {TODAY}  awaiting until ")
    made = CliRunner().invoke(app, ["approve", "code", "--for", "ben", "--role", "operations", "--run", str(number)])
    done = CliRunner().invoke(app, ["approve", "run", str(number), "--code", made.stdout.strip()])
    assert (done.exit_code, done.stdout) == (0, "approved by ben (operations): all of 3 contacts. Its run in Prefect goes on\n")
    assert runs.go_on(run).is_completed()
    assert sent(people) == PEOPLE
    again = CliRunner().invoke(app, ["approve", "run", str(number), "--code", "x"])
    assert (again.exit_code, "approved already, by ben" in again.stderr) == (1, True)


def test_a_run_that_is_killed_between_the_answer_and_its_consequences_sends_no_more_than_was_approved(
    runs: Runs, people: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = runs.start(request_code=make_code(person="anna", role="operations"))

    def killed(_: int) -> int:
        raise ConnectionAbortedError("killed here")

    with monkeypatch.context() as patch:
        patch.setattr(asking, "withhold_rest", killed)
        assert runs.answer(run, decision="approve up to", up_to=2, code=make_code(person="ben", role="operations")).is_failed()
    assert (campaign()[1], sent(people)) == ("narrowing", 0)
    assert len(due()) == 1, "dispatch finishes what the answer began"
    assert campaign()[1] == "approved"
    runs.start()
    assert sent(people) == 2


def test_a_flow_that_cannot_wait_says_what_to_do(runs: Runs, people: Sandbox) -> None:
    del runs
    with pytest.raises(ApprovalNeeded, match=r"tideover approve run \d+ --code CODE"):
        early(as_of=TODAY, approval="required")
    assert sent(people) == 0


def test_a_preview_asks_nobody_and_sends_nothing(runs: Runs, people: Sandbox) -> None:
    run = runs.start(preview=True)
    assert "A preview: nothing of it is sent." in runs.artifact(run)
    assert (campaign()[1], sent(people)) == ("undecided", 0)

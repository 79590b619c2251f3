"""A whole day, end to end, and everything that was promised about it.

A portfolio comes in, the early stage runs through Prefect's deployment and worker, the town answers.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, time, timedelta
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.states import Cancelling
from sqlalchemy import text
from sqlalchemy.engine import make_url

from flows.audit import audit as audit_flow
from flows.early import early
from flows.import_portfolio import import_portfolio
from ledger import embedded, vault
from ledger.engine import connection
from ledger.funnel import Funnel
from local.demo import COUNTRY, FIRST_DAY, MORNING, Town, audit, local, play_day, step
from local.services import Services
from tests.plugins.installation import installed

ACCOUNTS = 300
SECONDS_FOR_EVENTS = 20
SECONDS_MAX = 120


@dataclass(frozen=True)
class Day:
    """What the first day left behind."""

    services: Services
    town: Town
    funnel: Funnel
    personal: frozenset[str]
    contacted_again: int
    imported_again: dict[str, int]


@pytest.fixture(scope="module")
def day(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """Play one day, through the deployment; keep everything running for the tests."""
    folder = tmp_path_factory.mktemp("day")
    with installed(server_url, folder, accounts=ACCOUNTS) as installation:
        town = installation.town
        funnel, _ = play_day(town, FIRST_DAY, folder, deployed=True)
        received = len(town.received())
        early(as_of=FIRST_DAY)
        again = import_portfolio(mapping="taiwan", files=[folder / "uci_credit_card_part.csv"], as_of=FIRST_DAY)
        yield Day(installation.services, town, funnel, _personal_values(town), len(town.received()) - received, again)


def _personal_values(town: Town) -> frozenset[str]:
    """Every number, token and name in the portfolio, decrypted from the ledger."""
    with connection() as tx:
        rows = tx.execute(text("SELECT value_encrypted, key_id FROM contact_point_version")).all()
        values = {vault.decrypt(value, key) for value, key in rows}
    invented = town.post("/sandbox/invent", {"count": ACCOUNTS, "country": COUNTRY})["people"]
    assert values
    return frozenset(values | {person["phone"] for person in invented} | {person["name"] for person in invented})


def test_somebody_was_contacted_and_somebody_was_left_in_peace(day: Day) -> None:
    assert day.funnel.total("sent") > 0
    assert day.funnel.withheld >= 0
    assert day.funnel.borrowers == day.funnel.total("planned") + day.funnel.withheld - _withheld_at_the_gate()


def _withheld_at_the_gate() -> int:
    with connection() as tx:
        return int(tx.execute(text("SELECT count(*) FROM attempt WHERE state = 'withheld'")).scalar_one())


def test_what_the_town_received_is_what_the_ledger_calls_sent(day: Day) -> None:
    received = {(message.channel, message.provider_id) for message in day.town.received()}
    with connection() as tx:
        delivered = tx.execute(text("SELECT channel, provider_id FROM attempt WHERE state IN ('delivered', 'read', 'replied')")).all()
    assert {tuple(row) for row in delivered} <= received
    assert len(received) == len(day.town.received())


def test_no_attempt_is_left_without_a_fate(day: Day) -> None:
    assert day.funnel.total("unknown") == 0
    assert day.funnel.total("waiting") == 0


def test_the_auditor_finds_nothing_that_a_rule_forbade(day: Day) -> None:
    assert audit(day.town) == []


def test_the_nightly_audit_holds_every_invariant_against_the_providers_own_lists(day: Day) -> None:
    told = audit_flow(first=FIRST_DAY, last=FIRST_DAY)
    assert told["found"] == {}
    assert told["invariants"] == {f"I{number}": "held" for number in range(1, 13)}
    assert (told["violations"], told["unknown"], told["parked"], told["warnings"]) == (0, 0, 0, [])
    assert told["listed"]["sms"] + told["listed"]["push"] >= len(day.town.received()) > 0
    with get_client(sync_client=True) as client:
        assert {"audit-invariants", "audit-limits"} <= {artifact.key for artifact in client.read_artifacts()}


def test_a_violation_fails_the_audits_run_and_is_an_event_and_a_row_of_an_artifact(day: Day) -> None:
    del day
    changed = text("UPDATE attempt_transition SET cause = cause || '!' WHERE id = (SELECT min(id) FROM attempt_transition)")
    undone = text("UPDATE attempt_transition SET cause = rtrim(cause, '!') WHERE id = (SELECT min(id) FROM attempt_transition)")
    with connection() as tx:
        tx.execute(changed)
    try:
        state = audit_flow(first=FIRST_DAY, last=FIRST_DAY, return_state=True)
    finally:
        with connection() as tx:
            tx.execute(undone)
    assert state.is_failed()
    assert "I8 broken" in str(state.message)
    with get_client(sync_client=True) as client:
        shown = [artifact for artifact in client.read_artifacts() if artifact.key == "audit-violations"]
        assert "evidence_does_not_match" in str(shown[0].data)
        assert _events(client, "tideover.audit.violation") >= 1


def _events(client: SyncPrefectClient, name: str) -> int:
    """How many events of a name Prefect has; they are stored a moment after they were sent."""
    asked = {"filter": {"event": {"name": [name]}}, "limit": 10}
    for _ in range(SECONDS_FOR_EVENTS):
        found = int(client.request("POST", "/events/filter", json=asked).json()["total"])
        if found:
            return found
        sleep(1)
    return 0


def test_a_second_run_for_the_same_date_contacts_nobody(day: Day) -> None:
    assert day.contacted_again == 0
    with connection() as tx:
        assert tx.execute(text("SELECT count(*) FROM campaign_run WHERE business_date = :day"), {"day": FIRST_DAY}).scalar_one() == 1


def test_the_flow_run_went_through_deployment_and_worker(day: Day) -> None:
    del day
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs()
        # Others may have run beside it, by their own schedules.
        deployed = [
            run
            for run in runs
            if run.deployment_id is not None and "early" in run.tags and run.state is not None and run.state.is_completed()
        ]
        assert [run.name for run in deployed] == [f"early {FIRST_DAY.isoformat()}"]
        names = {run.name.split()[0] for run in client.read_task_runs()}
    assert {"open", "pick", "choose", "send", "close"} <= names


def test_operations_find_funnel_reasons_and_picture_as_artifacts(day: Day) -> None:
    del day
    with get_client(sync_client=True) as client:
        artifacts = {artifact.key: artifact for artifact in client.read_artifacts()}
    key = f"early-{FIRST_DAY.isoformat()}"
    assert {f"{key}-funnel", f"{key}-withheld", f"{key}-picture"} <= set(artifacts)
    picture = str(artifacts[f"{key}-picture"].data)
    assert base64.b64decode(picture.removeprefix("data:image/png;base64,")).startswith(b"\x89PNG")


def test_a_preview_decides_and_shows_and_contacts_nobody(day: Day) -> None:
    received = len(day.town.received())
    run = early(as_of=FIRST_DAY + timedelta(days=1), preview=True)
    with connection() as tx:
        decided = tx.execute(text("SELECT count(*) FROM decision WHERE campaign_run_id = :run"), {"run": run}).scalar_one()
        states = set(tx.execute(text("SELECT DISTINCT state FROM attempt WHERE campaign_run_id = :run"), {"run": run}).scalars())
    assert decided > 0
    assert states <= {"planned"}
    assert len(day.town.received()) == received
    with get_client(sync_client=True) as client:
        shown = [a for a in client.read_artifacts() if a.key == f"early-{FIRST_DAY + timedelta(days=1)}-funnel"]
    assert "(preview)" in str(shown[0].description)


def test_the_import_flow_changes_nothing_the_second_time_and_shows_its_books(day: Day) -> None:
    assert day.imported_again["read"] == day.imported_again["same"] > ACCOUNTS
    with get_client(sync_client=True) as client:
        assert "import-taiwan" in {artifact.key for artifact in client.read_artifacts()}


def test_prefect_knows_no_person(day: Day) -> None:
    """Its whole database, its results on disk, and every log: no number, token or name (I6)."""
    address = make_url(day.services.environment["PREFECT_SERVER_DATABASE_CONNECTION_URL"]).set(drivername="postgresql")
    dump = subprocess.run(
        [embedded.program("pg_dump"), "--data-only", "--inserts", "--dbname", address.render_as_string(hide_password=False)],
        check=True,
        capture_output=True,
    ).stdout.decode(errors="replace")
    assert "flow_run" in dump
    assert len(dump) > 100_000
    files = [path for path in day.services.folder.rglob("*") if path.is_file() and path.name not in {"env", "keys.json"}]
    written = "\n".join(path.read_bytes().decode(errors="replace") for path in files)
    # A stored result is base64 over a pickle: a plain search would miss it.
    hidden = {base64.b64encode(value.encode()).decode().rstrip("=")[2:-2] for value in day.personal if len(value) > 8}
    told = [value for value in [*day.personal, *hidden] if value in dump or value in written]
    assert len(told) == 0, f"{len(told)} personal values reached Prefect's database or a log"


def test_a_message_is_answered_and_the_answer_has_its_effect(day: Day) -> None:
    """Texts of the town's people are heard; one of us says stop, and the next run leaves that person in peace."""
    with connection() as tx:
        party, value, key = tx.execute(
            text(
                "SELECT a.party_id, v.value_encrypted, v.key_id FROM attempt a JOIN contact_point c ON c.party_id = a.party_id AND c.kind = 'mobile'"
                " JOIN contact_point_version v ON v.contact_point_id = c.id AND v.superseded_at IS NULL"
                " WHERE NOT EXISTS (SELECT 1 FROM outcome o WHERE o.party_id = a.party_id) ORDER BY a.id LIMIT 1"
            )
        ).one()
    phone = vault.decrypt(value, key)
    sender = _sender()
    step(day.town, local(FIRST_DAY, time(22, 30)))
    day.town.post("/sandbox/texts", {"from": phone, "to": sender, "text": "停止"})
    with connection() as tx:
        assert tx.execute(text("SELECT intent FROM outcome WHERE party_id = :party"), {"party": party}).scalars().all() == ["stop"]
        assert (
            tx.execute(
                text("SELECT count(*) FROM opt_out WHERE party_id = :party AND superseded_at IS NULL"), {"party": party}
            ).scalar_one()
            >= 1
        )


def test_a_run_cancelled_in_mid_send_ends_soon_and_started_again_contacts_nobody_twice(day: Day, tmp_path: Path) -> None:
    """What the UI's cancel does, on the real server and worker; the second start sends the rest."""
    on = FIRST_DAY + timedelta(days=8)
    step(day.town, local(on, MORNING))
    feed = tmp_path / "payments.csv"
    feed.write_bytes(day.town.get("/sandbox/payments.csv"))
    import_portfolio(mapping="taiwan", files=[feed])
    slowly = {f"TIDEOVER_{channel}_PER_SECOND": "2" for channel in ("SMS", "PUSH")}
    run = run_deployment("early/daily", parameters={"as_of": on.isoformat()}, job_variables={"env": slowly}, timeout=0, as_subflow=False)
    assert isinstance(run, FlowRun)
    _until(lambda: _attempts(on)["sent"] >= 3)
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run.id, Cancelling())
        _until(lambda: _is_final(client, run))
        ended = client.read_flow_run(run.id).state
    left = _attempts(on)
    assert ended is not None
    assert ended.is_cancelled(), ended
    assert left["planned"] > 0, "it was not cancelled in mid-send"
    assert left["submitting"] == 0, "what was in flight did not end by itself"

    early(as_of=on)
    step(day.town, local(on, time(22, 30)))
    assert _attempts(on)["planned"] == 0
    told = audit_flow(first=on, last=on)
    assert (told["violations"], told["unknown"], told["parked"]) == (0, 0, 0), told["found"]
    words = [row["body"] + json.dumps(row.get("data") or {}) for row in map(json.loads, day.town.get("/sandbox/received").splitlines())]
    with connection() as tx:
        tokens = tx.execute(text("SELECT token FROM attempt WHERE business_date = :on AND provider_id IS NOT NULL"), {"on": on}).scalars()
        times = Counter(sum(str(token) in said for said in words) for token in tokens)
    assert times[1] > left["sent"]
    assert set(times) <= {0, 1}


def _is_final(client: SyncPrefectClient, run: FlowRun) -> bool:
    state = client.read_flow_run(run.id).state
    return state is not None and state.is_final()


def _attempts(on: date) -> Counter[str]:
    """State → attempts of a date; `sent` = with a provider's id."""
    with connection() as tx:
        rows = tx.execute(text("SELECT state, provider_id IS NOT NULL FROM attempt WHERE business_date = :on"), {"on": on}).all()
    return Counter({"sent": sum(taken for _, taken in rows)}) + Counter(state for state, taken in rows if not taken)


def _until(holds: Callable[[], bool]) -> None:
    for _ in range(4 * SECONDS_MAX):
        if holds():
            return
        sleep(0.25)
    raise AssertionError("it did not come to pass")


def _sender() -> str:
    with connection() as tx:
        senders: dict[str, Any] = tx.execute(text("SELECT senders FROM creditor")).scalar_one()
    return str(senders["sms"])


def test_the_first_steps_of_the_state_folder_are_private(day: Day) -> None:
    for name in ("env", "keys.json"):
        assert Path(day.services.folder / name).stat().st_mode & 0o077 == 0

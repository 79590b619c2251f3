"""A whole day, end to end, and everything that was promised about it.

A portfolio comes in, the early stage runs through Prefect's deployment and worker, the town answers.

Everything real that can be: PostgreSQL, Prefect server and worker, the portal, the providers' own SDKs; the providers
themselves and the people are the sandbox's.
"""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import time, timedelta
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.context import refresh_global_settings_context
from sqlalchemy import text
from sqlalchemy.engine import make_url

from config.settings import settings
from flows.early import early
from flows.import_portfolio import import_portfolio
from ledger import embedded, vault
from ledger.engine import connection, engine, engine_of
from ledger.funnel import Funnel
from local.demo import COUNTRY, FIRST_DAY, Town, audit, local, move_in, play_day, stage, step
from local.services import Services

ACCOUNTS = 300


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
    before = dict(os.environ)
    os.environ["TIDEOVER_DATABASE_URL"] = server_url
    folder = tmp_path_factory.mktemp("day")
    services = Services(folder / "state", database=f"tideover_journey_{os.getpid()}")
    try:
        with stage(services, lambda _: None):
            town = Town(services.addresses["sandbox"])
            move_in(town, ACCOUNTS, folder, lambda _: None)
            funnel, _ = play_day(town, FIRST_DAY, folder, deployed=True)
            received = len(town.received())
            early(as_of=FIRST_DAY)
            again = import_portfolio(mapping="taiwan", files=[folder / "uci_credit_card_part.csv"], as_of=FIRST_DAY)
            yield Day(services, town, funnel, _personal_values(town), len(town.received()) - received, again)
    finally:
        engine().dispose()
        services._configured = server_url  # noqa: SLF001  # the address that the databases were made under
        services.drop_databases()
        engine_of.cache_clear()
        os.environ.clear()
        os.environ.update(before)
        settings.cache_clear()
        refresh_global_settings_context()


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


def test_a_second_run_for_the_same_date_contacts_nobody(day: Day) -> None:
    assert day.contacted_again == 0
    with connection() as tx:
        assert tx.execute(text("SELECT count(*) FROM campaign_run WHERE business_date = :day"), {"day": FIRST_DAY}).scalar_one() == 1


def test_the_flow_run_went_through_deployment_and_worker(day: Day) -> None:
    del day
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs()
        deployed = [run for run in runs if run.deployment_id is not None and run.state is not None and run.state.is_completed()]
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


def _sender() -> str:
    with connection() as tx:
        senders: dict[str, Any] = tx.execute(text("SELECT senders FROM creditor")).scalar_one()
    return str(senders["sms"])


def test_the_first_steps_of_the_state_folder_are_private(day: Day) -> None:
    for name in ("env", "keys.json"):
        assert Path(day.services.folder / name).stat().st_mode & 0o077 == 0

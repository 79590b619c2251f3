"""A new text, as Prefect runs it: the stage sends to few, dispatch looks at what came of it, people decide, and the rest follows."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from sqlalchemy import text
from typer.testing import CliRunner

from config import canary
from config.settings import settings
from flows.dispatch import dispatch
from flows.early import early
from ledger.engine import connection
from tests.plugins.portfolio import TODAY, Portfolio, noon
from tests.plugins.sandbox_process import Sandbox
from tideover import app

EVENT = "tideover.canary.stopped"
EVENTS_SECONDS_MAX = 60
LOOK_SECONDS = 0.2


@pytest.mark.usefixtures("prefect_server")
def test_few_go_first_and_what_they_answer_stops_the_rest_until_people_decide(
    portfolio: Portfolio, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "TWILIO_BASE_URL": sandbox.url,
        "TWILIO_ACCOUNT_SID": sandbox.account_sid,
        "TWILIO_AUTH_TOKEN": sandbox.auth_token,
    }.items():
        monkeypatch.setenv(f"TIDEOVER_{name}", value)
    settings.cache_clear()
    tried = tmp_path / "canary.yaml"
    tried.write_text(canary.CANARY.read_text().replace("modes: [live]", "modes: [sandbox]").replace("people: 2", "people: 1"))
    monkeypatch.setattr(canary, "CANARY", tried)
    portfolio.clock(noon("US"))
    sandbox.step(noon("US").isoformat())
    for _ in range(4):
        portfolio.borrower(days_past_due=5, push=False)

    run = early(as_of=TODAY)
    assert sent(sandbox) == 1
    assert dispatch() == 0, "the wait is not over"
    with connection() as tx:
        tx.execute(
            text(
                "INSERT INTO outcome (party_id, channel, intent, needs_person, at) SELECT party_id, channel, 'dispute', true, submitted_at"
                " FROM attempt WHERE submitted_at IS NOT NULL"
            )
        )
    assert dispatch() == 0
    listed = CliRunner().invoke(app, ["canary", "list"]).stdout
    assert listed == f"run {run}  early {TODAY}  stopped; 3 contacts wait: dispute 1 of 1 (at most 2.0%)\n"
    (payload,) = stopped_events()
    assert payload == {"campaign_run_id": run, "canary": "stopped", "because": "dispute 1 of 1 (at most 2.0%)", "held": 3}
    with get_client(sync_client=True) as client:
        pages = [str(one.data) for one in client.read_artifacts() if one.key == f"early-{TODAY}-canary"]
    assert "tideover canary decide" in pages[0]

    code = CliRunner().invoke(app, ["approve", "code", "--for", "ben", "--role", "compliance"]).stdout.strip()
    decided = CliRunner().invoke(app, ["canary", "decide", str(run), "--go-on", "--because", "one of one is no rate", "--code", code])
    assert (decided.exit_code, decided.stdout) == (0, "let go on by ben (compliance): one of one is no rate\n")
    assert dispatch() == 3
    assert sent(sandbox) == 4
    assert CliRunner().invoke(app, ["canary", "list"]).stdout == "nothing waits\n"
    again = CliRunner().invoke(app, ["canary", "decide", str(run), "--reject", "--because", "late", "--code", code])
    assert (again.exit_code, "waits for nobody here" in again.stderr) == (1, True)


def sent(sandbox: Sandbox) -> int:
    return sum(sandbox.summary()["messages"].values())


def stopped_events() -> list[dict[str, object]]:
    """What automations hear; Prefect stores events a moment later than it takes them."""
    end = time.monotonic() + EVENTS_SECONDS_MAX
    with get_client(sync_client=True) as client:
        while time.monotonic() < end:
            found = client.request("POST", "/events/filter", json={"filter": {"event": {"name": [EVENT]}}}).json()["events"]
            if found:
                return [one["payload"] for one in found]
            time.sleep(LOOK_SECONDS)
    return []

"""`tideover status`: the mode first, then what is wrong with the command that helps, then what goes on; never a person."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner, Result

from config.settings import HOUSE, settings
from ledger.engine import connection
from tests.plugins.portfolio import Portfolio, noon
from tests.plugins.sending import Outbox
from tideover import app

# Ten in the morning in Taipei, the portfolio's zone: the 17th there as in New York, where it is ten in the evening of the 16th.
MORNING = noon("TW")
NUMBER = "+12125550133"


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["status", *words])


def told() -> dict[str, Any]:
    answer = run("--json")
    assert answer.exit_code == 0, answer.output
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def do(statement: str, **values: Any) -> None:
    with connection() as tx:
        tx.execute(text(statement), values)


@pytest.fixture
def day(portfolio: Portfolio, outbox: Outbox) -> int:
    """A run with one message sent, one unknown, one parked, one due and one for later. Returns the run."""
    portfolio.clock(MORNING)
    run = outbox.run()
    ids = [outbox.plan(run, portfolio.borrower(number=NUMBER if not state else None)) for state in range(4)]
    outbox.plan(run, portfolio.borrower(), send_after=MORNING + timedelta(hours=3, minutes=20))
    for attempt, state in zip(ids, ("delivered", "unknown", "parked"), strict=False):
        do("UPDATE attempt SET state = :state, submitted_at = :at WHERE id = :id", state=state, at=MORNING, id=attempt)
    return run


def test_an_empty_ledger_says_so_and_the_mode_first(portfolio: Portfolio) -> None:
    portfolio.clock(MORNING)
    answer = run()
    assert answer.exit_code == 0
    assert answer.stdout.startswith("SANDBOX (nobody real is contacted)  business date 2026-03-17, 2026-03-17 12:00 (Asia/Taipei)\n")
    assert "no stage has run today" in answer.stdout
    assert "no audit yet: `tideover audit`" in answer.stdout
    found = told()
    assert next(iter(found)) == "mode"
    assert (found["runs"], found["not_run"]) == ([], ["pre_due", "early", "mid", "late", "recovery"])


def test_the_days_run_and_what_is_open_are_counted(day: int) -> None:
    found = told()
    (early,) = found["runs"]
    assert (early["run"], early["stage"], early["state"]) == (day, "early", "open")
    assert {name: early[name] for name in ("planned", "sent", "delivered", "waiting", "unknown")} == {
        "planned": 5, "sent": 1, "delivered": 1, "waiting": 2, "unknown": 2,
    }  # fmt: skip
    assert (early["borrowers"], early["withheld"], early["due"]) == (0, 0, 1)
    assert (found["unknown"], found["parked"], found["due"]) == (1, 1, 1)
    assert found["later"] == {"2026-03-17T07:00:00+00:00": 1}
    assert found["not_run"] == ["pre_due", "mid", "late", "recovery"]
    screen = run().stdout
    assert "! 1 attempt is parked: `tideover parked`" in screen
    assert "planned: 1 due now; later: 15:00 1" in screen
    assert NUMBER[2:] not in screen
    assert "Nobody Atall" not in screen


def test_what_is_wrong_comes_with_what_to_do(day: int, portfolio: Portfolio) -> None:
    del day
    do("UPDATE feed SET covers_until = :at", at=MORNING - timedelta(days=2, hours=1))
    CliRunner().invoke(app, ["pause", "--channel", "sms", "--because", "a test", "--by", "anna"])
    who = portfolio.borrower().party_id
    do(
        "INSERT INTO outcome (party_id, channel, intent, needs_person, at) VALUES (:who, 'sms', 'call_me', true, :at)",
        who=who,
        at=MORNING - timedelta(hours=5),
    )
    do(
        "INSERT INTO audit_result (first, last, at, attempts, violations, invariants, found)"
        """ VALUES ('2026-03-15', '2026-03-16', :at, 9, 2, '{"I4": "broken", "I5": "held"}', '{"I4 a_stop": 2}')""",
        at=MORNING - timedelta(hours=12),
    )
    found = told()
    assert [(one["creditor"], one["late"]) for one in found["feeds"]] == [("lender-US-first_party", True)]
    assert [(one["channel"], one["by"]) for one in found["paused"]] == [("sms", "anna")]
    assert found["audit"]["broken"] == ["I4"]
    assert found["waiting_for_a_person"] == [{"intent": "call_me", "people": 1, "since": "2026-03-16T23:00:00+00:00"}]
    screen = run().stdout
    wrong = [line for line in screen.splitlines() if line.startswith("! ")]
    assert wrong[0] == "! the last audit found 2 violations (I4): `tideover audit` names them, `tideover pause` stops contact"
    assert wrong[1] == "! paused: channel sms, by anna: `tideover pauses`, `tideover resume`"
    assert (
        "feed payments of lender-US-first_party ends 2 d 1 h ago (limit 1 d 0 h): contact is withheld until `tideover import`" in wrong[2]
    )
    assert "! 1 person waits for somebody: call_me, the oldest since 2026-03-17 07:00 (Asia/Taipei)" in wrong


def test_a_run_that_waits_until_people_say_yes_is_no_message_due(day: int) -> None:
    do(
        "UPDATE campaign_run SET approval = 'awaiting', approval_subject = 'x', approval_until = clock_timestamp() + interval '1 hour'"
        " WHERE id = :id",
        id=day,
    )
    found = told()
    assert [one["campaign_run_id"] for one in found["waiting_for_approval"]] == [day]
    assert (found["due"], found["later"], found["runs"][0]["approval"]) == (0, {}, "awaiting")
    screen = run().stdout
    assert f"`tideover approve run {day}`, or its form in the Prefect UI" in screen
    assert "open, awaiting" in screen


def test_live_is_shouted(portfolio: Portfolio, monkeypatch: pytest.MonkeyPatch) -> None:
    del portfolio
    for name, value in {"MODE": "live", "ENCRYPTION_KEYS": "own:a2V5", "INDEX_KEY": "own", "SEED": "own"}.items():
        monkeypatch.setenv(f"TIDEOVER_{name}", value)
    settings.cache_clear()
    assert run().stdout.startswith("LIVE (real people are contacted)  business date ")
    assert told()["mode"] == "live"


def test_a_ledger_that_is_away_is_said_in_words(portfolio: Portfolio, monkeypatch: pytest.MonkeyPatch) -> None:
    del portfolio
    monkeypatch.setenv("TIDEOVER_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    settings.cache_clear()
    answer = run()
    assert answer.exit_code == 2
    assert "the ledger cannot be reached (OperationalError)" in answer.stderr
    assert "nobody@" not in answer.stderr


def test_status_loads_nothing_of_prefect() -> None:
    """It answers at once, and also while Prefect's server is down."""
    program = "import sys, tasks.status, local.status_screen; print([name for name in sys.modules if name.partition('.')[0] == 'prefect'])"
    told = subprocess.run([sys.executable, "-c", program], cwd=HOUSE, capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"

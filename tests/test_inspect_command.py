"""`tideover inspect`: the same sample byte for byte, also when the log has grown; what a contact rests on, and nothing personal."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import text
from typer.testing import CliRunner, Result

from gate.lane import run_lane
from ledger.engine import connection
from tests.plugins.portfolio import TODAY, Portfolio, made_up_number, noon
from tests.plugins.sending import Outbox, RecordingChannel
from tideover import app

NOON = noon("US")
NUMBER = made_up_number("US", 61)
PERIOD = ("--since", TODAY.isoformat(), "--until", (TODAY + timedelta(days=1)).isoformat())


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["inspect", *words])


@pytest.fixture
def log(portfolio: Portfolio, outbox: Outbox) -> int:
    """One message of ours, and twenty contacts of others; the message's event."""
    portfolio.clock(NOON)
    borrower = portfolio.borrower(number=NUMBER)
    run_id = outbox.run()
    outbox.plan(run_id, borrower)
    run_lane(run_id, shard=None, channels={"sms": RecordingChannel})
    for n in range(20):
        portfolio.contact(borrower.party_id, NOON + timedelta(minutes=n), channel="call" if n % 2 else "letter", result="no_answer")
    return int(outbox.rows("SELECT min(id) AS id FROM contact_event WHERE attempt_id IS NOT NULL")[0].id)


@pytest.mark.usefixtures("log")
def test_the_same_seed_draws_the_same_bytes_also_later(portfolio: Portfolio) -> None:
    drawn = run("sample", "--seed", "march", *PERIOD, "--size", "6")
    assert drawn.exit_code == 0, drawn.output
    head, *lines = (json.loads(line) for line in drawn.stdout.splitlines())
    assert (head["contacts_in_population"], len(lines)) == (21, 6)
    assert {line["channel"] for line in lines} == {"sms", "call", "letter"}
    portfolio.contact(portfolio.borrower().party_id, NOON + timedelta(hours=1), channel="call", result="no_answer")
    with connection() as tx:
        # A later result, and a contact that is taken back later.
        first = lines[0]["event_id"]
        tx.execute(
            text("""INSERT INTO contact_event (business_date, party_id, at, channel, direction, counterparty, result, about_event_id, counts,
                                               uncounts, source)
                    SELECT business_date, party_id, at, channel, direction, counterparty, 'conversation', id, false, false, 'test'
                    FROM contact_event WHERE id = :id"""),
            {"id": first},
        )
    again = run("sample", "--seed", "march", *PERIOD, "--size", "6", "--known-at", head["known_at"])
    assert again.stdout == drawn.stdout
    assert again.stderr == drawn.stderr
    assert json.loads(run("sample", "--seed", "march", *PERIOD).stdout.splitlines()[0])["contacts_in_population"] == 22


@pytest.mark.usefixtures("log")
def test_a_definition_narrows_and_a_bad_one_draws_nothing() -> None:
    calls = run("sample", "--seed", "x", *PERIOD, "--channel", "call", "--outcome", "no_answer").stdout.splitlines()
    assert len(calls) == 11
    ours = run("sample", "--seed", "x", *PERIOD, "--jurisdiction", "US").stdout.splitlines()
    assert json.loads(ours[1])["jurisdiction"] == "US-NY"
    for words in (("--channel", "pigeon"), ("--outcome", "gone"), ("--size", "100000")):
        assert run("sample", "--seed", "x", *PERIOD, *words).exit_code == 2
    assert run("sample", "--seed", "x", "--since", "2026-03-18", "--until", "2026-03-17").exit_code == 2
    assert run("sample", "--seed", " ", *PERIOD).exit_code == 2


def test_a_contact_is_shown_with_rules_text_and_proof_and_without_anybody(log: int, outbox: Outbox) -> None:
    shown = run("contact", str(log), "--day", TODAY.isoformat(), "--json")
    told = json.loads(shown.stdout)
    assert told["evidence"].startswith("proved")
    assert "HOUSE-HOLD" in told["rules"]
    assert "{" in told["text_with_gaps"]
    assert NUMBER not in shown.stdout
    assert "HOUSE-HOLD" in run("contact", str(log), "--day", TODAY.isoformat()).stdout
    with connection() as tx:
        tx.execute(text("UPDATE contact_event SET purpose = 'education' WHERE id = :id"), {"id": log})
    told = json.loads(run("contact", str(log), "--day", TODAY.isoformat(), "--json").stdout)
    assert told["evidence"] == "a row of contacts is not as it was written"
    assert run("contact", "999999", "--day", TODAY.isoformat()).exit_code == 2
    assert outbox.rows("SELECT 1 FROM staff_view") == []

"""A person sees what is parked and says what became of it; it is written down with who and why, and counts accordingly."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from channels import FateUnknown
from gate.lane import run_lane
from ledger import evidence
from ledger.attempts import Move, move
from ledger.engine import connection
from local import parked_commands
from tests.plugins.portfolio import TODAY, Portfolio, noon
from tests.plugins.sending import Outbox, RecordingChannel
from tideover import app

NOON = noon("US")
SETTLE = ("--by", "anna", "--because", "seen in the console")


@pytest.fixture
def parked(portfolio: Portfolio, outbox: Outbox) -> list[int]:
    """Two parked attempts."""
    portfolio.clock(NOON)
    run = outbox.run()
    attempts = [outbox.plan(run, portfolio.borrower(number=f"+1212555010{serial}")) for serial in range(2)]
    run_lane(run, shard=None, channels={"sms": lambda: RecordingChannel(answer=lambda *_: FateUnknown(code="20500"))})
    with connection() as tx:
        moves = [
            Move(business_date=TODAY, attempt_id=attempt, from_state="unknown", to_state="parked", cause="not found")
            for attempt in attempts
        ]
        assert len(move(tx, moves, at=NOON)) == 2
    return attempts


def tideover(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["parked", *arguments])
    return done.exit_code, done.output


def counting(outbox: Outbox) -> int:
    return int(outbox.rows("SELECT count(*) FILTER (WHERE counts) - count(*) FILTER (WHERE uncounts) FROM contact_event")[0][0])


def test_what_is_parked_is_listed_with_what_is_known_and_nothing_personal(parked: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parked_commands, "PAGE", 1)
    code, said = tideover()
    assert code == 0
    assert said.count("FateUnknown 20500; not found") == 2
    assert said.endswith("2 parked\n")
    rows = [json.loads(line) for line in tideover("--json")[1].splitlines()]
    assert [row["attempt_id"] for row in rows] == parked
    assert {(row["channel"], row["error_code"], row["stage"]) for row in rows} == {("sms", "20500", "early")}
    assert "5550" not in said + json.dumps(rows)


def test_nothing_parked_is_said(outbox: Outbox) -> None:
    del outbox
    assert tideover() == (0, "nothing is parked\n")
    assert tideover("--json") == (0, "")


def test_what_was_sent_goes_on_counting(parked: list[int], outbox: Outbox) -> None:
    assert tideover("settle", str(parked[0]), "--sent", *SETTLE)[0] == 0
    assert outbox.attempt(parked[0])["state"] == "accepted"
    assert outbox.causes(parked[0])[-1] == ("parked", "accepted", "anna: seen in the console")
    assert counting(outbox) == 2
    assert tideover()[1].endswith("1 parked\n")


def test_what_was_not_sent_counts_no_longer_and_the_evidence_holds(parked: list[int], outbox: Outbox) -> None:
    assert tideover("settle", str(parked[1]), "--not-sent", *SETTLE)[0] == 0
    assert outbox.attempt(parked[1])["state"] == "rejected"
    assert outbox.events(parked[1]) == [("sent", True, False), ("failed", False, True)]
    assert counting(outbox) == 1
    run = outbox.attempt(parked[1])["campaign_run_id"]
    with connection() as tx:
        assert evidence.mismatches(tx, run) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["0", "--sent", *SETTLE],
        ["{0}", "--sent", "--by", " ", "--because", "x"],
        ["{0}", "--not-sent", "--by", "anna", "--because", "\t"],
        ["{0}", "--not-sent", "--by", "anna", "--because", "x" * 501],
        ["{0}", "--by", "anna", "--because", "x"],
        ["{0}", "--sent", "--by", "anna"],
    ],
    ids=["no such attempt", "no name", "no reason", "too long", "neither sent nor not", "no because"],
)
def test_what_cannot_be_settled_changes_nothing(parked: list[int], outbox: Outbox, arguments: list[str]) -> None:
    code, said = tideover("settle", *(one.format(parked[0]) for one in arguments))
    assert code == 2
    assert said
    assert outbox.states() == ["parked", "parked"]


def test_it_is_settled_once(parked: list[int], outbox: Outbox) -> None:
    assert tideover("settle", str(parked[0]), "--not-sent", *SETTLE)[0] == 0
    code, said = tideover("settle", str(parked[0]), "--sent", *SETTLE)
    assert (code, "is not parked" in said) == (2, True)
    assert outbox.attempt(parked[0])["state"] == "rejected"

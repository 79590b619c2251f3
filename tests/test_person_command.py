"""`tideover person`: what comes by letter or phone protects at once, as a reply would."""

from __future__ import annotations

from datetime import timedelta

import pytest
from typer.testing import CliRunner, Result

from gate import danger
from gate.lane import run_lane
from ledger import vault
from tests.plugins.portfolio import BorrowerIds, Portfolio, noon
from tests.plugins.sending import Outbox, RecordingChannel
from tests.plugins.sent import Known
from tideover import app

NUMBER = "+12125550142"
SAID = ("--by", "anna", "--because", "letter of 2026-03-10")


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["person", *words])


@pytest.fixture
def planned(portfolio: Portfolio, outbox: Outbox) -> tuple[int, BorrowerIds]:
    portfolio.clock(noon("US"))
    borrower = portfolio.borrower(number=NUMBER)
    run_id = outbox.run()
    outbox.plan(run_id, borrower)
    return run_id, borrower


@pytest.mark.parametrize(
    ("words", "by"),
    [
        (("hold", "#1", "--kind", "mental_health_crisis"), "HOUSE-HOLD"),
        (("hold", "party-1", "--kind", "dispute", "--until", "2026-04-01T00:00+00:00"), "HOUSE-HOLD"),
        (("stop", "#1", "--channel", "sms"), "HOUSE-OPTOUT"),
        (("stop", "#1", "--channel", "all"), "HOUSE-OPTOUT"),
        (("not-theirs", "1"), "HOUSE-OWNERSHIP"),
    ],
)
def test_whatever_is_said_stops_what_is_planned(planned: tuple[int, BorrowerIds], outbox: Outbox, words: tuple[str, ...], by: str) -> None:
    assert run(*words, *SAID).exit_code == 0
    assert run(*words, *SAID).exit_code == 0
    channel = RecordingChannel()
    run_lane(planned[0], shard=None, channels={"sms": lambda: channel})
    assert channel.sent == []
    (attempt,) = outbox.rows("SELECT state, permit FROM attempt")
    assert (attempt.state, by in attempt.permit["blocked_by"]) == ("withheld", True)


def test_it_is_written_once_and_says_who_and_how_it_is_known(planned: tuple[int, BorrowerIds], known: Known, outbox: Outbox) -> None:
    borrower = planned[1]
    assert "held (bereavement)" in run("hold", "#1", "--kind", "bereavement", *SAID).stdout
    assert "held already" in run("hold", "#1", "--kind", "bereavement", *SAID).stdout
    assert known.holds(borrower) == [("bereavement", None)]
    assert [row.source for row in outbox.rows("SELECT source FROM hold")] == ["anna: letter of 2026-03-10"]
    said = run("not-theirs", "1", *SAID).stdout
    assert "1 of them had it" in said
    assert NUMBER[2:] not in said
    assert known.ownership(vault.blind_index(NUMBER)) == "wrong"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("hold", "#1", "--kind", "sad"), "bereavement"),
        (("hold", "#1", "--kind", "dispute", "--until", "2026-01-01T00:00+00:00"), "would be over"),
        (("hold", "#99", "--kind", "dispute"), "no borrower"),
        (("stop", "#1", "--channel", "pigeon"), "all, sms"),
        (("not-theirs", "99"), "no attempt 99"),
    ],
)
def test_what_cannot_be_is_refused_in_words(planned: tuple[int, BorrowerIds], words: tuple[str, ...], says: str) -> None:
    del planned
    answer = run(*words, *SAID)
    assert (answer.exit_code, says in answer.stderr, "Traceback" in answer.output) == (2, True, False)
    personal = run(*words, "--by", "anna", "--because", f"called from {NUMBER}")
    assert (personal.exit_code, NUMBER in personal.output) == (2, False)


def test_handled_ends_telling_and_keeps_who_and_what(portfolio: Portfolio, outbox: Outbox) -> None:
    portfolio.clock(noon("US"))
    party = portfolio.borrower(number=NUMBER).party_id
    for intent, waits in (("danger", True), ("unclear", True), ("stop", False)):
        outbox._do(  # noqa: SLF001  # a plain statement
            "INSERT INTO outcome (party_id, channel, intent, needs_person, at) VALUES (:party, 'sms', :intent, :waits, :at)",
            party=party,
            intent=intent,
            waits=waits,
            at=noon("US"),
        )
    danger_id, unclear_id, stop_id = (row.id for row in outbox.rows("SELECT id FROM outcome ORDER BY id"))
    assert danger.waiting(within=timedelta(hours=1)) == [danger_id]
    said = ("--by", "anna", "--done", "called her, she is safe")
    assert run("handled", str(danger_id), *said).stdout == "handled: 1\n"
    assert run("handled", str(danger_id), str(unclear_id), *said).stdout == "handled: 1; 1 were already\n"
    assert "handled: 1" in run("handled", str(danger_id), "--by", "ben", "--done", "wrote to her sister").stdout
    assert danger.waiting(within=timedelta(hours=1)) == []
    rows = outbox.rows("SELECT outcome_id, by, done FROM outcome_handled ORDER BY id")
    assert [tuple(row) for row in rows] == [
        (danger_id, "anna", "called her, she is safe"),
        (unclear_id, "anna", "called her, she is safe"),
        (danger_id, "ben", "wrote to her sister"),
    ]
    for refused in ((str(unclear_id), str(stop_id)), ("999",)):
        answer = run("handled", *refused, *said)
        assert (answer.exit_code, "waited for a person" in answer.stderr) == (2, True)
    assert run("handled", str(danger_id), "--by", "anna", "--done", "call +12125550142").exit_code == 2


def test_a_hold_that_a_colleague_wrote_is_ended_by_another_one(planned: tuple[int, BorrowerIds], known: Known, outbox: Outbox) -> None:
    borrower = planned[1]
    release = ("release", "#1", "--kind", "bereavement", "--because", "it was another family")
    assert run("hold", "#1", "--kind", "bereavement", *SAID).exit_code == 0
    refused = run(*release, "--by", "Anna")
    assert (refused.exit_code, "somebody else ends it" in refused.stderr) == (2, True)
    assert "released (bereavement): 1" in run(*release, "--by", "ben").stdout
    assert [until is None for _, until in known.holds(borrower)] in ([], [False])
    again = run(*release, "--by", "ben")
    assert (again.exit_code, "cases close" in again.stderr) == (2, True)
    channel = RecordingChannel()
    run_lane(planned[0], shard=None, channels={"sms": lambda: channel})
    assert len(channel.sent) == 1
    # Its history says who held and who ended it.
    assert [row.source for row in outbox.rows("SELECT source FROM hold ORDER BY id")] == [
        "anna: letter of 2026-03-10",
        "ben: it was another family",
    ]


def test_what_a_case_or_a_file_holds_no_colleague_releases(planned: tuple[int, BorrowerIds], portfolio: Portfolio) -> None:
    portfolio.hold(planned[1].party_id, "illness")
    assert run("release", "#1", "--kind", "illness", "--by", "ben", "--because", "a call").exit_code == 2
    assert run("release", "#1", "--kind", "grief", "--by", "ben", "--because", "a call").exit_code == 2

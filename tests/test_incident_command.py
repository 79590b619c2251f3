"""`tideover incident`: whom something wrong reached is known by ids, and each of them is told once that it was wrong."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner, Result

from channels import Message
from config.audit_limits import audit_limits
from gate.lane import run_lane
from ledger import clock
from ledger import outbox as ledger_outbox
from ledger.attempts import StatusEvent, apply_provider_events
from ledger.audit import audit
from ledger.engine import connection
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, noon
from tests.plugins.sending import Outbox, RecordingChannel
from tideover import app

NOON = noon("US")
# Noon in New York is the next day already where the portfolio's dates are made.
BUSINESS = {"TIDEOVER_BUSINESS_ZONE": "America/New_York"}


@pytest.fixture(autouse=True)
def at_noon(portfolio: Portfolio, monkeypatch: pytest.MonkeyPatch) -> None:
    from config.settings import settings  # noqa: PLC0415  # cleared after the environment is set

    for name, value in BUSINESS.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    portfolio.clock(NOON)


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["incident", *words])


def told(*words: str) -> Any:
    answer = run(*words, "--json")
    assert answer.exit_code == 0, answer.output
    return [json.loads(line) for line in answer.stdout.splitlines()]


def send(run_id: int, *channels: str) -> dict[str, list[Message]]:
    opened = {name: RecordingChannel(name) for name in channels or ("sms", "push")}
    run_lane(run_id, shard=None, channels={name: lambda name=name: opened[name] for name in opened})  # type: ignore[misc]  # mypy cannot infer a default
    return {name: channel.sent for name, channel in opened.items()}


@pytest.fixture
def wrong(portfolio: Portfolio, outbox: Outbox) -> tuple[int, list[BorrowerIds]]:
    """A run whose text was wrong: four people got it, a fifth was withheld. The second said stop since, the third never received it, the fourth has paid."""
    people = [portfolio.borrower() for _ in range(4)]
    run_id = outbox.run()
    attempts = [outbox.plan(run_id, one) for one in people]
    people.append(held := portfolio.borrower())
    outbox.plan(run_id, held)
    portfolio.hold(held.party_id, "dispute")
    assert len(send(run_id)["sms"]) == 4
    portfolio.opt_out(people[1].party_id, at=NOON)
    with connection() as tx:
        lost = StatusEvent(event_id=1, token=outbox.token(attempts[2]), provider_id=None, state="undelivered", error_code=None, at=NOON)
        assert apply_provider_events(tx, [lost], at=NOON) == {1: "applied"}
    portfolio.payment(people[3].loan_id, 21_000)
    return run_id, people


def open_for(run_id: int) -> int:
    (opened,) = told("open", "--kind", "wrong_text", "--title", "the amount was of last month", "--by", "anna", "--run", str(run_id))
    return int(opened["id"])


def test_whom_it_reached_is_frozen_and_listed_by_ids(wrong: tuple[int, list[BorrowerIds]], outbox: Outbox) -> None:
    run_id, people = wrong
    dry = told("open", "--kind", "wrong_text", "--title", "x", "--by", "anna", "--run", str(run_id), "--dry-run")
    assert dry == [{"people": 4, "attempts": 4, "reached": 3}]
    assert outbox.rows("SELECT 1 FROM incident") == []
    number = open_for(run_id)
    rows = told("affected", str(number))
    assert [(row["party_id"], row["reached"]) for row in rows] == [
        (one.party_id, reached) for one, reached in zip(people, (True, True, False, True), strict=False)
    ]
    words = run("affected", str(number)).stdout
    assert "borrower #" in words
    assert "5550" not in words
    # What is sent afterwards is not of this list.
    outbox.plan(run_id, people[4], try_number=2)
    assert len(told("affected", str(number))) == 4


def test_each_whom_it_reached_is_told_once_but_nobody_who_said_stop(wrong: tuple[int, list[BorrowerIds]], outbox: Outbox) -> None:
    run_id, people = wrong
    number = str(open_for(run_id))
    (seen,) = told("correct", number, "--dry-run")
    assert (seen["state"], seen["reached"], seen["planned"]) == ("preview", 3, {"sms en": 2})
    assert seen["withheld"]["HOUSE-OPTOUT"] == 1
    assert set(seen["texts"]) >= {"en", "es", "zh-Hans", "zh-Hant"}
    assert told("correct", number, "--by", "anna")[0]["state"] == "asked"
    again = run("correct", number, "--by", " Anna ")
    assert (again.exit_code, "somebody else approves" in again.stderr) == (2, True)
    assert outbox.rows("SELECT 1 FROM attempt WHERE purpose = 'correction'") == []

    (planned,) = told("correct", number, "--by", "ben")
    assert (planned["state"], planned["asked_by"], planned["approved_by"]) == ("planned", "anna", "ben")
    with connection() as tx:
        lanes = ledger_outbox.lanes_due(tx, at=clock.now(tx), at_most=9)
    assert [(lane.campaign_run_id, lane.due) for lane in lanes] == [(planned["run"], 2)]
    sent = send(planned["run"])
    assert [message.body.split(": ")[1].split(".")[0] for message in sent["sms"]] == [
        "a message we sent you recently about your account was wrong"
    ] * 2
    assert [row.party_id for row in outbox.rows("SELECT party_id FROM attempt WHERE purpose = 'correction' ORDER BY 1")] == [
        people[0].party_id,
        people[3].party_id,
    ]
    # Whoever asks again finds it done; the one who said stop is left in peace.
    refused = run("correct", number, "--by", "carl")
    assert (refused.exit_code, "planned for 2026-03-17 already" in refused.stderr) == (2, True)
    assert sum(len(messages) for messages in send(planned["run"]).values()) == 0
    assert "corrections: 2 accepted" in run("show", number).stdout
    assert [row["correction"] for row in told("affected", number)] == ["accepted", None, None, "accepted"]
    # The nightly audit finds nothing wrong with it, and the evidence of a correction is whole.
    with connection() as tx:
        limits = audit_limits(TODAY - timedelta(days=2), TODAY + timedelta(days=2))
        audited = audit(tx, period=(TODAY, TODAY), listed={}, complete=set(), limits=limits, live=False)
    assert [violation for violation in audited.violations if violation.attempt_id is not None] == []


def test_at_night_nobody_is_woken_and_the_approval_still_holds_in_the_morning(
    wrong: tuple[int, list[BorrowerIds]], portfolio: Portfolio
) -> None:
    number = str(open_for(wrong[0]))
    told("correct", number, "--by", "anna")
    portfolio.clock(NOON + timedelta(hours=10))
    (late,) = told("correct", number, "--by", "ben")
    assert (late["state"], late["planned"]) == ("planned", {})
    assert "HOUSE-HOURS" in late["withheld"]
    portfolio.clock(NOON + timedelta(hours=22))
    (morning,) = told("correct", number, "--by", "anna")
    assert (morning["state"], morning["planned"], morning["approved_by"]) == ("planned", {"sms en": 2}, "ben")


def test_a_correction_is_in_each_persons_language_and_goes_where_the_wrong_word_went(portfolio: Portfolio, outbox: Outbox) -> None:
    run_id = outbox.run()
    spanish = portfolio.borrower(country="US", locale="es")
    french = portfolio.borrower(country="US")
    outbox.plan(run_id, spanish, channel="push", locale="es")
    outbox.plan(run_id, french, locale="en")
    assert [len(sent) for sent in send(run_id).values()] == [1, 1]
    with connection() as tx:
        tx.execute(text("UPDATE party_version SET locale = 'fr' WHERE party_id = :id"), {"id": french.party_id})
    number = str(open_for(run_id))
    told("correct", number, "--by", "anna")
    (planned,) = told("correct", number, "--by", "ben")
    assert (planned["planned"], planned["withheld"]) == ({"push es": 1}, {"locale_without_text": 1})
    (message,) = send(planned["run"])["push"]
    assert "estaba equivocado" in message.body


@pytest.mark.parametrize(
    ("options", "people"),
    [
        (("--message", "early_reminder"), 3),
        (("--message", "mid_talk"), 0),
        (("--channel", "push"), 1),
        (("--channel", "sms", "--until", NOON.isoformat()), 0),
        (("--channel", "sms", "--since", NOON.isoformat(), "--until", (NOON + timedelta(hours=1)).isoformat()), 2),
        (("--borrower", "#1"), 1),
        (("--borrower", "party-1", "--borrower", "#4"), 2),
        (("--batch", "1"), 1),
    ],
)
def test_whom_it_concerns_can_be_asked_in_many_ways(portfolio: Portfolio, outbox: Outbox, options: tuple[str, ...], people: int) -> None:
    run_id = outbox.run()
    borrowers = [portfolio.borrower() for _ in range(4)]
    for one, channel in zip(borrowers, ("sms", "sms", "push"), strict=False):
        outbox.plan(run_id, one, channel=channel)
    with connection() as tx:
        tx.execute(text("INSERT INTO import_batch (mapping, mapping_hash, file_hash) VALUES ('m', 'h', 'f')"))
        tx.execute(text("SET LOCAL session_replication_role = replica"))  # a row keeps its import; here the past is made up
        tx.execute(text("UPDATE loan_version SET import_batch_id = 1 WHERE loan_id = :id"), {"id": borrowers[1].loan_id})
    send(run_id)
    (counted,) = told("open", "--kind", "other", "--title", "x", "--by", "anna", *options, "--dry-run")
    assert counted["people"] == people
    version = outbox.attempt(1)["permit"]["text"][:8]
    assert told("open", "--kind", "other", "--title", "x", "--by", "anna", "--version", version, "--dry-run")[0]["people"] == 3


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("open", "--kind", "oops", "--title", "x", "--by", "anna", "--channel", "sms"), "wrong_text"),
        (("open", "--kind", "other", "--title", "x", "--by", "anna"), "whom it concerns"),
        (("open", "--kind", "other", "--title", "x", "--by", "anna", "--run", "99"), "no campaign run 99"),
        (("open", "--kind", "other", "--title", "x", "--by", "anna", "--batch", "99"), "no import batch 99"),
        (("open", "--kind", "other", "--title", "x", "--by", "anna", "--borrower", "#99"), "no borrower"),
        (("open", "--kind", "other", "--title", "call +1 212 555 0100", "--by", "anna", "--channel", "sms"), "by our ids alone"),
        (("open", "--kind", "other", "--title", "x@example.org", "--by", "anna", "--channel", "sms"), "by our ids alone"),
        (("show", "99"), "no incident 99"),
        (("affected", "99"), "no incident 99"),
        (("close", "99", "--by", "anna", "--because", "x"), "no incident 99"),
        (("correct", "99", "--by", "anna"), "no incident 99"),
    ],
)
def test_what_cannot_be_is_refused_in_words(words: tuple[str, ...], says: str) -> None:
    answer = run(*words)
    assert answer.exit_code == 2
    assert says in answer.stderr
    assert "Traceback" not in answer.output


def test_notes_stay_and_a_closed_incident_corrects_nobody(wrong: tuple[int, list[BorrowerIds]]) -> None:
    number = str(open_for(wrong[0]))
    assert run("note", number, "the provider confirmed it on 2026-03-17 16:30", "--by", "ben").exit_code == 0
    assert "by our ids alone" in run("note", number, "he called from 0912345678", "--by", "ben").stderr
    run("close", number, "--by", "anna", "--because", "everybody was told")
    assert run("list").stdout == "no open incident\n"
    assert "everybody" not in run("list", "--all").stdout
    assert "is closed" in run("correct", number, "--by", "ben").stderr
    run("note", number, "one more was found", "--by", "ben", "--reopen")
    assert "wrong_text, open" in run("list").stdout
    (shown,) = told("show", number)
    assert [(one["kind"], one["said_by"]) for one in shown["notes"]] == [("note", "ben"), ("closed", "anna"), ("reopened", "ben")]

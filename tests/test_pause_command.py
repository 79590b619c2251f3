"""`tideover pause`, `resume`, `pauses`: what is stopped, what waits for it, and what expired meanwhile."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from prefect.logging import disable_run_logger
from typer.testing import CliRunner, Result

from flows.pause import pause as pause_flow
from flows.pause import resume as resume_flow
from gate.lane import run_lane
from ledger.engine import connection
from ledger.pauses import PauseRefused, Scope, in_force, write_pause
from tests.plugins.portfolio import Portfolio, noon
from tests.plugins.sending import Outbox, RecordingChannel
from tideover import app

NOON = noon("US")
SAID = ("--because", "a wrong amount went out", "--by", "anna")


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def told(*words: str) -> list[dict[str, Any]]:
    answer = run(*words, "--json")
    assert answer.exit_code == 0, answer.output
    return [json.loads(line) for line in answer.stdout.splitlines()]


@pytest.fixture
def planned(portfolio: Portfolio, outbox: Outbox) -> int:
    """Noon in New York; two are due (one by push), one is later, in Texas."""
    portfolio.clock(NOON)
    run = outbox.run()
    outbox.plan(run, portfolio.borrower(region="NY"))
    outbox.plan(run, portfolio.borrower(region="NY"), channel="push")
    outbox.plan(run, portfolio.borrower(region="TX"), send_after=NOON + timedelta(hours=1), expires_at=NOON + timedelta(hours=2))
    return run


@pytest.mark.parametrize(
    ("options", "due", "later"),
    [
        ((), 2, 1),
        (("all",), 2, 1),
        (("--stage", "early"), 2, 1),
        (("--stage", "late"), 0, 0),
        (("--channel", "push"), 1, 0),
        (("--jurisdiction", "US"), 2, 1),
        (("--jurisdiction", "US-NY"), 2, 0),
        (("--jurisdiction", "US-NY", "--channel", "sms"), 1, 0),
        (("--jurisdiction", "TW"), 0, 0),
        (("--sender", "+15005550006"), 1, 1),
    ],
)
def test_a_dry_run_says_how_many_are_concerned_and_stops_nobody(planned: int, options: tuple[str, ...], due: int, later: int) -> None:
    del planned
    (found,) = told("pause", *options, "--dry-run")
    assert (found["state"], found["id"], found["due"], found["later"]) == ("would pause", None, due, later)
    assert told("pauses") == []


def test_a_pause_says_what_waits_and_stays_until_it_is_resumed(planned: int, portfolio: Portfolio, outbox: Outbox) -> None:
    (paused,) = told("pause", "all", *SAID)
    assert (paused["state"], paused["due"], paused["later"], paused["borrowers"]) == ("paused", 2, 1, 3)
    assert [(one["id"], one["because"], one["by"]) for one in told("pauses")] == [(paused["id"], "a wrong amount went out", "anna")]
    channels = {name: RecordingChannel(name) for name in ("sms", "push")}
    run_lane(planned, shard=None, channels={name: lambda name=name: channels[name] for name in channels})  # type: ignore[misc]  # mypy cannot infer a default
    assert outbox.states() == ["planned"] * 3
    portfolio.clock(NOON + timedelta(hours=3))
    (resumed,) = told("resume", "--by", "ben")
    assert (resumed["state"], resumed["due"], resumed["later"], resumed["expired"]) == ("resumed", 2, 0, 1)
    assert told("pauses") == []
    run_lane(planned, shard=None, channels={name: lambda name=name: channels[name] for name in channels})  # type: ignore[misc]  # as above
    assert outbox.states() == ["accepted", "accepted", "expired"]


def test_what_expired_and_was_closed_meanwhile_is_counted_too(planned: int, portfolio: Portfolio) -> None:
    told("pause", *SAID)
    portfolio.clock(NOON + timedelta(hours=3))
    run_lane(planned, shard=None, channels={"sms": RecordingChannel})
    (resumed,) = told("resume", "all", "--by", "ben")
    assert resumed["expired"] == 1


def test_pausing_twice_is_one_pause(planned: int) -> None:
    del planned
    first, second = told("pause", *SAID)[0], told("pause", *SAID)[0]
    assert (second["state"], second["id"]) == ("already paused", first["id"])
    assert len(told("pauses")) == 1


def test_resuming_a_part_leaves_the_others(planned: int) -> None:
    del planned
    everything = told("pause", *SAID)[0]["id"]
    told("pause", "--channel", "sms", *SAID)
    told("resume", "--channel", "sms", "--by", "ben")
    assert [one["id"] for one in told("pauses")] == [everything]
    told("pause", "--stage", "early", *SAID)
    told("resume", f"#{everything}", "--by", "ben")
    assert [one["stage"] for one in told("pauses")] == ["early"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("pause", "--stage", "erly", *SAID), "pre_due, early"),
        (("pause", "--channel", "pigeon", *SAID), "sms"),
        (("pause", "--jurisdiction", "UK", *SAID), "US-NY"),
        (("pause", "--jurisdiction", "us", *SAID), "US-NY"),
        (("pause", "--sender", "+15005550000", *SAID), "+15005550006"),
        (("pause", "--sender", "+15005550000", "--dry-run"), "+15005550006"),
        (("pause", "--by", "anna"), "--because"),
        (("pause", "--because", "x"), "--by"),
        (("pause", "all", "--stage", "early", *SAID), "one of them"),
        (("pause", "--until", "2020-01-01T00:00+00:00", *SAID), "would be over"),
        (("resume", "--by", "ben"), "Paused: nothing"),
        (("resume", "17", "--by", "ben"), "Paused: nothing"),
        (("resume", "seventeen", "--by", "ben"), "neither"),
    ],
)
def test_what_would_stop_nobody_is_refused_and_says_what_there_is(planned: int, words: tuple[str, ...], says: str) -> None:
    del planned
    answer = run(*words)
    assert answer.exit_code == 2
    assert says in answer.stderr
    assert "Traceback" not in answer.output
    assert told("pauses") == []


def test_a_pause_ends_by_itself_where_it_says_so(planned: int, portfolio: Portfolio) -> None:
    del planned
    told("pause", "--until", (NOON + timedelta(hours=1)).isoformat(), *SAID)
    assert len(told("pauses")) == 1
    portfolio.clock(NOON + timedelta(hours=1))
    assert told("pauses") == []


def test_people_read_it_in_words(planned: int) -> None:
    del planned
    assert "everything" in run("pause", *SAID).stdout
    assert "2 attempts due and 1 planned for later" in run("pauses").stdout
    assert "expired meanwhile" in run("resume", "--by", "ben").stdout
    assert run("pauses").stdout == "nothing is paused\n"


def test_who_paused_and_who_resumed_stay_on_record(planned: int, outbox: Outbox) -> None:
    del planned
    told("pause", *SAID)
    told("resume", "--by", "ben")
    rows = outbox.rows("SELECT said_by, superseded_at IS NULL, until IS NULL FROM pause ORDER BY id")
    assert [tuple(row) for row in rows] == [("anna", False, True), ("ben", True, False)]


def test_a_pause_counts_from_a_moment_before_it_was_said(ledger_url: str) -> None:
    """The gate read its clock just before the pause was written, or on a machine whose clock is behind."""
    del ledger_url
    with connection() as tx:
        write_pause(tx, Scope(), because="test", by="anna", at=NOON)
        assert len(in_force(tx, at=NOON - timedelta(seconds=5))) == 1


def test_the_flows_do_the_same(planned: int) -> None:
    del planned
    with disable_run_logger():
        number = pause_flow.fn(because="test", by="anna", stage="early")
        assert [one["id"] for one in told("pauses")] == [number]
        with pytest.raises(PauseRefused):
            pause_flow.fn(because="test", by="anna", stage="erly")
        assert resume_flow.fn(by="ben", pause_id=number) == 1
        pause_flow.fn(because="test", by="anna")
        assert resume_flow.fn(by="ben") == 1
    assert told("pauses") == []

"""A colleague is put through by Twilio: her phone first, then the person; told that it is recorded where it is; and nobody twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from config.settings import settings
from gate.dial import Dial, take_call
from ledger import agent_calls, call_queue
from ledger.call_queue import CallWindow
from ledger.engine import connection
from portal import bridging
from tests.plugins.portfolio import Portfolio, made_up_number, noon
from tests.plugins.sandbox_process import Sandbox
from tests.plugins.sending import Outbox
from tests.plugins.team import Team

NOON = noon("US")
NUMBER = made_up_number("US", 51)
PHONE = "+12125550142"


@pytest.fixture
def task(
    portfolio: Portfolio,
    sandbox: Sandbox,
    team: Team,
    serve_portal: Callable[[], AbstractContextManager[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[int]:
    given = {"TWILIO_BASE_URL": sandbox.url, "TWILIO_ACCOUNT_SID": sandbox.account_sid, "TWILIO_AUTH_TOKEN": sandbox.auth_token}
    for name, value in given.items():
        monkeypatch.setenv(f"TIDEOVER_{name}", value)
    portfolio.clock(NOON)
    sandbox.reset(at=NOON.isoformat())
    team.agent("anna", phone=PHONE)
    borrower = portfolio.borrower(number=NUMBER)
    with connection() as tx:
        tx.execute(text("""UPDATE creditor SET senders = senders || '{"call": "+15005550006"}'"""))
        window = CallWindow(NOON, NOON + timedelta(hours=2))
        queued = call_queue.enqueue_callback(tx, party_id=borrower.party_id, because="sms: call_me", window=window, at=NOON)
    with serve_portal() as url:
        monkeypatch.setenv("TIDEOVER_PUBLIC_URL", url)
        settings.cache_clear()
        yield queued


def dialled(task: int) -> Dial:
    taken = take_call(task, by="anna")
    assert isinstance(taken, Dial)
    return taken


def answers(sandbox: Sandbox, number: str, by: str) -> None:
    sandbox.control("POST", "phones", {"number": number, "answers": by})


def call(outbox: Outbox) -> Any:
    (row,) = outbox.rows("SELECT line, is_recorded, recording, provider_id FROM agent_call")
    return row


def token(outbox: Outbox) -> UUID:
    (row,) = outbox.rows("SELECT token FROM attempt")
    found: UUID = row.token
    return found


def test_her_phone_rings_then_the_persons_who_hears_that_it_is_recorded(task: int, sandbox: Sandbox, outbox: Outbox) -> None:
    answers(sandbox, PHONE, "human")
    answers(sandbox, NUMBER, "human")
    taken = dialled(task)
    assert (taken.line, taken.recording.way) == ("ringing", "announce")
    assert [one.name for one in taken.required] == ["who_are_you", "who_calls", "recording"]
    for minutes in (1, 2):
        sandbox.step((NOON + timedelta(minutes=minutes)).isoformat())
    heard = [(one["to"], one["body"]) for one in sandbox.received("voice")]
    assert heard == [
        (NUMBER, "This call is recorded so that we can check how we treat people. If you do not want that, say so, and it is not recorded.")
    ]
    row = call(outbox)
    assert (row.line, row.is_recorded) == ("completed", True)
    assert [attempt.state for attempt in outbox.rows("SELECT state FROM attempt")] == ["submitting"]


def test_who_does_not_pick_up_calls_nobody(task: int, sandbox: Sandbox, outbox: Outbox) -> None:
    answers(sandbox, PHONE, "no-answer")
    dialled(task)
    sandbox.step((NOON + timedelta(minutes=10)).isoformat())
    assert (call(outbox).line, call(outbox).is_recorded) == ("no-answer", False)
    assert sandbox.received("voice") == []


@pytest.mark.parametrize("learned", ["stop", "hold", "not hers", "told"])
def test_whatever_is_learned_before_she_picks_up_calls_nobody(task: int, portfolio: Portfolio, outbox: Outbox, learned: str) -> None:
    dialled(task)
    assert "<Number" in bridging.put_through(token(outbox))
    (who,) = outbox.rows("SELECT id FROM party")
    if learned == "stop":
        portfolio.opt_out(who.id, channel="call")
        outbox._do("UPDATE opt_out SET recorded_at = clock_timestamp()")  # noqa: SLF001  # a plain statement
    if learned == "hold":
        portfolio.hold(who.id, "dispute")
        outbox._do("UPDATE hold SET recorded_at = clock_timestamp()")  # noqa: SLF001  # a plain statement
    if learned == "not hers":
        portfolio.ownership(NUMBER, "wrong")
        outbox._do("UPDATE contact_value SET recorded_at = clock_timestamp()")  # noqa: SLF001  # a plain statement
    if learned == "told":
        outbox._do("UPDATE agent_call SET told_at = now()")  # noqa: SLF001  # a plain statement
    for said in (bridging.put_through(token(outbox)), bridging.announce(token(outbox))):
        assert NUMBER not in said
        assert "<Hangup" in said


@pytest.mark.parametrize(
    ("region", "locale"),
    [("CA", "en"), ("WY", "en"), ("NY", "fr")],
    ids=["only after a yes", "no rule is known", "no words in her language"],
)
def test_what_may_not_be_recorded_or_cannot_be_told_is_not_recorded(
    task: int, outbox: Outbox, region: str, locale: str, team: Team
) -> None:
    team.agent("anna", phone=PHONE, languages=["en", "fr"])
    outbox._do("UPDATE party_version SET region = :region, locale = :locale", region=region, locale=locale)  # noqa: SLF001  # a plain statement
    taken = take_call(task, by="anna")
    if not isinstance(taken, Dial):
        # Nobody is called in a language that there are no words in.
        assert locale == "fr"
        assert taken is not None
        assert taken.reasons == ("no_text",)
        return
    said = bridging.put_through(token(outbox))
    assert "<Number" in said
    assert "record" not in said
    assert not call(outbox).is_recorded


@pytest.mark.parametrize(
    ("fault", "line", "calls"), [("too_many_requests", "refused", 0), ("accept_then_drop", "unknown", 1)], ids=["refused", "unknown"]
)
def test_what_was_surely_not_taken_on_she_dials_and_of_what_may_have_been_nobody_dials_twice(
    task: int, sandbox: Sandbox, outbox: Outbox, fault: str, line: str, calls: int
) -> None:
    sandbox.faults({"fault": fault, "channel": "voice", "count": 1})
    assert dialled(task).line == line
    assert (call(outbox).line, call(outbox).provider_id) == (line, None)
    assert [row.state for row in outbox.rows("SELECT state FROM attempt")] == ["submitting"]
    assert sum(sandbox.summary()["calls"].values()) == calls


def test_a_word_about_another_call_is_not_hers(task: int, outbox: Outbox) -> None:
    dialled(task)
    bridging.ended(token(outbox), "CA" + "0" * 32, "failed")
    assert call(outbox).line == agent_calls.RINGING

"""Automated calls: Twilio's own SDK over a real socket; no words in the request; what is known after each way it can end."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from channels import (
    AccountHalted,
    BadAddress,
    ChannelError,
    FateUnknown,
    ForeignPermit,
    Message,
    NeverWorks,
    NotMarked,
    NotOnAllowlist,
    Permit,
    PermitExpired,
    Receipt,
    TryLater,
    Unreachable,
)
from channels.codes import call_status, result_of, state_of
from channels.listed import Listed
from channels.voice import Voice
from channels.voice_list import VoiceList
from config.settings import Settings
from decisions.words import RESULTS
from ledger.attempts import CALL_RESULTS, PROVIDER_STATES
from tests.plugins.sandbox_process import Sandbox
from tests.plugins.wire import Reply, Wire

SID = "CA" + "0a" * 16
TAKEN = Reply(status=201, body={"sid": SID, "status": "queued"})
CALLS = "/Calls.json"
TO = "+12125550142"
WORDS = "$105.00 that was due on 1 March is open."


def settings_for(url: str, **more: Any) -> Settings:
    return Settings(twilio_base_url=url, twilio_account_sid="AC" + "1" * 32, twilio_auth_token=SecretStr("token"), **more)


def message(**changes: Any) -> Message:
    given = {
        "to": TO,
        "attempt_id": 7,
        "sender": "+15005550006",
        "title": "This is Lantern for Nobody.",
        "body": WORDS,
        "token": "t0ken",
        "callback_url": "http://127.0.0.1:1/call/t0ken",
        "valid_seconds": 3600,
        "voicemail": "Please call back.",
    }
    return Message(**{**given, **changes})


def permit(*, seconds: float = 5, marked: bool = True) -> Permit:
    now = datetime.now(UTC)
    called = now if marked else None
    return Permit(attempt_id=7, issued_at=now, call_deadline=now + timedelta(seconds=seconds), called_at=called, rules=(), packs=())


def call(url: str, one: Message | None = None, leave: Permit | None = None, **more: Any) -> Receipt | ChannelError:
    async def run() -> Receipt | ChannelError:
        channel = Voice(settings_for(url, **more))
        try:
            return await channel.send(one or message(), leave or permit())
        except ChannelError as error:
            return error
        finally:
            await channel.close()

    return asyncio.run(run())


def test_the_request_names_where_to_ask_and_says_nothing(wire: Wire) -> None:
    wire.says(CALLS, TAKEN)
    assert call(wire.url) == Receipt(provider="twilio", provider_id=SID, status="queued", segments=None)
    (asked,) = wire.asked_at(CALLS)
    assert asked.form == {
        "To": TO,
        "From": "+15005550006",
        "Url": "http://127.0.0.1:1/call/t0ken/answer",
        "Method": "POST",
        "StatusCallback": "http://127.0.0.1:1/call/t0ken",
        "StatusCallbackEvent": "completed",
        "StatusCallbackMethod": "POST",
        "MachineDetection": "DetectMessageEnd",
        "MachineDetectionTimeout": "30",
        "Timeout": "25",
        "TimeLimit": "180",
        "Record": "false",
    }
    assert b"StatusCallbackEvent=ringing" in asked.body
    assert b"105" not in asked.body
    assert b"Nobody" not in asked.body


@pytest.mark.parametrize(("seconds", "limit"), [(3600, "180"), (120, "95"), (85, "60")])
def test_a_talk_ends_inside_its_window(wire: Wire, seconds: int, limit: str) -> None:
    wire.says(CALLS, TAKEN)
    call(wire.url, message(valid_seconds=seconds))
    assert wire.asked_at(CALLS)[0].form["TimeLimit"] == limit


@pytest.mark.parametrize(
    ("one", "leave", "more", "family"),
    [
        (message(valid_seconds=84), permit(), {}, PermitExpired),
        (message(callback_url=None), permit(), {}, NeverWorks),
        (message(attempt_id=8), permit(), {}, ForeignPermit),
        (message(), permit(seconds=0), {}, PermitExpired),
        (message(), permit(marked=False), {}, NotMarked),
    ],
)
def test_I1_no_call_is_made_without_leave(
    wire: Wire, one: Message, leave: Permit, more: dict[str, Any], family: type[ChannelError]
) -> None:
    outcome = call(wire.url, one, leave, **more)
    assert type(outcome) is family
    assert outcome.attempt_id == 7
    assert wire.asked == []


@pytest.mark.parametrize(
    ("status", "code", "family"),
    [
        (429, 20429, TryLater),
        (400, 21211, BadAddress),
        (400, 13224, BadAddress),
        (400, 21214, Unreachable),
        (400, 21212, NeverWorks),
        (400, 21205, NeverWorks),
        (401, 20003, AccountHalted),
        (500, 20500, FateUnknown),
        (503, 20503, FateUnknown),
    ],
)
def test_each_refusal_says_what_is_known_of_the_call(wire: Wire, status: int, code: int, family: type[ChannelError]) -> None:
    wire.says(CALLS, Reply(status=status, body={"code": code, "message": f"no: {TO}", "status": status}))
    outcome = call(wire.url)
    assert type(outcome) is family
    assert outcome.code == str(code)
    assert len(wire.asked) == 1, "the SDK tried again by itself"
    assert TO not in str(outcome)


@pytest.mark.parametrize(
    "reply", [Reply(drop=True), Reply(status=201, body="<html>"), Reply(status=201, body={"sid": "SM" + "0" * 32, "status": "queued"})]
)
def test_an_answer_that_cannot_be_read_leaves_the_fate_unknown(wire: Wire, reply: Reply) -> None:
    wire.says(CALLS, reply)
    assert isinstance(call(wire.url), FateUnknown)


def test_where_nobody_listens_nothing_was_asked() -> None:
    assert isinstance(call("http://127.0.0.1:9"), TryLater)


def test_in_allowlist_mode_only_staff_is_called(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    del wire
    monkeypatch.setattr(Settings, "may_reach", lambda *_: False)
    assert isinstance(call("http://127.0.0.1:9"), NotOnAllowlist)


def test_every_word_of_a_call_is_one_that_attempts_and_caps_know() -> None:
    words = (
        "initiated",
        "ringing",
        "in-progress",
        "identified",
        "voicemail left",
        "hung up on a machine",
        "busy",
        "no-answer",
        "failed",
        "completed",
    )
    for word in (*words, call_status("completed", "machine_end_beep"), "canceled"):
        assert state_of("twilio", word) in PROVIDER_STATES
        assert result_of("twilio", word) in {None, *CALL_RESULTS}
    assert set(RESULTS) >= CALL_RESULTS


@pytest.mark.parametrize(
    ("status", "by", "word"),
    [
        ("completed", None, "completed"),
        ("completed", "human", "completed"),
        ("completed", "unknown", "completed"),
        ("completed", "machine_end_silence", "completed by a machine"),
        ("completed", "fax", "completed by a machine"),
        ("busy", "machine_start", "busy"),
    ],
)
def test_who_answered_is_part_of_how_it_ended(status: str, by: str | None, word: str) -> None:
    assert call_status(status, by) == word


def test_the_list_shows_calls_by_number_and_time(sandbox: Sandbox) -> None:
    chosen = Settings(
        twilio_base_url=sandbox.url, twilio_account_sid=sandbox.account_sid, twilio_auth_token=SecretStr(sandbox.auth_token), _env_file=None
    )
    sandbox.control("POST", "phones", {"number": TO, "answers": "busy"})

    async def run() -> tuple[list[Listed], list[Listed], list[Listed]]:
        channel, listing = Voice(chosen), VoiceList(chosen)
        await channel.send(message(callback_url=f"{sandbox.url}/nobody/t0ken"), permit())
        sandbox.step("2026-03-17T02:00:00Z")
        since = datetime(2026, 3, 17, 1, tzinfo=UTC)
        found = [
            [one async for page in pages for one in page]
            for pages in (listing.to(TO), listing.sent(since=since, until=since + timedelta(hours=1)), listing.newest())
        ]
        await channel.close()
        await listing.close()
        return found[0], found[1], found[2]

    for listed in asyncio.run(run()):
        assert [(one.to, one.status, one.body, one.textless) for one in listed] == [(TO, "busy", "", True)]

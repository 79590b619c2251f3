"""Text messages: Twilio's own SDK over a real socket; what is known of a message after each way a call can end."""

from __future__ import annotations

import asyncio
import base64
import logging
import socket
import traceback
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from channels import (
    AccountHalted,
    BadAddress,
    ChannelError,
    FateUnknown,
    ForbiddenHost,
    ForeignPermit,
    Message,
    NeverWorks,
    NoPermit,
    NotMarked,
    OptedOut,
    Permit,
    PermitExpired,
    Receipt,
    TryLater,
    Unreachable,
    WindowClosed,
)
from channels.sms import Sms
from channels.twilio_http import Exchange, exchange_now
from config.settings import Settings
from tests.plugins.wire import Reply, Wire

SID = "SM" + "0a" * 16
TAKEN = Reply(status=201, body={"sid": SID, "status": "queued", "num_segments": "1"})
MESSAGES = "/Messages.json"
TO = "+12125550142"
BODY = "Your payment that was due on 1 March is open."


def settings_for(url: str, **more: Any) -> Settings:
    return Settings(twilio_base_url=url, twilio_account_sid="AC" + "1" * 32, twilio_auth_token=SecretStr("token"), **more)


def message(**changes: Any) -> Message:
    given = {
        "to": TO,
        "attempt_id": 7,
        "sender": "+15005550006",
        "title": "",
        "body": BODY,
        "token": "t0ken",
        "callback_url": "http://127.0.0.1:1/cb",
        "valid_seconds": 600,
    }
    return Message(**{**given, **changes})


def permit(*, seconds: float = 5) -> Permit:
    now = datetime.now(UTC)
    return Permit(attempt_id=7, issued_at=now, call_deadline=now + timedelta(seconds=seconds), called_at=now, rules=(), packs=())


def send(url: str, *messages: Message, leave: Permit | None = None, **more: Any) -> list[Receipt | ChannelError]:
    """Send through one channel, one after the other; errors as values."""

    async def run() -> list[Receipt | ChannelError]:
        channel = Sms(settings_for(url, **more))
        outcomes: list[Receipt | ChannelError] = []
        for one in messages or (message(),):
            try:
                outcomes.append(await channel.send(one, leave or permit()))
            except ChannelError as error:
                outcomes.append(error)
        await channel.close()
        return outcomes

    return asyncio.run(run())


def test_a_message_that_twilio_takes_gives_a_receipt(wire: Wire) -> None:
    wire.says(MESSAGES, TAKEN)
    assert send(wire.url) == [Receipt(provider="twilio", provider_id=SID, status="queued", segments=1)]
    asked = wire.asked_at(MESSAGES)[0]
    assert asked.form == {
        "To": TO,
        "From": "+15005550006",
        "Body": BODY,
        "StatusCallback": "http://127.0.0.1:1/cb",
        "ValidityPeriod": "600",
    }
    assert asked.headers["authorization"] == "Basic " + base64.b64encode(f"AC{'1' * 32}:token".encode()).decode()


def test_a_messaging_service_is_named_as_one(wire: Wire) -> None:
    wire.says(MESSAGES, TAKEN)
    send(wire.url, message(sender="MG" + "c" * 32, callback_url=None))
    form = wire.asked_at(MESSAGES)[0].form
    assert form["MessagingServiceSid"] == "MG" + "c" * 32
    assert "From" not in form
    assert "StatusCallback" not in form


@pytest.mark.parametrize(("seconds", "asked_for"), [(1, "1"), (36_000, "36000"), (86_400, "36000")])
def test_the_provider_is_told_when_it_is_too_late_to_deliver(wire: Wire, seconds: int, asked_for: str) -> None:
    wire.says(MESSAGES, TAKEN)
    send(wire.url, message(valid_seconds=seconds))
    assert wire.asked_at(MESSAGES)[0].form["ValidityPeriod"] == asked_for


@pytest.mark.parametrize("seconds", [0, -1])
def test_what_cannot_end_in_its_window_is_not_begun(wire: Wire, seconds: int) -> None:
    assert isinstance(send(wire.url, message(valid_seconds=seconds))[0], PermitExpired)
    assert wire.asked == []


def test_no_call_is_made_on_a_late_permit(wire: Wire) -> None:
    outcome = send(wire.url, leave=permit(seconds=0))[0]
    assert isinstance(outcome, PermitExpired)
    assert outcome.attempt_id == 7
    assert wire.asked == []


def test_a_permit_that_runs_out_in_the_queue_for_a_connection_makes_no_call(wire: Wire) -> None:
    wire.says(MESSAGES, Reply(status=201, body=TAKEN.body, wait_seconds=0.4))

    async def run() -> list[Any]:
        channel = Sms(settings_for(wire.url, sms_concurrency=1))
        leave = permit(seconds=0.2)
        outcomes = list(await asyncio.gather(channel.send(message(), leave), channel.send(message(), leave), return_exceptions=True))
        await channel.close()
        return outcomes

    first, second = asyncio.run(run())
    assert isinstance(first, Receipt)
    assert isinstance(second, PermitExpired)
    assert len(wire.asked) == 1


REFUSALS = [
    (429, 20429, TryLater),
    (400, 21610, OptedOut),
    (400, 21211, BadAddress),
    (400, 21614, BadAddress),
    (400, 21635, Unreachable),
    (400, 30005, Unreachable),
    (400, 63003, Unreachable),
    (400, 63014, OptedOut),
    (400, 63033, OptedOut),
    (400, 63016, WindowClosed),
    (400, 30001, TryLater),
    (400, 30017, TryLater),
    (400, 63018, TryLater),
    (400, 30023, TryLater),
    (400, 30007, NeverWorks),
    (400, 30034, NeverWorks),
    (400, 63041, NeverWorks),
    (401, 20003, AccountHalted),
    (403, 20005, AccountHalted),
    (404, 20404, AccountHalted),
    (400, 30002, AccountHalted),
    (400, 21611, TryLater),
    (400, 21617, NeverWorks),
    (400, 21612, NeverWorks),
    (400, 21408, NeverWorks),
    (400, 99999, NeverWorks),
    (408, 20408, FateUnknown),
    (500, 20500, FateUnknown),
    (502, 20502, FateUnknown),
    (503, 20503, FateUnknown),
    (504, 20504, FateUnknown),
]


@pytest.mark.parametrize(("status", "code", "family"), REFUSALS)
def test_each_refusal_says_what_is_known_of_the_message(wire: Wire, status: int, code: int, family: type[ChannelError]) -> None:
    wire.says(MESSAGES, Reply(status=status, body={"code": code, "message": f"no: {TO}", "status": status}))
    outcome = send(wire.url)[0]
    assert type(outcome) is family
    assert outcome.code == str(code)
    assert outcome.attempt_id == 7
    assert len(wire.asked) == 1, "the SDK tried again by itself"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "Wed, 25 Nov 2026 10:00:30 GMT", "Date": "Wed, 25 Nov 2026 10:00:00 GMT"}, 30.0),
        ({"Retry-After": "inf"}, 1.0),
        ({"Retry-After": "-5"}, 1.0),
        ({}, 1.0),
    ],
)
def test_a_busy_provider_says_how_long_to_wait(wire: Wire, headers: dict[str, str], seconds: float) -> None:
    wire.says(MESSAGES, Reply(status=429, body={"code": 20429, "message": "", "status": 429}, headers=headers))
    outcome = send(wire.url)[0]
    assert isinstance(outcome, TryLater)
    assert outcome.retry_after_seconds == seconds


@pytest.mark.parametrize(
    "reply",
    [
        Reply(drop=True),
        Reply(status=201, body="<html>"),
        Reply(status=201, body=[]),
        Reply(status=201, body={"status": "queued"}),
        Reply(status=200, body={"sid": "nonsense", "status": "queued"}),
        Reply(status=201, body={"sid": SID}, headers={"Content-Length": "4000", "Connection": "close"}),
        Reply(status=503, body="<html>"),
        Reply(status=201, body=TAKEN.body, wait_seconds=1.0),
    ],
    ids=["dropped", "html", "a list", "no id", "an id of nobody", "cut off", "503 in html", "too slow"],
)
def test_an_answer_that_says_nothing_leaves_the_fate_unknown(wire: Wire, reply: Reply) -> None:
    wire.says(MESSAGES, reply)
    assert isinstance(send(wire.url, call_seconds_max=0.5)[0], FateUnknown)
    assert len(wire.asked) == 1


def test_a_refusal_whose_body_breaks_off_is_still_a_refusal(wire: Wire) -> None:
    wire.says(MESSAGES, Reply(status=400, body="{", headers={"Content-Length": "4000", "Connection": "close"}))
    assert isinstance(send(wire.url)[0], NeverWorks)


def test_a_kept_connection_that_breaks_leaves_the_fate_unknown(wire: Wire) -> None:
    wire.says(MESSAGES, TAKEN, Reply(drop=True))
    first, second = send(wire.url, message(), message())
    assert isinstance(first, Receipt)
    assert isinstance(second, FateUnknown)
    assert len(wire.asked) == 2


def test_a_refused_connection_is_surely_unsent() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
    assert isinstance(send(f"http://127.0.0.1:{port}")[0], TryLater)


def test_a_server_without_tls_is_surely_unsent(wire: Wire) -> None:
    assert isinstance(send(wire.url.replace("http:", "https:"))[0], TryLater)
    assert wire.asked == []


def test_the_sandbox_mode_refuses_the_provider_itself() -> None:
    with pytest.raises(ForbiddenHost, match="loopback"):
        Sms(settings_for("https://api.twilio.com"))


def test_no_setting_of_the_environment_diverts_a_message(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("TWILIO_EDGE", "e")
    monkeypatch.setenv("TWILIO_REGION", "r")
    wire.says(MESSAGES, TAKEN)
    assert isinstance(send(wire.url)[0], Receipt)


def test_a_redirect_is_not_followed(wire: Wire) -> None:
    wire.says(MESSAGES, Reply(status=307, headers={"Location": f"{wire.url}/elsewhere"}))
    wire.says("/elsewhere", TAKEN)
    assert isinstance(send(wire.url)[0], NeverWorks)
    assert wire.asked_at("/elsewhere") == []


def test_neither_number_nor_text_reaches_a_log_or_an_error(wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    wire.says(MESSAGES, Reply(status=400, body={"code": 21211, "message": f"The 'To' number {TO} is not valid", "status": 400}), TAKEN)
    with caplog.at_level(logging.DEBUG):
        refused, _ = send(wire.url, message(), message())
    assert isinstance(refused, BadAddress)
    told = caplog.text + "".join(traceback.format_exception(refused)) + repr(vars(refused))
    assert refused.__cause__ is None
    assert refused.__context__ is None
    assert TO not in told
    assert TO.removeprefix("+") not in told
    assert BODY not in told


def test_I1_no_call_is_made_on_a_permit_of_another_attempt(wire: Wire) -> None:
    outcome = send(wire.url, message(attempt_id=8))[0]
    assert isinstance(outcome, ForeignPermit)
    assert wire.asked == []


def test_I1_no_call_is_made_on_a_permit_that_the_ledger_has_not_marked(wire: Wire) -> None:
    outcome = send(wire.url, leave=replace(permit(), called_at=None))[0]
    assert isinstance(outcome, NotMarked)
    assert wire.asked == []


def test_I1_the_sdk_itself_reaches_nobody_without_a_permit(wire: Wire) -> None:
    """As a notebook or a desk might try it, with the channel's own client."""

    async def past_the_gate() -> None:
        channel = Sms(settings_for(wire.url))
        exchange_now.set(Exchange(None))
        try:
            await channel._client.messages.create_async(to=TO, from_="+15005550006", body=BODY)  # noqa: SLF001  # the way past the door
        finally:
            await channel.close()

    with pytest.raises(NoPermit):
        asyncio.run(past_the_gate())
    assert wire.asked == []

"""A lender's own gateway: what is known of a message after each way a call can end; what is asked, and what an answer proves."""

from __future__ import annotations

import asyncio
import logging
import socket
import traceback
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr, ValidationError

from channels import (
    AccountHalted,
    BadAddress,
    ChannelError,
    FateUnknown,
    ForbiddenHost,
    ForeignPermit,
    Message,
    NeverWorks,
    NotMarked,
    NotOnAllowlist,
    OptedOut,
    Permit,
    PermitExpired,
    Receipt,
    TryLater,
    Unreachable,
    WindowClosed,
)
from channels.codes import Meaning, meaning_of_callback
from channels.gateway import Gateway
from channels.gateway_http import NoGatewayError
from channels.gateway_list import GatewayList
from channels.signatures import is_signed
from config.settings import Settings
from tests.plugins.sandbox_process import Sandbox
from tests.plugins.wire import Reply, Wire

KEYS = "2026-03:lantern-example-secret-of-nobody-1,2025-11:lantern-example-secret-of-nobody-0"
PAIRS = [(pair.partition(":")[0], pair.partition(":")[2]) for pair in KEYS.split(",")]
KEY = "0b8e6b0a-3a35-4b7b-9a35-2f0a3d1c5e77"
OTHER_KEY = "5f0c7a52-7d0d-4c39-8a5e-0c3a4f8e1b22"
MESSAGES = "/v1/messages"
TO = "+12125550142"
BODY = "Your payment that was due on 1 March is open. 測試"
AT = "2026-03-17T01:00:00+00:00"
RECEIPT = {
    "key": KEY,
    "id": "GW1",
    "carrier": "sms",
    "status": "accepted",
    "error": None,
    "segments": 2,
    "taken_at": AT,
    "updated_at": AT,
}
TAKEN = Reply(status=201, body=RECEIPT)


def settings_for(url: str, **more: Any) -> Settings:
    return Settings(gateway_base_url=url, **{"gateway_keys": SecretStr(KEYS), **more})


def message(**changes: Any) -> Message:
    given = {
        "to": TO,
        "attempt_id": 7,
        "sender": "gateway:LANTERN",
        "title": "",
        "body": BODY,
        "token": KEY,
        "callback_url": f"http://127.0.0.1:1/webhooks/gateway/status/{KEY}",
        "valid_seconds": 600,
    }
    return Message(**{**given, **changes})


def permit(*, seconds: float = 5) -> Permit:
    now = datetime.now(UTC)
    return Permit(attempt_id=7, issued_at=now, call_deadline=now + timedelta(seconds=seconds), called_at=now, rules=(), packs=())


def send(url: str, *messages: Message, leave: Permit | None = None, carrier: str = "sms", **more: Any) -> list[Receipt | ChannelError]:
    """Send through one channel, one after the other; errors as values."""

    async def run() -> list[Receipt | ChannelError]:
        channel = Gateway(settings_for(url, **more), carrier)
        outcomes: list[Receipt | ChannelError] = []
        for one in messages or (message(),):
            try:
                outcomes.append(await channel.send(one, leave or permit()))
            except ChannelError as error:
                outcomes.append(error)
        await channel.close()
        return outcomes

    return asyncio.run(run())


def about(url: str, key: str = KEY) -> Any:
    """What the list says of one key; an error as a value."""

    async def run() -> Any:
        asked = GatewayList(settings_for(url, call_seconds_max=0.5))
        try:
            return await asked.about(UUID(key))
        except ChannelError as error:
            return error
        finally:
            await asked.close()

    return asyncio.run(run())


def listed(url: str) -> Any:
    async def run() -> Any:
        asked = GatewayList(settings_for(url))
        try:
            pages = asked.taken(since=datetime(2026, 3, 17, tzinfo=UTC), until=datetime(2026, 3, 18, tzinfo=UTC))
            return [one async for page in pages for one in page]
        except ChannelError as error:
            return error
        finally:
            await asked.close()

    return asyncio.run(run())


def test_a_message_that_the_gateway_takes_gives_a_receipt_and_is_signed(wire: Wire) -> None:
    wire.says(MESSAGES, TAKEN)
    assert send(f"{wire.url}/tideover") == [Receipt(provider="gateway", provider_id="GW1", status="accepted", segments=2)]
    (asked,) = wire.asked
    assert (asked.method, asked.path) == ("POST", "/tideover/v1/messages")
    assert asked.json == {
        "key": KEY,
        "carrier": "sms",
        "to": TO,
        "sender": "LANTERN",
        "title": "",
        "body": BODY,
        "voicemail": None,
        "template": None,
        "variables": {},
        "valid_seconds": 600,
        "callback_url": f"http://127.0.0.1:1/webhooks/gateway/status/{KEY}",
    }
    now = datetime.now(UTC).timestamp()
    given: dict[str, Any] = {"method": "POST", "target": asked.path, "body": asked.body, "signature": asked.headers["tideover-signature"]}
    assert is_signed(PAIRS[:1], **given, at_seconds=now)
    assert not is_signed(PAIRS[1:], **given, at_seconds=now)
    assert not is_signed(PAIRS[:1], **given, at_seconds=now + 130)


def test_words_that_were_registered_or_are_left_with_a_machine_go_along(wire: Wire) -> None:
    wire.says(MESSAGES, TAKEN)
    words = {"template": "DLT-7", "variables": (("amount", "120.00"), ("due_on", "1 March")), "voicemail": "Please call Lantern."}
    send(wire.url, message(**words), carrier="voice")
    said = wire.asked[0].json
    assert (said["carrier"], said["template"], said["voicemail"]) == ("voice", "DLT-7", "Please call Lantern.")
    assert said["variables"] == {"amount": "120.00", "due_on": "1 March"}


@pytest.mark.parametrize("changed", [{"method": "GET"}, {"target": "/v1/messages?x=1"}, {"body": b"{}"}, {"signature": None}])
def test_nothing_of_what_was_signed_may_change(wire: Wire, changed: dict[str, Any]) -> None:
    wire.says(MESSAGES, TAKEN)
    send(wire.url)
    (asked,) = wire.asked
    given: dict[str, Any] = {"method": "POST", "target": asked.path, "body": asked.body, "signature": asked.headers["tideover-signature"]}
    assert is_signed(PAIRS, **given, at_seconds=datetime.now(UTC).timestamp())
    assert not is_signed(PAIRS, **{**given, **changed}, at_seconds=datetime.now(UTC).timestamp())
    assert not is_signed([], **given, at_seconds=datetime.now(UTC).timestamp())


REFUSALS = [
    (400, "invalid_request", NeverWorks),
    (401, "bad_signature", AccountHalted),
    (401, "stale_timestamp", AccountHalted),
    (403, "suspended", AccountHalted),
    (404, "not_found", NeverWorks),
    (408, "timeout", FateUnknown),
    (409, "in_progress", FateUnknown),
    (413, "too_large", NeverWorks),
    (422, "invalid_address", BadAddress),
    (422, "unreachable", Unreachable),
    (422, "opted_out", OptedOut),
    (422, "window_closed", WindowClosed),
    (422, "content_refused", NeverWorks),
    (422, "unsupported_carrier", NeverWorks),
    (422, "key_reused", FateUnknown),
    (422, "of_a_later_version", NeverWorks),
    (429, "busy", TryLater),
    (500, "internal", FateUnknown),
    (502, "bad_gateway", FateUnknown),
    (503, "unavailable", FateUnknown),
    (503, "not_taken", TryLater),
    (302, "moved", FateUnknown),
    (202, "queued", FateUnknown),
]


@pytest.mark.parametrize(("status", "code", "family"), REFUSALS)
def test_each_refusal_says_what_is_known_of_the_message(wire: Wire, status: int, code: str, family: type[ChannelError]) -> None:
    wire.says(MESSAGES, Reply(status=status, body={"error": {"code": code, "detail": f"no: {TO}"}}))
    outcome = send(wire.url)[0]
    assert type(outcome) is family
    assert outcome.attempt_id == 7
    assert len(wire.asked) == 1


@pytest.mark.parametrize(("headers", "seconds"), [({"Retry-After": "7"}, 7.0), ({"Retry-After": "soon"}, 1.0), ({}, 1.0)])
def test_a_busy_gateway_says_how_long_to_wait(wire: Wire, headers: dict[str, str], seconds: float) -> None:
    wire.says(MESSAGES, Reply(status=429, body={"error": {"code": "busy"}}, headers=headers))
    outcome = send(wire.url)[0]
    assert isinstance(outcome, TryLater)
    assert outcome.retry_after_seconds == seconds


@pytest.mark.parametrize(
    "reply",
    [
        Reply(drop=True),
        Reply(status=201, body="<html>"),
        Reply(status=201, body=[]),
        Reply(status=201, body={**RECEIPT, "key": OTHER_KEY}),
        Reply(status=201, body={**RECEIPT, "id": ""}),
        Reply(status=201, body={**RECEIPT, "id": 7}),
        Reply(status=201, body={**RECEIPT, "status": "queued"}),
        Reply(status=201, body={"key": KEY}),
        Reply(status=201, body=RECEIPT, headers={"Content-Length": "4000", "Connection": "close"}),
        Reply(status=503, body="<html>"),
        Reply(status=201, body=RECEIPT, wait_seconds=1.0),
    ],
    ids=["dropped", "html", "a list", "another key", "no id", "no text", "no status", "no receipt", "cut off", "a proxy's 503", "too slow"],
)
def test_an_answer_that_says_nothing_leaves_the_fate_unknown(wire: Wire, reply: Reply) -> None:
    wire.says(MESSAGES, reply)
    assert isinstance(send(wire.url, call_seconds_max=0.5)[0], FateUnknown)
    assert len(wire.asked) == 1


def test_a_kept_connection_that_breaks_leaves_the_fate_unknown_and_nothing_is_posted_again(wire: Wire) -> None:
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


def test_a_redirect_is_not_followed(wire: Wire) -> None:
    wire.says(MESSAGES, Reply(status=307, headers={"Location": f"{wire.url}/elsewhere"}))
    wire.says("/elsewhere", TAKEN)
    assert isinstance(send(wire.url)[0], FateUnknown)
    assert wire.asked_at("/elsewhere") == []


def test_no_setting_of_the_environment_diverts_a_message(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    wire.says(MESSAGES, TAKEN)
    assert isinstance(send(wire.url)[0], Receipt)


@pytest.mark.parametrize(
    ("changes", "leave", "carrier", "family"),
    [
        ({"valid_seconds": 0}, permit(seconds=60), "sms", PermitExpired),
        ({}, permit(seconds=-1), "sms", PermitExpired),
        ({"attempt_id": 8}, None, "sms", ForeignPermit),
        ({}, replace(permit(seconds=60), called_at=None), "sms", NotMarked),
        ({"sender": "LANTERN"}, None, "sms", NeverWorks),
        ({}, None, "letter", NeverWorks),
    ],
)
def test_I1_no_call_is_made_without_a_permit_that_holds(
    wire: Wire, changes: dict[str, Any], leave: Permit | None, carrier: str, family: type[ChannelError]
) -> None:
    wire.says(MESSAGES, TAKEN)
    assert isinstance(send(wire.url, message(**changes), leave=leave, carrier=carrier)[0], family)
    assert wire.asked == []


def test_in_allowlist_mode_only_staff_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        channel = Gateway(settings_for("http://127.0.0.1:9"), "sms")
        monkeypatch.setattr(channel, "_may_reach", lambda _: False)
        try:
            await channel.send(message(), permit())
        finally:
            await channel.close()

    with pytest.raises(NotOnAllowlist):
        asyncio.run(run())


def test_neither_number_nor_text_nor_secret_reaches_a_log_or_an_error(wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
    wire.says(MESSAGES, Reply(status=422, body={"error": {"code": "invalid_address", "detail": TO}}), Reply(drop=True))
    with caplog.at_level(logging.DEBUG):
        outcomes = send(wire.url, message(), message())
    told = caplog.text
    for outcome in outcomes:
        assert isinstance(outcome, ChannelError)
        assert outcome.__cause__ is outcome.__context__ is None
        told += "".join(traceback.format_exception(outcome)) + repr(vars(outcome))
    for secret in (TO, BODY, "lantern-example-secret"):
        assert secret not in told


def test_the_sandbox_mode_refuses_a_gateway_elsewhere() -> None:
    with pytest.raises(ForbiddenHost, match="loopback"):
        Gateway(settings_for("https://gateway.lantern.example"), "sms")


def test_a_sender_without_a_gateway_is_an_error_and_not_another_way() -> None:
    with pytest.raises(NoGatewayError, match="gateway_base_url_not_set"):
        Gateway(Settings(), "sms")


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"gateway_keys": SecretStr("")}, "without TIDEOVER_GATEWAY_KEYS"),
        ({"gateway_keys": SecretStr("2026-03:short")}, "shorter than 32"),
        ({"gateway_keys": SecretStr("x" * 40)}, "no KEYID:SECRET|shorter"),
        ({"gateway_keys": SecretStr(f"a:{'x' * 32},a:{'y' * 32}")}, "stands twice"),
        ({"gateway_base_url": "http://gateway.lantern.example"}, "plain http is for loopback only"),
        ({"mode": "live"}, "TIDEOVER_GATEWAY_BASE_URL"),
        (
            {"mode": "live", "gateway_base_url": "https://gateway.lantern.example", "gateway_keys": SecretStr(f"madeup-1:{'x' * 32}")},
            "set TIDEOVER_GATEWAY_KEYS to your own",
        ),
    ],
)
def test_settings_that_would_send_in_the_open_or_unsigned_are_refused(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint) as refused:
        Settings(**{"gateway_base_url": "http://127.0.0.1:9", "gateway_keys": SecretStr(KEYS), **given})
    assert "x" * 32 not in str(refused.value)


def test_what_became_of_a_message_is_asked_by_its_key(wire: Wire) -> None:
    wire.says(KEY, Reply(body={**RECEIPT, "status": "undelivered", "error": "unreachable"}))
    found = about(wire.url)
    assert (found.provider_id, found.status, found.error_code, found.segments) == ("GW1", "undelivered", "unreachable", 2)
    assert found.created_at == datetime.fromisoformat(AT)
    assert [(asked.method, asked.path) for asked in wire.asked] == [("GET", f"/v1/messages/{KEY}")]
    assert "tideover-signature" in wire.asked[0].headers


def test_only_the_gateways_own_word_says_that_there_is_no_such_message(wire: Wire) -> None:
    wire.says(KEY, Reply(status=404, body={"error": {"code": "unknown_key"}}))
    assert about(wire.url) is None


@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=404, body="<html>not found</html>"),
        Reply(status=404, body={"error": {"code": "no_such_path"}}),
        Reply(status=200, body=""),
        Reply(status=200, body={**RECEIPT, "key": OTHER_KEY}),
        Reply(status=200, body={**RECEIPT, "taken_at": "2026-03-17"}),
        Reply(status=409, body={"error": {"code": "in_progress"}}),
        Reply(status=503, body={"error": {"code": "not_taken"}}),
        Reply(status=401, body={"error": {"code": "unknown_key"}}),
        Reply(drop=True),
    ],
    ids=["a proxy's 404", "another 404", "nothing", "another key", "no instant", "at work", "away", "not us", "dropped"],
)
def test_whatever_else_is_answered_nothing_was_learned(wire: Wire, reply: Reply, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("channels.gateway_list.QUESTIONS_MAX", 1)
    wire.says(KEY, reply)
    assert isinstance(about(wire.url), TryLater | AccountHalted)


def test_the_list_is_read_to_its_end(wire: Wire) -> None:
    one, other = RECEIPT, {**RECEIPT, "key": OTHER_KEY, "id": "GW2", "segments": None}
    wire.says(MESSAGES, Reply(body={"messages": [one], "next": "there"}), Reply(body={"messages": [other], "next": None}))
    assert [str(found.key) for found in listed(wire.url)] == [KEY, OTHER_KEY]
    assert "since=2026-03-17T00%3A00%3A00%2B00%3A00" in wire.asked[0].path
    assert wire.asked[1].path.endswith("&cursor=there")


@pytest.mark.parametrize(
    "body",
    [
        {"next": None},
        {"messages": {}, "next": None},
        {"messages": [7], "next": None},
        {"messages": [{**RECEIPT, "id": None}], "next": None},
        {"messages": [{**RECEIPT, "status": "gone"}], "next": None},
        {"messages": [], "next": "round"},
        {"messages": [], "next": 7},
    ],
)
def test_a_list_that_cannot_be_read_or_has_no_end_proves_nothing(wire: Wire, body: dict[str, Any]) -> None:
    wire.says(MESSAGES, Reply(body=body))
    assert isinstance(listed(wire.url), TryLater)


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        ("invalid_address", Meaning.INVALID),
        ("unreachable", Meaning.UNREACHABLE),
        ("opted_out", Meaning.OPTED_OUT),
        ("handset_off", Meaning.AGAIN_IN_HOURS),
        ("busy", Meaning.AGAIN_IN_HOURS),
        ("no_answer", Meaning.AGAIN_IN_HOURS),
        ("carrier_trouble", Meaning.AGAIN_SOON),
        ("expired", Meaning.AGAIN_SOON),
        ("content_refused", Meaning.CAMPAIGN),
        ("sender_refused", Meaning.CAMPAIGN),
        ("suspended", Meaning.ACCOUNT),
        ("of_a_later_version", Meaning.NOTHING),
        (None, Meaning.NOTHING),
        ("30005", Meaning.UNREACHABLE),
    ],
)
def test_each_end_teaches_what_the_page_says(code: str | None, meaning: Meaning) -> None:
    assert meaning_of_callback(code) is meaning


# Against the sandbox's gateway, which was written from the same page and shares no line with ours.


@pytest.mark.parametrize(
    ("fault", "family", "arrives"),
    [
        ({"fault": "accept_then_drop"}, FateUnknown, True),
        ({"fault": "accept_then_500"}, FateUnknown, True),
        ({"fault": "drop_before_accept"}, FateUnknown, False),
        ({"fault": "unavailable"}, FateUnknown, False),
        ({"fault": "too_many_requests", "seconds": 7}, TryLater, False),
        ({"fault": "rejected", "code": "not_taken"}, TryLater, False),
        ({"fault": "rejected", "code": "opted_out"}, OptedOut, False),
        ({"fault": "rejected", "code": "sender_refused"}, NeverWorks, False),
    ],
)
def test_whatever_goes_wrong_on_the_way_the_key_tells_what_became_of_it(
    sandbox: Sandbox, fault: dict[str, Any], family: type[ChannelError], arrives: bool
) -> None:
    sandbox.faults({"count": 1, "channel": "gateway", **fault})
    keys: dict[str, Any] = {"gateway_keys": SecretStr(sandbox.gateway_keys)}
    (outcome,) = send(sandbox.gateway_url, call_seconds_max=2, **keys)
    assert type(outcome) is family

    async def ask() -> Any:
        asked = GatewayList(settings_for(sandbox.gateway_url, **keys))
        try:
            return await asked.about(UUID(KEY))
        finally:
            await asked.close()

    assert (asyncio.run(ask()) is not None) is arrives
    sandbox.step("2026-03-17T02:00:00+00:00")
    assert [(one["to"], one["from"], one["body"]) for one in sandbox.received("sms")] == [(TO, "LANTERN", BODY)] * arrives


@pytest.mark.parametrize("carrier", ["sms", "in_app", "messenger"])
def test_what_is_sent_arrives_as_it_was_written(sandbox: Sandbox, carrier: str) -> None:
    to = TO if carrier == "sms" else "app-user-of-nobody"
    (receipt,) = send(
        sandbox.gateway_url,
        message(to=to, title="Reminder", callback_url=None),
        carrier=carrier,
        gateway_keys=SecretStr(sandbox.gateway_keys),
    )
    assert isinstance(receipt, Receipt)
    sandbox.step("2026-03-17T02:00:00+00:00")
    assert [(one["to"], one["title"], one["body"], one["provider_id"]) for one in sandbox.received(carrier)] == [
        (to, "Reminder", BODY, receipt.provider_id)
    ]

"""App notifications: Firebase's own SDK over a real socket; at most once, whatever FCM answers."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import traceback
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import firebase_admin
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from firebase_admin import messaging

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
    NotOnAllowlist,
    Permit,
    PermitExpired,
    Receipt,
    TryLater,
)
from channels.push import MissingServiceAccountError, Push
from config.settings import Settings
from tests.plugins.wire import Reply, Wire

TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105  # an address, not a secret
SEND = "/messages:send"
NAME = "projects/lantern/messages/0:1"
TAKEN = Reply(body={"name": NAME})
TO = "registration-token-of-nobody-0123456789"
BODY = "Your payment that was due on 1 March is open."


@pytest.fixture(scope="session")
def account_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A service account that nobody issued."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    file = tmp_path_factory.mktemp("fcm") / "account.json"
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    account = {
        "type": "service_account",
        "project_id": "lantern",
        "private_key_id": "k",
        "private_key": pem.decode(),
        "client_email": "sender@lantern.example",
        "client_id": "1",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    file.write_text(json.dumps(account))
    return file


def settings_for(wire_url: str, account_file: Path | None, **more: Any) -> Settings:
    return Settings(**{"fcm_base_url": wire_url, "fcm_token_url": f"{wire_url}/token", "fcm_service_account_file": account_file, **more})


def message(**changes: Any) -> Message:
    given = {"attempt_id": 7, "to": TO, "sender": "lantern", "title": "Lantern", "body": BODY, "token": "t0ken", "callback_url": None}
    return Message(**{"valid_seconds": 600, **given, **changes})


def permit(*, seconds: float = 5) -> Permit:
    now = datetime.now(UTC)
    return Permit(attempt_id=7, issued_at=now, call_deadline=now + timedelta(seconds=seconds), called_at=now, rules=(), packs=())


def send(settings: Settings, *messages: Message, leave: Permit | None = None) -> list[Receipt | ChannelError]:
    """Send through one channel, all at once; errors as values."""

    async def run() -> list[Any]:
        channel = Push(settings)
        outcomes = await asyncio.gather(*(channel.send(one, leave or permit()) for one in messages or (message(),)), return_exceptions=True)
        await channel.close()
        return outcomes

    return asyncio.run(run())


@pytest.fixture
def fcm(wire: Wire) -> Wire:
    """A wire that gives access tokens."""
    wire.says("/token", Reply(body={"access_token": "opaque", "expires_in": 3600, "token_type": "Bearer"}))
    wire.says(SEND, TAKEN)
    return wire


def test_in_allowlist_mode_nobody_else_is_called(fcm: Wire, account_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Settings, "reachable", frozenset({b"somebody else's"}))
    (outcome,) = send(settings_for(fcm.url, account_file))
    assert isinstance(outcome, NotOnAllowlist)
    assert fcm.asked_at(SEND) == []


def refusal(status: int, code: str, text: str = "no", fcm_code: str | None = None, headers: dict[str, str] | None = None) -> Reply:
    details = [{"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": fcm_code}] if fcm_code else []
    return Reply(
        status=status, body={"error": {"code": status, "status": code, "message": text, "details": details}}, headers=headers or {}
    )


def test_the_sdk_still_has_the_attributes_that_point_it_to_another_address(account_file: Path) -> None:
    assert version("firebase-admin").startswith("7.7.")
    app = firebase_admin.initialize_app(firebase_admin.credentials.Certificate(str(account_file)), name="contract")
    service = messaging._get_messaging_service(app)  # noqa: SLF001  # what this test pins
    assert service._fcm_url == "https://fcm.googleapis.com/v1/projects/lantern/messages:send"  # noqa: SLF001  # as above
    assert set(service._client.session.adapters) == {"https://", "http://", "https://fcm.googleapis.com"}  # noqa: SLF001  # as above
    service._client.session.close()  # noqa: SLF001  # as above
    firebase_admin.delete_app(app)


def test_a_notification_that_fcm_takes_gives_a_receipt(fcm: Wire, account_file: Path) -> None:
    leave = permit()
    assert send(settings_for(fcm.url, account_file), leave=leave) == [
        Receipt(provider="fcm", provider_id=NAME, status="accepted", segments=None)
    ]
    asked = fcm.asked_at(SEND)[0]
    assert asked.headers["authorization"] == "Bearer opaque"
    assert asked.path == "/v1/projects/lantern/messages:send"
    sent = asked.json["message"]
    assert sent["token"] == TO
    assert sent["notification"] == {"title": "Lantern", "body": BODY}
    assert sent["data"] == {"ack": "t0ken"}
    assert sent["android"] == {"ttl": "600s", "collapse_key": "reminder"}
    assert sent["webpush"] == {"headers": {"TTL": "600"}}
    assert sent["apns"]["headers"]["apns-expiration"] == str(int((leave.issued_at + timedelta(seconds=600)).timestamp()))


def test_many_notifications_fetch_one_access_token(fcm: Wire, account_file: Path) -> None:
    outcomes = send(settings_for(fcm.url, account_file, push_concurrency=8), *[message()] * 40)
    assert all(isinstance(outcome, Receipt) for outcome in outcomes)
    assert len(fcm.asked_at("/token")) == 1
    assert len(fcm.asked_at(SEND)) == 40


@pytest.mark.parametrize("seconds", [0, -1])
def test_what_cannot_end_in_its_window_is_not_begun(fcm: Wire, account_file: Path, seconds: int) -> None:
    assert isinstance(send(settings_for(fcm.url, account_file), message(valid_seconds=seconds))[0], PermitExpired)
    assert fcm.asked_at(SEND) == []


def test_a_permit_that_runs_out_while_a_token_is_fetched_makes_no_call(wire: Wire, account_file: Path) -> None:
    wire.says("/token", Reply(body={"access_token": "opaque", "expires_in": 3600}, wait_seconds=0.4))
    outcome = send(settings_for(wire.url, account_file), leave=permit(seconds=0.2))[0]
    assert isinstance(outcome, PermitExpired)
    assert outcome.attempt_id == 7
    assert wire.asked_at(SEND) == []


REFUSALS = [
    (refusal(404, "NOT_FOUND", fcm_code="UNREGISTERED"), BadAddress, 1),
    (refusal(403, "PERMISSION_DENIED", fcm_code="SENDER_ID_MISMATCH"), BadAddress, 1),
    (refusal(400, "INVALID_ARGUMENT", "The registration token is not a valid FCM registration token"), BadAddress, 1),
    (refusal(400, "INVALID_ARGUMENT", "Invalid value at message.data"), NeverWorks, 1),
    (refusal(404, "NOT_FOUND", "Requested entity was not found."), NeverWorks, 1),
    (refusal(403, "PERMISSION_DENIED"), AccountHalted, 1),
    # The SDK renews its token twice after a 401: none of the three calls was taken.
    (refusal(401, "UNAUTHENTICATED", fcm_code="THIRD_PARTY_AUTH_ERROR"), NeverWorks, 3),
    (refusal(401, "UNAUTHENTICATED"), AccountHalted, 3),
    (refusal(429, "RESOURCE_EXHAUSTED", fcm_code="QUOTA_EXCEEDED"), TryLater, 1),
    (refusal(500, "INTERNAL", fcm_code="INTERNAL"), FateUnknown, 1),
    (refusal(503, "UNAVAILABLE", fcm_code="UNAVAILABLE", headers={"Retry-After": "1"}), FateUnknown, 1),
    (Reply(status=502, body="<html>"), FateUnknown, 1),
    (Reply(drop=True), FateUnknown, 1),
    (Reply(body="<html>"), FateUnknown, 1),
    (Reply(body={}), FateUnknown, 1),
    (Reply(body={"name": NAME}, wait_seconds=1), FateUnknown, 1),
]


@pytest.mark.parametrize(("reply", "family", "calls"), REFUSALS)
def test_each_answer_says_what_is_known_of_the_message(
    fcm: Wire, account_file: Path, reply: Reply, family: type[ChannelError], calls: int
) -> None:
    fcm.says(SEND, reply)
    outcome = send(settings_for(fcm.url, account_file, call_seconds_max=0.5))[0]
    assert type(outcome) is family
    assert outcome.attempt_id == 7
    assert len(fcm.asked_at(SEND)) == calls


@pytest.mark.parametrize(("headers", "seconds"), [({"Retry-After": "7"}, 7.0), ({}, 60.0)])
def test_a_quota_says_how_long_to_wait(fcm: Wire, account_file: Path, headers: dict[str, str], seconds: float) -> None:
    fcm.says(SEND, refusal(429, "RESOURCE_EXHAUSTED", fcm_code="QUOTA_EXCEEDED", headers=headers))
    outcome = send(settings_for(fcm.url, account_file))[0]
    assert isinstance(outcome, TryLater)
    assert outcome.retry_after_seconds == seconds


@pytest.mark.parametrize(
    ("reply", "family"),
    [
        (Reply(status=400, body={"error": "invalid_grant"}), AccountHalted),
        (Reply(drop=True), TryLater),
    ],
    ids=["account refused", "dropped"],
)
def test_without_an_access_token_nothing_was_sent(fcm: Wire, account_file: Path, reply: Reply, family: type[ChannelError]) -> None:
    fcm.says("/token", reply)
    assert type(send(settings_for(fcm.url, account_file))[0]) is family
    assert fcm.asked_at(SEND) == []


def test_a_refused_connection_is_surely_unsent(fcm: Wire, account_file: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
    settings = settings_for(fcm.url, account_file, fcm_base_url=f"http://127.0.0.1:{port}")
    assert isinstance(send(settings)[0], TryLater)


def test_the_sandbox_mode_refuses_the_provider_itself(wire: Wire, account_file: Path) -> None:
    with pytest.raises(ForbiddenHost, match="loopback"):
        Push(settings_for(wire.url, account_file, fcm_base_url="https://fcm.googleapis.com"))
    with pytest.raises(ForbiddenHost, match="loopback"):
        Push(settings_for(wire.url, account_file, fcm_token_url=TOKEN_URL))


def test_a_redirect_to_a_foreign_host_is_not_followed(fcm: Wire, account_file: Path) -> None:
    fcm.says(SEND, Reply(status=307, headers={"Location": "https://elsewhere.example/v1"}))
    assert isinstance(send(settings_for(fcm.url, account_file))[0], AccountHalted)


def test_no_proxy_of_the_environment_diverts_a_message(fcm: Wire, account_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert isinstance(send(settings_for(fcm.url, account_file))[0], Receipt)


@pytest.mark.parametrize(
    ("content", "reason"), [("{", "JSONDecodeError"), ('{"project_id": "p"}', "lacks client_email, private_key"), ("[]", "lacks")]
)
def test_an_unreadable_service_account_is_named(wire: Wire, tmp_path: Path, content: str, reason: str) -> None:
    file = tmp_path / "account.json"
    file.write_text(content)
    with pytest.raises(MissingServiceAccountError, match=reason):
        Push(settings_for(wire.url, file))


def test_no_service_account_at_all_is_said(wire: Wire) -> None:
    with pytest.raises(MissingServiceAccountError, match="not set"):
        Push(settings_for(wire.url, None))


def test_neither_address_nor_text_reaches_a_log_or_an_error(fcm: Wire, account_file: Path, caplog: pytest.LogCaptureFixture) -> None:
    fcm.says(SEND, refusal(400, "INVALID_ARGUMENT", f"registration token {TO}"), TAKEN)
    with caplog.at_level(logging.DEBUG):
        refused, _ = send(settings_for(fcm.url, account_file, push_concurrency=1), message(), message())
    assert isinstance(refused, BadAddress)
    told = caplog.text + "".join(traceback.format_exception(refused)) + repr(vars(refused))
    assert refused.__cause__ is None
    assert refused.__context__ is None
    assert TO not in told
    assert BODY not in told


def test_I1_no_call_is_made_on_a_permit_of_another_attempt(fcm: Wire, account_file: Path) -> None:
    outcome = send(settings_for(fcm.url, account_file), message(attempt_id=8))[0]
    assert isinstance(outcome, ForeignPermit)
    assert fcm.asked_at(SEND) == []


def test_I1_no_call_is_made_on_a_permit_that_the_ledger_has_not_marked(fcm: Wire, account_file: Path) -> None:
    outcome = send(settings_for(fcm.url, account_file), leave=replace(permit(), called_at=None))[0]
    assert isinstance(outcome, NotMarked)
    assert fcm.asked_at(SEND) == []


def test_I1_the_sdk_itself_reaches_nobody_without_a_permit(fcm: Wire, account_file: Path) -> None:
    """As a notebook or a desk might try it, with the channel's own app."""

    async def past_the_gate() -> None:
        channel = Push(settings_for(fcm.url, account_file))
        try:
            messaging.send(messaging.Message(fid=TO, data={"a": "b"}), app=channel._app)  # noqa: SLF001  # the way past the door
        finally:
            await channel.close()

    with pytest.raises(NoPermit):
        asyncio.run(past_the_gate())
    assert fcm.asked_at(SEND) == []

"""Webhooks over HTTP: only what is signed is heard, what is heard is kept, and the answer sends nothing."""

from __future__ import annotations

import base64
import hmac
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from hashlib import sha1, sha256
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from httpx import Client, Response
from sqlalchemy import text

from config.settings import settings
from ledger import inbox
from ledger.engine import connection
from portal import webhooks
from tests.plugins.portfolio import BorrowerIds, Portfolio, made_up_number, noon
from tests.plugins.sending import Outbox
from tests.plugins.sent import Known, Sent

TOKEN = "auth-token-of-nobody"  # noqa: S105  # made up
APP_SECRET = "app-secret-of-nobody"  # noqa: S105  # made up
PUBLIC = "https://hooks.lantern.example/tideover"
NUMBER = made_up_number("US", 42)
SID = "SM" + "0" * 32
INBOUND = "/webhooks/twilio/inbound"
ACKNOWLEDGEMENT = "/webhooks/app/acknowledgement"
Send = Callable[..., Sent]
Serve = Callable[[], AbstractContextManager[str]]


@pytest.fixture
def borrower(portfolio: Portfolio, monkeypatch: pytest.MonkeyPatch) -> BorrowerIds:
    monkeypatch.setenv("TIDEOVER_TWILIO_AUTH_TOKEN", TOKEN)
    monkeypatch.setenv("TIDEOVER_APP_SECRET", APP_SECRET)
    monkeypatch.setenv("TIDEOVER_PUBLIC_URL", PUBLIC)
    settings.cache_clear()
    portfolio.clock(noon("US"))
    return portfolio.borrower(number=NUMBER)


@pytest.fixture
def client(borrower: BorrowerIds, serve_portal: Serve) -> Iterator[Client]:
    del borrower
    with serve_portal() as url, Client(base_url=url, trust_env=False) as open_client:
        yield open_client


def signed(address: str, fields: Sequence[tuple[str, str]], secret: str = TOKEN) -> str:
    """Twilio's published algorithm, written down a second time."""
    said = address + "".join(name + value for name, value in sorted(set(fields)))
    return base64.b64encode(hmac.digest(secret.encode(), said.encode(), sha1)).decode()


def post(client: Client, path: str, fields: Sequence[tuple[str, str]], *, signature: str | None = None) -> Response:
    headers = {
        "X-Twilio-Signature": signed(PUBLIC + path, fields) if signature is None else signature,
        "Content-Type": "application/x-www-form-urlencoded",
    }
    return client.post(path, content=urlencode(fields), headers=headers)


def status_form(word: str, *more: tuple[str, str]) -> list[tuple[str, str]]:
    return [
        ("MessageSid", SID),
        ("SmsSid", SID),
        ("AccountSid", "AC1"),
        ("To", NUMBER),
        ("MessageStatus", word),
        ("ErrorMessage", ""),
        *more,
    ]


def message_form(body: str, sid: str = SID) -> list[tuple[str, str]]:
    return [("MessageSid", sid), ("From", NUMBER), ("To", "+15005550006"), ("Body", body), ("NumMedia", "0"), ("FromCity", "")]


def acknowledge(client: Client, content: Any, *, secret: str = APP_SECRET) -> Response:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    signature = hmac.digest(secret.encode(), body, sha256).hex()
    return client.post(ACKNOWLEDGEMENT, content=body, headers={"X-Tideover-App-Signature": signature})


def kept() -> int:
    with connection() as tx:
        return int(tx.execute(text("SELECT count(*) FROM provider_event")).scalar_one())


def test_a_signed_status_moves_the_attempt(client: Client, borrower: BorrowerIds, send: Send, outbox: Outbox) -> None:
    sent = send(borrower)
    answer = post(client, f"/webhooks/twilio/status/{sent.token}", status_form("delivered", ("RawDlrDoneDate", "2603171200")))
    assert (answer.status_code, answer.content) == (204, b"")
    assert outbox.attempt(sent.attempt_id)["state"] == "delivered"


def test_a_failed_status_carries_its_code(client: Client, borrower: BorrowerIds, send: Send, known: Known) -> None:
    sent = send(borrower)
    post(client, f"/webhooks/twilio/status/{sent.token}", status_form("undelivered", ("ErrorCode", "30005")))
    assert known.status(borrower.sms_id) == "unreachable"


def test_a_status_for_an_unknown_token_is_kept_and_answered_like_any_other(client: Client) -> None:
    assert post(client, f"/webhooks/twilio/status/{uuid4()}", status_form("delivered")).status_code == 204
    assert kept() == 1


def test_a_stop_opts_out_and_is_answered_with_silence(client: Client, borrower: BorrowerIds, known: Known) -> None:
    answer = post(client, INBOUND, message_form("請停止發送"))
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/xml")
    assert answer.text.endswith("<Response/>")
    assert known.opt_outs(borrower) == [("sms", True)]


def test_a_message_said_twice_has_one_effect(client: Client, borrower: BorrowerIds, known: Known) -> None:
    for _ in range(2):
        assert post(client, INBOUND, message_form("paid")).status_code == 200
    assert known.outcomes(borrower) == [("paid", False)]
    assert kept() == 1


@pytest.mark.parametrize("fields", [message_form(""), message_form("+ &=% ü 已繳 \r\n")], ids=["blank values", "every kind of character"])
def test_every_kind_of_value_keeps_its_signature(client: Client, fields: list[tuple[str, str]]) -> None:
    assert post(client, INBOUND, fields).status_code == 200


def test_a_query_belongs_to_what_is_signed(client: Client) -> None:
    fields = message_form("hi")
    assert post(client, f"{INBOUND}?foo=1&bar=%20", fields).status_code == 200
    unsigned = post(client, f"{INBOUND}?foo=2", message_form("hi", "SM2"), signature=signed(PUBLIC + INBOUND, message_form("hi", "SM2")))
    assert unsigned.status_code == 403


@pytest.mark.parametrize("signature", ["", "nonsense", signed(PUBLIC + INBOUND, message_form("STOP"), secret="another")])  # noqa: S106  # made up
def test_what_twilio_did_not_sign_is_refused_and_leaves_nothing(
    client: Client, borrower: BorrowerIds, known: Known, signature: str
) -> None:
    assert post(client, INBOUND, message_form("STOP"), signature=signature).status_code == 403
    assert kept() == 0
    assert known.opt_outs(borrower) == []


def test_the_inner_address_behind_a_proxy_is_not_what_is_signed(client: Client) -> None:
    signature = signed(f"{str(client.base_url).rstrip('/')}{INBOUND}", message_form("STOP"))
    assert post(client, INBOUND, message_form("STOP"), signature=signature).status_code == 403


def test_without_a_configured_secret_everything_is_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEOVER_TWILIO_AUTH_TOKEN", "")
    monkeypatch.setenv("TIDEOVER_APP_SECRET", "")
    settings.cache_clear()
    assert (
        post(client, INBOUND, message_form("STOP"), signature=signed(PUBLIC + INBOUND, message_form("STOP"), secret="")).status_code == 403
    )
    assert acknowledge(client, {"data": {"ack": str(uuid4())}, "event": "opened"}, secret="").status_code == 403
    assert kept() == 0


@pytest.mark.parametrize("missing", ["MessageSid", "From"])
def test_a_signed_message_without_its_id_or_sender_is_no_message(client: Client, missing: str) -> None:
    fields = [(name, value) for name, value in message_form("STOP") if name != missing]
    assert post(client, INBOUND, fields).status_code == 400
    assert kept() == 0


def test_what_is_no_form_is_refused(client: Client) -> None:
    assert client.post(INBOUND, content=b"\xff\xfe").status_code == 400
    assert client.post(INBOUND, content=b"a=1&" * 300).status_code == 400
    assert client.post(INBOUND, content=b"").status_code == 403


def test_a_body_beyond_all_measure_is_not_read(client: Client) -> None:
    assert post(client, INBOUND, message_form("x" * 70_000)).status_code == 413
    assert kept() == 0


def test_the_app_says_that_a_notification_arrived_and_was_opened(client: Client, borrower: BorrowerIds, send: Send, outbox: Outbox) -> None:
    sent = send(borrower, channel="push")
    for event, state in (("received", "delivered"), ("opened", "read"), ("received", "read")):
        answer = acknowledge(client, {"data": {"ack": str(sent.token), "more": "1"}, "event": event, "at": "2026-03-17T16:00:00Z"})
        assert answer.status_code == 204
        assert outbox.attempt(sent.attempt_id)["state"] == state


def test_what_the_app_did_not_sign_is_refused(client: Client) -> None:
    assert acknowledge(client, {"data": {"ack": str(uuid4())}, "event": "opened"}, secret="another").status_code == 403  # noqa: S106  # made up
    assert client.post(ACKNOWLEDGEMENT, content=b"{}").status_code == 403
    assert kept() == 0


@pytest.mark.parametrize(
    "content",
    [b"{", [], {}, {"event": "opened"}, {"data": [], "event": "opened"}, {"data": {"ack": "x"}, "event": "opened"}, {"data": {"ack": str(uuid4())}, "event": "eaten"}],
)  # fmt: skip
def test_a_signed_acknowledgement_that_says_nothing_is_refused(client: Client, content: Any) -> None:
    assert acknowledge(client, content).status_code == 400
    assert kept() == 0


def test_one_that_the_ledger_refuses_takes_no_other_along(client: Client, borrower: BorrowerIds, known: Known) -> None:
    """Said at once, so that they may be kept together: an id with a NUL, which PostgreSQL does not take."""
    with ThreadPoolExecutor(8) as pool:
        sids = [f"SM{number:032x}" if number % 4 else f"SM\0{number}" for number in range(16)]
        answers = list(pool.map(lambda sid: post(client, INBOUND, message_form("ok", sid)).status_code, sids))
    assert answers == [200 if number % 4 else 503 for number in range(16)]
    assert len(known.outcomes(borrower)) == kept() == 12


def test_health_says_the_mode_and_how_much_waits(client: Client) -> None:
    told = client.get("/health").json()
    assert {name: told[name] for name in ("status", "mode", "inbox_waiting")} == {"status": "ok", "mode": "sandbox", "inbox_waiting": 0}


HOSTILE = {
    "not signed by Twilio": (403, INBOUND, b"From=%2B1&Body=STOP", {"X-Twilio-Signature": "nonsense"}),
    "no form": (400, INBOUND, b"\xff\xfe=&&&", {}),
    "too large": (413, INBOUND, b"a=" + b"x" * 70_000, {}),
    "not signed by the app": (403, ACKNOWLEDGEMENT, b"{}", {"X-Tideover-App-Signature": "nonsense"}),
    "no JSON object": (400, ACKNOWLEDGEMENT, b"[" * 60_000, None),
}


@pytest.mark.parametrize("reason", sorted(HOSTILE))
def test_what_is_refused_is_counted_and_said_in_one_line_and_changes_nothing(
    client: Client, caplog: pytest.LogCaptureFixture, reason: str
) -> None:
    code, path, body, headers = HOSTILE[reason]
    signed_by_the_app = {"X-Tideover-App-Signature": hmac.digest(APP_SECRET.encode(), body, sha256).hex()}
    webhooks.refused.clear()
    with caplog.at_level(logging.DEBUG, "portal"):
        answers = [client.post(path, content=body, headers=signed_by_the_app if headers is None else headers) for _ in range(3)]
    assert [(answer.status_code, answer.content) for answer in answers] == [(code, b"")] * 3
    assert client.get("/health").json()["refused"] == {reason: 3}
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("portal")]
    assert len(lines) <= 3
    assert "Traceback" not in caplog.text
    assert kept() == 0


@pytest.mark.parametrize("token", ["x", "..%2f..", "%00", "0" * 32 + "'--", ""])
def test_an_address_that_names_no_token_is_none_of_ours(client: Client, token: str) -> None:
    path = f"/webhooks/twilio/status/{token}"
    answer = post(client, path, status_form("delivered"))
    assert answer.status_code == 404
    assert token not in answer.text or not token
    assert kept() == 0


def test_only_a_post_is_heard(client: Client) -> None:
    assert client.get(INBOUND).status_code == client.put(INBOUND, content=b"a=1").status_code == 405


def test_what_a_crash_left_waiting_is_applied_when_the_portal_starts(borrower: BorrowerIds, known: Known, serve_portal: Serve) -> None:
    said = inbox.Said(
        provider="twilio",
        provider_id=SID,
        kind="inbound",
        status="received",
        token=None,
        error_code=None,
        fields={"From": NUMBER, "Body": "STOP"},
    )
    with connection() as tx:
        inbox.keep(tx, [said])
    with serve_portal() as url, Client(base_url=url, trust_env=False) as client:
        for _ in range(100):
            if client.get("/health").json()["inbox_waiting"] == 0:
                break
    assert known.opt_outs(borrower) == [("all", True)]

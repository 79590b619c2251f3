"""A lender's gateway tells of statuses and replies: only what it signed lately is heard, and it does what any provider's word does."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any
from uuid import uuid4

import pytest
from httpx import Client, Response
from sqlalchemy import text

from config.settings import HOUSE, settings
from ledger.engine import connection
from sandbox.signature import gateway_signature
from tests.plugins.portfolio import BorrowerIds, Portfolio, made_up_number, noon
from tests.plugins.sending import Outbox
from tests.plugins.sent import Known, Sent

SECRET = "lantern-example-secret-of-nobody-1"  # noqa: S105  # made up
OLD_SECRET = "lantern-example-secret-of-nobody-0"  # noqa: S105  # made up
PUBLIC = "https://hooks.lantern.example/tideover"
NUMBER = made_up_number("US", 42)
APP_USER = "app-user-of-nobody-0123456789"
INBOUND = "/webhooks/gateway/inbound"
AT = "2026-03-17T16:00:00+00:00"
Send = Callable[..., Sent]
Serve = Callable[[], AbstractContextManager[str]]


@pytest.fixture
def borrower(portfolio: Portfolio, monkeypatch: pytest.MonkeyPatch) -> BorrowerIds:
    monkeypatch.setenv("TIDEOVER_GATEWAY_KEYS", f"2026-03:{SECRET},2025-11:{OLD_SECRET}")
    monkeypatch.setenv("TIDEOVER_PUBLIC_URL", PUBLIC)
    settings.cache_clear()
    portfolio.clock(noon("US"))
    return portfolio.borrower(number=NUMBER)


@pytest.fixture
def client(borrower: BorrowerIds, serve_portal: Serve) -> Iterator[Client]:
    del borrower
    with serve_portal() as url, Client(base_url=url, trust_env=False) as open_client:
        yield open_client


def tell(client: Client, path: str, event: Any, *, key: tuple[str, str] = ("2026-03", SECRET), late: int = 0) -> Response:
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    # Signed is the public address, whatever the proxy made of it.
    target = "/tideover" + path
    header = gateway_signature(key[1], key[0], int(time.time()) - late, method="POST", target=target, body=body)
    return client.post(path, content=body, headers={"Tideover-Signature": header, "Content-Type": "application/json"})


def status(token: object, word: str, error: str | None = None) -> dict[str, Any]:
    return {"type": "status", "key": str(token), "id": "GW1", "status": word, "error": error, "at": AT}


def reply(words: str, **changes: Any) -> dict[str, Any]:
    said = {"carrier": "sms", "from": NUMBER, "to": "LANTERN", "text": words, "intent": None, "at": AT}
    return {"type": "inbound", "id": f"IN-{uuid4()}", **said, **changes}


def kept() -> int:
    with connection() as tx:
        return int(tx.execute(text("SELECT count(*) FROM provider_event")).scalar_one())


@pytest.mark.parametrize("key", [("2026-03", SECRET), ("2025-11", OLD_SECRET)])
def test_a_signed_status_moves_the_attempt(client: Client, borrower: BorrowerIds, send: Send, outbox: Outbox, key: tuple[str, str]) -> None:
    sent = send(borrower, provider_id="GW1")
    answer = tell(client, f"/webhooks/gateway/status/{sent.token}", status(sent.token, "read"), key=key)
    assert (answer.status_code, answer.content) == (204, b"")
    assert outbox.attempt(sent.attempt_id)["state"] == "read"


def test_an_end_teaches_what_its_word_says(client: Client, borrower: BorrowerIds, send: Send, known: Known, outbox: Outbox) -> None:
    sent = send(borrower, provider_id="GW1")
    tell(client, f"/webhooks/gateway/status/{sent.token}", status(sent.token, "undelivered", "unreachable"))
    assert known.status(borrower.sms_id) == "unreachable"
    assert outbox.attempt(sent.attempt_id)["error_code"] == "unreachable"


def test_a_word_of_a_later_version_is_kept_and_moves_nothing(client: Client, borrower: BorrowerIds, send: Send, outbox: Outbox) -> None:
    sent = send(borrower, provider_id="GW1")
    before = outbox.attempt(sent.attempt_id)["state"]
    assert tell(client, f"/webhooks/gateway/status/{sent.token}", {**status(sent.token, "pondered"), "mood": "good"}).status_code == 204
    assert outbox.attempt(sent.attempt_id)["state"] == before
    assert kept() == 1


@pytest.mark.parametrize(
    ("key", "late", "code"),
    [
        (("2026-03", "x" * 40), 0, 401),
        (("nobody", SECRET), 0, 401),
        (("2026-03", SECRET), 130, 401),
        (("2026-03", SECRET), -130, 401),
    ],
)
def test_what_is_forged_or_replayed_leaves_nothing_behind(
    client: Client, borrower: BorrowerIds, send: Send, outbox: Outbox, key: tuple[str, str], late: int, code: int
) -> None:
    sent = send(borrower, provider_id="GW1")
    before = outbox.attempt(sent.attempt_id)["state"]
    assert tell(client, f"/webhooks/gateway/status/{sent.token}", status(sent.token, "read"), key=key, late=late).status_code == code
    assert tell(client, INBOUND, reply("STOP"), key=key, late=late).status_code == code
    assert outbox.attempt(sent.attempt_id)["state"] == before
    assert kept() == 0


def test_a_signature_for_one_message_says_nothing_of_another(client: Client, borrower: BorrowerIds, send: Send) -> None:
    sent = send(borrower, provider_id="GW1")
    assert tell(client, f"/webhooks/gateway/status/{sent.token}", status(uuid4(), "read")).status_code == 400
    assert kept() == 0


@pytest.mark.parametrize(
    "event",
    [b"{", b"[]", {}, {"type": "status"}, reply("STOP", type="status"), reply("STOP", carrier="telegraph"), reply("STOP", **{"from": ""})],
)
def test_what_says_nothing_is_refused(client: Client, event: Any) -> None:
    assert tell(client, INBOUND, event).status_code == 400
    assert kept() == 0


def test_without_keys_nothing_is_believed(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEOVER_GATEWAY_KEYS", "")
    settings.cache_clear()
    assert tell(client, INBOUND, reply("STOP")).status_code == 401


@pytest.mark.parametrize(("words", "intent"), [("STOP", None), ("TD", "stop")])
def test_a_stop_is_a_stop_whether_we_or_the_gateway_understood_it(
    client: Client, borrower: BorrowerIds, known: Known, words: str, intent: str | None
) -> None:
    assert tell(client, INBOUND, reply(words, intent=intent)).status_code == 204
    assert known.opt_outs(borrower)


def test_a_reply_that_comes_twice_is_one(client: Client) -> None:
    said = reply("I will pay on Friday")
    assert [tell(client, INBOUND, said).status_code for _ in range(3)] == [204] * 3
    assert kept() == 1


def test_a_reply_in_the_app_is_of_whose_app_it_is(client: Client, portfolio: Portfolio, outbox: Outbox) -> None:
    person = portfolio.borrower(push_token=APP_USER)
    tell(client, INBOUND, reply("please stop", carrier="in_app", **{"from": APP_USER}))
    said = outbox.rows("SELECT party_id, channel, direction FROM contact_event")
    assert [tuple(row) for row in said] == [(person.party_id, "in_app", "inbound")]


def test_the_pages_examples_are_heard(client: Client, borrower: BorrowerIds, send: Send, outbox: Outbox) -> None:
    page = (HOUSE / "docs" / "gateway.md").read_text("utf-8")
    events = [json.loads(block) for block in re.findall(r"```json\n(\{\"type\".*?)\n```", page, re.DOTALL)]
    assert [event["type"] for event in events] == ["status", "inbound"]
    sent = send(borrower, provider_id="GW1")
    assert tell(client, f"/webhooks/gateway/status/{sent.token}", {**events[0], "key": str(sent.token)}).status_code == 204
    assert tell(client, INBOUND, events[1]).status_code == 204
    assert outbox.attempt(sent.attempt_id)["state"] == "undelivered"

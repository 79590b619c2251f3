"""What WhatsApp, Messenger and RCS tell the portal: reading, buttons, pictures, and whatever nobody has seen before."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from hashlib import sha1
from urllib.parse import urlencode

import pytest
from httpx import Client
from sqlalchemy import text

from config.settings import settings
from ledger.engine import connection
from tests.plugins.portfolio import BorrowerIds, Portfolio, made_up_number, noon
from tests.plugins.sending import Outbox
from tests.plugins.sent import Known, Sent

TOKEN = "auth-token-of-nobody"  # noqa: S105  # made up
PUBLIC = "https://hooks.lantern.example/tideover"
NUMBER = made_up_number("US", 42)
PERSON = "5400000000000042"
SID = "SM" + "0" * 32
INBOUND = "/webhooks/twilio/inbound"
Send = Callable[..., Sent]
Serve = Callable[[], AbstractContextManager[str]]


@pytest.fixture
def borrower(portfolio: Portfolio, monkeypatch: pytest.MonkeyPatch) -> BorrowerIds:
    monkeypatch.setenv("TIDEOVER_TWILIO_AUTH_TOKEN", TOKEN)
    monkeypatch.setenv("TIDEOVER_PUBLIC_URL", PUBLIC)
    settings.cache_clear()
    portfolio.clock(noon("US"))
    return portfolio.borrower(number=NUMBER)


@pytest.fixture
def client(borrower: BorrowerIds, serve_portal: Serve) -> Iterator[Client]:
    del borrower
    with serve_portal() as url, Client(base_url=url, trust_env=False, timeout=60) as open_client:
        yield open_client


def post(client: Client, path: str, fields: Sequence[tuple[str, str]]) -> int:
    said = PUBLIC + path + "".join(name + value for name, value in sorted(set(fields)))
    signature = base64.b64encode(hmac.digest(TOKEN.encode(), said.encode(), sha1)).decode()
    headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
    return client.post(path, content=urlencode(fields), headers=headers).status_code


def message(
    body: str, *more: tuple[str, str], sender: str = f"whatsapp:{NUMBER}", to: str = "whatsapp:+15005550006"
) -> list[tuple[str, str]]:
    return [("MessageSid", SID), ("From", sender), ("To", to), ("Body", body), ("ProfileName", "Nobody"), ("NumMedia", "0"), *more]


def effects() -> list[str | None]:
    with connection() as tx:
        return list(tx.execute(text("SELECT effect FROM provider_event ORDER BY id")).scalars())


def test_a_message_that_was_read_is_known_as_read(client: Client, borrower: BorrowerIds, send: Send, outbox: Outbox) -> None:
    sent = send(borrower)
    extras = [("ChannelPrefix", "whatsapp"), ("EventType", "READ"), ("SomethingNew", "{}")]
    for word in ("sent", "read", "delivered"):
        path = f"/webhooks/twilio/status/{sent.token}"
        assert post(client, path, [("MessageSid", sent.provider_id), ("MessageStatus", word), *extras]) == 204
    assert outbox.attempt(sent.attempt_id)["state"] == "read"
    assert ("read", False, False) in outbox.events(sent.attempt_id)


@pytest.mark.parametrize(
    ("payload", "intent", "needs_person"),
    [("paid", "paid", False), ("more_time", "cannot_pay", True), ("call_me", "call_me", True), ("dispute", "dispute", True)],
)
def test_a_tapped_button_is_an_answer_in_whatever_words_it_is_written(
    client: Client, borrower: BorrowerIds, known: Known, payload: str, intent: str, needs_person: bool
) -> None:
    assert post(client, INBOUND, message("✔︎ ปุ่ม", ("ButtonText", "✔︎ ปุ่ม"), ("ButtonPayload", payload))) == 200
    assert known.outcomes(borrower) == [(intent, needs_person)]


def test_a_stop_by_button_stops_every_channel(client: Client, borrower: BorrowerIds, known: Known) -> None:
    post(client, INBOUND, message("Parar", ("ButtonText", "Parar"), ("ButtonPayload", "stop")))
    assert known.opt_outs(borrower) == [("all", True)]


def test_a_button_of_nobodys_is_read_by_its_words(client: Client, borrower: BorrowerIds, known: Known) -> None:
    post(client, INBOUND, message("", ("ButtonText", "I already paid"), ("ButtonPayload", "flow_7")))
    assert known.outcomes(borrower) == [("paid", False)]


STRANGE: dict[str, list[tuple[str, str]]] = {
    "a picture": message("", ("NumMedia", "1"), ("MediaUrl0", "https://api.twilio.com/x"), ("MediaContentType0", "image/jpeg")),
    "a voice note": message("", ("NumMedia", "1"), ("MediaUrl0", "https://api.twilio.com/x"), ("MediaContentType0", "audio/ogg")),
    "a place": message("", ("Latitude", "0.0"), ("Longitude", "0.0")),
    "a list": message("", ("ListId", "1"), ("ListTitle", "One")),
    "metadata": message("ok", ("ChannelMetadata", '{"type":"whatsapp","data":{"context":{}}}'), ("ReferralBody", "x")),
    "no words at all": [("MessageSid", SID), ("From", f"whatsapp:{NUMBER}"), ("To", "whatsapp:+15005550006")],
}


@pytest.mark.parametrize("kind", sorted(STRANGE))
def test_whatever_else_a_person_sends_is_kept_and_waits_for_a_person(
    client: Client, borrower: BorrowerIds, known: Known, kind: str
) -> None:
    assert post(client, INBOUND, STRANGE[kind]) == 200
    assert known.outcomes(borrower) == [("unclear", True)]
    assert known.inbound(borrower) == [("whatsapp", "received", False)]
    with connection() as tx:
        assert tx.execute(text("SELECT count(*) FROM provider_event_payload")).scalar_one() == 1


@pytest.mark.parametrize("sender", ["instagram:lantern", "whatsapp:120363000000000000@g.us", "messenger:", "telegram:1", "whatsapp:"])
def test_who_is_nobody_of_ours_is_kept_and_counted(client: Client, borrower: BorrowerIds, known: Known, sender: str) -> None:
    assert post(client, INBOUND, message("STOP", sender=sender)) == 200
    assert effects() == ["no_party"]
    assert known.opt_outs(borrower) == []


def test_who_writes_on_messenger_is_known_by_the_pages_id(
    client: Client, borrower: BorrowerIds, known: Known, portfolio: Portfolio
) -> None:
    portfolio.contact_point(borrower.party_id, "messenger", PERSON)
    assert post(client, INBOUND, message("I already paid", sender=f"messenger:{PERSON}", to="messenger:100200300400500")) == 200
    assert known.outcomes(borrower) == [("paid", False)]
    assert known.inbound(borrower) == [("messenger", "received", False)]


def test_a_status_of_a_new_kind_says_nothing_and_moves_nothing(client: Client, borrower: BorrowerIds, send: Send, outbox: Outbox) -> None:
    sent = send(borrower)
    path = f"/webhooks/twilio/status/{sent.token}"
    assert post(client, path, [("MessageSid", sent.provider_id), ("MessageStatus", "partially_delivered")]) == 204
    assert effects() == ["says_nothing"]
    assert outbox.attempt(sent.attempt_id)["state"] == "accepted"

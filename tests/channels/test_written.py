"""WhatsApp, Messenger, RCS: how each is written on Twilio's wire, whom it may reach, and what its errors mean."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from channels import (
    BadAddress,
    ChannelError,
    FateUnknown,
    Message,
    NeverWorks,
    OptedOut,
    Permit,
    PermitExpired,
    Receipt,
    TryLater,
    Unreachable,
    WindowClosed,
)
from channels.codes import Meaning, intent_of_button, meaning_of_callback
from channels.messenger import Messenger
from channels.rcs import Rcs
from channels.twilio_messages import TwilioMessages
from channels.whatsapp import WhatsApp
from config.settings import Settings
from tests.plugins.wire import Reply, Wire

SID = "SM" + "0a" * 16
TAKEN = Reply(status=201, body={"sid": SID, "status": "queued", "num_segments": "1"})
MESSAGES = "/Messages.json"
NUMBER = "+12125550142"
PERSON = "5400000000000142"
TEMPLATE = "HX" + "0b" * 16
BODY = "Your payment that was due on 1 March is open."
OURS = {"whatsapp": "+15005550006", "messenger": "100200300400500", "rcs": "lantern_agent"}
KINDS: list[tuple[type[WhatsApp | Messenger | Rcs], str]] = [(WhatsApp, NUMBER), (Messenger, PERSON), (Rcs, NUMBER)]


def message(channel: str, to: str, **changes: Any) -> Message:
    given = {
        "to": to,
        "attempt_id": 7,
        "sender": OURS[channel],
        "title": "",
        "body": BODY,
        "token": "t0ken",
        "callback_url": "http://127.0.0.1:1/cb",
        "valid_seconds": 600,
    }
    return Message(**{**given, **changes})


def send(url: str, kind: type[WhatsApp | Messenger | Rcs], what: Message, *, seconds: float = 5) -> Receipt | ChannelError:
    async def run() -> Receipt | ChannelError:
        settings = Settings(
            twilio_base_url=url, twilio_account_sid="AC" + "1" * 32, twilio_auth_token=SecretStr("token"), call_seconds_max=2
        )
        channel: TwilioMessages = kind(settings)
        now = datetime.now(UTC)
        permit = Permit(attempt_id=7, issued_at=now, call_deadline=now + timedelta(seconds=seconds), called_at=now, rules=(), packs=())
        try:
            return await channel.send(what, permit)
        except ChannelError as error:
            return error
        finally:
            await channel.close()

    return asyncio.run(run())


@pytest.mark.parametrize(("kind", "to"), KINDS)
def test_free_words_go_to_the_channels_own_address_of_one_person(wire: Wire, kind: type[WhatsApp | Messenger | Rcs], to: str) -> None:
    wire.says(MESSAGES, TAKEN)
    name = kind.name
    assert send(wire.url, kind, message(name, to)) == Receipt(provider="twilio", provider_id=SID, status="queued", segments=1)
    assert wire.asked_at(MESSAGES)[0].form == {
        "To": f"{name}:{to}",
        "From": f"{name}:{OURS[name]}",
        "Body": BODY,
        "StatusCallback": "http://127.0.0.1:1/cb",
        "ValidityPeriod": "600",
    }


@pytest.mark.parametrize("kind", [WhatsApp, Rcs])
def test_a_template_stands_in_place_of_the_words_with_its_variables_numbered(wire: Wire, kind: type[WhatsApp | Rcs]) -> None:
    wire.says(MESSAGES, TAKEN)
    variables = (("creditor", "Lantern\n  Wallet"), ("amount", "NT$1,050.00"))
    send(wire.url, kind, message(kind.name, NUMBER, template=TEMPLATE, variables=variables))
    form = wire.asked_at(MESSAGES)[0].form
    assert "Body" not in form
    assert form["ContentSid"] == TEMPLATE
    assert json.loads(form["ContentVariables"]) == {"1": "Lantern Wallet", "2": "NT$1,050.00"}


def test_a_template_without_gaps_has_no_variables(wire: Wire) -> None:
    wire.says(MESSAGES, TAKEN)
    send(wire.url, WhatsApp, message("whatsapp", NUMBER, template=TEMPLATE))
    assert "ContentVariables" not in wire.asked_at(MESSAGES)[0].form


def test_what_is_registered_elsewhere_is_no_template_of_twilios(wire: Wire) -> None:
    outcome = send(wire.url, WhatsApp, message("whatsapp", NUMBER, template="1107160000000012345"))
    assert (type(outcome), getattr(outcome, "code", "")) == (NeverWorks, "no_content_sid")
    assert wire.asked == []


@pytest.mark.parametrize(
    ("kind", "to"),
    [
        (WhatsApp, "120363000000000000@g.us"),
        (WhatsApp, "12125550142"),
        (WhatsApp, "whatsapp:+12125550142"),
        (WhatsApp, ""),
        (Messenger, "lanternwallet"),
        (Messenger, "t_1234567890"),
        (Messenger, NUMBER),
        (Rcs, "lantern_agent"),
        (Rcs, "rcs:+12125550142"),
    ],
)
def test_a_group_a_page_or_a_thread_is_nobody_and_is_not_written_to(wire: Wire, kind: type[WhatsApp | Messenger | Rcs], to: str) -> None:
    outcome = send(wire.url, kind, message(kind.name, to))
    assert isinstance(outcome, BadAddress)
    assert outcome.code == "not_one_person"
    assert outcome.attempt_id == 7
    assert wire.asked == []


def test_a_messaging_service_may_send_on_whatsapp(wire: Wire) -> None:
    wire.says(MESSAGES, TAKEN)
    send(wire.url, WhatsApp, message("whatsapp", NUMBER, sender="MG" + "c" * 32))
    form = wire.asked_at(MESSAGES)[0].form
    assert form["MessagingServiceSid"] == "MG" + "c" * 32
    assert form["To"] == f"whatsapp:{NUMBER}"
    assert "From" not in form


def test_rcs_is_never_turned_into_a_text_message(wire: Wire) -> None:
    """A messaging service would do it by itself, and a text message is another channel under other rules."""
    outcome = send(wire.url, Rcs, message("rcs", NUMBER, sender="MG" + "c" * 32))
    assert (type(outcome), getattr(outcome, "code", "")) == (NeverWorks, "service_may_use_another_channel")
    assert wire.asked == []
    wire.says(MESSAGES, TAKEN)
    send(wire.url, Rcs, message("rcs", NUMBER))
    form = wire.asked_at(MESSAGES)[0].form
    assert form["To"] == f"rcs:{NUMBER}"
    assert {"FallbackFrom", "MessagingServiceSid"} & set(form) == set()


@pytest.mark.parametrize(("kind", "to"), KINDS)
def test_no_call_is_made_on_a_late_permit_or_past_the_allowlist(wire: Wire, kind: type[WhatsApp | Messenger | Rcs], to: str) -> None:
    assert isinstance(send(wire.url, kind, message(kind.name, to), seconds=0), PermitExpired)
    assert isinstance(send(wire.url, kind, message(kind.name, to, valid_seconds=0)), PermitExpired)
    assert wire.asked == []


@pytest.mark.parametrize(("kind", "to"), KINDS)
def test_a_broken_connection_leaves_the_fate_unknown(wire: Wire, kind: type[WhatsApp | Messenger | Rcs], to: str) -> None:
    wire.says(MESSAGES, Reply(drop=True))
    assert isinstance(send(wire.url, kind, message(kind.name, to)), FateUnknown)
    assert len(wire.asked) == 1


@pytest.mark.parametrize(
    ("code", "family"),
    [
        (63016, WindowClosed),
        (63003, Unreachable),
        (63024, Unreachable),
        (63032, Unreachable),
        (63036, Unreachable),
        (63014, OptedOut),
        (63033, OptedOut),
        (63009, TryLater),
        (63010, TryLater),
        (63012, TryLater),
        (63018, TryLater),
        (63038, TryLater),
        (63049, TryLater),
        (63001, NeverWorks),
        (63002, NeverWorks),
        (63005, NeverWorks),
        (63007, NeverWorks),
        (63015, NeverWorks),
        (63021, NeverWorks),
        (63035, NeverWorks),
        (21655, NeverWorks),
        (21910, NeverWorks),
    ],
)
def test_each_refusal_of_a_channel_says_what_is_known_of_the_message(wire: Wire, code: int, family: type[ChannelError]) -> None:
    wire.says(MESSAGES, Reply(status=400, body={"code": code, "message": f"no: whatsapp:{NUMBER}", "status": 400}))
    outcome = send(wire.url, WhatsApp, message("whatsapp", NUMBER))
    assert type(outcome) is family
    assert outcome.code == str(code)
    assert NUMBER not in repr(vars(outcome))


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        ("63016", Meaning.NOTHING),
        ("63049", Meaning.NOTHING),
        ("63024", Meaning.UNREACHABLE),
        ("63036", Meaning.UNREACHABLE),
        ("63014", Meaning.OPTED_OUT),
        ("63012", Meaning.AGAIN_SOON),
        ("63015", Meaning.CAMPAIGN),
        ("63041", Meaning.CAMPAIGN),
        ("63039", Meaning.ACCOUNT),
    ],
)
def test_a_callbacks_code_teaches_the_same(code: str, meaning: Meaning) -> None:
    assert meaning_of_callback(code) is meaning


@pytest.mark.parametrize(
    ("payload", "intent"),
    [
        ("paid", "paid"),
        ("MORE_TIME ", "cannot_pay"),
        ("stop", "stop"),
        ("not_me", "wrong_person"),
        ("call_me", "call_me"),
        ("person", "help"),
    ],
)
def test_a_button_of_ours_stands_for_what_it_says(payload: str, intent: str) -> None:
    assert intent_of_button(payload) == intent


@pytest.mark.parametrize("payload", [None, "", "unknown", "paid;stop"])
def test_a_button_of_nobodys_stands_for_nothing(payload: str | None) -> None:
    assert intent_of_button(payload) is None

"""Both channels against the sandbox: what is sent arrives, what the sandbox refuses has a name."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from channels import AccountHalted, BadAddress, Channel, ChannelError, FateUnknown, Message, NeverWorks, OptedOut, Permit, Receipt, TryLater
from channels.codes import TWILIO_RETRY_SECONDS
from channels.push import Push
from channels.sms import Sms
from config.settings import Settings
from tests.plugins.portfolio import made_up_number
from tests.plugins.sandbox_process import Sandbox

NUMBER = made_up_number("TW", 7)
PUSH_TOKEN = "push-token-of-nobody-0123456789"  # noqa: S105  # made up
RESIDENT = {"phone": NUMBER, "push_token": PUSH_TOKEN, "locale": "zh-Hant", "zone": "Asia/Taipei", "loans": []}


@pytest.fixture
def settings(sandbox: Sandbox) -> Settings:
    sandbox.settle([RESIDENT])
    return Settings(
        twilio_base_url=sandbox.url,
        twilio_account_sid=sandbox.account_sid,
        twilio_auth_token=SecretStr(sandbox.auth_token),
        fcm_base_url=sandbox.url,
        fcm_token_url=f"{sandbox.url}/token",
        fcm_service_account_file=Path(sandbox.service_account_file),
        call_seconds_max=2,
    )


def message(to: str, **changes: Any) -> Message:
    given = {
        "attempt_id": 1,
        "to": to,
        "sender": "+15005550006",
        "title": "提醒",
        "body": "您 3 月 1 日的款項尚未繳納。",
        "token": "t0ken",
        "callback_url": None,
    }
    return Message(**{"valid_seconds": 600, **given, **changes})


def send(channel_type: type[Sms | Push], settings: Settings, *messages: Message) -> list[Receipt | ChannelError]:
    async def one(channel: Channel, what: Message) -> Receipt | ChannelError:
        now = datetime.now(UTC)
        try:
            return await channel.send(
                what, Permit(attempt_id=1, issued_at=now, call_deadline=now + timedelta(seconds=5), called_at=now, rules=(), packs=())
            )
        except ChannelError as error:
            return error

    async def run() -> list[Receipt | ChannelError]:
        channel: Channel = channel_type(settings)
        outcomes = [await one(channel, what) for what in messages]
        await channel.close()
        return outcomes

    return asyncio.run(run())


def test_a_text_message_arrives_as_it_was_written(sandbox: Sandbox, settings: Settings) -> None:
    (receipt,) = send(Sms, settings, message(NUMBER))
    assert isinstance(receipt, Receipt)
    sandbox.step("2026-03-17T02:00:00+00:00")
    received = sandbox.received("sms")
    assert [(one["to"], one["body"], one["provider_id"]) for one in received] == [
        (NUMBER, "您 3 月 1 日的款項尚未繳納。", receipt.provider_id)
    ]


def test_a_notification_arrives_as_it_was_written(sandbox: Sandbox, settings: Settings) -> None:
    (receipt,) = send(Push, settings, message(PUSH_TOKEN))
    assert isinstance(receipt, Receipt)
    sandbox.step("2026-03-17T02:00:00+00:00")
    received = sandbox.received("push")
    assert [(one["to"], one["provider_id"]) for one in received] == [(PUSH_TOKEN, receipt.provider_id)]


def test_what_the_sandbox_refuses_has_a_name(settings: Settings) -> None:
    assert isinstance(send(Sms, settings, message("+1"))[0], BadAddress)
    wrong = settings.model_copy(update={"twilio_auth_token": SecretStr("wrong")})
    assert isinstance(send(Sms, wrong, message(NUMBER))[0], AccountHalted)


@pytest.mark.parametrize(
    ("fault", "family", "arrives"),
    [
        ({"fault": "accept_then_drop"}, FateUnknown, True),
        ({"fault": "accept_then_500"}, FateUnknown, True),
        ({"fault": "delayed_answer", "seconds": 3}, FateUnknown, True),
        ({"fault": "drop_before_accept"}, FateUnknown, False),
        ({"fault": "unavailable"}, FateUnknown, False),
        ({"fault": "internal"}, FateUnknown, False),
        ({"fault": "too_many_requests", "seconds": 7}, TryLater, False),
    ],
)
@pytest.mark.parametrize(("channel_type", "to"), [(Sms, NUMBER), (Push, PUSH_TOKEN)])
def test_whatever_goes_wrong_on_the_way_nobody_is_asked_twice(
    sandbox: Sandbox,
    settings: Settings,
    fault: dict[str, Any],
    family: type[ChannelError],
    arrives: bool,
    channel_type: type[Sms | Push],
    to: str,
) -> None:
    sandbox.faults({"count": 1, **fault})
    (outcome,) = send(channel_type, settings, message(to))
    assert type(outcome) is family
    if isinstance(outcome, TryLater):
        # Twilio's 429 names no time to wait.
        assert outcome.retry_after_seconds == (7 if channel_type is Push else TWILIO_RETRY_SECONDS)
    sandbox.step("2026-03-17T02:00:00+00:00")
    assert len(sandbox.received()) == int(arrives)


@pytest.mark.parametrize(
    ("channel_type", "to", "code", "family"),
    [
        (Sms, NUMBER, 21610, OptedOut),
        (Sms, NUMBER, 21614, BadAddress),
        (Sms, NUMBER, 21408, NeverWorks),
        (Sms, NUMBER, 30002, AccountHalted),
        (Push, PUSH_TOKEN, "UNREGISTERED", BadAddress),
        (Push, PUSH_TOKEN, "SENDER_ID_MISMATCH", BadAddress),
        (Push, PUSH_TOKEN, "INVALID_ARGUMENT", NeverWorks),
        (Push, PUSH_TOKEN, "THIRD_PARTY_AUTH_ERROR", NeverWorks),
    ],
)
def test_each_refusal_has_its_name(
    sandbox: Sandbox,
    settings: Settings,
    channel_type: type[Sms | Push],
    to: str,
    code: int | str,
    family: type[ChannelError],
) -> None:
    sandbox.faults({"fault": "rejected", "channel": channel_type.name, "code": code})
    assert type(send(channel_type, settings, message(to))[0]) is family

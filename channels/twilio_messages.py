"""Twilio's one Messages resource, as every channel speaks it that goes through it: sms, whatsapp, messenger, rcs.

A channel differs in how its addresses are written, whose they may be, who may send, and whether a content template may stand
in place of the words; each says so in a `Dialect` of its own file. How a call is made, once, and what is known of a message
after each way in which it can end, is here for all of them.

In:   a `Message` whose `to` is bare (a number in E.164, a person's id), and the gate's `Permit`.
Out:  a `Receipt` with Twilio's message id, or one `ChannelError`. One call, once: the SDK's retries are off.
Pure: no; talks to Twilio, or to the sandbox on loopback.
Source: PROVIDERS.md A1 to A3, A7, A10, E.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from typing import Final

from twilio.rest.api.v2010.account.message import MessageInstance  # type: ignore[import-untyped]  # as above

from channels import (
    BadAddress,
    ChannelError,
    FateUnknown,
    Message,
    NeverWorks,
    NotOnAllowlist,
    Permit,
    PermitExpired,
    Receipt,
    told,
)
from channels.twilio_fates import fate_of
from channels.twilio_http import Exchange, exchange_now, is_messaging_service, open_client
from config.settings import Settings

# Twilio takes 1..36000 seconds (90007).
VALIDITY_SECONDS_MAX = 36_000
# A number that may be somebody's.
NUMBER: Final = r"\+[1-9][0-9]{6,14}"
_SID = re.compile(r"(SM|MM)[0-9a-f]{32}")
_CONTENT_SID = re.compile(r"HX[0-9a-fA-F]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one channel is spoken in the Messages resource.

    Attributes:
        channel: Of CASES.md.
        prefix: Stands before every address of the channel.
        private: What one person's address looks like, without the prefix: whatever is no such address is a page, a group or a
            mistake, and is not written to. None = Twilio itself refuses what is no address.
        services: Whether a messaging service may choose the sender.
        templates: Whether a content template may stand in place of the words.
    """

    channel: str
    prefix: str = ""
    private: re.Pattern[str] | None = None
    services: bool = True
    templates: bool = False

    def address(self, bare: str) -> str:
        """An address as Twilio writes it; one that already is stays as it is."""
        return bare if bare.startswith(self.prefix) else f"{self.prefix}{bare}"

    def bare(self, address: str) -> str:
        """An address without its prefix."""
        return address.removeprefix(self.prefix)

    def is_mine(self, address: str) -> bool:
        """Whether an address, as Twilio writes it, belongs to this channel: a plain number is a text message's."""
        return address.startswith(self.prefix) if self.prefix else ":" not in address


class TwilioMessages:
    """A channel of Twilio's Messages resource; opened once in the loop that sends."""

    name: str
    provider = "twilio"

    def __init__(self, settings: Settings, dialect: Dialect, *, concurrency: int) -> None:
        """Prepare the client; connects with the first message.

        Args:
            settings: Account and mode.
            dialect: Of the channel.
            concurrency: Calls in flight at most.

        Raises:
            ForbiddenHost: `TIDEOVER_TWILIO_BASE_URL` is not a host of this mode.
        """
        self._dialect = dialect
        self._client, self._http = open_client(settings, connections_max=concurrency)
        self._may_reach = settings.may_reach
        # As many calls as connections: the permit is checked when a connection is free, not before a queue for one.
        self._free = asyncio.Semaphore(concurrency)

    async def send(self, message: Message, permit: Permit) -> Receipt:
        """Make one provider call, once.

        Raises:
            ChannelError: One of the family; nothing else escapes.
        """
        async with self._free:
            outcome = await self._call(message, permit)
        return told(outcome, permit)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.close()

    async def _call(self, message: Message, permit: Permit) -> Receipt | ChannelError:
        if message.valid_seconds < 1:
            # What cannot end inside its window is not begun.
            return PermitExpired(attempt_id=permit.attempt_id)
        if not self._may_reach(message.to):
            return NotOnAllowlist(attempt_id=permit.attempt_id)
        exchange = Exchange(permit)
        exchange_now.set(exchange)
        try:
            permit.refuse_if_foreign(message)
            instance = await self._client.messages.create_async(**_arguments(message, self._dialect))
            return _receipt(instance)
        except Exception as error:  # noqa: BLE001  # whatever it is, the message's fate has to be named
            return fate_of(error, exchange)


def _arguments(message: Message, dialect: Dialect) -> dict[str, object]:
    """Fields of the call.

    Raises:
        BadAddress: It is not one person's.
        NeverWorks: The sender, or what the words are registered by, is not one that this channel has.
    """
    if dialect.private is not None and not dialect.private.fullmatch(message.to):
        raise BadAddress(code="not_one_person")
    arguments: dict[str, object] = {
        "to": dialect.address(message.to),
        **_sender(message.sender, dialect),
        **_content(message, dialect),
        "validity_period": min(message.valid_seconds, VALIDITY_SECONDS_MAX),
    }
    if message.callback_url is not None:
        arguments["status_callback"] = message.callback_url
    return arguments


def _sender(sender: str, dialect: Dialect) -> dict[str, object]:
    if not is_messaging_service(sender):
        return {"from_": dialect.address(sender)}
    if not dialect.services:
        raise NeverWorks(code="service_may_use_another_channel")
    return {"messaging_service_sid": sender}


def _content(message: Message, dialect: Dialect) -> dict[str, object]:
    """The words, or the template that has them; never both."""
    if message.template is None or not dialect.templates:
        return {"body": message.body}
    if not _CONTENT_SID.fullmatch(message.template):
        raise NeverWorks(code="no_content_sid")
    content: dict[str, object] = {"content_sid": message.template}
    if message.variables:
        # Numbered in the template's order. Runs of spaces and line breaks in a variable are refused (63013).
        numbered = {str(number): " ".join(value.split()) for number, (_, value) in enumerate(message.variables, start=1)}
        content["content_variables"] = json.dumps(numbered, ensure_ascii=False)
    return content


def _receipt(instance: MessageInstance) -> Receipt | ChannelError:
    if not isinstance(instance.sid, str) or not _SID.fullmatch(instance.sid):
        # Taken, or so it seems, but under no id that we could ever ask for.
        return FateUnknown(code="unreadable_answer")
    segments = str(instance.num_segments)
    return Receipt(
        provider=TwilioMessages.provider,
        provider_id=instance.sid,
        status=str(instance.status),
        segments=int(segments) if segments.isdecimal() else None,
    )

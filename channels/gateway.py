"""A lender's own gateway: texts, notifications, in-app messages over one signed HTTP interface.

In:   a `Message` whose sender begins with `gateway:`, and the gate's `Permit`.
Out:  a `Receipt` with the gateway's id, or one `ChannelError`. One call, once.
Pure: no; talks to the gateway, or to the sandbox on loopback.
Source: docs/gateway.md. The idempotency key is the attempt's token, so a fate that is not known can be asked for
(channels/gateway_list.py); it is no reason to call again.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Final

import aiohttp

from channels import (
    AccountHalted,
    ChannelError,
    FateUnknown,
    ForbiddenHost,
    Message,
    NeverWorks,
    NotOnAllowlist,
    Permit,
    PermitExpired,
    Receipt,
    TryLater,
    told,
)
from channels.codes import GATEWAY_RETRY_SECONDS, gateway_refusal, state_of
from channels.gateway_http import Answer, GatewayHttp
from config.settings import Settings
from decisions.words import GATEWAY, GATEWAY_CHANNELS, GATEWAY_SENDER

PROVIDER: Final = GATEWAY
# What a gateway may be asked to carry (docs/gateway.md, "Send").
CARRIERS: Final = GATEWAY_CHANNELS
TAKEN: Final = frozenset({200, 201})
_ID: Final = re.compile(r"[\x21-\x7e]{1,128}")


def goes_through_gateway(sender: str) -> bool:
    """Whether a creditor's sender names the lender's own gateway in place of the channel's provider."""
    return sender.startswith(GATEWAY_SENDER)


class Gateway:
    """A channel whose provider is the lender's gateway; opened once in the loop that sends."""

    provider = PROVIDER

    def __init__(self, settings: Settings, name: str) -> None:
        """Prepare the client; connects with the first message.

        Args:
            settings: Where the gateway is, and its keys.
            name: The channel, which is the carrier.

        Raises:
            NoGatewayError: The settings name none.
            ForbiddenHost: Its address is not one of this mode.
        """
        self.name = name
        self._http = GatewayHttp(settings)
        self._may_reach = settings.may_reach
        # As many calls as connections: the permit is checked when a connection is free, not before a queue for one.
        self._free = asyncio.Semaphore(settings.gateway_concurrency)

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
        if self.name not in CARRIERS or not goes_through_gateway(message.sender):
            return NeverWorks(code="unsupported_carrier")
        try:
            permit.refuse_if_foreign(message)
            answer = await self._http.post("/v1/messages", self._encoded(message), permit)
        except Exception as error:  # noqa: BLE001  # whatever it is, the message's fate has to be named
            return _fate(error)
        return _outcome(answer, message.token)

    def _encoded(self, message: Message) -> dict[str, Any]:
        return {
            "key": message.token,
            "carrier": self.name,
            "to": message.to,
            "sender": message.sender.removeprefix(GATEWAY_SENDER),
            "title": message.title,
            "body": message.body,
            "voicemail": message.voicemail,
            "template": message.template,
            "variables": dict(message.variables),
            "valid_seconds": message.valid_seconds,
            "callback_url": message.callback_url,
        }


def _outcome(answer: Answer, key: str) -> Receipt | ChannelError:
    if answer.status not in TAKEN:
        if answer.status < 300:  # noqa: PLR2004  # a success that the specification does not know
            return FateUnknown(code="unreadable_answer")
        return gateway_refusal(status=answer.status, code=answer.code, headers=answer.headers)
    receipt = answer.value or {}
    if receipt.get("key") != key or not is_id(receipt.get("id")) or state_of(PROVIDER, str(receipt.get("status"))) is None:
        # Taken, or so it seems; the key asks what became of it.
        return FateUnknown(code="unreadable_answer")
    return Receipt(provider=PROVIDER, provider_id=str(receipt["id"]), status=str(receipt["status"]), segments=segments_of(receipt))


def is_id(value: object) -> bool:
    """Whether this may be a gateway's id of a message."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def segments_of(message: Mapping[str, Any]) -> int | None:
    """How many segments a gateway counted; None where it did not."""
    segments = message.get("segments")
    return segments if isinstance(segments, int) and not isinstance(segments, bool) and segments > 0 else None


def _fate(error: Exception) -> ChannelError:
    """What is known of the message, from the way in which the call failed."""
    if isinstance(error, ChannelError):
        return error
    if isinstance(error, ForbiddenHost):
        return AccountHalted(code=type(error).__name__)
    if isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)):
        # No connection, no name, no TLS: nothing was sent.
        return TryLater(code=type(error).__name__, retry_after_seconds=GATEWAY_RETRY_SECONDS)
    return FateUnknown(code=type(error).__name__)

"""Text messages through Twilio's own SDK.

In:   a `Message` whose `to` is an E.164 number, and the gate's `Permit`.
Out:  a `Receipt` with Twilio's message id, or one `ChannelError`. One call, once: the SDK's retries are off.
Pure: no; talks to Twilio, or to the sandbox on loopback.
Source: PROVIDERS.md A1 to A3, A7.
"""

from __future__ import annotations

import asyncio
import re

import aiohttp
from twilio.base.exceptions import TwilioRestException, TwilioServiceException  # type: ignore[import-untyped]  # twilio ships no py.typed
from twilio.rest import Client  # type: ignore[import-untyped]  # as above
from twilio.rest.api.v2010.account.message import MessageInstance  # type: ignore[import-untyped]  # as above

from channels import AccountHalted, ChannelError, FateUnknown, ForbiddenHost, Message, Permit, PermitExpired, Receipt, TryLater, allow_host
from channels.codes import TWILIO_RETRY_SECONDS, twilio_refusal
from channels.twilio_http import TWILIO_HOST, Exchange, TwilioHttp, exchange_now
from config.settings import Settings

# Twilio takes 1..36000 seconds (90007).
VALIDITY_SECONDS_MAX = 36_000
_SID = re.compile(r"(SM|MM)[0-9a-f]{32}")
_MESSAGING_SERVICE = re.compile(r"MG[0-9a-f]{32}")


class Sms:
    """The channel `sms`; opened once in the loop that sends."""

    name = "sms"
    provider = "twilio"

    def __init__(self, settings: Settings) -> None:
        """Prepare the client; connects with the first message.

        Raises:
            ForbiddenHost: `TIDEOVER_TWILIO_BASE_URL` is not a host of this mode.
        """
        allow_host(settings.twilio_base_url, TWILIO_HOST, mode=settings.mode)
        self._http = TwilioHttp(mode=settings.mode, connections_max=settings.sms_concurrency, call_seconds_max=settings.call_seconds_max)
        # A non-empty environment of our own: with an empty one the SDK reads the process's, where TWILIO_EDGE and
        # TWILIO_REGION would rewrite the address.
        self._client = Client(
            settings.twilio_account_sid, settings.twilio_auth_token.get_secret_value(), http_client=self._http, environment={"_": ""}
        )
        self._client.api.base_url = settings.twilio_base_url
        # As many calls as connections: the permit is checked when a connection is free, not before a queue for one.
        self._free = asyncio.Semaphore(settings.sms_concurrency)

    async def send(self, message: Message, permit: Permit) -> Receipt:
        """Make one provider call, once.

        Raises:
            ChannelError: One of the family; nothing else escapes.
        """
        async with self._free:
            outcome = await self._call(message, permit)
        # Raised here and not where it was found: the SDK's own error quotes the number, and must not hang on ours.
        if isinstance(outcome, ChannelError):
            outcome.attempt_id = permit.attempt_id
            raise outcome
        return outcome

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.close()

    async def _call(self, message: Message, permit: Permit) -> Receipt | ChannelError:
        if message.valid_seconds < 1:
            # What cannot end inside its window is not begun.
            return PermitExpired(attempt_id=permit.attempt_id)
        exchange = Exchange(permit)
        exchange_now.set(exchange)
        try:
            instance = await self._client.messages.create_async(**_arguments(message))
            return _receipt(instance)
        except Exception as error:  # noqa: BLE001  # whatever it is, the message's fate has to be named
            return _fate(error, exchange)


def _arguments(message: Message) -> dict[str, object]:
    sender = "messaging_service_sid" if _MESSAGING_SERVICE.fullmatch(message.sender) else "from_"
    arguments: dict[str, object] = {
        "to": message.to,
        sender: message.sender,
        "body": message.body,
        "validity_period": min(message.valid_seconds, VALIDITY_SECONDS_MAX),
    }
    if message.callback_url is not None:
        arguments["status_callback"] = message.callback_url
    return arguments


def _receipt(instance: MessageInstance) -> Receipt | ChannelError:
    if not isinstance(instance.sid, str) or not _SID.fullmatch(instance.sid):
        # Taken, or so it seems, but under no id that we could ever ask for.
        return FateUnknown(code="unreadable_answer")
    segments = str(instance.num_segments)
    return Receipt(
        provider=Sms.provider,
        provider_id=instance.sid,
        status=str(instance.status),
        segments=int(segments) if segments.isdecimal() else None,
    )


def _fate(error: Exception, exchange: Exchange) -> ChannelError:
    """What is known of the message, from the way in which the call failed."""
    if isinstance(error, ChannelError):
        return error
    if isinstance(error, ForbiddenHost):
        return AccountHalted(code=type(error).__name__)
    if isinstance(error, (TwilioRestException, TwilioServiceException)):
        code = error.code if isinstance(error.code, int) else None
        return twilio_refusal(status=int(error.status), code=code, headers=exchange.headers)
    if isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)):
        # No connection, no name, no TLS: nothing was sent.
        return TryLater(code=type(error).__name__, retry_after_seconds=TWILIO_RETRY_SECONDS)
    if exchange.status is not None:
        return FateUnknown(code="unreadable_answer")
    return FateUnknown(code=type(error).__name__)

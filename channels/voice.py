"""Automated calls through Twilio's own SDK. What is said is not in the request: Twilio asks the portal when somebody has answered.

So no words stand in a provider's record of the call, what may be said depends on who answered (a person, or a machine), and a
call that nobody answers says nothing to anybody (docs/adr/0030).

In:   a `Message` whose `to` is an E.164 number, and the gate's `Permit`.
Out:  a `Receipt` with Twilio's id of the call, or one `ChannelError`. One call, once: the SDK's retries are off.
Pure: no; talks to Twilio, or to the sandbox on loopback.
Source: PROVIDERS.md A1, A2, A4, A7.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final

from twilio.rest.api.v2010.account.call import CallInstance  # type: ignore[import-untyped]  # twilio ships no py.typed

from channels import ChannelError, FateUnknown, Message, NeverWorks, NotOnAllowlist, Permit, PermitExpired, Receipt, told
from channels.twilio_fates import fate_of
from channels.twilio_http import Exchange, exchange_now, open_client
from config.settings import Settings

# Some five rings; a phone that rings for a minute is pressed.
RING_SECONDS: Final = 25
# A talk with a machine is over by then; and Twilio itself hangs up.
TALK_SECONDS_MAX: Final = 180
TALK_SECONDS_MIN: Final = 60
DETECTION_SECONDS: Final = 30
STEPS: Final = ("ringing", "answered", "completed")
# Below the address at which a call's steps are reported: what to say.
ANSWER: Final = "answer"
_SID = re.compile(r"CA[0-9a-f]{32}")


class Voice:
    """The channel `voice`; opened once in the loop that calls."""

    name = "voice"
    provider = "twilio"

    def __init__(self, settings: Settings) -> None:
        """Prepare the client; connects with the first call.

        Raises:
            ForbiddenHost: `TIDEOVER_TWILIO_BASE_URL` is not a host of this mode.
        """
        self._client, self._http = open_client(settings)
        self._may_reach = settings.may_reach
        # As many requests as connections: the permit is checked when a connection is free, not before a queue for one.
        self._free = asyncio.Semaphore(settings.voice_concurrency)

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
        if message.valid_seconds < RING_SECONDS + TALK_SECONDS_MIN:
            # What cannot end inside its window is not begun.
            return PermitExpired(attempt_id=permit.attempt_id)
        if not self._may_reach(message.to):
            return NotOnAllowlist(attempt_id=permit.attempt_id)
        if message.callback_url is None:
            # Nobody could be asked what to say.
            return NeverWorks(code="no_public_address")
        exchange = Exchange(permit)
        exchange_now.set(exchange)
        try:
            permit.refuse_if_foreign(message)
            instance = await self._client.calls.create_async(**_arguments(message, message.callback_url))
            return receipt_of(instance)
        except Exception as error:  # noqa: BLE001  # whatever it is, the call's fate has to be named
            return fate_of(error, exchange)


def _arguments(message: Message, callback_url: str) -> dict[str, object]:
    return {
        "to": message.to,
        "from_": message.sender,
        "url": f"{callback_url}/{ANSWER}",
        "method": "POST",
        "status_callback": callback_url,
        "status_callback_event": list(STEPS),
        "status_callback_method": "POST",
        # A person is spoken to at once; a machine only when its own greeting is over.
        "machine_detection": "DetectMessageEnd",
        "machine_detection_timeout": DETECTION_SECONDS,
        "timeout": RING_SECONDS,
        # Whatever is said ends inside the window that the law leaves.
        "time_limit": min(TALK_SECONDS_MAX, message.valid_seconds - RING_SECONDS),
        "record": False,
    }


def receipt_of(instance: CallInstance) -> Receipt | ChannelError:
    """What Twilio's answer to a call says."""
    if not isinstance(instance.sid, str) or not _SID.fullmatch(instance.sid):
        # Taken, or so it seems, but under no id that we could ever ask for.
        return FateUnknown(code="unreadable_answer")
    return Receipt(provider=Voice.provider, provider_id=instance.sid, status=str(instance.status), segments=None)

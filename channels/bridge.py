"""A person's call, put through by Twilio: the colleague's own phone rings first, and whoever is called only when she has picked up.

The number of the person is in no request: Twilio asks the portal for it when the colleague is on the line, and is told nothing where
something was learned meanwhile (ledger/agent_calls.py).

In:   the gate's `Message` and `Permit` of an attempt on channel `call`; the colleague's phone; where Twilio asks and reports.
Out:  a `Receipt` with Twilio's id of the colleague's leg, or one `ChannelError`. One request, once.
Pure: no; talks to Twilio, or to the sandbox on loopback.
Source: PROVIDERS.md A1, A4; docs/adr/0057.
"""

from __future__ import annotations

from typing import Final

from channels import ChannelError, Message, NotOnAllowlist, Permit, Receipt, told
from channels.registry import BRIDGE_PATH
from channels.twilio_fates import fate_of
from channels.twilio_http import Exchange, exchange_now, open_client
from channels.voice import RING_SECONDS, receipt_of
from config.settings import Settings

# A talk is over by then; Twilio itself hangs up.
TALK_SECONDS_MAX: Final = 3_600


class Bridge:
    """Puts one colleague through to one person; opened in the loop that calls."""

    def __init__(self, settings: Settings) -> None:
        """Prepare the client; connects with the first call.

        Raises:
            ForbiddenHost: `TIDEOVER_TWILIO_BASE_URL` is not a host of this mode.
        """
        self._client, self._http = open_client(settings)
        self._may_reach, self._public_url = settings.may_reach, settings.public_url

    async def put_through(self, message: Message, permit: Permit, *, phone: str) -> Receipt:
        """Let a colleague's phone ring; whoever the message is for rings when she has picked up.

        Raises:
            ChannelError: One of the family; nothing else escapes.
        """
        if not (self._may_reach(message.to) and self._may_reach(phone)):
            raise NotOnAllowlist(attempt_id=permit.attempt_id)
        return told(await self._call(message, permit, phone), permit)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.close()

    async def _call(self, message: Message, permit: Permit, phone: str) -> Receipt | ChannelError:
        exchange = Exchange(permit)
        exchange_now.set(exchange)
        address = f"{self._public_url}/{BRIDGE_PATH}/{message.token}"
        try:
            permit.refuse_if_foreign(message)
            instance = await self._client.calls.create_async(
                to=phone,
                from_=message.sender,
                url=address,
                method="POST",
                status_callback=f"{address}/line",
                status_callback_event=["completed"],
                status_callback_method="POST",
                timeout=RING_SECONDS,
                time_limit=TALK_SECONDS_MAX,
                record=False,
            )
            return receipt_of(instance)
        except Exception as error:  # noqa: BLE001  # whatever it is, the call's fate has to be named
            return fate_of(error, exchange)

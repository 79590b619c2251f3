"""A channel of which some senders go through the lender's own gateway, and the others through the channel's own provider.

In:   a `Message` whose sender says which, and the gate's `Permit`.
Out:  what the one that it goes through answers. There is no other way: what is not set up is refused, never sent elsewhere.
Pure: no.
Source: docs/gateway.md, "In tideover".
"""

from __future__ import annotations

from collections.abc import Callable

from channels import AccountHalted, Channel, Message, Permit, Receipt
from channels.gateway import goes_through_gateway


class Routed:
    """One channel with two ways."""

    def __init__(self, name: str, provider: str, *, own: Callable[[], Channel] | None, gateway: Callable[[], Channel] | None) -> None:
        """Open both ways, where they are set up.

        Args:
            name: The channel.
            provider: Its own one.
            own: Opens the channel at its own provider; None = that is not set up.
            gateway: Opens it at the gateway; None = there is none.
        """
        self.name, self.provider = name, provider
        self._own = None if own is None else own()
        self._gateway = None if gateway is None else gateway()

    async def send(self, message: Message, permit: Permit) -> Receipt:
        """Make one provider call, once.

        Raises:
            ChannelError: One of the family; nothing else escapes.
        """
        way = self._gateway if goes_through_gateway(message.sender) else self._own
        if way is None:
            raise AccountHalted(code="not_set_up", attempt_id=permit.attempt_id)
        return await way.send(message, permit)

    async def close(self) -> None:
        """Let go of both."""
        for way in (self._own, self._gateway):
            if way is not None:
                await way.close()

"""What is known of a message or a call, from the way in which the request for it failed.

In:   whatever the SDK, the transport or a channel itself raised, and the exchange on the wire.
Out:  one `ChannelError`.
Pure: yes.
Source: PROVIDERS.md A2, A7.
"""

from __future__ import annotations

import aiohttp
from twilio.base.exceptions import TwilioRestException, TwilioServiceException  # type: ignore[import-untyped]  # twilio ships no py.typed

from channels import AccountHalted, ChannelError, FateUnknown, ForbiddenHost, TryLater
from channels.codes import TWILIO_RETRY_SECONDS, twilio_refusal
from channels.twilio_http import Exchange


def fate_of(error: Exception, exchange: Exchange) -> ChannelError:
    """The fate that an error of a request leaves: nothing was sent, it was refused, or nobody knows."""
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

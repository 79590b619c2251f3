"""Text messages through Twilio's own SDK.

In:   a `Message` whose `to` is an E.164 number, and the gate's `Permit`.
Out:  a `Receipt` with Twilio's message id, or one `ChannelError` (channels/twilio_messages.py).
Pure: no; talks to Twilio, or to the sandbox on loopback.
Source: PROVIDERS.md A1 to A3, A7.
"""

from __future__ import annotations

from typing import Final

from channels.twilio_messages import Dialect, TwilioMessages
from config.settings import Settings

DIALECT: Final = Dialect(channel="sms")


class Sms(TwilioMessages):
    """The channel `sms`; opened once in the loop that sends."""

    name = DIALECT.channel

    def __init__(self, settings: Settings) -> None:
        """Prepare the client; connects with the first message.

        Raises:
            ForbiddenHost: `TIDEOVER_TWILIO_BASE_URL` is not a host of this mode.
        """
        super().__init__(settings, DIALECT, concurrency=settings.sms_concurrency)

"""WhatsApp through Twilio's own SDK: to one person's number, never to a group.

A person who wrote within 24 hours may be answered in free words. Anybody else reads a content template that WhatsApp has
approved, named by its ContentSid; the gate decides which of the two it is (channels/windows.py), and what is neither does not leave.

In:   a `Message` whose `to` is an E.164 number and whose `template` is a ContentSid or None, and the gate's `Permit`.
Out:  a `Receipt` with Twilio's message id, or one `ChannelError` (channels/twilio_messages.py).
Pure: no; talks to Twilio, or to the sandbox on loopback.
Source: PROVIDERS.md A3, A7, A10.
"""

from __future__ import annotations

import re
from typing import Final

from channels.twilio_messages import NUMBER, Dialect, TwilioMessages
from config.settings import Settings

DIALECT: Final = Dialect(channel="whatsapp", prefix="whatsapp:", private=re.compile(NUMBER), templates=True)


class WhatsApp(TwilioMessages):
    """The channel `whatsapp`; opened once in the loop that sends."""

    name = DIALECT.channel

    def __init__(self, settings: Settings) -> None:
        """Prepare the client; connects with the first message.

        Raises:
            ForbiddenHost: `TIDEOVER_TWILIO_BASE_URL` is not a host of this mode.
        """
        super().__init__(settings, DIALECT, concurrency=settings.whatsapp_concurrency)

"""RCS through Twilio's own SDK, and nothing but RCS.

Twilio turns an RCS message into a text message where the phone has no RCS, if a messaging service sends it: that would be
another channel under other rules, which nobody judged. So the recipient's address says `rcs:`, no fall-back is named, and a
messaging service may not be the sender. Who cannot be reached so is reached another way by the next decision.

In:   a `Message` whose `to` is an E.164 number, whose `sender` is an RCS sender's id, and the gate's `Permit`.
Out:  a `Receipt` with Twilio's message id, or one `ChannelError` (channels/twilio_messages.py).
Pure: no; talks to Twilio, or to the sandbox on loopback.
Source: PROVIDERS.md A3, E; Twilio's error 21664: "for direct RCS sending without fallback, set From to the RCS sender and To to the
    recipient's rcs: address".
"""

from __future__ import annotations

import re
from typing import Final

from channels.twilio_messages import NUMBER, Dialect, TwilioMessages
from config.settings import Settings

DIALECT: Final = Dialect(channel="rcs", prefix="rcs:", private=re.compile(NUMBER), services=False, templates=True)


class Rcs(TwilioMessages):
    """The channel `rcs`; opened once in the loop that sends."""

    name = DIALECT.channel

    def __init__(self, settings: Settings) -> None:
        """Prepare the client; connects with the first message.

        Raises:
            ForbiddenHost: `TIDEOVER_TWILIO_BASE_URL` is not a host of this mode.
        """
        super().__init__(settings, DIALECT, concurrency=settings.rcs_concurrency)

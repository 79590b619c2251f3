"""Facebook Messenger through Twilio's own SDK: answers to one person who wrote to the lender's page, in private.

Nobody can be written to first, and nobody later than 24 hours after writing: no template opens that window. A page, a group and
a comment have no address here.

In:   a `Message` whose `to` is the person's id as the page knows it, and the gate's `Permit`.
Out:  a `Receipt` with Twilio's message id, or one `ChannelError` (channels/twilio_messages.py).
Pure: no; talks to Twilio, or to the sandbox on loopback.
Source: PROVIDERS.md A7 (63016), E.
"""

from __future__ import annotations

import re
from typing import Final

from channels.twilio_messages import Dialect, TwilioMessages
from config.settings import Settings

# Ids that a page knows people by are numbers; a page's name, or a thread's (t_…), is none.
DIALECT: Final = Dialect(channel="messenger", prefix="messenger:", private=re.compile(r"[0-9]{5,20}"))


class Messenger(TwilioMessages):
    """The channel `messenger`; opened once in the loop that sends."""

    name = DIALECT.channel

    def __init__(self, settings: Settings) -> None:
        """Prepare the client; connects with the first message.

        Raises:
            ForbiddenHost: `TIDEOVER_TWILIO_BASE_URL` is not a host of this mode.
        """
        super().__init__(settings, DIALECT, concurrency=settings.messenger_concurrency)

"""Reply windows: channels on which a lender may write in free words only for a time after the person wrote.

WhatsApp and Messenger let nobody be written to out of the blue. Who wrote within 24 hours may be answered freely. Later WhatsApp
takes a content template that it has approved, Messenger nothing at all.

In:   a channel, until when it stands open, an instant, whether the words are registered.
Out:  in which form the message may leave, or that it may not.
Pure: yes.
Source: PROVIDERS.md A7 (63016), A10; Twilio's error 63016 names both channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

# Free words, the registered template, or nothing.
Form = Literal["free", "template"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyWindow:
    """How long a channel stands open.

    Attributes:
        lasts: From what the person wrote last. Shorter than the provider's 24 hours: clocks differ, and a message waits in queues.
        template_opens: Whether a registered template may leave when it is shut.
    """

    lasts: timedelta
    template_opens: bool


_A_DAY_BUT_A_MARGIN: Final = timedelta(hours=24) - timedelta(minutes=15)
REPLY_WINDOWS: Final[Mapping[str, ReplyWindow]] = {
    "whatsapp": ReplyWindow(lasts=_A_DAY_BUT_A_MARGIN, template_opens=True),
    "messenger": ReplyWindow(lasts=_A_DAY_BUT_A_MARGIN, template_opens=False),
}

# A message that has less time than this to leave is not sent as free words.
ROOM_MIN: Final = timedelta(minutes=1)


def open_until(channel: str, wrote_at: datetime | None) -> datetime | None:
    """When a channel shuts again after the person's last message; None where it has no such window, or nobody wrote."""
    window = REPLY_WINDOWS.get(channel)
    return None if window is None or wrote_at is None else wrote_at + window.lasts


def form_of(channel: str, *, until: datetime | None, at: datetime, is_registered: bool) -> Form | None:
    """In which form a message may leave.

    Args:
        channel: Of CASES.md.
        until: From `open_until`.
        at: Business instant, UTC.
        is_registered: Whether the words are registered with the provider.

    Returns:
        None where it may not leave at all.
    """
    window = REPLY_WINDOWS.get(channel)
    if window is None:
        return "template" if is_registered else "free"
    if until is not None and at + ROOM_MIN <= until:
        return "free"
    return "template" if is_registered and window.template_opens else None

"""Addresses as providers (or tasks/returned.py) write them: the channel before the number or id.

In:   an address such as `whatsapp:+15005550006`.
Out:  the channel's name and the bare address. A plain number is a text message's.
Pure: yes.
Source: PROVIDERS.md E.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from decisions.planned import Planned

# The last five only the portal writes: for what came through a lender's own gateway, for a key that was pressed in a call, for what
# was said to a colleague, and for what was said on the page to which a letter's link led.
PREFIXES: Final = ("whatsapp", "rcs", "messenger", "email", "push", "in_app", "voice", "call", "letter")
# Written without a prefix.
PLAIN: Final = "sms"
# Channel, blind index of the person's address, the lender's own address without a prefix.
Line: TypeAlias = tuple[str, bytes, str]


def split(address: str) -> tuple[str, str]:
    """The channel that an address belongs to, and the bare number or id."""
    prefix, separator, bare = address.partition(":")
    return (prefix, bare) if separator and prefix in PREFIXES else (PLAIN, address)


def line_of(planned: Planned) -> Line | None:
    """Which two addresses an attempt goes between; None where one of them is missing."""
    if planned.blind_index is None or planned.sender is None:
        return None
    return planned.channel, bytes(planned.blind_index), split(planned.sender)[1]

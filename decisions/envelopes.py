"""Envelopes: the lines that the post reads.

In:   a name, the lines of an address, the country it is in, the country it is sent from.
Out:  the lines of the window, the country last where the letter crosses a border.
Pure: yes.
Source: UPU, "Addressing": the name of the country of destination in capital letters, in a language known in the country of dispatch and on
the way; English is known to every post.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from babel import Locale

from decisions.blocks import one_line

# Between the lines of the sender's address, as a creditor's `senders` name it.
SEPARATOR: Final = ";"
_ENGLISH: Final = Locale("en")


@dataclass(frozen=True, slots=True, kw_only=True)
class Addressee:
    """Whose name an envelope bears, and where it goes and comes from (ISO 3166-1); None where it is not known."""

    name: str | None = field(repr=False)
    country: str | None
    sent_from: str

    @property
    def is_whole(self) -> bool:
        """Whether the post could deliver it."""
        return bool(self.name and self.name.strip()) and self.country in _ENGLISH.territories


def window_lines(name: str, address: str, *, country: str, sent_from: str) -> tuple[str, ...]:
    """Lines of the window.

    Args:
        name: Of the person.
        address: Its lines, as decisions/portfolio.py made them.
        country: ISO 3166-1.
        sent_from: Likewise.

    Raises:
        ValueError: The name or the address says nothing, or nobody knows the country.
    """
    lines = [one_line(line) for line in (name, *address.split("\n"))]
    if not all(lines) or len(lines) < 2:  # noqa: PLR2004  # a name and an address
        raise ValueError("an envelope without a name or an address")
    if country == sent_from:
        return tuple(lines)
    named = _ENGLISH.territories.get(country)
    if named is None:
        raise ValueError("an envelope to a country that nobody knows")
    return (*lines, named.upper())


def sender_lines(sender: str) -> tuple[str, ...]:
    """Lines of the sender's address: the creditor's name first."""
    return tuple(line for part in sender.split(SEPARATOR) if (line := one_line(part)))

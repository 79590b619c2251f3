"""A reproducible sample: which contacts an inspector looks at, by a seed that anybody can use again.

Each stratum (jurisdiction, channel, outcome) gives its share of the sample, and one at least while there is room; within a stratum the
lowest keyed hashes are taken. Whoever has the seed and the list of contacts draws the same sample with a few lines of any language.

In:   the contacts of a population, a size, a seed.
Out:  the sample, in a fixed order.
Pure: values only.
Source: RFC 2104 (HMAC); Hamilton's method of largest remainders; docs/adr/0063.
"""

from __future__ import annotations

import hmac
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import Final

Stratum = tuple[str, str, str]
UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawable:
    """A contact that may be drawn.

    Attributes:
        business_date: Of the event; with its id, its name.
        event_id: Of the contact log.
        jurisdiction: The narrowest that attached; None = not known.
        channel: By which it was made.
        outcome: The latest result known of it.
    """

    business_date: date
    event_id: int
    jurisdiction: str | None
    channel: str
    outcome: str

    @property
    def stratum(self) -> Stratum:
        """Where it belongs."""
        return (self.jurisdiction or UNKNOWN, self.channel, self.outcome)


def draw(population: Iterable[Drawable], *, size: int, seed: str) -> list[Drawable]:
    """Draw a stratified sample; by stratum, then by hash.

    Args:
        population: In any order.
        size: At most so many; at least 1.
        seed: Whoever uses it again draws the same.

    Raises:
        ValueError: No size, or no seed.
    """
    if size < 1 or not seed:
        raise ValueError("a sample has a size and a seed")
    strata: defaultdict[Stratum, list[tuple[bytes, Drawable]]] = defaultdict(list)
    for one in population:
        strata[one.stratum].append((place(one, seed), one))
    shares = shares_of({stratum: len(members) for stratum, members in strata.items()}, size)
    return [one for stratum in sorted(strata) for _, one in sorted(strata[stratum], key=lambda member: member[0])[: shares[stratum]]]


def place(one: Drawable, seed: str) -> bytes:
    """Where a contact stands in the order of a seed: HMAC-SHA-256 of `DATE:ID` under it."""
    return hmac.digest(seed.encode(), f"{one.business_date.isoformat()}:{one.event_id}".encode(), sha256)


def shares_of(sizes: Mapping[Stratum, int], size: int) -> dict[Stratum, int]:
    """How many each stratum gives: one each while there is room (the largest first), the rest by largest remainders."""
    total = sum(sizes.values())
    if total <= size:
        return dict(sizes)
    by_size = sorted(sizes, key=lambda stratum: (-sizes[stratum], stratum))
    shares = {stratum: int(number < size) for number, stratum in enumerate(by_size)}
    left = size - sum(shares.values())
    rest = {stratum: sizes[stratum] - shares[stratum] for stratum in by_size}
    spread = sum(rest.values())
    # Whole numbers throughout: the same on every machine.
    for stratum in by_size:
        shares[stratum] += left * rest[stratum] // spread
    open_ = size - sum(shares.values())
    for stratum in sorted(by_size, key=lambda one: (-(left * rest[one] % spread), one)):
        if open_ == 0:
            break
        if shares[stratum] < sizes[stratum]:
            shares[stratum] += 1
            open_ -= 1
    return shares

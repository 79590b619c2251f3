"""What messages cost: segments by the provider's dated price, and what nobody has priced stays "unknown".

In:   prices of config/prices.yaml; how many segments went out, by channel, country and date.
Out:  a `Cost`: whole minor units by currency, and the segments that no price covers.
Pure: no I/O, no clock.
Source: SCIENCE.md F, "Cost to collect"; DOMAIN.md "Money". A segment costs fractions of a minor unit, so a price is written
        for a thousand of them, and only the sum is rounded: up, a cost is never told too low.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from decisions.money import from_minor

EVERYWHERE: Final = "*"
PRICED: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a thousand segments cost from a date on.

    Attributes:
        channel: sms, push, …
        country: Of the person who is written to, ISO 3166-1; `*` = every country that has no price of its own.
        since: First local date on which it holds.
        currency: ISO 4217.
        minor_per_1000: Minor units for 1,000 segments (a channel without segments: messages), ≥ 0.
        source: Where it was read, and when.
    """

    channel: str
    country: str
    since: date
    currency: str
    minor_per_1000: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Segments that went out.

    Attributes:
        channel: sms, push, …
        country: Of the person, or None where it is not known.
        on: Business date.
        segments: How many; of a channel without segments, messages.
    """

    channel: str
    country: str | None
    on: date
    segments: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What was spent, as far as it is known.

    Attributes:
        minor: Currency → minor units, rounded up.
        segments: All segments.
        unpriced: Those of them without a price.
    """

    minor: dict[str, int]
    segments: int
    unpriced: int

    def __str__(self) -> str:
        """In words: "USD 12.50 + 300 segments of unknown price"."""
        known = [f"{currency} {from_minor(amount, currency)}" for currency, amount in sorted(self.minor.items())]
        unknown = [f"{self.unpriced:,} segments of unknown price"] if self.unpriced else []
        return " + ".join([*known, *unknown]) or "nothing"


def price_of(prices: Sequence[Price], *, channel: str, country: str | None, on: date) -> Price | None:
    """The price in force on a date: the country's own before the one of every country, the newest of each; None = nobody knows."""
    for place in (country, EVERYWHERE):
        begun = [price for price in prices if price.channel == channel and price.country == place and price.since <= on]
        if begun:
            return max(begun, key=lambda price: price.since)
    return None


def cost_of(used: Iterable[Usage], prices: Sequence[Price]) -> Cost:
    """Add up what segments cost."""
    thousandths: Counter[str] = Counter()
    priced_in: set[str] = set()
    segments = unpriced = 0
    for one in used:
        segments += one.segments
        price = price_of(prices, channel=one.channel, country=one.country, on=one.on)
        if price is None:
            unpriced += one.segments
        else:
            priced_in.add(price.currency)
            thousandths[price.currency] += one.segments * price.minor_per_1000
    return Cost(minor={currency: -(-thousandths[currency] // PRICED) for currency in priced_in}, segments=segments, unpriced=unpriced)

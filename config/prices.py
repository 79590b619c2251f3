"""Reads config/prices.yaml: what a provider charges for a channel in a country, from which date on.

In:   the file.
Out:  `decisions.prices.Price` values.
Pure: no; reads one file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from config.load import Day, Strict, Whole, checked, parse
from config.zones import zone_tables
from decisions.money import UnknownCurrencyError, minor_units
from decisions.prices import EVERYWHERE, Price
from decisions.words import Channel

PRICES: Final = Path(__file__).with_name("prices.yaml")


class PriceForm(Strict):
    """One line, as written."""

    channel: Channel
    country: str
    since: Annotated[Day, Field(alias="from")]
    currency: str
    minor_per_1000: Annotated[Whole, Field(ge=0)]
    source: Annotated[str, Field(min_length=1)]


def prices(path: Path = PRICES, text: str | None = None) -> tuple[Price, ...]:
    """Read every price.

    Args:
        path: The file.
        text: What it holds, where that is kept elsewhere; None = read it.

    Raises:
        ConfigError: The file is malformed; a country or currency does not exist; one price is given twice for a date.
    """
    document = parse(path, text)
    found = checked(document, document.plain, tuple[PriceForm, ...])
    seen: set[tuple[object, ...]] = set()
    for number, one in enumerate(found):
        if one.country != EVERYWHERE and one.country not in zone_tables().countries:
            raise document.error([number, "country"], "is no country (ISO 3166-1, two letters), nor * for all")
        try:
            minor_units(one.currency)
        except UnknownCurrencyError:
            raise document.error([number, "currency"], "is no currency of ISO 4217 in use") from None
        what = (one.channel, one.country, one.since)
        if what in seen:
            raise document.error([number], "is given twice: same channel, country and first date")
        seen.add(what)
    return tuple(Price(**one.model_dump()) for one in found)

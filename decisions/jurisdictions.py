"""Jurisdictions: whose contact law attaches to a person. They stack, and the strictest of all of them holds.

In:   residence (country, region, areas of the postal code) and the zone in which the person is known to be now.
Out:  codes of jurisdictions: "EU", ISO 3166-1 ("US"), ISO 3166-2 ("US-NY"), and cities with rules of their own ("US-NY-NYC").
Pure: values only.
Source: LAW.md, primitive 17 (federal, state and city; residence and location); Treaty on European Union, art. 52.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from decisions.zones import ZoneTables, parts_of, region_code

EU: Final = "EU"
# Member states (Treaty on European Union, art. 52, as it stands since 2020-02-01).
EU_COUNTRIES: Final = frozenset(
    "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split()  # noqa: SIM905  # reads as the list it is
)
# "State" in federal law means these too (15 USC 1692a(8)); ISO 3166 has them as countries and as subdivisions of the United States.
US_TERRITORIES: Final = frozenset({"AS", "GU", "MP", "PR", "VI"})
COUNTRY: Final = 2  # letters of an ISO 3166-1 code
SUBDIVISION: Final = re.compile(r"[A-Z]{2}-[A-Z0-9]{1,3}")  # ISO 3166-2


def jurisdictions_of(country: str | None, region: str | None, city: str | None = None) -> list[str]:
    """Jurisdictions that attach to a place, most general first: ("US", "NY") is ["US", "US-NY"]; unknown is [].

    A member state of the European Union brings the layer `EU` along, a territory of the United States its federal law. A region
    that is no code adds nothing.

    Args:
        country: ISO 3166-1 code of two letters.
        region: Subdivision, with or without its country: "NY" or "US-NY".
        city: Code of a city with rules of its own ("NYC"); needs a region.
    """
    if not country:
        return []
    if country in US_TERRITORIES:
        country, region = "US", country
    found = [EU, country] if country in EU_COUNTRIES else [country]
    whole = region_code(country, region)
    if whole is None or SUBDIVISION.fullmatch(whole) is None:
        return found
    return [*found, whole, f"{whole}-{city}"] if city else [*found, whole]


def stacked(codes: Iterable[str]) -> list[str]:
    """Jurisdictions with those that each brings along, once each: "US-NY-NYC" brings "US-NY" and "US", "DE" brings "EU"."""
    found: list[str] = []
    for code in codes:
        country, _, rest = code.partition("-")
        region, _, city = rest.partition("-")
        found += jurisdictions_of(country, region or None, city or None)
    return list(dict.fromkeys(found))


def jurisdictions_where(
    *, country: str | None, region: str | None, areas: Sequence[str], known_zone: str | None, tables: ZoneTables
) -> list[str]:
    """Jurisdictions that attach to a person by residence and by location, once each; [] where the residence is not known.

    Args:
        country: Of residence, ISO 3166-1.
        region: Of residence, with or without its country. Where the postal code names others, those attach too.
        areas: Of the postal code (`PostalAreas.of`).
        known_zone: Where the person is known to be now; in another country, its law attaches beside that of the residence.
        tables: Say in which country a zone lies.
    """
    if not country:
        return []  # the law of the location alone is half the law
    there = tables.country_of_zone.get(known_zone or "")
    return stacked([country, *parts_of(country, region, areas), *([] if there is None else [there])])

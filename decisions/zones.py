"""Zones: every time zone a person may plausibly be in. A contact must be lawful in all of them.

In:   place (country, region, areas of the postal code, known zone) and phone numbers; the tables of config/zones.py.
Out:  sorted names of IANA zones; an empty list means "not known", and then nobody is contacted (invariant I11).
Pure: no I/O, no clock. The numbering plans come with the package phonenumbers.
Source: 12 CFR 1006.6(b)(1), comment 6(b)(1)(i)-2 (conflicting locations: all of them count); ITU-T E.164; the tz
      database.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import phonenumbers
from phonenumbers.timezone import UNKNOWN_TIMEZONE, time_zones_for_geographical_number

from decisions.postal_areas import PostalAreas

DIGITS_MAX: Final = 15  # E.164
PUNCTUATION: Final = str.maketrans("", "", " -.()\u00a0\u2010\u2011\u2012\u2013")


class NotAPhoneError(ValueError):
    """The text is not a number that can be called. It says why, and never repeats the number."""


@dataclass(frozen=True)
class ZoneTables:
    """Which zones belong to which place.

    Attributes:
        countries: ISO 3166-1 code → its zones.
        regions: ISO 3166-2 code ("US-NY") → its zones, for countries with several.
        state_clocks: ISO 3166-2 code → the one zone by which the state's time is told, where it lists several.
        legal: Country → the only zones its law knows, whatever else the tz database lists.
        names: Every zone name that exists.
        links: Another name of a zone → the zone ("US/Eastern" → "America/New_York").
        business_clocks: Country with several zones → the one by which a lender tells the business date there.
        postal_areas: Which regions a postal code may lie in.
    """

    countries: Mapping[str, tuple[str, ...]]
    regions: Mapping[str, tuple[str, ...]]
    state_clocks: Mapping[str, str]
    legal: Mapping[str, tuple[str, ...]]
    names: frozenset[str]
    links: Mapping[str, str]
    business_clocks: Mapping[str, str]
    postal_areas: PostalAreas

    @cached_property
    def countries_with_regions(self) -> frozenset[str]:
        """Countries of which every region is listed: another code is an error there."""
        return frozenset(region.partition("-")[0] for region in self.regions)

    def business_zone(self, country: str) -> str | None:
        """The zone by which a lender tells the business date in a country; None = no such country, or none of its several is named."""
        zones = self.legal.get(country) or self.countries.get(country, ())
        return self.business_clocks.get(country) or (zones[0] if len(zones) == 1 else None)

    @cached_property
    def country_of_zone(self) -> Mapping[str, str]:
        """Zone, by any of its names → the country it lies in; a zone of no country ("Etc/UTC") is not there."""
        own = {zone: country for country, zones in self.countries.items() for zone in zones}
        return {name: own[zone] for name, zone in self.links.items() if zone in own} | own


@dataclass(frozen=True, slots=True)
class Phone:
    """What a phone number says.

    Attributes:
        e164: The number, "+" and digits.
        country: ISO 3166-1 code, or None where the plan is shared and the number does not tell.
        zones: Where it may be; empty = not known.
    """

    e164: str
    country: str | None
    zones: tuple[str, ...]


def candidate_zones(
    *,
    country: str | None,
    region: str | None,
    areas: Sequence[str] = (),
    known_zone: str | None,
    phone_zones: Iterable[Sequence[str]],
    tables: ZoneTables,
) -> list[str]:
    """Every zone in which the person may be now, sorted.

    Args:
        country: ISO 3166-1, or None.
        region: ISO 3166-2 with or without its country ("US-NY", "NY"), or None.
        areas: Of the postal code (`PostalAreas.of`).
        known_zone: Where the person is known to be; decides alone.
        phone_zones: Zones of each of the person's numbers (`Phone.zones`).
        tables: Zones of places.
    """
    if known_zone is not None:
        return [known_zone]
    found = set(place_zones(country, region, tables, areas))
    for zones in phone_zones:
        found.update(zones)
    return sorted(found)


def place_zones(country: str | None, region: str | None, tables: ZoneTables, areas: Sequence[str] = ()) -> list[str]:
    """Zones of a place: of the regions in which it may lie where one is known, else all of the country's; sorted, empty = not known.

    Args:
        country: ISO 3166-1, or None.
        region: As in `candidate_zones`.
        tables: Zones of places.
        areas: Of the postal code (`PostalAreas.of`).
    """
    if country is None:
        return []
    if country in tables.legal:
        return sorted(tables.legal[country])
    found = {zone for part in parts_of(country, region, areas) for zone in tables.regions.get(part, ())}
    return sorted(found or tables.countries.get(country, ()))


def state_zones(country: str | None, region: str | None, tables: ZoneTables, areas: Sequence[str] = ()) -> list[str]:
    """Zones by which the time of the state or country where a person lives is told; arguments and empty list as in `place_zones`."""
    if country is None or country in tables.legal:
        return place_zones(country, region, tables, areas)
    found: set[str] = set()
    for part in parts_of(country, region, areas):
        clock = tables.state_clocks.get(part)
        found.update((clock,) if clock else tables.regions.get(part, ()))
    return sorted(found) or place_zones(country, region, tables, areas)


def parts_of(country: str, region: str | None, areas: Sequence[str]) -> list[str]:
    """Regions and cities (ISO 3166-2) in which a place may lie: the stated region alone where the postal code agrees, else all of both.

    Args:
        country: ISO 3166-1.
        region: As in `candidate_zones`.
        areas: Of the postal code (`PostalAreas.of`).
    """
    stated = region_code(country, region)
    if stated is None:
        return list(areas)
    if stated in areas:
        # The code may straddle a border: the stated side decides.
        return [stated, *(area for area in areas if area.startswith(f"{stated}-"))]
    return [stated, *areas]


def region_code(country: str, region: str | None) -> str | None:
    """The region with its country in front, as ISO 3166-2 writes it: ("US", "NY") and ("US", "US-NY") are "US-NY"."""
    if not region:
        return None
    return region if region.startswith(f"{country}-") else f"{country}-{region}"


def read_phone(value: str, *, tables: ZoneTables, live: bool) -> Phone:
    """Read a number written in the international form (E.164, spaces and the usual punctuation allowed).

    Args:
        value: The number as the file has it.
        tables: Zones of places.
        live: True asks for a number that its plan really gives out; False also takes one that is only possible, such
            as the numbers nobody can own that a sandbox uses.

    Raises:
        NotAPhoneError: It is not one, or could be several.
    """
    plain = value.translate(PUNCTUATION)
    if not plain.startswith("+"):
        raise NotAPhoneError("not in the international form (E.164 begins with + and the country's code)")
    if not plain[1:].isascii() or not plain[1:].isdigit():
        raise NotAPhoneError("holds something else than +, digits and the usual punctuation")
    if len(plain) - 1 > DIGITS_MAX:
        raise NotAPhoneError(f"more than {DIGITS_MAX} digits")
    try:
        number = phonenumbers.parse(plain)
    except phonenumbers.NumberParseException as error:
        raise NotAPhoneError("no country's numbering plan has such numbers") from error
    if not phonenumbers.is_possible_number(number):
        raise NotAPhoneError("too short or too long for its country")
    if live and not phonenumbers.is_valid_number(number):
        raise NotAPhoneError("its country gives out no such number")
    e164 = f"+{number.country_code}{phonenumbers.national_significant_number(number)}"
    zones = tuple(zone for zone in time_zones_for_geographical_number(number) if zone != UNKNOWN_TIMEZONE and zone in tables.names)
    country = _country(number, zones, tables)
    if country is not None and country in tables.legal:
        zones = tables.legal[country]
    elif country is not None and not zones:
        zones = tables.countries.get(country, ())
    return Phone(e164, country, tuple(sorted(zones)))


def _country(number: phonenumbers.PhoneNumber, zones: Sequence[str], tables: ZoneTables) -> str | None:
    """The number's country; for one that its plan does not give out, the only country its zones lie in, or the plan's only one."""
    region = phonenumbers.region_code_for_number(number)
    if region is None:
        sharing = phonenumbers.region_codes_for_country_code(number.country_code or 0)
        by_zone = {tables.country_of_zone.get(zone) for zone in zones} & set(sharing)
        candidates = by_zone or set(sharing)
        region = candidates.pop() if len(candidates) == 1 else None
    return region if region in tables.countries else None

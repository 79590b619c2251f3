"""Zones: every time zone a person may plausibly be in. A contact must be lawful in all of them.

In:   place (country, region, known zone) and phone numbers; the tables of config/zones.py.
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
        legal: Country → the only zones its law knows, whatever else the tz database lists.
        names: Every zone name that exists.
    """

    countries: Mapping[str, tuple[str, ...]]
    regions: Mapping[str, tuple[str, ...]]
    legal: Mapping[str, tuple[str, ...]]
    names: frozenset[str]

    @cached_property
    def countries_with_regions(self) -> frozenset[str]:
        """Countries of which every region is listed: another code is an error there."""
        return frozenset(region.partition("-")[0] for region in self.regions)

    @cached_property
    def country_of_zone(self) -> Mapping[str, str]:
        """Zone → the country it lies in."""
        return {zone: country for country, zones in self.countries.items() for zone in zones}


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
    *, country: str | None, region: str | None, known_zone: str | None, phone_zones: Iterable[Sequence[str]], tables: ZoneTables
) -> list[str]:
    """Every zone in which the person may be now, sorted.

    Args:
        country: ISO 3166-1, or None.
        region: ISO 3166-2 with or without its country ("US-NY", "NY"), or None.
        known_zone: Where the person is known to be; decides alone.
        phone_zones: Zones of each of the person's numbers (`Phone.zones`).
        tables: Zones of places.
    """
    if known_zone is not None:
        return [known_zone]
    found = set(place_zones(country, region, tables))
    for zones in phone_zones:
        found.update(zones)
    return sorted(found)


def place_zones(country: str | None, region: str | None, tables: ZoneTables) -> list[str]:
    """Zones of a place: of its region where that is known, else all of the country's; sorted, empty = not known.

    A postal code adds nothing yet: no table of postal codes is shipped, so the region, or the whole country, decides.
    """
    if country is None:
        return []
    if country in tables.legal:
        return sorted(tables.legal[country])
    by_region = tables.regions.get(region_code(country, region) or "")
    return sorted(by_region or tables.countries.get(country, ()))


def region_code(country: str, region: str | None) -> str | None:
    """The region with its country in front, as ISO 3166-2 writes it: ("US", "NY") and ("US", "US-NY") are "US-NY"."""
    if region is None:
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

"""Which time zones belong to which place: the tz database's own list of countries, and config/zones.yaml for their regions.

In:   zone.tab and tzdata.zi of the package tzdata (zones do not come from the machine), config/zones.yaml, config/postal_areas.yaml.
Out:  `ZoneTables` for decisions/zones.py.
Pure: no; reads files.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from config.load import Day, Strict, checked, parse
from config.postal_areas import postal_areas
from decisions.jurisdictions import jurisdictions_where
from decisions.zones import ZoneTables

FILE = Path(__file__).with_name("zones.yaml")


class _Source(Strict):
    title: str
    href: str
    # None = named, but not read for this file.
    read_on: Day | None = None


class _ZonesFile(Strict):
    sources: tuple[_Source, ...]
    legal: dict[str, tuple[str, ...]]
    state_clocks: dict[str, dict[str, str]]
    business_clocks: dict[str, str]
    regions: dict[str, dict[str, tuple[str, ...]]]


@lru_cache(maxsize=1)
def zone_tables() -> ZoneTables:
    """The tables, read once a process.

    Raises:
        ConfigError: A file is malformed, or names a zone, a country or a region that does not exist.
    """
    document = parse(FILE)
    form = checked(document, document.plain, _ZonesFile)
    data = files("tzdata").joinpath("zoneinfo")
    names = frozenset(files("tzdata").joinpath("zones").read_text("utf-8").split())
    countries: dict[str, list[str]] = {}
    for line in data.joinpath("zone.tab").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            country, _position, zone, *_comment = line.split("\t")
            countries.setdefault(country, []).append(zone)
    links = [line.split() for line in data.joinpath("tzdata.zi").read_text("utf-8").splitlines() if line.startswith("L ")]
    regions = {f"{country}-{region}": zones for country, by_region in form.regions.items() for region, zones in by_region.items()}
    places = {("regions", *place.split("-")): zones for place, zones in regions.items()}
    places |= {("legal", country): zones for country, zones in form.legal.items()}
    clocks = {f"{country}-{region}": zone for country, by_region in form.state_clocks.items() for region, zone in by_region.items()}
    places |= {("state_clocks", *place.split("-")): (zone,) for place, zone in clocks.items()}
    places |= {("business_clocks", country): (zone,) for country, zone in form.business_clocks.items()}
    for place, zones in places.items():
        if place[1] not in countries:
            raise document.error(place, "no such country in the tz database")
        if unknown := set(zones) - names:
            raise document.error(place, f"no such zone: {', '.join(sorted(unknown))}")
    return ZoneTables(
        state_clocks=clocks,
        countries={country: tuple(zones) for country, zones in countries.items()},
        regions=regions,
        legal=form.legal,
        names=names,
        links={name: zone for _, zone, name in links},
        business_clocks=form.business_clocks,
        postal_areas=postal_areas(regions),
    )


def attached_to(*, country: str | None, region: str | None, postal_code: str | None, known_zone: str | None) -> list[str]:
    """Jurisdictions that attach to a person, as the ledger knows her; [] where her residence is not known."""
    tables = zone_tables()
    areas = tables.postal_areas.of(country, postal_code)
    return jurisdictions_where(country=country, region=region, areas=areas, known_zone=known_zone, tables=tables)

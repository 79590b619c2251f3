"""Which time zones belong to which place: the tz database's own list of countries, and config/zones.yaml for their regions.

In:   zone.tab of the package tzdata (zones do not come from the machine), config/zones.yaml.
Out:  `ZoneTables` for decisions/zones.py.
Pure: no; reads files.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

from config.load import ConfigError, Day, Strict, read
from config.settings import HOUSE
from decisions.zones import ZoneTables

FILE = HOUSE / "config" / "zones.yaml"


class _Source(Strict):
    title: str
    href: str
    # None = named, but not read for this file.
    read_on: Day | None = None


class _ZonesFile(Strict):
    sources: tuple[_Source, ...]
    legal: dict[str, tuple[str, ...]]
    regions: dict[str, dict[str, tuple[str, ...]]]


@lru_cache(maxsize=1)
def zone_tables() -> ZoneTables:
    """The tables, read once a process.

    Raises:
        ConfigError: config/zones.yaml is malformed, or names a zone or a country that the tz database does not have.
    """
    form = read(FILE, _ZonesFile)
    data = files("tzdata").joinpath("zoneinfo")
    names = frozenset(files("tzdata").joinpath("zones").read_text("utf-8").split())
    countries: dict[str, list[str]] = {}
    for line in data.joinpath("zone.tab").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            country, _position, zone, *_comment = line.split("\t")
            countries.setdefault(country, []).append(zone)
    regions = {f"{country}-{region}": zones for country, by_region in form.regions.items() for region, zones in by_region.items()}
    for place, zones in {**regions, **form.legal}.items():
        if place.partition("-")[0] not in countries:
            raise ConfigError(FILE, None, place, "no such country in the tz database")
        if unknown := set(zones) - names:
            raise ConfigError(FILE, None, place, f"no such zone: {', '.join(sorted(unknown))}")
    return ZoneTables(
        countries={country: tuple(zones) for country, zones in countries.items()}, regions=regions, legal=form.legal, names=names
    )

"""Where people live: the zones of their state, and whose law attaches.

In:   country, region, postal code, and the zone that is known.
Out:  `home_zones` and `jurisdictions`.
Pure: but for the tables of config, which are read once.
"""

from __future__ import annotations

from functools import lru_cache

import polars as pl

from config.zones import zone_tables
from decisions.jurisdictions import jurisdictions_where
from decisions.zones import state_zones


@lru_cache(maxsize=1 << 16)
def _areas(country: str | None, postal_code: str | None) -> str:
    """The areas of a postal code, with blanks between; most codes come again in the next shard."""
    return " ".join(zone_tables().postal_areas.of(country, postal_code))


def with_places(people: pl.DataFrame) -> pl.DataFrame:
    """Add `home_zones` and `jurisdictions`, of where the person lives and is known to be: each distinct place once.

    A postal code is looked up once and replaced by its areas, of which there are a few dozen, whatever the number of codes.
    """
    tables = zone_tables()
    codes = people.select("country", "postal_code").unique()
    areas = [_areas(country, code) for country, code in codes.iter_rows()]
    coded = people.join(
        codes.with_columns(areas=pl.Series(areas, dtype=pl.String)),
        on=["country", "postal_code"],
        how="left",
        nulls_equal=True,
        maintain_order="left",
    )
    place = ["country", "region", "areas", "known_zone"]
    places = coded.select(place).unique()
    found: dict[str, list[list[str]]] = {"home_zones": [], "jurisdictions": []}
    for country, region, named, known_zone in places.iter_rows():
        inside = named.split()
        found["home_zones"].append(state_zones(country, region, tables, inside))
        found["jurisdictions"].append(
            jurisdictions_where(country=country, region=region, areas=inside, known_zone=known_zone, tables=tables)
        )
    known = places.with_columns(pl.Series(name, values, dtype=pl.List(pl.String)) for name, values in found.items())
    return coded.join(known, on=place, how="left", nulls_equal=True, maintain_order="left")

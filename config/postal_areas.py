"""Reads config/postal_areas.yaml: which regions and cities a postal code may lie in.

In:   the file; the regions that have zones.
Out:  `decisions.postal_areas.PostalAreas`.
Pure: no; reads one file.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from config.load import Document, Strict, checked, parse
from decisions.postal_areas import CountryAreas, PostalAreas

FILE: Final = Path(__file__).with_name("postal_areas.yaml")
Codes = Annotated[tuple[str, ...], Field(min_length=1)]


class _Country(Strict):
    form: str
    regions: dict[str, Codes]
    cities: dict[str, Codes] = Field(default_factory=dict)


class _File(Strict):
    sources: Annotated[tuple[str, ...], Field(min_length=1)]
    countries: dict[str, _Country]


def postal_areas(regions: Container[str], path: Path = FILE) -> PostalAreas:
    """Read the areas.

    Args:
        regions: ISO 3166-2 codes that exist.
        path: The file.

    Raises:
        ConfigError: The file is not of its form, names a region that does not exist, or a range that is none.
    """
    document = parse(path)
    form = checked(document, document.plain, _File)
    return PostalAreas({country: _country(document, country, areas, regions) for country, areas in form.countries.items()})


def _country(document: Document, country: str, areas: _Country, regions: Container[str]) -> CountryAreas:
    at = ["countries", country]
    try:
        form = re.compile(areas.form, re.ASCII)
    except re.error:
        raise document.error([*at, "form"], "is no regular expression") from None
    found: dict[str, set[str]] = {}
    for kind, codes_of in (("regions", areas.regions), ("cities", areas.cities)):
        for area, codes in codes_of.items():
            region = area if kind == "regions" else area.rpartition("-")[0]
            if f"{country}-{region}" not in regions:
                raise document.error([*at, kind, area], "no such region in config/zones.yaml")
            for number, code in enumerate(codes):
                beginnings = list(_beginnings(code))
                if not beginnings:
                    raise document.error([*at, kind, area, number], "neither the beginning of a code nor a range of them like 100-149")
                for beginning in beginnings:
                    found.setdefault(beginning, set()).add(f"{country}-{area}")
    return CountryAreas(
        form=form,
        by_beginning={beginning: tuple(sorted(named)) for beginning, named in found.items()},
        lengths=tuple(sorted({len(beginning) for beginning in found})),
    )


def _beginnings(written: str) -> Iterator[str]:
    """Every beginning of "100", "H" or of a range of digits, "100-149"; none where it is neither."""
    first, dash, last = written.partition("-")
    if not dash:
        if re.fullmatch("[0-9A-Z]+", first, re.ASCII):
            yield first
    elif re.fullmatch("[0-9]+-[0-9]+", written, re.ASCII) and len(first) == len(last):
        for number in range(int(first), int(last) + 1):
            yield f"{number:0{len(first)}d}"

"""Postal areas: which regions and cities a postal code may lie in.

In:   a country and a postal code as a file has it; the areas of config/postal_areas.yaml.
Out:  ISO 3166-2 codes of regions, and of cities with rules of their own ("US-NY", "US-NY-NYC"); none = not known.
Pure: values only.
Source: config/postal_areas.yaml names the posts' public rules of allocation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

# Codes are written with and without these.
PUNCTUATION: Final = str.maketrans("", "", " -.\u00a0\u2010\u2011\u2012\u2013")


@dataclass(frozen=True, slots=True)
class CountryAreas:
    """The areas of one country.

    Attributes:
        form: What a postal code looks like without punctuation; another one says nothing.
        by_beginning: The first characters of a code → the regions and cities that have such codes.
        lengths: How long such beginnings are.
    """

    form: re.Pattern[str]
    by_beginning: Mapping[str, tuple[str, ...]]
    lengths: tuple[int, ...]

    def of(self, postal_code: str) -> tuple[str, ...]:
        """Every region and city in which the code may lie, sorted; a code that straddles regions has all of them."""
        plain = postal_code.translate(PUNCTUATION).upper()
        if self.form.fullmatch(plain) is None:
            return ()
        return tuple(sorted({area for length in self.lengths for area in self.by_beginning.get(plain[:length], ())}))


@dataclass(frozen=True, slots=True)
class PostalAreas:
    """The areas of every country for which they are known."""

    countries: Mapping[str, CountryAreas]

    def of(self, country: str | None, postal_code: str | None) -> tuple[str, ...]:
        """Regions and cities of a postal code, sorted; empty = the code says nothing.

        Args:
            country: ISO 3166-1, or None.
            postal_code: As a file has it ("10001", "10001-1234", "K1A 0B1"), or None.
        """
        areas = self.countries.get(country or "")
        return () if areas is None or postal_code is None else areas.of(postal_code)

"""Jurisdictions: the law of where a person lives and of where she is, all of it."""

from __future__ import annotations

import pytest

from config.zones import zone_tables
from decisions.jurisdictions import jurisdictions_of, jurisdictions_where, stacked

TABLES = zone_tables()


def attached(country: str | None = None, region: str | None = None, code: str | None = None, known: str | None = None) -> list[str]:
    areas = TABLES.postal_areas.of(country, code)
    return jurisdictions_where(country=country, region=region, areas=areas, known_zone=known, tables=TABLES)


@pytest.mark.parametrize(
    ("country", "region", "found"),
    [
        ("US", "NY", ["US", "US-NY"]),
        ("US", "US-NY", ["US", "US-NY"]),
        ("US", "upstate", ["US"]),
        ("TW", None, ["TW"]),
        ("TW", "", ["TW"]),
        ("DE", "BY", ["EU", "DE", "DE-BY"]),
        ("GB", None, ["GB"]),
        (None, "NY", []),
        ("", None, []),
    ],
)
def test_a_place_has_its_jurisdictions(country: str | None, region: str | None, found: list[str]) -> None:
    assert jurisdictions_of(country, region) == found
    assert attached(country, region) == found


@pytest.mark.parametrize("code", ["10001", "10301", "10451", "11004", "11005", "11101", "11201-0001", "11354", "11432", "11691"])
def test_new_york_city_is_known_by_its_postal_codes(code: str) -> None:
    for region in ("NY", None):
        assert attached("US", region, code) == ["US", "US-NY", "US-NY-NYC"]


@pytest.mark.parametrize("code", ["10501", "11003", "11006", "11501", "11550", "11701", "12201", "1000"])
def test_the_rest_of_the_state_is_not_the_city(code: str) -> None:
    assert attached("US", "NY", code) == ["US", "US-NY"]


def test_a_region_and_a_postal_code_that_disagree_both_attach() -> None:
    assert attached("US", "NJ", "10001") == ["US", "US-NJ", "US-NY", "US-NY-NYC"]


def test_a_postal_code_on_a_border_is_of_both_sides_unless_one_is_stated() -> None:
    assert attached("US", None, "06390") == ["US", "US-CT", "US-NY"]
    assert attached("US", "NY", "06390") == ["US", "US-NY"]


def test_residence_and_location_both_attach() -> None:
    assert attached("US", "NY", known="Europe/Berlin") == ["US", "US-NY", "EU", "DE"]
    assert attached("CN", known="Asia/Hong_Kong") == ["CN", "HK"]
    assert attached("GB", known="Asia/Calcutta") == ["GB", "IN"]


def test_a_location_in_the_same_country_adds_nothing() -> None:
    assert attached("US", "NY", known="America/Los_Angeles") == ["US", "US-NY"]
    assert attached("US", "NY", known="Etc/UTC") == ["US", "US-NY"]


def test_the_law_of_the_location_alone_is_half_the_law() -> None:
    assert attached(known="Asia/Taipei") == []


def test_federal_law_holds_in_the_territories_of_the_united_states() -> None:
    assert attached("PR") == attached("US", "PR") == ["US", "US-PR"]
    assert attached("US", "NY", known="America/Puerto_Rico") == ["US", "US-NY", "US-PR"]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (["US-NY-NYC"], ["US", "US-NY", "US-NY-NYC"]),
        (["DE"], ["EU", "DE"]),
        (["US-NY", "US-MA"], ["US", "US-NY", "US-MA"]),
        (["EU"], ["EU"]),
        ([], []),
    ],
)
def test_a_jurisdiction_brings_those_along_that_it_lies_in(given: list[str], found: list[str]) -> None:
    assert stacked(given) == found

"""Postal areas: what ships covers every region, and a file that is not whole is refused with line and reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.load import ConfigError
from config.postal_areas import FILE, postal_areas
from config.zones import zone_tables

REGIONS = zone_tables().regions
AREAS = zone_tables().postal_areas
FORM = """\
sources: [the post's own rules]
countries:
  US:
    form: "[0-9]{5}"
    regions:
      NY: ["005", 100-149]
    cities:
      NY-NYC: [100-104]
"""


def test_every_region_with_zones_of_a_listed_country_has_postal_codes() -> None:
    for country, areas in AREAS.countries.items():
        named = {area for found in areas.by_beginning.values() for area in found}
        assert {region for region in REGIONS if region.startswith(f"{country}-")} <= named


# Each was given out by its post to that place; where two are named, the area crosses the border.
@pytest.mark.parametrize(
    ("country", "code", "areas"),
    [
        ("US", "00501", ("US-NY",)), ("US", "00601", ("US-PR",)), ("US", "00802", ("US-VI",)), ("US", "01001", ("US-MA",)),
        ("US", "02108", ("US-MA",)), ("US", "02861", ("US-MA", "US-RI")), ("US", "03031", ("US-NH",)), ("US", "04101", ("US-ME",)),
        ("US", "05501", ("US-MA",)), ("US", "05401", ("US-VT",)), ("US", "06101", ("US-CT",)), ("US", "07030", ("US-NJ",)),
        ("US", "14202", ("US-NY",)), ("US", "15001", ("US-PA",)), ("US", "19701", ("US-DE",)), ("US", "20001", ("US-DC",)),
        ("US", "20101", ("US-VA",)), ("US", "21201", ("US-MD",)), ("US", "25301", ("US-WV",)), ("US", "30301", ("US-GA",)),
        ("US", "33101", ("US-FL",)), ("US", "35203", ("US-AL",)), ("US", "37201", ("US-TN",)), ("US", "39201", ("US-MS",)),
        ("US", "39901", ("US-GA",)), ("US", "40202", ("US-KY",)), ("US", "42223", ("US-KY", "US-TN")), ("US", "44101", ("US-OH",)),
        ("US", "46201", ("US-IN",)), ("US", "48201", ("US-MI",)), ("US", "50301", ("US-IA",)), ("US", "53202", ("US-WI",)),
        ("US", "55401", ("US-MN",)), ("US", "56901", ("US-DC",)), ("US", "57501", ("US-SD",)), ("US", "58501", ("US-ND",)),
        ("US", "59601", ("US-MT",)), ("US", "60601", ("US-IL",)), ("US", "63101", ("US-MO",)), ("US", "66101", ("US-KS",)),
        ("US", "68102", ("US-NE",)), ("US", "70112", ("US-LA",)), ("US", "72201", ("US-AR",)), ("US", "73101", ("US-OK",)),
        ("US", "73301", ("US-TX",)), ("US", "77001", ("US-TX",)), ("US", "80202", ("US-CO",)), ("US", "82001", ("US-WY",)),
        ("US", "83414", ("US-ID", "US-WY")), ("US", "83702", ("US-ID",)), ("US", "84101", ("US-UT",)), ("US", "85001", ("US-AZ",)),
        ("US", "87501", ("US-NM",)), ("US", "88510", ("US-TX",)), ("US", "89101", ("US-NV",)), ("US", "94103", ("US-CA",)),
        ("US", "96801", ("US-HI",)), ("US", "97201", ("US-OR",)), ("US", "98101", ("US-WA",)), ("US", "99501", ("US-AK",)),
        ("AU", "0200", ("AU-ACT",)), ("AU", "2000", ("AU-NSW",)), ("AU", "2620", ("AU-ACT", "AU-NSW")), ("AU", "2914", ("AU-ACT",)),
        ("AU", "3000", ("AU-VIC",)), ("AU", "4000", ("AU-QLD",)), ("AU", "5000", ("AU-SA",)), ("AU", "6000", ("AU-WA",)),
        ("AU", "7000", ("AU-TAS",)), ("AU", "0800", ("AU-NT",)), ("AU", "6798", ()),
        ("BR", "01310-100", ("BR-SP",)), ("BR", "20040-020", ("BR-RJ",)), ("BR", "68900-000", ("BR-AP",)), ("BR", "69300-000", ("BR-RR",)),
        ("BR", "70040-010", ("BR-DF",)), ("BR", "72800-000", ("BR-GO",)), ("BR", "76801-000", ("BR-RO",)), ("BR", "90010-000", ("BR-RS",)),
        ("MX", "01000", ("MX-CMX",)), ("MX", "22000", ("MX-BCN",)), ("MX", "77500", ("MX-ROO",)), ("MX", "17000", ()),
        ("CA", "K1A 0B1", ("CA-ON",)), ("CA", "X0A", ("CA-NT", "CA-NU")), ("CA", "H2X1Y4", ("CA-QC",)),
        ("GB", "SW1A 1AA", ()), (None, "10001", ()), ("US", None, ()),
    ],
)  # fmt: skip
def test_a_postal_code_lies_where_the_post_says(country: str | None, code: str | None, areas: tuple[str, ...]) -> None:
    assert AREAS.of(country, code) == areas


@pytest.mark.parametrize("code", ["1000", "100011", "10OO1", "１０００１", "10001-12", "10001\n1", ""])
def test_what_is_not_of_the_countrys_form_says_nothing(code: str) -> None:
    assert AREAS.of("US", code) == ()


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("    cities:", "    citys:", 8, "unknown field"),
        ("NY: [", "NX: [", 6, "no such region"),
        ("NY-NYC:", "NX-NYC:", 8, "no such region"),
        ("NY-NYC:", "NYC:", 8, "no such region"),
        ("  US:", "  UX:", 6, "no such region"),
        ("100-149", "149-100", 6, "nor a range"),
        ("100-149", "10-149", 6, "nor a range"),
        ("100-149", "1oo", 6, "neither the beginning"),
        ('"[0-9]{5}"', '"[0-9"', 4, "no regular expression"),
        ('["005", 100-149]', "[]", 6, "at least 1"),
        ("sources: [the post's own rules]\n", "", 1, "required field is missing"),
        ('"005"', '"005', None, "not YAML"),
    ],
)
def test_a_file_that_is_not_whole_is_refused_with_line_and_reason(tmp_path: Path, old: str, new: str, line: int | None, says: str) -> None:
    assert FORM.count(old) >= 1
    path = tmp_path / "postal_areas.yaml"
    path.write_text(FORM.replace(old, new, 1), "utf-8")
    with pytest.raises(ConfigError, match=says) as refused:
        postal_areas(REGIONS, path)
    assert refused.value.file == str(path)
    assert line is None or refused.value.line == line


def test_the_form_of_these_tests_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "postal_areas.yaml"
    path.write_text(FORM, "utf-8")
    assert postal_areas(REGIONS, path).of("US", "10001") == ("US-NY", "US-NY-NYC")
    assert FILE.is_file()

"""Zones: nobody is contacted in a zone that was left out, and nobody whose zone is unknown."""

from __future__ import annotations

import pytest

from config.zones import zone_tables
from decisions.zones import NotAPhoneError, candidate_zones, place_zones, read_phone, state_zones

TABLES = zone_tables()


def zones(
    country: str | None = None,
    region: str | None = None,
    known: str | None = None,
    phones: tuple[str, ...] = (),
    code: str | None = None,
) -> list[str]:
    read = [read_phone(phone, tables=TABLES, live=False).zones for phone in phones]
    areas = TABLES.postal_areas.of(country, code)
    return candidate_zones(country=country, region=region, areas=areas, known_zone=known, phone_zones=read, tables=TABLES)


def test_an_address_and_a_number_that_disagree_both_count() -> None:
    assert zones("US", "CA", phones=("+12125550100",)) == ["America/Los_Angeles", "America/New_York"]


def test_a_known_zone_decides_alone() -> None:
    assert zones("US", "CA", "Europe/Madrid", ("+12125550100",)) == ["Europe/Madrid"]


def test_nothing_known_is_no_zone_at_all() -> None:
    assert zones() == []


def test_an_unknown_region_is_every_zone_of_the_country() -> None:
    assert set(zones("US")) == set(TABLES.countries["US"])
    assert {"America/New_York", "Pacific/Honolulu", "America/Anchorage"} <= set(zones("US"))


@pytest.mark.parametrize("region", ["TX", "US-TX"])
def test_a_state_in_two_zones_has_both(region: str) -> None:
    assert zones("US", region) == ["America/Chicago", "America/Denver"]


def test_the_border_of_mexico_counts_for_its_whole_state() -> None:
    assert zones("MX", "CHH") == ["America/Chihuahua", "America/Ciudad_Juarez", "America/Ojinaga"]
    assert zones("MX", "CMX") == ["America/Mexico_City"]


def test_china_has_its_legal_time_only_even_in_xinjiang() -> None:
    assert zones("CN", "CN-XJ", phones=("+8613999999999",)) == ["Asia/Shanghai"]


def test_a_country_with_one_zone_needs_no_region() -> None:
    assert place_zones("TW", None, TABLES) == ["Asia/Taipei"]
    assert place_zones("TW", "TW-TPE", TABLES) == ["Asia/Taipei"]


@pytest.mark.parametrize(
    ("country", "region", "code", "where"),
    [
        ("US", None, "10001", ["America/New_York"]),
        ("US", None, "90210-1234", ["America/Los_Angeles"]),
        ("AU", None, "6000", ["Australia/Eucla", "Australia/Perth"]),
        ("MX", None, "77500", ["America/Cancun"]),
        ("BR", None, "69900-000", ["America/Rio_Branco"]),
        ("CA", None, "v6b 1a1", TABLES.regions["CA-BC"]),
    ],
)
def test_where_the_region_is_not_known_the_postal_code_tells_it(country: str, region: str | None, code: str, where: list[str]) -> None:
    assert zones(country, region, code=code) == sorted(where)


def test_a_region_and_a_postal_code_that_disagree_both_count() -> None:
    assert zones("US", "CA", code="10001") == ["America/Los_Angeles", "America/New_York"]


def test_a_region_and_a_postal_code_that_agree_are_the_region() -> None:
    assert zones("US", "NY", code="10001") == ["America/New_York"]
    assert zones("US", "TN", code="42223") == sorted(TABLES.regions["US-TN"]), "the fort straddles the border, the state is stated"


def test_a_postal_code_on_a_border_is_on_both_sides() -> None:
    assert set(zones("US", code="86515")) == {"America/Phoenix", "America/Denver"}
    assert set(zones("AU", code="0872")) == {zone for part in ("NT", "SA", "WA") for zone in TABLES.regions[f"AU-{part}"]}


@pytest.mark.parametrize("code", ["", "1000", "ABCDE", "99", "09021", "00000"])
def test_a_postal_code_that_says_nothing_is_every_zone_of_the_country(code: str) -> None:
    assert zones("US", code=code) == zones("US")
    assert zones("US", "TX", code=code) == zones("US", "TX")


def test_a_postal_code_and_a_number_that_disagree_both_count() -> None:
    assert zones("US", phones=("+12125550100",), code="90210") == ["America/Los_Angeles", "America/New_York"]


def test_a_postal_code_does_not_move_a_person_who_is_known_to_be_elsewhere() -> None:
    assert zones("US", "NY", "Europe/Madrid", code="90210") == ["Europe/Madrid"]


def test_a_postal_code_of_a_country_that_is_not_known_says_nothing() -> None:
    assert zones(code="10001") == []


def test_a_zone_lies_in_its_country_by_any_of_its_names() -> None:
    by_name = TABLES.country_of_zone
    assert [by_name[name] for name in ("America/New_York", "US/Eastern", "Asia/Calcutta", "Europe/Amsterdam")] == ["US", "US", "IN", "NL"]
    assert "Etc/UTC" not in by_name


def test_every_listed_region_has_zones_of_its_own_country_or_none_is_silently_wrong() -> None:
    for region, listed in TABLES.regions.items():
        country = region.partition("-")[0]
        # Territories of the United States have country codes of their own in the tz database.
        homes = {country, region.partition("-")[2]} if country == "US" else {country}
        assert {TABLES.country_of_zone[zone] for zone in listed} <= homes, region


def test_together_the_regions_cover_every_zone_of_their_country() -> None:
    for country in TABLES.countries_with_regions:
        covered = {zone for region, listed in TABLES.regions.items() if region.startswith(f"{country}-") for zone in listed}
        assert set(TABLES.countries[country]) <= covered, country


@pytest.mark.parametrize(
    ("number", "country", "where"),
    [
        ("+1 (212) 555-0100", "US", ("America/New_York",)),
        ("+1 416 555 0100", "CA", ("America/Toronto",)),
        ("+886900000001", "TW", ("Asia/Taipei",)),
        ("+8612000000001", "CN", ("Asia/Shanghai",)),
        ("+525500000001", "MX", ("America/Mexico_City",)),
    ],
)
def test_a_number_tells_its_country_and_zones(number: str, country: str, where: tuple[str, ...]) -> None:
    phone = read_phone(number, tables=TABLES, live=False)
    assert (phone.country, phone.zones) == (country, where)
    assert phone.e164.startswith("+")
    assert phone.e164[1:].isdigit()


def test_a_toll_free_number_may_be_anywhere_in_its_plan() -> None:
    assert {"America/New_York", "Pacific/Honolulu", "America/Vancouver"} <= set(read_phone("+18005550100", tables=TABLES, live=False).zones)


@pytest.mark.parametrize(
    "number",
    [
        "2125550100",
        "0012125550100",
        "+",
        "+1",
        "+1212555010",
        "+12125550100 ext 5",
        "+1-212-555-CALL",
        "+999123456789",
        "+1" + "2" * 30,
        "",
    ],
)
def test_what_is_no_number_is_refused_without_repeating_it(number: str) -> None:
    with pytest.raises(NotAPhoneError) as refusal:
        read_phone(number, tables=TABLES, live=False)
    assert "212" not in str(refusal.value)


def test_live_mode_takes_only_numbers_that_are_given_out() -> None:
    assert read_phone("+8612000000001", tables=TABLES, live=False).e164 == "+8612000000001"
    with pytest.raises(NotAPhoneError, match="gives out no such number"):
        read_phone("+8612000000001", tables=TABLES, live=True)


def test_a_states_time_is_told_by_one_clock_though_its_islands_keep_another() -> None:
    tables = TABLES
    assert state_zones("AU", "NSW", tables) == ["Australia/Sydney"]
    assert "Australia/Broken_Hill" in place_zones("AU", "NSW", tables)
    assert state_zones("AU", None, tables) == place_zones("AU", None, tables)
    assert state_zones("US", "TN", tables) == place_zones("US", "TN", tables)
    assert state_zones("CN", None, tables) == ["Asia/Shanghai"]
    assert state_zones(None, None, tables) == []


@pytest.mark.parametrize(
    ("country", "zone"),
    [("TW", "Asia/Taipei"), ("PH", "Asia/Manila"), ("MX", "America/Mexico_City"), ("CN", "Asia/Shanghai"), ("RU", None), ("QQ", None)],
)
def test_a_business_date_is_told_by_one_clock_or_by_none(country: str, zone: str | None) -> None:
    assert TABLES.business_zone(country) == zone

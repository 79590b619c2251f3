"""Invented people: different, repeatable, in ranges that no one can own."""

from __future__ import annotations

import phonenumbers
import pytest

from sandbox.people import COUNTRIES, NoNumbersLeftError, invent_contact_points, invent_people


@pytest.mark.parametrize("country", COUNTRIES)
def test_numbers_are_possible_different_and_the_same_for_the_same_seed(country: str) -> None:
    numbers = invent_contact_points(7, country, 900)
    assert len(set(numbers)) == 900
    assert numbers == invent_contact_points(7, country, 900)
    assert numbers != invent_contact_points(8, country, 900)
    assert all(phonenumbers.is_possible_number(phonenumbers.parse(number)) for number in numbers)


def test_american_numbers_lie_in_the_range_kept_for_fiction_and_their_zone_fits() -> None:
    people = invent_people(7, "US", 32_900)
    assert len({person.phone for person in people}) == 32_900
    assert all(person.phone[5:10] == "55501" and len(person.phone) == 12 for person in people)
    by_zone = {person.phone[2:5]: person.zone for person in people}
    assert (by_zone["212"], by_zone["808"], by_zone["602"]) == ("America/New_York", "Pacific/Honolulu", "America/Phoenix")


def test_british_numbers_are_those_for_drama() -> None:
    assert all(number.startswith("+447700900") and len(number) == 13 for number in invent_contact_points(1, "GB", 1000))


@pytest.mark.parametrize("country", ["TW", "CN", "MX"])
def test_where_there_is_no_range_for_fiction_no_operators_plan_has_the_number(country: str) -> None:
    for number in invent_contact_points(7, country, 5000):
        parsed = phonenumbers.parse(number)
        assert not phonenumbers.is_valid_number(parsed)
        assert phonenumbers.phonenumberutil.region_code_for_country_code(parsed.country_code or 0) == country


@pytest.mark.parametrize(("country", "count"), [("GB", 1001), ("FR", 1), ("", 1), ("US", -1)])
def test_more_than_there_are_and_unknown_countries_are_refused(country: str, count: int) -> None:
    with pytest.raises(NoNumbersLeftError):
        invent_people(7, country, count)


def test_names_are_things_and_tokens_differ() -> None:
    people = invent_people(7, "TW", 500)
    assert len({person.push_token for person in people}) == 500
    assert all(any(thing in person.name for thing in ("茶壺", "路燈", "雨傘", "書架", "門鈴", "湯匙")) for person in people)

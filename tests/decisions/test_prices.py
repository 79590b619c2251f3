"""What messages cost: by hand, at the borders of dates and countries, and never invented."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.prices import Cost, Price, Usage, cost_of, price_of

NEW_YEAR = date(2026, 1, 1)


def price(country: str = "TW", *, since: date = NEW_YEAR, currency: str = "USD", minor: int = 4_590, channel: str = "sms") -> Price:
    return Price(channel=channel, country=country, since=since, currency=currency, minor_per_1000=minor, source="test")


def usage(segments: int, country: str | None = "TW", *, on: date = NEW_YEAR, channel: str = "sms") -> Usage:
    return Usage(channel=channel, country=country, on=on, segments=segments)


def test_a_thousand_and_a_half_segments_cost_as_by_hand() -> None:
    """1,500 x 4.59 cents = 6,885 cents."""
    assert cost_of([usage(1_000), usage(500)], [price()]) == Cost(minor={"USD": 6_885}, segments=1_500, unpriced=0)


def test_only_the_sum_is_rounded_and_upwards() -> None:
    """3 x 0.4 cents are 1.2 cents: 2, and neither 0 nor 3."""
    assert cost_of([usage(1)] * 3, [price(minor=400)]).minor == {"USD": 2}


def test_what_has_no_price_is_unknown_and_not_free() -> None:
    cost = cost_of([usage(10), usage(7, "US"), usage(5, None), usage(3, channel="push")], [price()])
    assert (cost.segments, cost.unpriced, cost.minor) == (25, 15, {"USD": 46})
    assert str(cost) == "USD 0.46 + 15 segments of unknown price"
    assert str(cost_of([usage(2)], [])) == "2 segments of unknown price"


def test_what_is_free_is_known_to_be() -> None:
    assert str(cost_of([usage(9, channel="push")], [price("*", minor=0, channel="push")])) == "USD 0.00"


@pytest.mark.parametrize(
    ("on", "minor"), [(date(2025, 12, 31), None), (NEW_YEAR, 4_590), (date(2026, 2, 28), 4_590), (date(2026, 3, 1), 5_000)]
)
def test_a_price_holds_from_its_date_until_the_next(on: date, minor: int | None) -> None:
    found = price_of([price(since=date(2026, 3, 1), minor=5_000), price()], channel="sms", country="TW", on=on)
    assert (found.minor_per_1000 if found else None) == minor


def test_a_countrys_own_price_comes_before_that_of_every_country() -> None:
    both = [price("*", minor=9_000, since=date(2026, 2, 1)), price("TW", minor=4_590)]
    assert cost_of([usage(1_000, on=date(2026, 3, 1)), usage(1_000, "MX", on=date(2026, 3, 1))], both).minor == {"USD": 13_590}


def test_currencies_are_never_added_together() -> None:
    cost = cost_of([usage(1_000), usage(1_000, "JP")], [price(), price("JP", currency="JPY", minor=9_000)])
    assert cost.minor == {"USD": 4_590, "JPY": 9_000}
    assert str(cost) == "JPY 9000 + USD 45.90"


@given(counts=st.lists(st.integers(0, 10_000)), minor=st.integers(0, 100_000))
def test_cost_does_not_depend_on_how_messages_are_grouped(counts: list[int], minor: int) -> None:
    known = [price(minor=minor)]
    assert cost_of([usage(count) for count in counts], known).minor.get("USD", 0) == cost_of([usage(sum(counts))], known).minor["USD"]

"""Prices: read as they stand, or an error with file, line and reason; nothing is priced that nobody wrote down."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from config.load import ConfigError
from config.prices import prices
from decisions.prices import Price

ONE = '- {channel: sms, country: TW, from: 2026-01-01, currency: USD, minor_per_1000: 4590, source: "list of 2026-01-04"}\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "prices.yaml"


def test_what_ships_invents_no_price() -> None:
    assert prices() == ()


def test_a_price_is_read_as_it_stands(path: Path) -> None:
    path.write_text(ONE, "utf-8")
    assert prices(path) == (
        Price(channel="sms", country="TW", since=date(2026, 1, 1), currency="USD", minor_per_1000=4590, source="list of 2026-01-04"),
    )


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("TW", "XX", "is no country"),
        ("USD", "DOL", "is no currency"),
        ("4590", "-1", "greater than or equal to 0"),
        ("4590", "45.9", "not a whole number"),
        ("sms", "pigeon", "channel"),
        ('"list of 2026-01-04"', '""', "at least 1 character"),
        (ONE, ONE + ONE, "is given twice"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(path: Path, old: str, new: str, says: str) -> None:
    path.write_text(ONE.replace(old, new), "utf-8")
    with pytest.raises(ConfigError, match=says):
        prices(path)

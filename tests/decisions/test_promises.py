"""Promises to pay: what gives peace, and what counts as kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from config.load import ConfigError
from config.promises import PROMISES_FILE, promise_terms
from decisions.promises import StillPromised, gives_peace, judged, still_promised
from tests.plugins.portfolio import TODAY

TERMS = promise_terms()


@pytest.mark.parametrize(
    ("days", "amount_minor", "peace"),
    [(0, None, True), (14, None, True), (15, None, False), (-1, None, False), (3, 1_000, True), (3, 999, False), (3, 20_000, True)],
)
def test_a_promise_gives_peace_up_to_fourteen_days_ahead_and_from_a_tenth_of_what_is_past_due(
    days: int, amount_minor: int | None, *, peace: bool
) -> None:
    assert gives_peace(TODAY + timedelta(days=days), amount_minor, TERMS, today=TODAY, past_due_minor=10_000) is peace


@pytest.mark.parametrize(
    ("promised", "paid", "owed", "left"),
    [
        ({"USD": 5_000}, {}, {"USD": 9_000}, 5_000),
        ({"USD": 5_000}, {"USD": 2_000}, {"USD": 9_000}, 3_000),
        # Nobody is reminded of more than is owed at all.
        ({"USD": 5_000}, {}, {"USD": 1_000}, 1_000),
        ({"USD": 5_000}, {"USD": 5_000}, {"USD": 9_000}, None),
        ({"USD": 5_000}, {"USD": 9_000}, {"USD": 9_000}, None),
        ({"USD": 5_000}, {}, {}, None),
        # A text names one amount.
        ({"USD": 5_000, "EUR": 5_000}, {}, {"USD": 9_000, "EUR": 9_000}, None),
        ({"USD": 5_000, "EUR": 5_000}, {"EUR": 5_000}, {"USD": 9_000, "EUR": 9_000}, 5_000),
        ({}, {}, {"USD": 9_000}, None),
    ],
)
def test_a_reminder_names_what_is_open_of_the_promise_and_owed(
    promised: Mapping[str, int], paid: Mapping[str, int], owed: Mapping[str, int], left: int | None
) -> None:
    expected = None if left is None else StillPromised(due_on=TODAY, amount_minor=left, currency="USD")
    assert still_promised(TODAY, promised, paid, owed) == expected


@pytest.mark.parametrize(
    ("wanted", "paid", "is_over", "state"),
    [
        ({"USD": 10_000}, {"USD": 9_000}, False, "kept"),
        ({"USD": 10_000}, {"USD": 8_999}, False, "open"),
        ({"USD": 10_000}, {"USD": 8_999}, True, "partial"),
        ({"USD": 10_000}, {"USD": 5_000}, True, "partial"),
        ({"USD": 10_000}, {"USD": 4_999}, True, "broken"),
        ({"USD": 10_000}, {}, True, "broken"),
        # Every currency is promised.
        ({"USD": 10_000, "MXN": 500}, {"USD": 10_000}, True, "broken"),
        ({"USD": 10_000, "MXN": 500}, {"USD": 10_000, "MXN": 500}, False, "kept"),
        # In the end nothing was owed: nothing is broken; while its day is still to come, nothing is known.
        ({"USD": 0}, {}, True, "kept"),
        ({}, {}, True, "kept"),
        ({"USD": 0}, {}, False, "open"),
    ],
)
def test_ninety_percent_keeps_a_promise(wanted: Mapping[str, int], paid: Mapping[str, int], *, is_over: bool, state: str) -> None:
    assert judged(wanted, paid, TERMS, is_over=is_over) == state


def test_terms_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "promises.yaml"
    file.write_text(PROMISES_FILE.read_text("utf-8").replace("partial_percent_min: 50", "partial_percent_min: 95"), "utf-8")
    with pytest.raises(ConfigError, match="partial_percent_min"):
        promise_terms(file)

"""The figures of a month, each by hand."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions.kpis import Share
from decisions.month_kpis import difference, effective_share, flow_rates, kaplan_meier, liquidation, masked, spread, vintage

# Freireich et al. 1963, weeks of remission under 6-MP; the textbook case of survival (Cox & Oakes 1984, table 1.1).
SIX_MP = [
    (6, 1),
    (6, 1),
    (6, 1),
    (6, 0),
    (7, 1),
    (9, 0),
    (10, 1),
    (10, 0),
    (11, 0),
    (13, 1),
    (16, 1),
    (17, 0),
    (19, 0),
    (20, 0),
    (22, 1),
    (23, 1),
    (25, 0),
    (32, 0),
    (32, 0),
    (34, 0),
    (35, 0),
]


def lives(rows: list[tuple[int, int]]) -> pl.DataFrame:
    return pl.DataFrame([(days, bool(ended)) for days, ended in rows], schema={"days": pl.Int64, "ended": pl.Boolean}, orient="row")


def test_survival_of_the_textbook_case() -> None:
    found = kaplan_meier(lives(SIX_MP))
    assert found["day"].to_list() == [6, 7, 10, 13, 16, 22, 23]
    assert found["at_risk"].to_list() == [21, 17, 15, 12, 11, 7, 6]
    assert [round(value, 4) for value in found["survival"]] == [0.8571, 0.8067, 0.7529, 0.6902, 0.6275, 0.5378, 0.4482]
    # R's survfit with conf.type = "log-log", as printed in many courses.
    assert [round(value, 3) for value in found["low"]] == [0.620, 0.563, 0.503, 0.432, 0.368, 0.268, 0.188]
    assert [round(value, 3) for value in found["high"]] == [0.952, 0.923, 0.889, 0.849, 0.805, 0.747, 0.680]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 1)), min_size=1, max_size=30))
def test_survival_never_rises_and_stays_inside_its_interval(rows: list[tuple[int, int]]) -> None:
    found = kaplan_meier(lives(rows))
    line = [1.0, *found["survival"]]
    assert line == sorted(line, reverse=True)
    assert (found["low"] <= found["survival"]).all()
    assert (found["survival"] <= found["high"]).all()


def test_without_anybody_unseen_survival_is_the_plain_share() -> None:
    assert kaplan_meier(lives([(1, 1), (2, 1), (3, 1), (4, 1)]))["survival"].to_list() == pytest.approx([0.75, 0.5, 0.25, 0])
    assert kaplan_meier(lives([(5, 0), (9, 0)])).is_empty()


def test_a_difference_of_shares_is_newcombes() -> None:
    """Newcombe 1998, table II (a): 56/70 less 48/80 is 0.2, from 0.0524 to 0.3339."""
    found = difference(Share(56, 70), Share(48, 80))
    assert found is not None
    assert [round(value, 4) for value in (found.value, found.low, found.high)] == [0.2, 0.0524, 0.3339]
    assert difference(Share(1, 2), Share(0, 0)) is None


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 40), st.integers(0, 40))
def test_a_difference_lies_in_its_interval_and_turns_with_its_sides(one: int, other: int) -> None:
    there, back = difference(Share(one, 40), Share(other, 40)), difference(Share(other, 40), Share(one, 40))
    assert there is not None
    assert back is not None
    assert there.low <= there.value <= there.high
    assert there.value == -back.value
    assert there.low == pytest.approx(-back.high)


def test_contacts_are_spread_over_everybody_those_without_any_too() -> None:
    found = spread({0: 90, 1: 6, 2: 3, 7: 1})
    assert found is not None
    assert (found.people, found.mean, found.p95, found.largest) == (100, 0.19, 1, 7)
    assert spread({}) is None


def test_a_flow_rate_is_this_bucket_of_the_one_before_a_month_earlier() -> None:
    before, after = {"M1": 1000, "M2": 200, "M3": 0}, {"M1": 900, "M2": 300, "M3": 250, "M4+": 10}
    assert flow_rates(before, after, ["M1", "M2", "M3", "M4+"]) == {"M2": Share(300, 1000), "M3": Share(250, 200)}


def test_a_liquidation_curve_keeps_its_first_denominator_and_ends_with_its_youngest_loan() -> None:
    placed = pl.DataFrame({"cohort": ["2026-01", "2026-02"], "owed_minor": [1000, 500]})
    paid = pl.DataFrame({"cohort": ["2026-01"] * 4, "day": [0, 2, 2, 3], "paid_minor": [100, 300, -50, 400]})
    found = liquidation(placed, paid, until_day={"2026-01": 2, "2026-02": 0})
    assert found.select("cohort", "day", "paid_minor").rows() == [
        ("2026-01", 0, 100),
        ("2026-01", 1, 100),
        ("2026-01", 2, 350),
        ("2026-02", 0, 0),
    ]
    assert found["share"].to_list() == pytest.approx([0.1, 0.1, 0.35, 0])


def test_a_vintage_curve_ends_with_its_youngest_loan_and_never_falls() -> None:
    loans = pl.DataFrame({"cohort": ["2026-01"] * 4, "seen_months": [3, 3, 3, 2], "late_months": [1, None, 3, 2], "loans": [1, 1, 1, 1]})
    found = vintage(loans)
    assert found["month"].to_list() == [0, 1, 2]
    assert found["share"].to_list() == [0, 0.25, 0.5]


def test_unequal_chances_are_worth_fewer_people() -> None:
    even = effective_share(40 * 2, 10 * 2, 40 * 4)
    assert (even.part, even.whole) == (10, 40)
    uneven = effective_share(10 + 30 * 1, 10, 100 + 30)
    assert uneven.whole == 12
    assert uneven.value == pytest.approx(0.25)
    assert effective_share(0, 0, 0) == Share(0, 0)


def test_few_people_are_not_shown_and_cannot_be_worked_out() -> None:
    assert masked([100, 20, 0], 10) == [100, 20, 0]
    assert masked([100, 20, 3], 10) == [100, None, None]
    assert masked([100, 4, 3], 10) == [100, None, None]
    assert masked([7], 10) == [None]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=8))
def test_nothing_hidden_follows_from_what_is_shown(counts: list[int]) -> None:
    shown = masked(counts, 10)
    assert all(one is None or one == 0 or one >= 10 for one in shown)
    hidden = [count for count, one in zip(counts, shown, strict=True) if one is None]
    assert len(hidden) != 1 or sum(one is not None and one > 0 for one in shown) == 0

"""The figures by which a stage is judged: by hand, and honest about few people."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.kpis import Share, contacts_per_cured, cure_rate, forward_roll, kept_rate, per_thousand, roll_states
from decisions.roll_rates import roll_rates

BUCKETS = ("current", "M1", "M2")


def matrix(moves: list[tuple[str, str, int]]) -> pl.DataFrame:
    rows = [(number, before, after, owed) for number, (before, after, owed) in enumerate(moves)]
    frame = pl.DataFrame(rows, schema=["loan_id", "bucket", "after", "balance_minor"], orient="row")
    return roll_rates(frame, frame.select("loan_id", bucket="after"), buckets=roll_states(BUCKETS))


def test_states_read_from_cured_to_gone_and_name_each_once() -> None:
    assert roll_states(BUCKETS) == ("current", "paid off", "M1", "M2", "in plan", "re-aged", "written off", "closed otherwise")


def test_a_plan_a_correction_a_write_off_and_a_sale_are_no_cures() -> None:
    moves = [("M1", state, 100) for state in roll_states(BUCKETS)] + [("current", "current", 0), ("written off", "written off", 5)]
    cure = cure_rate(matrix(moves))
    assert (cure.part, cure.whole) == (2, 8)


def test_cures_by_balance_weigh_what_was_owed_before() -> None:
    cure = cure_rate(matrix([("M1", "current", 900), ("M2", "M2", 100)]), "balance_minor")
    assert cure == Share(900, 1_000)


def test_forward_is_any_later_bucket_or_a_write_off() -> None:
    moves = [("M1", "M1", 1), ("M1", "M2", 1), ("M1", "written off", 1), ("M1", "current", 1), ("current", "M1", 0), ("M2", "M1", 1)]
    assert forward_roll(matrix(moves), BUCKETS) == {"current": Share(1, 1), "M1": Share(2, 4), "M2": Share(0, 1)}


def test_open_and_withdrawn_promises_are_not_judged() -> None:
    assert kept_rate({"kept": 3, "partial": 1, "broken": 2, "open": 10, "withdrawn": 4}) == Share(3, 6)
    assert kept_rate({"open": 10}).value is None


def test_of_nothing_there_is_no_rate() -> None:
    assert str(Share(0, 0)) == "–"
    assert (Share(0, 0).interval, contacts_per_cured(5, 0), per_thousand(1, 0)) == (None, None, None)
    assert (contacts_per_cured(29, 2), per_thousand(3, 1_500)) == (14.5, 2.0)


@pytest.mark.parametrize(("part", "whole", "low", "high"), [(0, 10, 0.0, 0.278), (5, 10, 0.237, 0.763), (81, 263, 0.255, 0.366)])
def test_the_interval_is_wilsons(part: int, whole: int, low: float, high: float) -> None:
    """The last one is the example of Newcombe (1998), Statistics in Medicine 17, table I, method 3: 0.2553 to 0.3662."""
    assert Share(part, whole).interval == pytest.approx((low, high), abs=0.0006)


@given(part=st.integers(0, 1_000), more=st.integers(0, 1_000))
def test_the_interval_holds_the_share_and_stays_within_0_and_1(part: int, more: int) -> None:
    share = Share(part, part + more)
    if share.interval is not None and share.value is not None:
        low, high = share.interval
        assert 0 <= low <= share.value + 1e-12
        assert share.value - 1e-12 <= high <= 1

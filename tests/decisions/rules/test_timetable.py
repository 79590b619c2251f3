"""Periods: until when something counts, over changes of the clock and the ends of months."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from decisions.rule_forms import Period
from decisions.rules.constraints import Place
from decisions.rules.events import FAR_US, day_starts, span_ends
from decisions.rules.timetable import DAY_US, NEVER_US, day_number
from tests.plugins.rule_cases import EAST, WEST, instant

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def micros(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)


def ends(at: datetime, period: Period, *zones: str, soonest: bool = False) -> datetime:
    end = span_ends(np.array([micros(at)]), np.array([0]), [Place(zones)], period, soonest=soonest).item()
    return EPOCH + timedelta(microseconds=end)


@pytest.mark.parametrize(
    ("began", "period", "over"),
    [
        # The clock goes forward on Sunday 2026-03-08 and back on Sunday 2026-11-01.
        ("2026-03-02T23:59", Period("days", 7), "2026-03-09T00:00"),
        ("2026-03-08T00:00", Period("days", 1), "2026-03-09T00:00"),
        ("2026-11-01T00:30", Period("days", 1), "2026-11-02T00:00"),
        ("2026-10-26T00:00", Period("days", 7), "2026-11-02T00:00"),
        # By the clock a day is 24 hours, whatever the wall says.
        ("2026-03-07T12:00", Period("minutes", 24 * 60), "2026-03-08T13:00"),
        ("2026-10-31T12:00", Period("minutes", 24 * 60), "2026-11-01T11:00"),
        ("2026-03-02T12:00", Period("minutes", 168 * 60), "2026-03-09T13:00"),
        ("2026-03-08T01:58", Period("minutes", 5), "2026-03-08T03:03"),
        # Monday to Sunday.
        ("2026-03-02T00:00", Period("week"), "2026-03-09T00:00"),
        ("2026-03-08T23:59", Period("week"), "2026-03-09T00:00"),
        ("2026-11-01T23:59", Period("week"), "2026-11-02T00:00"),
        ("2026-12-31T12:00", Period("week"), "2027-01-04T00:00"),
        ("2026-02-01T00:00", Period("month"), "2026-03-01T00:00"),
        ("2026-12-31T23:59", Period("month"), "2027-01-01T00:00"),
        ("2026-10-15T12:00", Period("months", 3), "2027-01-15T00:00"),
        ("2026-12-01T12:00", Period("months", 1), "2027-01-01T00:00"),
        ("2026-11-28T12:00", Period("months", 3), "2027-02-28T00:00"),
        # Where the month is too short, its last day is the last of the period.
        ("2026-11-30T12:00", Period("months", 3), "2027-03-01T00:00"),
        ("2026-01-31T12:00", Period("months", 1), "2026-03-01T00:00"),
        ("2026-03-31T12:00", Period("months", 1), "2026-05-01T00:00"),
        ("2028-01-30T12:00", Period("months", 1), "2028-03-01T00:00"),
        ("2028-01-29T12:00", Period("months", 1), "2028-02-29T00:00"),
    ],
)
def test_a_period_is_over_on_time(began: str, period: Period, over: str) -> None:
    assert ends(instant(began), period, EAST) == instant(over)


def test_a_day_ends_last_where_it_is_still_today_and_first_where_it_is_not() -> None:
    # 01:00 on Tuesday in New York is Monday 22:00 in Los Angeles.
    at = instant("2026-03-17T01:00")
    assert ends(at, Period("days", 7), EAST, WEST) == instant("2026-03-24T00:00", EAST)
    assert ends(at, Period("days", 7), EAST, WEST, soonest=True) == instant("2026-03-23T00:00", WEST)
    assert ends(instant("2026-03-16T22:00", WEST), Period("days", 7), WEST) == instant("2026-03-23T00:00", WEST)


def test_a_week_that_has_begun_in_one_zone_alone_is_over_in_both() -> None:
    at = instant("2026-03-16T01:00")  # Monday; in Los Angeles it is Sunday still
    assert ends(at, Period("week"), EAST, WEST) == instant("2026-03-23T00:00", EAST)
    assert ends(at, Period("week"), EAST, WEST, soonest=True) == instant("2026-03-16T00:00", WEST)


def test_without_a_zone_the_end_lies_past_every_place_on_earth() -> None:
    at = datetime(2026, 3, 17, 12, tzinfo=UTC)
    last, first = ends(at, Period("days", 1)), ends(at, Period("days", 1), soonest=True)
    for zone in ("Etc/GMT-14", "Etc/GMT+12", EAST):
        assert first <= ends(at, Period("days", 1), zone) <= last


def test_what_is_for_good_or_begins_past_all_reckoning_never_ends() -> None:
    at = np.array([0, micros(instant("2026-03-17T01:00")), FAR_US, NEVER_US])
    place, places = np.array([0, 0, 0, 0]), [Place((EAST,))]
    assert span_ends(at, place, places, Period("ever")).tolist() == [NEVER_US] * 4
    for period in (Period("days", 1), Period("months", 9999), Period("minutes", 5)):
        assert span_ends(at, place, places, period)[2:].tolist() == [NEVER_US] * 2


def test_a_date_begins_where_it_begins_last() -> None:
    days = pl.Series([day_number(instant("2026-03-08T12:00").date())] * 3)
    starts = day_starts(days, pl.Series([0, 1, 2]), [Place((EAST,)), Place((EAST, WEST)), Place(())])
    assert starts.to_list() == [micros(instant("2026-03-08T00:00")), micros(instant("2026-03-08T00:00", WEST)), (days[0] + 1) * DAY_US]

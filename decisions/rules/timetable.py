"""Local hours as intervals of instants, exact across changes of the clock.

A window, a wish and "until the end of the seventh local day" are all about wall clocks. Here they become intervals of UTC
microseconds, once for each set of zones and each day (a handful), so that a million rows only need a binary search.

In:   zone names, local hours, a day. Zones come from the package tzdata, never from a row's text.
Out:  sorted tuples of [start, end) in microseconds after that day's midnight in UTC, up to `REACH_US`.
Pure: values; what was computed is remembered.
Source: IANA time zone database; times of day are [from, to) (ARCHITECTURE.md, "Decided now").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final, Protocol, TypeVar
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from decisions.rule_forms import Period

SECOND_US: Final = 1_000_000
MINUTE_US: Final = 60 * SECOND_US
DAY_US: Final = 86_400 * SECOND_US
# How far ahead hours are laid out: 8 days of search, and a local day on either side.
REACH_DAYS: Final = 10
REACH_US: Final = REACH_DAYS * DAY_US
# Later than every instant: "never".
NEVER_US: Final = 1 << 61
# One slot's part of the number line that all slots share; it is longer than REACH_US.
SLOT_BITS: Final = 41
SLOT_END: Final = (1 << SLOT_BITS) - 1

Intervals = tuple[tuple[int, int], ...]
Slot = TypeVar("Slot")
EPOCH: Final = date(1970, 1, 1)


class DayPlan(Protocol):
    """Something that has hours on a local date; hashable, because what follows from it is remembered."""

    def __hash__(self) -> int: ...

    def spans(self, day: date) -> Intervals:
        """Hours of the local date, in microseconds after its midnight; an end beyond 24 h reaches into the next day."""


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - EPOCH).days


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _offset_us(zone: str, utc_us: int) -> int:
    moment = datetime.fromtimestamp(utc_us // SECOND_US, tz=UTC).astimezone(_zone(zone))
    offset = moment.utcoffset()
    assert offset is not None, "an aware instant has an offset"  # noqa: S101  # an invariant of datetime
    return offset // timedelta(microseconds=1)


@lru_cache(maxsize=8192)
def _segments(zone: str, day: int) -> tuple[tuple[int, int, int], ...]:
    """(start, end, offset) pieces of [day − 2, day + REACH_DAYS + 2) in which the zone's offset stands still."""
    begin, pieces = (day - 2) * DAY_US, []
    start, offset = begin, _offset_us(zone, begin)
    for noon in range(1, REACH_DAYS + 5):
        low, high = begin + (noon - 1) * DAY_US, begin + noon * DAY_US
        after = _offset_us(zone, high)
        if after != offset:
            change = _change(zone, low, high, offset)
            pieces.append((start, change, offset))
            start, offset = change, after
    pieces.append((start, begin + (REACH_DAYS + 4) * DAY_US, offset))
    return tuple((first - day * DAY_US, last - day * DAY_US, shift) for first, last, shift in pieces)


def _change(zone: str, low: int, high: int, offset: int) -> int:
    """The first second in (low, high] at which the offset is another."""
    while high - low > SECOND_US:
        middle = (low + high) // (2 * SECOND_US) * SECOND_US
        low, high = (middle, high) if _offset_us(zone, middle) == offset else (low, middle)
    return high


def hours_in_zone(plan: DayPlan, zone: str, day: int) -> Intervals:
    """When the wall clock of `zone` is inside the plan's hours, merged and ascending."""
    found: list[tuple[int, int]] = []
    for start, end, offset in _segments(zone, day):
        first, last = (start + offset) // DAY_US - 1, (end + offset) // DAY_US
        for local_day in range(first, last + 1):
            for opens, closes in plan.spans(EPOCH + timedelta(days=day + local_day)):
                low = max(start, local_day * DAY_US + opens - offset)
                high = min(end, local_day * DAY_US + closes - offset)
                if low < high:
                    found.append((low, high))
    return merged(found)


def merged(intervals: Sequence[tuple[int, int]]) -> Intervals:
    """The same instants as disjoint intervals, ascending."""
    result: list[tuple[int, int]] = []
    for low, high in sorted(intervals):
        if result and low <= result[-1][1]:
            result[-1] = (result[-1][0], max(high, result[-1][1]))
        else:
            result.append((low, high))
    return tuple(result)


def both(one: Intervals, other: Intervals) -> Intervals:
    """Instants in both."""
    return merged([(max(a, c), min(b, d)) for a, b in one for c, d in other if max(a, c) < min(b, d)])


def outside(intervals: Intervals, low: int, high: int) -> Intervals:
    """Instants of [low, high) in none of `intervals`."""
    gaps, position = [], low
    for start, end in merged(intervals):
        if position < min(start, high):
            gaps.append((position, min(start, high)))
        position = max(position, end)
    if position < high:
        gaps.append((position, high))
    return tuple(gaps)


def within(intervals: Intervals) -> Intervals:
    """The part from the day's midnight in UTC up to REACH_US."""
    return tuple((max(low, 0), min(high, REACH_US)) for low, high in intervals if high > 0 and low < REACH_US)


@lru_cache(maxsize=65536)
def start_of_day_us(zone: str, day: int) -> int:
    """First instant of a local date, in microseconds since 1970; where midnight is skipped, the change of the clock."""
    midnight = datetime.combine(EPOCH + timedelta(days=day), time(), _zone(zone))
    return (midnight.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@lru_cache(maxsize=65536)
def local_day_steps(zones: tuple[str, ...], day: int) -> tuple[tuple[int, tuple[int, ...]], ...]:
    """Local dates through one UTC day: (microseconds after its midnight, local date in each zone from then on)."""
    starts = {0}
    for zone in zones:
        midnights = (start_of_day_us(zone, day + step) - day * DAY_US for step in (-1, 0, 1, 2))
        starts.update(at for at in midnights if 0 < at < DAY_US)
    return tuple((at, tuple(_local_day(zone, day * DAY_US + at) for zone in zones)) for at in sorted(starts))


def _local_day(zone: str, utc_us: int) -> int:
    return (utc_us + _offset_us(zone, utc_us)) // DAY_US


@lru_cache(maxsize=65536)
def ends_of_span(zones: tuple[str, ...], period: Period, day: int, *, soonest: bool = False) -> tuple[tuple[int, int], ...]:
    """Until when something of this UTC day counts, by a period of local days, in the zone where that ends last.

    Args:
        zones: Where it may have been.
        period: Of any unit but minutes.
        day: UTC day, as days since 1970.
        soonest: In the zone where it ends first, instead: the stricter reading of what lets a contact through.

    Returns:
        (microseconds after the UTC day's midnight, microseconds since 1970): the end that holds from there on. Without a
        zone nobody can say which day it is, and the end lies past the last place on earth (or before the first).
    """
    if period.unit == "ever":
        return ((0, NEVER_US),)
    if not zones:
        return ((0, (day_after(period, day) + (-2 if soonest else 2)) * DAY_US),)
    which = min if soonest else max
    return tuple(
        (at, which(start_of_day_us(zone, day_after(period, local)) for zone, local in zip(zones, locals_, strict=True)))
        for at, locals_ in local_day_steps(zones, day)
    )


def day_after(period: Period, day: int) -> int:
    """The first local date (days since 1970) on which a period that began on `day` is over."""
    if period.unit == "days":
        return day + period.number
    began = EPOCH + timedelta(days=day)
    if period.unit == "week":
        return day + 7 - began.weekday()
    months = began.year * 12 + began.month - 1 + period.number
    year, month = divmod(months, 12)
    first = date(year, month + 1, 1)
    if period.unit == "month":
        return day_number(first)
    # The same day of the month; a month that is too short is over with its last day (as in KR Civil Act 160(3), BGB 188(3)).
    length = (date(year + month // 11, (month + 1) % 12 + 1, 1) - first).days
    return day_number(first) + min(began.day - 1, length)


def day_ends(zones: tuple[str, ...], day: int) -> tuple[tuple[int, int], ...]:
    """Like `ends_of_span` of one day, but the first zone whose day ends decides."""
    return tuple(
        (at, min(start_of_day_us(zone, local + 1) for zone, local in zip(zones, locals_, strict=True)))
        for at, locals_ in local_day_steps(zones, day)
    )


def latest_local_days(zones: tuple[str, ...], day: int) -> tuple[tuple[int, int], ...]:
    """Local date (days since 1970) through one UTC day, in the zone that is furthest ahead."""
    return tuple((at, max(locals_)) for at, locals_ in local_day_steps(zones or ("UTC",), day))


def step_values(
    slots: Sequence[Slot],
    steps_of: Callable[[Slot], Sequence[tuple[int, int]]],
    slot: npt.NDArray[np.int64],
    offset: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """Value of each row's step: a binary search over all slots at once.

    Args:
        slots: What `slot` numbers.
        steps_of: For one slot its ascending (offset, value from there on); the first offset is 0.
        slot: Number of each row's slot.
        offset: Microseconds after midnight UTC of the slot's day; below SLOT_END.
    """
    starts, values = [], []
    for number, one in enumerate(slots):
        for start, value in steps_of(one):
            starts.append((number << SLOT_BITS) + start)
            values.append(value)
    place = np.searchsorted(np.array(starts, dtype=np.int64), slot * (1 << SLOT_BITS) + offset, side="right")
    return np.array(values, dtype=np.int64)[place - 1]

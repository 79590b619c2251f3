"""Public holidays and business days, by the holidays library and what the lender knows better.

In:   the name of a calendar ("KR", "BR-SP": ISO 3166), a pack set's overrides.
Out:  `HolidayCalendar`; whether a date is a holiday; the n-th business day after a date.
Pure: values only. The library computes holidays; it has them as tables and reads nothing.
Source: the package holidays; config/calendars/*.yaml.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final

import holidays

from decisions.packs import Calendar, Packs
from decisions.rule_forms import Waits
from decisions.rules.timetable import EPOCH, day_number

SATURDAY: Final = 5


@dataclass(frozen=True, slots=True)
class HolidayCalendar:
    """Whose public holidays count, with the days that a lender adds or takes away."""

    name: str
    adds: frozenset[date] = frozenset()
    removes: frozenset[date] = frozenset()

    def is_holiday(self, day: date) -> bool:
        """Whether a date is a public holiday.

        Raises:
            NotImplementedError: The holidays library does not know the place.
        """
        return day in self.adds or (day in public_holidays(self.name, day.year) and day not in self.removes)

    def is_business_day(self, day: date) -> bool:
        """Whether business is done on a date: neither a Saturday, a Sunday, nor a public holiday."""
        return day.weekday() < SATURDAY and not self.is_holiday(day)


def calendar_of(name: str, packs: Packs) -> HolidayCalendar:
    """The calendar of that name with the lender's overrides."""
    for one in packs.calendars:
        if one.calendar == name:
            return HolidayCalendar(name, frozenset(one.adds), frozenset(one.removes))
    return HolidayCalendar(name)


@lru_cache(maxsize=512)
def public_holidays(calendar: str, year: int) -> frozenset[date]:
    """Public holidays of a country ("MX") or a subdivision ("US-NY") in one year.

    Raises:
        NotImplementedError: The holidays library does not know the place.
    """
    country, _, part = calendar.partition("-")
    return frozenset(holidays.country_holidays(country, subdiv=part or None, years=year))


def holiday_name(calendar: str, day: date, known_better: Iterable[Calendar]) -> str | None:
    """What a date is called where it is a public holiday, in English where the library has it; None = an ordinary day.

    Args:
        calendar: A country ("MX") or a subdivision ("US-NY").
        day: The local date.
        known_better: What the lender knows better than the library.

    Raises:
        NotImplementedError: The holidays library does not know the place.
    """
    for one in known_better:
        if one.calendar == calendar and day in one.adds:
            return one.adds[day]
        if one.calendar == calendar and day in one.removes:
            return None
    country, _, part = calendar.partition("-")
    named: str | None = holidays.country_holidays(country, subdiv=part or None, years=day.year, language="en_US").get(day)
    return named


@lru_cache(maxsize=65536)
def day_after_waiting(day: int, waits: Waits, calendar: HolidayCalendar | None) -> int:
    """The n-th day, or business day, after a date (days since 1970).

    Raises:
        NotImplementedError: The holidays library does not know the calendar.
    """
    if waits.business_days is None or calendar is None:
        return day + (waits.days or 0)
    left, found = waits.business_days, EPOCH.toordinal() + day
    while left:
        found += 1
        left -= calendar.is_business_day(date.fromordinal(found))
    return day_number(date.fromordinal(found))

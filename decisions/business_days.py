"""Business days: when something ends that lasts so many of them, where a person is.

In:   a day or an instant, plausible zones, a country, a number of business days.
Out:  the local day, or the UTC instant at which it ends.
Pure: no I/O, no clock; public holidays and the tz database come with their packages.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import holidays


def business_day_after(day: date, *, country: str | None, business_days: int) -> date:
    """The last of so many whole business days after a day.

    Args:
        day: Not one of them.
        country: ISO 3166-1, whose public holidays are no business days; None or unknown = weekends only.
        business_days: At least 1.
    """
    return _calendar(country).get_nth_working_day(day, business_days)


def business_days_end(at: datetime, *, zones: tuple[str, ...], country: str | None, business_days: int) -> datetime:
    """When so many whole business days after an instant are over where the person is.

    Args:
        at: UTC.
        zones: Plausible zones; the latest end counts. Empty = UTC.
        country: As above.
        business_days: At least 1; the day of the instant is not one of them.

    Returns:
        UTC instant: the start of the local day after the last business day.
    """
    return max(
        _end_of(business_day_after(at.astimezone(ZoneInfo(zone)).date(), country=country, business_days=business_days), zone)
        for zone in zones or ("UTC",)
    )


def day_ends_at(day: date, *, zones: tuple[str, ...]) -> datetime:
    """When a local day is over, UTC; of several plausible zones the latest end counts. Empty = UTC."""
    return max(_end_of(day, zone) for zone in zones or ("UTC",))


def _end_of(day: date, zone: str) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(), ZoneInfo(zone)).astimezone(UTC)


def _calendar(country: str | None) -> holidays.HolidayBase:
    try:
        return holidays.country_holidays(country or "")
    except NotImplementedError:
        return holidays.HolidayBase()

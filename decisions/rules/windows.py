"""Contact windows: at which local times a person may be reached.

The instant of contact must lie inside the hours in *every* zone where the borrower may be (or on the one clock that the
law names), by the class of day there: weekday, Saturday, Sunday, public holiday. Hours that both sides agreed on narrow
the window; they replace it where the rule names agreements and the borrower asked for them.

In:   a rule with dated hours; places (zones and agreed hours).
Out:  a constraint.
Pure: values only.
Source: 12 CFR 1006.6(b)(1)(i) and comment 6(b)(1)(i)-2 (conflicting locations); the pack of each jurisdiction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from decisions.packs import Packs
from decisions.rule_forms import DEBTOR_STATE, EVERY_PLAUSIBLE_ZONE, OWN_COUNTRY, ByDayClass, DayHours, EveryDay, WindowRule
from decisions.rules.calendars import HolidayCalendar, calendar_of
from decisions.rules.constraints import AgreedHours, Hours, Place, open_in_every_zone
from decisions.rules.timetable import DAY_US, MINUTE_US, REACH_US, Intervals, both, merged, outside, within

WHOLE_DAY: Final = ((0, DAY_US),)
SATURDAY: Final = 5
SUNDAY: Final = 6


@dataclass(frozen=True, slots=True)
class Schedule:
    """Hours of a rule, by date.

    Attributes:
        versions: (in force from, hours of a weekday, a Saturday, a Sunday, a holiday), ascending; None = nothing forbids.
        calendar: Whose public holidays count; None = none do.
        own: They are those of the country where the person lives, and are filled in by place.
    """

    versions: tuple[tuple[date, tuple[Intervals, Intervals, Intervals, Intervals] | None], ...]
    calendar: HolidayCalendar | None
    own: bool = False

    def spans(self, day: date) -> Intervals:
        """See `timetable.DayPlan`. Before the first version, and after the last has ended, the whole day is open."""
        hours = next((hours for since, hours in reversed(self.versions) if since <= day), None)
        if hours is None:
            return WHOLE_DAY
        weekday, saturday, sunday, holiday = hours
        if self.calendar is not None and self.calendar.is_holiday(day):
            return holiday
        return {SATURDAY: saturday, SUNDAY: sunday}.get(day.weekday(), weekday)


@dataclass(frozen=True, slots=True)
class AgreedSchedule:
    """A schedule with hours that were agreed on for some days of the week."""

    schedule: Schedule
    agreed: AgreedHours
    widens: bool

    def spans(self, day: date) -> Intervals:
        """See `timetable.DayPlan`."""
        usual = self.schedule.spans(day)
        if day.weekday() not in self.agreed.days:
            return usual
        opens, closes = self.agreed.opens_us, self.agreed.closes_us
        hours = ((opens, closes),) if opens < closes else ((0, closes), (opens, DAY_US))
        return hours if self.widens else both(usual, hours)


def schedule_of(rule: WindowRule, packs: Packs) -> Schedule:
    """The hours of a rule in the form that is laid out."""
    versions = tuple((since, None if value == "ended" else _by_class(value)) for since, value in rule.values.items())
    own = rule.calendar == OWN_COUNTRY
    return Schedule(versions, None if own or rule.calendar is None else calendar_of(rule.calendar, packs), own)


def _by_class(value: EveryDay | ByDayClass) -> tuple[Intervals, Intervals, Intervals, Intervals]:
    if isinstance(value, EveryDay):
        same = _hours(value)
        return same, same, same, same
    return _hours(value.weekday), _hours(value.saturday), _hours(value.sunday), _hours(value.holiday or "closed")


def _hours(value: DayHours) -> Intervals:
    return () if value == "closed" else ((value.opens * MINUTE_US, value.closes * MINUTE_US),)


def constrain(rule: WindowRule, packs: Packs) -> Hours:
    """Allowed inside the rule's hours.

    Source: the rule's references.
    """
    schedule = schedule_of(rule, packs)
    overrides = tuple(calendar_of(one.calendar, packs) for one in packs.calendars) if schedule.own else ()
    return Hours(WindowHours(schedule, rule.clock, rule.agreement_widens, overrides))


@dataclass(frozen=True, slots=True)
class WindowHours:
    """A rule's hours, for `constraints.Hours`; equal for equal rules, so that what was laid out is found again."""

    schedule: Schedule
    clock: str
    widens: bool
    overrides: tuple[HolidayCalendar, ...] = ()

    def __call__(self, place: Place, day: int) -> Intervals:
        """Allowed instants of a place seen from one UTC day."""
        schedule = self.schedule
        if schedule.own:
            if place.country is None:
                return ()
            own = next((one for one in self.overrides if one.name == place.country), HolidayCalendar(place.country))
            schedule = replace(schedule, calendar=own, own=False)
        return open_hours(schedule, clock_zones(self.clock, place), place.agreed, widens=self.widens, day=day)


def clock_zones(clock: str, place: Place) -> tuple[str, ...]:
    """The zones whose clocks decide, all of them."""
    if clock == EVERY_PLAUSIBLE_ZONE:
        return place.zones
    if clock == DEBTOR_STATE:
        return place.home or place.zones
    return (clock,)


def open_hours(schedule: Schedule, zones: tuple[str, ...], agreed: AgreedHours | None, *, widens: bool, day: int) -> Intervals:
    """Allowed instants seen from one UTC day (see `timetable`); none where the zone is unknown."""
    usual = open_in_every_zone(schedule, zones, day)
    if agreed is None or not zones:
        return within(usual)
    special = open_in_every_zone(AgreedSchedule(schedule, agreed, widens and agreed.by_borrower), zones, day)
    span = ((agreed.since_us - day * DAY_US, agreed.until_us - day * DAY_US),)
    return within(merged([*both(special, span), *both(usual, outside(span, -REACH_US, 2 * REACH_US))]))

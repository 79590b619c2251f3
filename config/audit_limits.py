"""The numbers that the auditor audits against, taken from the rule packs in force: the law has one place.

In:   config/rules/*.yaml, a date.
Out:  plain numbers for SQL: hours by country and day of the week, contacts a day and a week.
Pure: no; reads files. Only the numbers are shared with the judge; the auditor's reasoning is its own (docs/adr/0003).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time
from typing import Final

from config.rule_files import rule_packs
from decisions.packs import HOUSE, ByDayClass, CapRule, Pack, Span, WindowRule, value_on

MESSAGES: Final = ("sms", "push")
PURPOSE: Final = "collection"
MINUTES_AN_HOUR: Final = 60
SATURDAY, SUNDAY = 6, 7
DAY, WEEK = 1, 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """Messages of automated collection may arrive on this day of the week within [opens, closes), local."""

    country: str
    iso_day: int
    opens: time
    closes: time


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What may be received.

    Attributes:
        hours: A day of the week that is not listed for a country is closed; a country that is not listed at all too.
        contacts_a_day_max: For one person, over all channels.
        contacts_a_week_max: For one person in seven local days, the day itself included.
    """

    hours: tuple[Hours, ...]
    contacts_a_day_max: int
    contacts_a_week_max: int


def audit_limits(on: date) -> Limits:
    """Limits in force on a day.

    Raises:
        ConfigError: A pack cannot be used.
        ValueError: The house has no cap for a day or a week: then there is nothing to audit against.
    """
    packs = rule_packs()
    house = next(pack for pack in packs.packs if pack.jurisdiction == HOUSE)
    countries = [pack for pack in packs.packs if len(pack.jurisdiction) == len("XX")]
    hours = [found for pack in countries for iso_day in range(1, SUNDAY + 1) if (found := _hours(pack, house, iso_day, on)) is not None]
    return Limits(hours=tuple(hours), contacts_a_day_max=_cap(house, DAY, on), contacts_a_week_max=_cap(house, WEEK, on))


def _hours(country: Pack, house: Pack, iso_day: int, on: date) -> Hours | None:
    """The hours that every window of the country and the house leaves; None = none."""
    opens, closes = 0, 24 * MINUTES_AN_HOUR
    for rule in (*country.rules, *house.rules):
        if not isinstance(rule, WindowRule) or not _covers(rule):
            continue
        value = value_on(rule.values, on)
        if isinstance(value, ByDayClass):
            value = {SATURDAY: value.saturday, SUNDAY: value.sunday}.get(iso_day, value.weekday)
        if value == "closed":
            return None
        if isinstance(value, Span):
            opens, closes = max(opens, value.opens), min(closes, value.closes)
    if opens >= closes:
        return None
    return Hours(country=country.jurisdiction, iso_day=iso_day, opens=_clock(opens), closes=_clock(closes))


def _cap(house: Pack, span_days: int, on: date) -> int:
    caps = [
        value.at_most
        for rule in house.rules
        if isinstance(rule, CapRule)
        and _covers(rule)
        and rule.counts.span == span_days
        and (value := value_on(rule.values, on)) is not None
    ]
    if not caps:
        raise ValueError(f"the house has no cap over {span_days} days")
    return int(min(caps))


def _covers(rule: WindowRule | CapRule) -> bool:
    return any(rule.applies_to.covers(channel=channel, purpose=PURPOSE, party="borrower", automated=True) for channel in MESSAGES)


def _clock(minutes: int) -> time:
    return time.max if minutes == 24 * MINUTES_AN_HOUR else time(minutes // MINUTES_AN_HOUR, minutes % MINUTES_AN_HOUR)

"""The numbers that the auditor audits against, taken from the rule packs: the law has one place.

Only values are read here, of every pack and every version that is in force in the period. How they are to be understood, the
auditor works out for itself in SQL (docs/adr/0003). Where a rule says more than its numbers (how late a loan is, where a
person stands, which contact was consented to), it is left out and named, so that a clean audit does not claim more than it saw.

In:   config/rules/*.yaml, config/calendars/*.yaml, a period.
Out:  plain values: hours, caps, holidays, how long holds last; and the rules that are not proved again, each with the reason.
Pure: no; reads files.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

import holidays

from config.calendar_files import calendars
from config.rule_files import rule_packs
from decisions.jurisdictions import EU, EU_COUNTRIES, US_TERRITORIES
from decisions.packs import Pack, Packs
from decisions.rule_forms import (
    OWN_COUNTRY,
    AppliesTo,
    ByDayClass,
    CapRule,
    GatingRule,
    HoldRule,
    OptOutRule,
    Period,
    WindowRule,
    ZoneRule,
)
from decisions.strategy import REACHABLE
from decisions.words import ROLES

# What this program sends by.
MESSAGES: Final = REACHABLE
# A call that a person makes.
DIALLED: Final = "call"
HOLIDAY: Final = 0  # beside the ISO days of the week, 1 to 7
SATURDAY, SUNDAY = 6, 7
MONTH_DAYS_MIN: Final = 28
# A local date may be a day before or behind the UTC date.
ZONE_REACH: Final = timedelta(days=1)
# Kinds that other checks of the auditor prove again, without numbers.
WITHOUT_NUMBERS: Final = (HoldRule, OptOutRule, ZoneRule)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which messages a limit looks at; None does not narrow."""

    rule: str
    jurisdiction: str
    roles: tuple[str, ...]
    channels: tuple[str, ...]
    purposes: tuple[str, ...] | None
    except_purposes: tuple[str, ...]
    parties: tuple[str, ...] | None
    facts: tuple[str, ...] | None
    products: tuple[str, ...] | None
    except_products: tuple[str, ...]
    layer_alone: str | None
    since: date
    until: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """On this day (ISO 1 to 7; 0 = a public holiday) a message may arrive within [opens, closes), local, in minutes since midnight."""

    iso_day: int
    opens: int
    closes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One version of a rule's hours; a day without hours is closed.

    Attributes:
        scope: Whom and what it is about.
        clock: every_plausible_zone, debtor_state, or a zone.
        calendar: Whose holidays have hours of their own; own_country; None = no holiday has.
        agreements: Hours that a person asked for may be wider.
        hours: Of the open days.
    """

    scope: Scope
    clock: str
    calendar: str | None
    agreements: bool
    hours: tuple[Hours, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """One version of a cap: with `at_most` contacts that still count, no further one."""

    scope: Scope
    counts_channels: tuple[str, ...] | None
    directions: tuple[str, ...]
    counts_purposes: tuple[str, ...] | None
    counts_except_purposes: tuple[str, ...]
    except_results: tuple[str, ...]
    per: str
    unit: str
    number: int
    at_most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What may be received in a period.

    Attributes:
        windows: Hours.
        caps: Numbers of contacts.
        holidays: (calendar, day) of every public holiday that a window asks for.
        countries: Whose law is known: whoever lives elsewhere may not be contacted.
        members: Countries that the law of the European Union attaches to.
        territories: Countries that the law of the United States attaches to.
        hold_days: Kind of hold → no fewer days than it lasts where it names no end; kinds that are not here last for good.
        not_proved: (rule, why it is not proved again).
    """

    windows: tuple[Window, ...]
    caps: tuple[Cap, ...]
    holidays: tuple[tuple[str, date], ...]
    countries: frozenset[str]
    members: frozenset[str] = EU_COUNTRIES
    territories: frozenset[str] = US_TERRITORIES
    hold_days: tuple[tuple[str, int], ...] = ()
    not_proved: tuple[tuple[str, str], ...] = ()


def audit_limits(first: date, last: date | None = None) -> Limits:
    """Limits in force from one day to another.

    Args:
        first: Business date.
        last: Included; None = that day alone.

    Raises:
        ConfigError: A pack cannot be used.
    """
    return limits_of(rule_packs(), first - ZONE_REACH, (last or first) + ZONE_REACH)


def limits_of(packs: Packs, first: date, last: date) -> Limits:
    """The same, of packs that were read."""
    windows: list[Window] = []
    caps: list[Cap] = []
    not_proved: list[tuple[str, str]] = []
    for pack, rule in packs.gating():
        reason = _why_not(pack, rule)
        if reason is not None:
            not_proved.append((rule.id, reason))
        elif isinstance(rule, WindowRule):
            windows.extend(_windows(pack, rule, first, last))
        elif isinstance(rule, CapRule):
            caps.extend(_caps(pack, rule, first, last))
    with_pack = {pack.jurisdiction for pack in packs.packs if len(pack.jurisdiction) == len("XX")} - {EU}
    members = EU_COUNTRIES if EU in packs.jurisdictions else frozenset()
    return Limits(
        windows=tuple(windows),
        caps=tuple(caps),
        holidays=tuple(_holidays(windows, members - with_pack, first, last)),
        countries=frozenset(with_pack | members | (US_TERRITORIES if "US" in with_pack else set())),
        hold_days=tuple(sorted(_hold_days(packs).items())),
        not_proved=tuple(not_proved),
    )


def _why_not(pack: Pack, rule: GatingRule) -> str | None:
    """Why a rule is not proved again; None where it is."""
    if isinstance(rule, WITHOUT_NUMBERS):
        return None
    if not isinstance(rule, WindowRule | CapRule):
        return f"{rule.kind}: the auditor has no reading of its own of this kind"
    to = rule.applies_to
    reasons = {
        "is about channels that this program does not send by": to.channels is not None and not set(to.channels) & set(MESSAGES),
        "is about what a person starts": to.automated is False,
        "is about places; a message reaches a phone, which is at none": to.places is not None,
        "is about loans in a certain state, which changes from day to day": to.loans is not None and not _by_product_alone(to),
        "is about contact points of certain kinds": to.contact_points is not None,
        "is the law of a city; the auditor does not look up postal codes": pack.jurisdiction.count("-") > 1,
    }
    return next((reason for reason, holds in reasons.items() if holds), _why_not_counted(rule) if isinstance(rule, CapRule) else None)


def _by_product_alone(to: AppliesTo) -> bool:
    assert to.loans is not None  # noqa: S101  # asked only of rules that name loans
    return to.loans.model_fields_set <= {"products", "except_products"}


def _why_not_counted(rule: CapRule) -> str | None:
    counts = rule.counts
    if counts.results is not None:
        return "counts certain results only, which come later than the contact"
    if counts.places is not None:
        return "counts certain places only"
    if counts.except_consented is not None:
        return "leaves out contacts that the person consented to"
    if rule.consent_lifts:
        return "is lifted by a consent"
    if counts.except_wrong_numbers:
        return "leaves out numbers that turned out to be somebody else's"
    return None


def _scopes(pack: Pack, rule: WindowRule | CapRule, first: date, last: date) -> Iterator[tuple[Scope, Any]]:
    """Each version of a rule that is in force on some day of the period, with its value."""
    to = rule.applies_to
    since = list(rule.values)
    for begins, ends in zip(since, [*since[1:], None], strict=True):
        value = rule.values[begins]
        if value == "ended" or begins > last or (ends is not None and ends <= first):
            continue
        yield (
            Scope(
                rule=rule.id,
                jurisdiction=pack.jurisdiction,
                roles=tuple(role for role in ROLES if rule.basis_for(role) is not None),
                # What a machine alone must keep does not bind a person who dials.
                channels=tuple(
                    channel
                    for channel in MESSAGES
                    if (to.channels is None or channel in to.channels) and not (to.automated and channel == DIALLED)
                ),
                purposes=to.purposes,
                # One reply to whoever wrote is let through: replies are not judged.
                except_purposes=(*to.except_purposes, *(("reply",) if rule.one_reply is not None else ())),
                parties=to.parties,
                facts=to.facts,
                products=None if to.loans is None else to.loans.products,
                except_products=() if to.loans is None else to.loans.except_products,
                layer_alone=to.layer_alone,
                since=begins,
                until=ends,
            ),
            value,
        )


def _windows(pack: Pack, rule: WindowRule, first: date, last: date) -> Iterator[Window]:
    for scope, value in _scopes(pack, rule, first, last):
        yield Window(scope=scope, clock=rule.clock, calendar=rule.calendar, agreements=rule.agreement_widens, hours=tuple(_hours(value)))


def _hours(value: Any) -> Iterator[Hours]:
    by_day = dict.fromkeys(range(1, SUNDAY + 1), value) | {HOLIDAY: value}
    if isinstance(value, ByDayClass):
        by_day |= dict.fromkeys(range(1, SATURDAY), value.weekday) | {SATURDAY: value.saturday, SUNDAY: value.sunday}
        by_day[HOLIDAY] = value.holiday or "closed"
    for day, hours in by_day.items():
        if hours != "closed":
            yield Hours(iso_day=day, opens=hours.opens, closes=hours.closes)


def _caps(pack: Pack, rule: CapRule, first: date, last: date) -> Iterator[Cap]:
    counts = rule.counts
    for scope, value in _scopes(pack, rule, first, last):
        yield Cap(
            scope=scope,
            counts_channels=counts.channels,
            directions=counts.directions,
            counts_purposes=counts.purposes,
            counts_except_purposes=counts.except_purposes,
            except_results=counts.except_results,
            per=counts.per,
            unit=counts.span.unit,
            number=counts.span.number,
            at_most=value.at_most,
        )


def _holidays(windows: list[Window], without_pack: frozenset[str], first: date, last: date) -> Iterator[tuple[str, date]]:
    named = {window.calendar for window in windows if window.calendar not in {None, OWN_COUNTRY}}
    if any(window.calendar == OWN_COUNTRY for window in windows):
        named |= without_pack
    known_better = {one.calendar: one for one in calendars()}
    for calendar in sorted(filter(None, named)):
        country, _, part = calendar.partition("-")
        days = set(holidays.country_holidays(country, subdiv=part or None, years=range(first.year, last.year + 1)))
        if (lender := known_better.get(calendar)) is not None:
            days = (days | set(lender.adds)) - set(lender.removes)
        yield from ((calendar, day) for day in sorted(days) if first <= day <= last)


def _hold_days(packs: Packs) -> dict[str, int]:
    """Kinds of hold that some law ends by itself: the auditor does not hold anybody to more than the shortest."""
    shortest: dict[str, int] = {}
    for _, rule in packs.gating():
        if not isinstance(rule, HoldRule) or rule.holds == "all":
            continue
        for value in rule.values.values():
            if value != "ended" and value.lasts is not None and (fewest := _fewest_days(value.lasts)) is not None:
                for kind in rule.holds:
                    shortest[kind] = min(shortest.get(kind, fewest), fewest)
    return shortest


def _fewest_days(period: Period) -> int | None:
    """No more days than a period lasts, whichever months it falls into; None = it never ends."""
    return MONTH_DAYS_MIN * period.number if period.unit in {"months", "month"} else period.most_days

"""Who may call whom: an agent's languages, jurisdictions, certificates and shifts, held against the person who is to be called.

One rule for the list that an agent sees, for what she is given next, and for the dial itself. Whatever is not known speaks against
the call.

In:   an agent, a person, an instant, the certificates that jurisdictions want.
Out:  reasons why she may not call this person now; none = she may.
Pure: values only.
Source: docs/adr/0056.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from decisions.jurisdictions import EU, EU_COUNTRIES
from decisions.messages import closest

COUNTRY: Final = 2
UNKNOWN: Final = "agent_unknown"
OFF_SHIFT: Final = "agent_off_shift"
LANGUAGE: Final = "agent_language"
JURISDICTION: Final = "agent_jurisdiction"
MISSING: Final = "agent_certificate_missing"
EXPIRED: Final = "agent_certificate_expired"
# Each reason why an agent may not call somebody; the desk has words for each.
REASONS: Final = (UNKNOWN, OFF_SHIFT, LANGUAGE, JURISDICTION, MISSING, EXPIRED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What an agent has passed: [valid_from, valid_until)."""

    kind: str
    jurisdiction: str
    valid_from: date
    valid_until: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """Hours of a weekday on which an agent works: [opens, closes), in her zone, from a date on, up to another.

    Attributes:
        weekday: ISO: Monday is 1.
        opens: Of its first minute.
        closes: After its last.
        zone: Of both.
        starts_on: First date.
        ends_on: Day after the last; None = it goes on.
    """

    weekday: int
    opens: time
    closes: time
    zone: str
    starts_on: date
    ends_on: date | None = None

    def on(self, day: date) -> bool:
        """Whether it is worked on a date of its zone."""
        return day.isoweekday() == self.weekday and self.starts_on <= day and (self.ends_on is None or day < self.ends_on)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A colleague who calls people.

    Attributes:
        id: Of `agent`.
        name: What the ledger calls her.
        languages: BCP 47 tags that she speaks.
        jurisdictions: Codes as of decisions/jurisdictions.py whose people she may call.
        certificates: What she has passed, the expired ones included.
        shifts: When she works.
    """

    id: int
    name: str
    languages: tuple[str, ...]
    jurisdictions: tuple[str, ...]
    certificates: tuple[Certificate, ...] = ()
    shifts: tuple[Shift, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A certificate that whoever calls people of a jurisdiction needs, from a date on."""

    jurisdiction: str
    kind: str
    since: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Of whoever is to be called: what she speaks, whose law attaches to her, which day it is where she is."""

    locale: str | None
    jurisdictions: tuple[str, ...]
    today: date


def may_not_call(agent: Agent | None, person: Person, wanted: Iterable[Wanted], *, at: datetime) -> tuple[str, ...]:
    """Why an agent may not call a person now.

    Args:
        agent: Who would call; None = nobody knows her.
        person: Who would be called.
        wanted: Certificates of all jurisdictions.
        at: UTC.

    Returns:
        Of `REASONS`; empty = she may.
    """
    if agent is None:
        return (UNKNOWN,)
    found = [] if is_on_shift(agent.shifts, at) else [OFF_SHIFT]
    # Whose language nobody knows is spoken to in one that can be asked for; a person who waits for a call is not left without one.
    if person.locale is not None and closest(person.locale, agent.languages) is None:
        found.append(LANGUAGE)
    if not covers(agent.jurisdictions, person.jurisdictions):
        found.append(JURISDICTION)
    for one in wanted:
        if one.jurisdiction in person.jurisdictions and one.since <= person.today:
            found += [] if (lacks := _lacks(agent.certificates, one, person.today)) is None else [lacks]
    return tuple(dict.fromkeys(found))


def is_on_shift(shifts: Iterable[Shift], at: datetime) -> bool:
    """Whether an instant lies in one of these shifts."""
    for shift in shifts:
        local = at.astimezone(ZoneInfo(shift.zone))
        if shift.on(local.date()) and shift.opens <= local.time() < shift.closes:
            return True
    return False


def covers(own: Sequence[str], attached: Sequence[str]) -> bool:
    """Whether these jurisdictions reach every country whose law attaches to a person; one that nobody knows, none does."""
    countries = [code for code in attached if len(code) == COUNTRY and code != EU]
    return bool(countries) and all(
        country in own or (EU in own and country in EU_COUNTRIES) or any(code in own for code in attached if code.startswith(f"{country}-"))
        for country in countries
    )


def minutes_worked(shifts: Iterable[Shift], *, since: datetime, until: datetime) -> int:
    """Minutes of these shifts in [since, until); hours that two of them share count twice."""
    total = 0.0
    for shift in shifts:
        zone = ZoneInfo(shift.zone)
        day, last = since.astimezone(zone).date(), until.astimezone(zone).date()
        while day <= last:
            if shift.on(day):
                begins, ends = (datetime.combine(day, clock, zone).astimezone(UTC) for clock in (shift.opens, shift.closes))
                total += max(0.0, (min(ends, until) - max(begins, since)).total_seconds())
            day += timedelta(days=1)
    return round(total / 60)


def _lacks(certificates: Sequence[Certificate], wanted: Wanted, today: date) -> str | None:
    """What is wrong with the certificate that is wanted; None = nothing."""
    own = [one for one in certificates if (one.kind, one.jurisdiction) == (wanted.kind, wanted.jurisdiction)]
    if any(one.valid_from <= today < one.valid_until for one in own):
        return None
    return EXPIRED if any(one.valid_until <= today for one in own) else MISSING

"""Reads a roster: a file that says which colleagues call people, what they speak, what they have passed and when they work.

In:   a YAML file (an example stands in docs/phone-team.md).
Out:  `AgentForm` values, checked.
Pure: no; reads one file. Errors name line and field and repeat no value.
"""

from __future__ import annotations

from datetime import time
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from config.agents import Code, Phrase
from config.load import Day, Strict, Whole, checked, parse
from config.zones import zone_tables
from decisions.agents import Certificate, Shift
from decisions.personal import looks_personal

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _clock(value: object) -> object:
    if not isinstance(value, str):
        return value
    # The end of a day: a time of day has no 24.
    return time.max if value == "24:00" else time.fromisoformat(value) if len(value) == len("09:00") else "not a time like 09:00"


Clock = Annotated[time, BeforeValidator(_clock)]


class ShiftForm(Strict):
    """Hours on weekdays, as written."""

    days: Annotated[tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...], Field(min_length=1)]
    opens: Clock
    closes: Clock
    zone: Phrase
    since: Day
    until: Day | None = None

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> ShiftForm:
        if self.closes <= self.opens:
            raise ValueError("a shift ends after it begins; one over midnight is two")
        return self

    @property
    def shifts(self) -> tuple[Shift, ...]:
        """One a weekday."""
        return tuple(
            Shift(
                weekday=WEEKDAYS.index(day) + 1,
                opens=self.opens,
                closes=self.closes,
                zone=self.zone,
                starts_on=self.since,
                ends_on=self.until,
            )
            for day in self.days
        )


class HeldForm(Strict):
    """A certificate that somebody has, as written; `until` is the first day on which it is good no more."""

    kind: Phrase
    jurisdiction: Code
    reference: Phrase
    since: Day
    until: Day

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> HeldForm:
        if self.until <= self.since:
            raise ValueError("a certificate ends after it begins")
        return self

    @property
    def certificate(self) -> Certificate:
        """As a value."""
        return Certificate(kind=self.kind, jurisdiction=self.jurisdiction, valid_from=self.since, valid_until=self.until)


class AgentForm(Strict):
    """A colleague, as written."""

    name: Phrase
    # As `tideover staff list` numbers her; left out = she works on a terminal alone.
    staff: Annotated[Whole, Field(ge=1)] | None = None
    languages: Annotated[tuple[Phrase, ...], Field(min_length=1)]
    jurisdictions: Annotated[tuple[Code, ...], Field(min_length=1)]
    phone: Annotated[str | None, Field(pattern=r"^\+[1-9]\d{6,14}$")] = None
    certificates: tuple[HeldForm, ...] = ()
    shifts: tuple[ShiftForm, ...] = ()


class RosterForm(Strict):
    """The file, as written."""

    agents: tuple[AgentForm, ...]


def roster(path: Path) -> tuple[AgentForm, ...]:
    """Read a roster.

    Raises:
        ConfigError: The file is not of that form; a name stands twice or is a number or an address; a zone is none.
    """
    document = parse(path)
    found = checked(document, document.plain, RosterForm).agents
    seen: set[str] = set()
    numbers = [one.staff for one in found if one.staff is not None]
    for number, one in enumerate(found):
        if one.staff is not None and numbers.count(one.staff) > 1:
            raise document.error(["agents", number, "staff"], "stands twice")
        if one.name in seen:
            raise document.error(["agents", number, "name"], "stands twice")
        if looks_personal(one.name):
            raise document.error(["agents", number, "name"], "is a colleague's name, no number and no address")
        seen.add(one.name)
        for place, shift in enumerate(one.shifts):
            if shift.zone not in zone_tables().names:
                raise document.error(["agents", number, "shifts", place, "zone"], "is no zone of the tz database")
    return found

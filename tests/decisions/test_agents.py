"""Who may call whom: every reason alone refuses, and whatever is not known speaks against the call."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Any

import pytest

from decisions.agents import Agent, Certificate, Person, Shift, Wanted, covers, is_on_shift, may_not_call, minutes_worked

TUESDAY_NOON = datetime(2026, 3, 17, 16, tzinfo=UTC)
NEW_YORK = Shift(weekday=2, opens=time(9), closes=time(17), zone="America/New_York", starts_on=date(2026, 1, 1), ends_on=date(2026, 12, 31))
PASSED = Certificate(kind="DRA", jurisdiction="IN", valid_from=date(2026, 1, 1), valid_until=date(2026, 3, 18))
AGENT = Agent(id=1, name="anna", languages=("en", "hi"), jurisdictions=("IN", "US"), certificates=(PASSED,), shifts=(NEW_YORK,))
PERSON = Person(locale="hi-IN", jurisdictions=("IN",), today=date(2026, 3, 17))
WANTED = (Wanted(jurisdiction="IN", kind="DRA", since=date(2026, 1, 1)),)


def test_an_agent_with_language_place_certificate_and_shift_may_call() -> None:
    assert may_not_call(AGENT, PERSON, WANTED, at=TUESDAY_NOON) == ()
    assert may_not_call(AGENT, replace(PERSON, locale=None), WANTED, at=TUESDAY_NOON) == ()


@pytest.mark.parametrize(
    ("agent", "person", "reason"),
    [
        ({"languages": ("en",)}, {}, "agent_language"),
        ({"jurisdictions": ("US",)}, {}, "agent_jurisdiction"),
        ({}, {"jurisdictions": ()}, "agent_jurisdiction"),
        ({}, {"jurisdictions": ("IN", "MX")}, "agent_jurisdiction"),
        ({"certificates": ()}, {}, "agent_certificate_missing"),
        ({"certificates": (replace(PASSED, kind="other"),)}, {}, "agent_certificate_missing"),
        ({"certificates": (replace(PASSED, valid_from=date(2026, 3, 18), valid_until=date(2027, 1, 1)),)}, {}, "agent_certificate_missing"),
        ({}, {"today": date(2026, 3, 18)}, "agent_certificate_expired"),
        ({"shifts": ()}, {}, "agent_off_shift"),
        ({"shifts": (replace(NEW_YORK, weekday=3),)}, {}, "agent_off_shift"),
        ({"shifts": (replace(NEW_YORK, ends_on=date(2026, 3, 17)),)}, {}, "agent_off_shift"),
        ({"shifts": (replace(NEW_YORK, closes=time(12)),)}, {}, "agent_off_shift"),
    ],
)
def test_each_thing_that_is_lacking_refuses(agent: dict[str, Any], person: dict[str, Any], reason: str) -> None:
    assert may_not_call(replace(AGENT, **agent), replace(PERSON, **person), WANTED, at=TUESDAY_NOON) == (reason,)


def test_nobody_knows_her_and_a_certificate_that_was_not_wanted_yet_is_not_asked_for() -> None:
    assert may_not_call(None, PERSON, (), at=TUESDAY_NOON) == ("agent_unknown",)
    later = (replace(WANTED[0], since=date(2026, 3, 18)),)
    assert may_not_call(replace(AGENT, certificates=()), PERSON, later, at=TUESDAY_NOON) == ()


@pytest.mark.parametrize(
    ("own", "attached", "covered"),
    [
        (["US"], ["US", "US-NY"], True),
        (["US-NY"], ["US", "US-NY"], True),
        (["US-NY"], ["US", "US-CA"], False),
        (["US-NY"], ["US"], False),
        (["EU"], ["EU", "DE"], True),
        (["EU"], ["GB"], False),
        (["DE"], ["EU", "FR"], False),
        (["DE", "MX"], ["EU", "DE", "MX"], True),
        (["US"], ["EU"], False),
    ],
)
def test_jurisdictions_reach_every_country_that_attaches(own: list[str], attached: list[str], covered: bool) -> None:
    assert covers(own, attached) is covered


def test_hours_are_half_open_and_counted_where_she_is() -> None:
    nine, five = datetime(2026, 3, 17, 13, tzinfo=UTC), datetime(2026, 3, 17, 21, tzinfo=UTC)
    assert is_on_shift([NEW_YORK], nine)
    assert not is_on_shift([NEW_YORK], five)
    assert minutes_worked([NEW_YORK], since=nine, until=datetime(2026, 3, 18, 13, tzinfo=UTC)) == 8 * 60
    assert minutes_worked([NEW_YORK, NEW_YORK], since=TUESDAY_NOON, until=five) == 2 * 5 * 60


def test_the_night_in_which_the_clocks_change_has_no_hour_more_than_it_has() -> None:
    sunday = replace(NEW_YORK, weekday=7, opens=time(1), closes=time(4))
    assert minutes_worked([sunday], since=datetime(2026, 3, 8, tzinfo=UTC), until=datetime(2026, 3, 9, tzinfo=UTC)) == 2 * 60

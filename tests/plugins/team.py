"""Fixture: colleagues who call people, written into the ledger as a roster would; always in a shift unless told otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, time

import pytest

from decisions.agents import Certificate, Shift
from gate.dial import Told
from ledger import agent_calls, agents, call_queue
from ledger.agents import Line
from ledger.engine import connection

SINCE = date(2026, 1, 1)
ALWAYS = tuple(Shift(weekday=day, opens=time(0), closes=time.max, zone="UTC", starts_on=SINCE) for day in range(1, 8))


class Team:
    """Writes agents."""

    def agent(
        self,
        name: str,
        *,
        languages: Sequence[str] = ("en",),
        jurisdictions: Sequence[str] = ("US",),
        certificates: Sequence[Certificate] = (),
        shifts: Sequence[Shift] = ALWAYS,
        staff_id: int | None = None,
        phone: str | None = None,
    ) -> int:
        """A colleague; returns her id."""
        line = Line(
            name=name,
            languages=tuple(languages),
            jurisdictions=tuple(jurisdictions),
            certificates=tuple((one, "C-1") for one in certificates),
            shifts=tuple(shifts),
            staff_id=staff_id,
            phone=phone,
        )
        with connection() as tx:
            return agents.put(tx, line, by="roster", on=SINCE)


@pytest.fixture
def team(ledger_url: str) -> Team:
    """Of a fresh ledger: anna and ben, who speak English, for the United States."""
    del ledger_url
    found = Team()
    for name in ("anna", "ben"):
        found.agent(name)
    return found


def all_said(task_id: int, told: Told) -> Told:
    """The same, with everything said that has to be."""
    with connection() as tx:
        task = call_queue.read(tx, task_id)
        assert task is not None
        names = agent_calls.required_of(tx, task)
    return Told(**{**{name: getattr(told, name) for name in Told.__slots__}, "disclosed": names or ()})

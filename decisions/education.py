"""Lessons: who is offered which short read, before a payment is due and after a loan is current again.

Nobody gets the same one twice, nobody who is late or in a plan gets any, and nothing depends on it.

In:   people and why they come into question, the lessons they had, the terms of config/education.yaml.
Out:  lesson → whom it is for.
Pure: no I/O, no clock.
Source: issue "Every channel, every answer", 7; docs/adr/0035.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import polars as pl

from decisions.facts import Schema

EDUCATION: Final = "education"
# Who comes into question: a loan was late and is current again; a payment is near enough for a lesson.
PEOPLE: Final[Schema] = {"party_id": pl.Int64, "is_cured": pl.Boolean, "is_due_soon": pl.Boolean}


@dataclass(frozen=True, slots=True, kw_only=True)
class EducationTerms:
    """When a lesson is offered, and which.

    Attributes:
        channels: Ways that carry the lesson itself.
        people_a_day_max: At most so many.
        days_before_max: Local days before the next payment from which on a lesson may come.
        days_before_min: Until so many days before it; nearer than that the reminder comes.
        before_due: Lessons before a payment is due, in their order.
        cured_within_days: Local days since a loan was last late.
        after_cure: Lessons after that, in their order.
    """

    channels: frozenset[str]
    people_a_day_max: int
    days_before_max: int
    days_before_min: int
    before_due: tuple[str, ...]
    cured_within_days: int
    after_cure: tuple[str, ...]

    @property
    def lessons(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.after_cure, *self.before_due)


def next_lessons(people: pl.DataFrame, had: Collection[tuple[int, str]], terms: EducationTerms) -> dict[str, list[int]]:
    """Which lesson comes next for whom; whoever has had all that come into question is offered none.

    Args:
        people: `PEOPLE`.
        had: (party, lesson) of every lesson that went out.
        terms: In force.

    Returns:
        Lesson → party ids, ascending, in the order of the terms; lessons for nobody are left out.
    """
    gone = frozenset(had)
    chosen: dict[str, list[int]] = {lesson: [] for lesson in terms.lessons}
    for party_id, is_cured, is_due_soon in people.sort("party_id").select(PEOPLE.keys()).iter_rows():
        in_question = (*(terms.after_cure if is_cured else ()), *(terms.before_due if is_due_soon else ()))
        lesson = next((one for one in in_question if (party_id, one) not in gone), None)
        if lesson is not None:
            chosen[lesson].append(party_id)
    return {lesson: parties for lesson, parties in chosen.items() if parties}

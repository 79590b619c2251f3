"""Lessons: the next one that somebody has not had; after a loan is current again the one that is for then."""

from __future__ import annotations

import polars as pl
import pytest

from decisions.education import PEOPLE, EducationTerms, next_lessons

TERMS = EducationTerms(
    channels=frozenset({"email"}),
    people_a_day_max=10,
    days_before_max=14,
    days_before_min=10,
    before_due=("dates", "rights"),
    cured_within_days=14,
    after_cure=("budget",),
)


def people(*rows: tuple[int, bool, bool]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=PEOPLE, orient="row")


@pytest.mark.parametrize(
    ("is_cured", "is_due_soon", "had", "lesson"),
    [
        (False, True, [], "dates"),
        (False, True, ["dates"], "rights"),
        (False, True, ["dates", "rights"], None),
        (True, False, [], "budget"),
        # Once: a second cure brings no second lesson of the same words.
        (True, False, ["budget"], None),
        (True, True, [], "budget"),
        (True, True, ["budget"], "dates"),
        (False, False, [], None),
    ],
)
def test_everybody_gets_the_next_lesson_that_is_in_time(is_cured: bool, is_due_soon: bool, had: list[str], lesson: str | None) -> None:
    found = next_lessons(people((1, is_cured, is_due_soon)), [(1, one) for one in had], TERMS)
    assert found == ({} if lesson is None else {lesson: [1]})


def test_what_others_had_counts_for_them_alone() -> None:
    found = next_lessons(people((2, False, True), (1, False, True)), [(2, "dates")], TERMS)
    assert found == {"dates": [1], "rights": [2]}

"""Reads config/education.yaml: when a short lesson is offered, and which.

In:   the file; the messages and the pre-due strategy that it has to agree with.
Out:  `decisions.education.EducationTerms`.
Pure: no; reads files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from config.load import Day, Document, Strict, checked, parse
from config.message_files import message_texts
from config.policies import EDUCATION_FILE
from config.strategy_files import stages_of, strategy, strategy_names
from decisions.education import EDUCATION, EducationTerms
from decisions.strategy import PRE_DUE
from decisions.words import Channel

Count = Annotated[int, Field(ge=1)]
Lessons = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]


class DaysBeforeForm(Strict):
    """Local days before a payment is due, as written."""

    from_: Annotated[Count, Field(alias="from")]
    to: Count


class BeforeDueForm(Strict):
    """Lessons before a payment, as written."""

    days_before: DaysBeforeForm
    lessons: Lessons


class AfterCureForm(Strict):
    """Lessons after a loan is current again, as written."""

    within_days: Count
    lessons: Lessons


class EducationForm(Strict):
    """The file, as written."""

    owner: str
    reviewed_on: Day
    channels: Annotated[frozenset[Channel], Field(min_length=1)]
    people_a_day_max: Count
    before_due: BeforeDueForm
    after_cure: AfterCureForm


def education_terms(path: Path = EDUCATION_FILE) -> EducationTerms:
    """Read when lessons are offered.

    Raises:
        ConfigError: The file is not of that form; a lesson is none; or it would come so late that the reminder of the pre-due stage
            and it would lie in one span of that stage's budget.
    """
    document = parse(path)
    form = checked(document, document.plain, EducationForm)
    days = form.before_due.days_before
    reminders = [strategy(name, PRE_DUE) for name in strategy_names() if PRE_DUE in stages_of(name)]
    nearest = max((reminder.span_days - reminder.first_day for reminder in reminders), default=1)
    if not nearest <= days.to <= days.from_:
        raise document.error(
            ["before_due", "days_before"],
            f"from ≥ to ≥ {nearest}: the first day of the reminder, and the days of its budget",
        )
    _are_lessons(document, form)
    return EducationTerms(
        channels=frozenset(form.channels),
        people_a_day_max=form.people_a_day_max,
        days_before_max=days.from_,
        days_before_min=days.to,
        before_due=form.before_due.lessons,
        cured_within_days=form.after_cure.within_days,
        after_cure=form.after_cure.lessons,
    )


def _are_lessons(document: Document, form: EducationForm) -> None:
    """Every lesson is a text that teaches, and stands in one list alone: nobody gets it twice."""
    taught = {text.message for text in message_texts().by_key.values() if text.purpose == EDUCATION}
    for name in ("before_due", "after_cure"):
        for number, lesson in enumerate(getattr(form, name).lessons):
            if lesson not in taught:
                raise document.error([name, "lessons", number], f"is no message with the purpose {EDUCATION}")
    every = (*form.before_due.lessons, *form.after_cure.lessons)
    if len(set(every)) < len(every):
        raise document.error(["after_cure", "lessons"], "a lesson is named twice")

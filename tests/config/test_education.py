"""config/education.yaml: lessons are texts that teach, each in one list, and never so late that they crowd the reminder."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.education import education_terms
from config.load import ConfigError
from config.message_files import message_texts
from config.policies import EDUCATION_FILE
from config.strategy_files import strategy


def test_every_text_that_teaches_is_offered_somewhere() -> None:
    written = {text.message for text in message_texts().by_key.values() if text.purpose == "education"}
    assert set(education_terms().lessons) == written


def test_the_way_carries_the_lesson_itself_in_every_language() -> None:
    """A notification says only that a read waits in the app."""
    terms = education_terms()
    assert [
        (text.message, text.locale)
        for text in message_texts().by_key.values()
        if text.message in terms.lessons and not terms.channels <= text.words.keys()
    ] == []


def test_a_lesson_leaves_the_reminder_its_budget() -> None:
    reminder = strategy("static-ladder", "pre_due")
    assert education_terms().days_before_min >= reminder.span_days - reminder.first_day


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("to: 10", "to: 9", "from ≥ to ≥ 10"),
        ("from: 14", "from: 8", "from ≥ to ≥ 10"),
        ("[education_budget]", "[early_reminder]", "no message with the purpose education"),
        ("[education_budget]", "[education_rights]", "named twice"),
        ("[in_app, email]", "[pigeon]", "channels"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(tmp_path: Path, old: str, new: str, why: str) -> None:
    words = EDUCATION_FILE.read_text("utf-8")
    assert old in words
    file = tmp_path / "education.yaml"
    file.write_text(words.replace(old, new), "utf-8")
    with pytest.raises(ConfigError, match=why):
        education_terms(file)

"""config/cases.yaml: what ships is whole, and a file that is not is refused with the reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from config.cases import CASES_FILE, case_terms
from config.load import ConfigError
from config.message_files import message_texts


def test_what_ships_is_read_and_its_messages_are_written_in_every_language() -> None:
    terms = case_terms()
    assert terms.acknowledges <= set(terms.days)
    texts = message_texts().by_key
    # A region's own words (en-US) stand beside those of the language, for whoever needs other ones there.
    languages = {locale for _, locale in texts if not re.search("-[A-Z]{2}$", locale)}
    assert len(languages) >= 13
    for told in ("case_acknowledged", "case_answered"):
        assert {locale for message, locale in texts if message == told} == languages


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("  incident:     {acknowledge: 2, answer: 15}\n", "", "says nothing of incident"),
        ("dispute:      {acknowledge: 2, answer: 15}", "dispute: {acknowledge: 20, answer: 15}", "answered before it is acknowledged"),
        ("dispute:      {acknowledge: 2", "dispute: {acknowledge: 0", "greater than or equal to 1"),
        ("acknowledges: [dispute", "acknowledges: [sadness", "acknowledges"),
        ("near_days: 3", "near_day: 3", "unknown field"),
    ],
)
def test_a_file_that_is_not_whole_is_refused(tmp_path: Path, old: str, new: str, says: str) -> None:
    text = CASES_FILE.read_text("utf-8")
    assert text.count(old) == 1
    file = tmp_path / "cases.yaml"
    file.write_text(text.replace(old, new), "utf-8")
    with pytest.raises(ConfigError, match=says):
        case_terms(file)

"""The labelled replies of tests/cases/replies/: how well they are read, and that docs/replies.md says so."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from config.load import ConfigError
from config.replies import reply_policy_in_force
from config.reply_cases import NOT_MISSED, REPLIES, Reply, as_page, false_alarms, read_replies, recall

PAGE = Path(__file__).parent.parent.parent / "docs" / "replies.md"
BEGINS, ENDS = "<!-- tideover reply measure -->\n", "<!-- end -->"
LANGUAGES = {"en", "es", "zh-Hans", "zh-Hant", "pt", "hi", "id", "fil", "vi", "th", "sw", "ja", "ko"}


@cache
def labelled() -> list[Reply]:
    return read_replies(reply_policy_in_force().lexicons)


def test_there_are_enough_replies_of_every_language_and_each_stands_once() -> None:
    replies = labelled()
    assert len(replies) >= 600
    counts = Counter(reply.language for reply in replies)
    assert counts.keys() == LANGUAGES
    assert min(counts.values()) >= 45
    assert [text for text, count in Counter((reply.language, reply.text) for reply in replies).items() if count > 1] == []


@pytest.mark.parametrize("intent", NOT_MISSED)
@pytest.mark.parametrize("set_name", ["seen", "held", "fresh", "learnt", "all"])
def test_no_stop_and_no_danger_is_missed(intent: str, set_name: str) -> None:
    of = [reply for reply in labelled() if set_name in (reply.set_name, "all")]
    assert sum(reply.intent == intent for reply in of) > 10
    assert recall(of, intent) >= 0.99


@pytest.mark.parametrize("intent", NOT_MISSED)
def test_replies_that_nothing_was_learnt_from_are_read_almost_as_well(intent: str) -> None:
    """What the first look at them found (docs/replies.md): words that are changed later may not read them worse."""
    of = [reply for reply in labelled() if reply.set_name == "held_out"]
    assert len(of) > 140
    assert recall(of, intent) >= 0.97
    assert false_alarms(of, intent) <= 2


@pytest.mark.parametrize("intent", NOT_MISSED)
def test_what_is_neither_a_stop_nor_a_danger_is_seldom_taken_for_one(intent: str) -> None:
    assert false_alarms(labelled(), intent) <= 4


def test_almost_every_reply_is_read_as_it_was_meant() -> None:
    replies = labelled()
    otherwise = [(reply.language, reply.text, reply.reading) for reply in replies if reply.reading.intent != reply.intent]
    assert len(otherwise) <= len(replies) // 50, otherwise


def test_what_is_not_understood_never_stops_pays_or_promises_anything() -> None:
    assert [reply for reply in labelled() if reply.intent == "unclear" and reply.reading.intents != ("unclear",)] == []


def test_the_page_says_how_they_are_read_now() -> None:
    """Written anew by `tideover reply measure`."""
    page = PAGE.read_text("utf-8")
    assert page.split(BEGINS)[1].split(ENDS)[0] == as_page(labelled())


def test_a_label_that_is_no_intent_is_refused(tmp_path: Path) -> None:
    text = (REPLIES / "en.yaml").read_text("utf-8")
    (tmp_path / "en.yaml").write_text(text.replace("intent: danger", "intent: dangerous"), "utf-8")
    with pytest.raises(ConfigError, match="no intent: dangerous"):
        read_replies(reply_policy_in_force().lexicons, tmp_path)

"""What every automated call says is linted like a message, and more strictly where anybody may hear it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from config.lint_files import beside
from config.message_files import message_texts
from config.voice_files import voice_prompts
from decisions.lint_voice import of_prompts, of_words
from decisions.voice import HEARD_BY_ANYBODY, Prompts, as_text, parts
from gate.last_look import prompts_refused_by

PROMPTS = voice_prompts()
BESIDE = beside(message_texts(), date(2026, 11, 29))


@pytest.mark.parametrize("prompts", PROMPTS.values(), ids=list(PROMPTS))
def test_the_shipped_prompts_have_no_finding(prompts: Prompts) -> None:
    assert of_prompts(prompts, BESIDE) == []
    assert prompts_refused_by(prompts) == ()


@pytest.mark.parametrize(
    ("place", "words", "rule"),
    [
        ("menu", "Pay now or we will take legal action.", "threat"),
        ("answers.cannot_pay", "Shame on you.", "shame"),
        ("greeting", "This is about your debt.", "reveals_debt"),
        ("goodbye", "Please pay soon.", "reveals_debt"),
        ("voicemail", "It is about a payment.", "reveals_debt"),
        ("answers.stop", "You still owe us money.", "reveals_debt"),
        ("answers.help", "Call us immediately.", "false_urgency"),
    ],
)
def test_a_planted_fault_is_found_in_its_place(place: str, words: str, rule: str) -> None:
    en = PROMPTS["en"]
    said = f"{parts(en)[place]} {words}"
    field, _, intent = place.partition(".")
    changes: dict[str, Any] = {field: {**en.answers, intent: said} if intent else said}
    changed = replace(en, version=f"{place} {words}", **changes)
    found = {(one.message, one.locale, one.channel, one.rule) for one in of_words(changed, BESIDE.lists)}
    assert ("voice", "en", place, rule) in found
    assert rule in prompts_refused_by(changed)


def test_after_the_key_a_payment_may_be_spoken_of() -> None:
    assert "If you have paid" in PROMPTS["en"].menu
    assert "menu" not in HEARD_BY_ANYBODY


def test_the_law_is_asked_about_the_frame_and_the_voicemail() -> None:
    """47 CFR 64.1200(b): who calls, a number, and the key that ends the calls."""
    en = PROMPTS["en"]
    without_a_number = replace(en, identify=en.identify.replace(" Our phone number is {phone}.", ""))
    assert [(one.channel, one.rule, one.words) for one in of_prompts(without_a_number, BESIDE)] == [
        ("greeting", "lacks", "callback_number")
    ]
    rude = replace(en, voicemail="This is {creditor}. {agent} {phone}")
    assert ("voicemail", "lacks") in [(one.channel, one.rule) for one in of_prompts(rude, BESIDE)]


def test_as_a_text_they_are_named_voice_and_say_every_word() -> None:
    text = as_text(PROMPTS["en"])
    assert (text.message, text.version) == ("voice", PROMPTS["en"].version)
    said = "\n".join(words.body for words in text.words.values())
    assert all(words in said for words in parts(PROMPTS["en"]).values())

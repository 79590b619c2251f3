"""Contents: what a text must and must not say, and what is required where it is not known yet."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from decisions.facts import BESIDE, CANDIDATES
from decisions.rules import judge
from decisions.rules.required import required
from tests.plugins.known_facts import NOON_IN_NEW_YORK, Known, facts_of
from tests.plugins.packs import packs_of, rule

PACKS = packs_of(
    rule("US-WAYOUT", "content", requires=[{"name": "opt_out_notice", "phrases": {"en": ["reply STOP"], "zh-Hant": ["回覆停止"]}}]),
    rule(
        "US-WHO",
        "content",
        requires=[
            {"name": "collector_named", "sequence": "first", "phrases": {"*": ["attempt to collect a debt"]}},
            {"name": "collector_again", "sequence": "later", "phrases": {"*": ["debt collector"]}},
        ],
    ),
    rule("US-THREAT", "content", forbids=[{"name": "threat", "forms": ["voicemail"], "phrases": {"en": ["sue"]}}]),
    rule("US-NOTICE", "deadline", notices=["validation"], after="first_contact", values={"2020-01-01": {"days": 5}}),
)
WHOLE = "This is an attempt to collect a debt. Reply  stop to opt out."


def asked(text: str | None, known: Known | None = None, **columns: Any) -> tuple[dict[str, Any], list[str]]:
    row = {
        "candidate": 0,
        "party_id": 1,
        "channel": "sms",
        "purpose": "collection",
        "at": NOON_IN_NEW_YORK,
        "loans": [100],
        "counterparty": "borrower",
        "text": text,
        **columns,
    }
    frame = pl.DataFrame([row], schema={**CANDIDATES, **BESIDE})
    facts = facts_of(known or Known())
    return judge(facts, frame, PACKS).row(0, named=True), required(facts, frame, PACKS)[0]


def test_what_is_not_known_yet_is_not_judged_and_all_it_must_carry_is_named() -> None:
    answer, wanted = asked(None)
    assert answer["allowed"]
    assert wanted == ["collector_named", "opt_out_notice", "validation"]


def test_a_text_that_carries_everything_is_allowed_however_it_is_spaced() -> None:
    answer, wanted = asked(WHOLE)
    assert answer["allowed"]
    assert wanted == ["validation"]


@pytest.mark.parametrize(
    ("text", "rules", "lacks"),
    [
        ("This is an attempt to collect a debt.", ["US-WAYOUT"], "opt_out_notice"),
        ("Reply STOP to opt out.", ["US-WHO"], "collector_named"),
        ("Reply STOPPER. This is an attempt to collect a debt.", ["US-WAYOUT"], "opt_out_notice"),
    ],
)
def test_a_text_that_lacks_something_is_refused(text: str, rules: list[str], lacks: str) -> None:
    answer, wanted = asked(text)
    assert answer["blocked_by"] == rules
    assert lacks in wanted


def test_the_first_word_and_the_later_ones_differ() -> None:
    before = Known(history=[{"loans": [100]}])
    assert asked(WHOLE, before)[0]["blocked_by"] == ["US-WHO"]
    assert asked("From a debt collector. Reply STOP.", before)[0]["allowed"]


def test_a_call_that_nobody_took_was_no_first_word() -> None:
    assert asked(WHOLE, Known(history=[{"loans": [100], "channel": "call", "result": "no_answer"}]))[0]["allowed"]


def test_a_phrase_counts_in_the_persons_own_language_alone() -> None:
    chinese = "attempt to collect a debt 回覆停止"
    assert asked(chinese)[0]["blocked_by"] == ["US-WAYOUT"]
    assert asked(chinese, Known(person={"locale": "zh-Hant"}))[0]["allowed"]
    assert asked(chinese, Known(person={"locale": None}))[0]["allowed"], "a language that is not known may be any"


def test_what_is_forbidden_on_a_voicemail_may_be_said_live() -> None:
    text = f"{WHOLE} We may sue."
    assert asked(text, form="voicemail")[0]["blocked_by"] == ["US-THREAT"]
    assert asked(text, form="live")[0]["allowed"]
    assert asked(text)[0]["blocked_by"] == ["US-THREAT"], "a form that is not known may be either"
    assert asked(f"{WHOLE} Sue asks you to call.", form="live")[0]["allowed"]

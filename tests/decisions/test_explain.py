"""The explanation: it decides by the same functions, names every rule that looks, and speaks in words."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from config.message_files import message_texts
from config.rule_files import rule_packs
from config.strategy_files import strategy
from decisions.choose import decide
from decisions.explain import REASONS, differences, explain, words
from tests.plugins.known_facts import NOON_IN_NEW_YORK, TODAY, Known, facts_of

EARLY = strategy("static-ladder", "early")
PACKS = rule_packs()
TEXTS = message_texts()


def told(known: Known, **changed: Any) -> dict[str, Any]:
    return explain(facts_of(known), replace(EARLY, **changed), PACKS, TEXTS, at=NOON_IN_NEW_YORK, business_date=TODAY, seed=b"seed")


def decided(known: Known, **changed: Any) -> dict[str, Any]:
    rows = decide(facts_of(known), replace(EARLY, **changed), PACKS, TEXTS, at=NOON_IN_NEW_YORK, business_date=TODAY, seed=b"seed")
    return rows.row(0, named=True)


PEOPLE = {
    "contacted": Known(days=20),
    "stopped sms": Known(days=20, opt_outs=[{"channel": "sms"}]),
    "held": Known(days=20, holds=[{"kind": "dispute"}]),
    "not late": Known(days=None),
    "nowhere": Known(days=20, person={"zones": [], "jurisdictions": []}),
    "no text": Known(days=20, person={"locale": "fr"}),
    "of a debt collector": Known(days=20, person={"creditor_role": "third_party"}),
    "nothing known": Known(days=20, person=dict.fromkeys(("locale", "country", "region", "creditor_role"))),
}


@pytest.mark.parametrize("known", PEOPLE.values(), ids=PEOPLE.keys())
@pytest.mark.parametrize("exploration", [0.0, 0.3])
def test_what_is_explained_is_what_is_decided(known: Known, exploration: float) -> None:
    assert differences(told(known, exploration=exploration), decided(known, exploration=exploration)) == []


@pytest.mark.parametrize("known", PEOPLE.values(), ids=PEOPLE.keys())
def test_an_explanation_is_json_and_can_be_spoken(known: Known) -> None:
    explanation = told(known)
    assert json.loads(json.dumps(explanation)) == explanation
    lines = list(words(explanation))
    assert lines[-1].startswith(("Decision: ", "  because "))
    assert not [line for line in lines if "None" in line]


@pytest.mark.parametrize("known", PEOPLE.values(), ids=PEOPLE.keys())
def test_every_reason_is_a_verdict_that_was_told_or_has_words_of_its_own(known: Known) -> None:
    explanation = told(known)
    forbidding = {verdict["rule"] for one in explanation["candidates"] for verdict in one["verdicts"] if not verdict["allows"]}
    assert set(explanation["decision"]["reasons"]) <= forbidding | REASONS.keys()


def test_only_rules_that_look_at_such_a_contact_are_told() -> None:
    """A call cap of Regulation F says nothing about a text message; a rule of China nothing about New York."""
    for candidate in told(Known(days=20))["candidates"]:
        assert "US-REGF-7IN7" not in {verdict["rule"] for verdict in candidate["verdicts"]}
        assert {verdict["pack"] for verdict in candidate["verdicts"]} == {"US", "house"}


def test_the_arms_and_their_probabilities_are_told() -> None:
    arms = told(Known(days=20), exploration=0.3)["arms"]
    assert [arm["channel"] for arm in arms] == ["sms", "push", None]
    assert sum(arm["probability"] for arm in arms) == pytest.approx(1)


def test_an_explanation_is_about_one_borrower() -> None:
    with pytest.raises(ValueError, match="one borrower, not 2"):
        explain(facts_of(Known(party_id=1), Known(party_id=2)), EARLY, PACKS, TEXTS, at=NOON_IN_NEW_YORK, business_date=TODAY, seed=b"seed")

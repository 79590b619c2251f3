"""What letters about cases begin with: in every language, for every kind and result, without a word that hurts."""

from __future__ import annotations

import pytest

from config.case_letters import letters_in_force
from decisions.case_letters import BLANK, letters_for, problems_in
from decisions.cases import ANSWERED_FIRST, RESULTS_OF, WITHDRAWN

LETTERS = letters_in_force()


def test_every_kind_that_is_answered_has_its_letters() -> None:
    for kind in ANSWERED_FIRST:
        named = letters_for(kind, LETTERS.words["en"].texts)
        assert set(named["acknowledge"]) == {f"acknowledge_{kind}"}
        results = {name.removeprefix(f"answer_{kind}_") for name in named["answer"]}
        assert results <= set(RESULTS_OF[kind]) - {WITHDRAWN}
        assert len(results) >= 2
    assert letters_for("incident", LETTERS.words["en"].texts) == {"acknowledge": {}, "answer": {}}


@pytest.mark.parametrize("locale", sorted(LETTERS.words))
def test_a_letter_hurts_nobody_and_leaves_something_to_write(locale: str) -> None:
    for name, words in LETTERS.words[locale].texts.items():
        assert BLANK in words, name
        assert problems_in(words.replace(BLANK, "1"), locale, LETTERS.lists) == [], name
        assert problems_in(words, locale, LETTERS.lists), "a blank that is left open is no letter"


@pytest.mark.parametrize(
    ("locale", "words", "why"),
    [
        ("en", "Pay at once or we will take legal action.", "it threatens"),
        ("en", "You should be ashamed of yourself.", "it shames"),
        ("es", "Si no paga, tomaremos acciones legales.", "it threatens"),
        ("xx", "We checked ____.", "a blank"),
    ],
)
def test_what_no_message_may_say_no_letter_says(locale: str, words: str, why: str) -> None:
    assert why in "; ".join(problems_in(words, locale, LETTERS.lists))


def test_an_authority_may_be_named_in_a_letter() -> None:
    assert problems_in("If you do not agree, the Financial Ombudsman Service hears you, and so does a court.", "en", LETTERS.lists) == []

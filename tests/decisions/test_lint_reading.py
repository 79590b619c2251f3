"""How hard texts are to read: known measures, and the length of sentences."""

from __future__ import annotations

import pytest

from decisions.lint_reading import figure, length, sentences


def test_a_link_a_colon_and_a_mark_close_a_sentence_and_a_gap_is_a_word() -> None:
    assert sentences("{creditor}: pay here: {link} Thank you. Really?") == ["ana", "pay here", "Thank you", "Really"]


def test_length_is_in_words_or_in_letters() -> None:
    assert length("You don't owe 3 things", in_words=True) == 5
    assert length("您好，3件事。", in_words=False) == 5
    # A vowel that is a mark on its letter does not end a word.
    assert length("इस समय चुकाना मुश्किल हो", in_words=True) == 5


def test_plain_english_has_a_lower_grade_than_officialese() -> None:
    plain = "We have not got your money yet. Tell us if it is hard. We will help."
    official = (
        "Notwithstanding the aforementioned contractual stipulations, remittance of the outstanding consideration remains obligatory."
    )
    assert figure(plain, "flesch_kincaid") < 3
    assert figure(official, "flesch_kincaid") > 18


def test_flesch_kincaid_of_a_sentence_counted_by_hand() -> None:
    """Six words of one syllable: 0.39 × 6 + 11.8 × 1 - 15.59."""
    assert figure("The cat sat on the mat.", "flesch_kincaid") == pytest.approx(0.39 * 6 + 11.8 - 15.59)


def test_fernandez_huerta_of_a_sentence_counted_by_hand() -> None:
    """La cuen-ta del dí-a: four words, six syllables."""
    assert figure("La cuenta del día.", "fernandez_huerta") == pytest.approx(206.84 - 60 * 6 / 4 - 1.02 * 4)


def test_martins_of_a_sentence_counted_by_hand() -> None:
    """Vo-cê po-de pa-gar: three words, six syllables."""
    assert figure("Você pode pagar.", "martins") == pytest.approx(248.835 - 84.6 * 2 - 1.015 * 3)


def test_a_text_without_words_is_the_easiest() -> None:
    assert figure("…", "flesch_kincaid") == 0.0
    assert figure("…", "martins") == 100.0

"""Each rule of each language finds what collectors write, and leaves innocent sentences alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from config.lint_files import word_lists_in_force
from decisions.lint import Language, Term
from decisions.lint_rules import LISTED, REVEALS_DEBT, TRADE_WORD
from decisions.lint_words import Listed, Writing, folded, found, unfindable

LOCALES = ("en", "es", "fil", "hi", "id", "ja", "ko", "pt", "sw", "th", "vi", "zh-Hans", "zh-Hant")
RULES = (*LISTED, TRADE_WORD, REVEALS_DEBT)
CASES: dict[str, dict[str, Any]] = {
    path.stem: yaml.safe_load(path.read_text("utf-8")) for path in (Path(__file__).parent / "lint").glob("*.yaml")
}
EVERY = [pytest.param(locale, rule, id=f"{locale}-{rule}") for locale, rules in CASES.items() for rule in rules]
ENGLISH = Writing(spaces="words", accents="ignored")
CHINESE = Writing(spaces="none", accents="kept")
VIETNAMESE = Writing(spaces="words", accents="tones")
HINDI = Writing(spaces="words", accents="kept")
KOREAN = Writing(spaces="loose", accents="kept")


def lists_of(language: Language, rule: str) -> list[Listed]:
    trade: tuple[Term, ...] = language.trade if rule == TRADE_WORD else ()
    one = [language.reveals_debt] if rule == REVEALS_DEBT else [language.lists[rule]] if rule in LISTED else []
    return [*one, *(term.listed for term in trade)]


def test_a_phrase_does_not_reach_over_the_end_of_a_hindi_sentence() -> None:
    listed = Listed(words=("अभी ~ चुका*",))
    assert found("अभी चुकाएँ", listed, HINDI) != []
    assert found("वह अभी मिला। चुकाएँ", listed, HINDI) == []


def test_every_language_and_every_rule_has_bad_and_good_sentences() -> None:
    assert tuple(sorted(CASES)) == LOCALES
    # As one country reads it a language has the same words, and only where it is read is its own.
    assert tuple(sorted(word_lists_in_force().languages)) == tuple(sorted((*LOCALES, "en-US", "es-US")))
    assert word_lists_in_force().languages["en-US"].serves == ("US",)
    assert {locale: set(RULES) - set(rules) for locale, rules in CASES.items() if set(RULES) != set(rules)} == {}
    few = [(locale, rule) for locale, rules in CASES.items() for rule, kinds in rules.items() if len(kinds["bad"]) < 4 or not kinds["good"]]
    assert few == []


@pytest.mark.parametrize(("locale", "rule"), EVERY)
def test_a_rule_finds_what_is_bad_and_leaves_what_is_good(locale: str, rule: str) -> None:
    language = word_lists_in_force().languages[locale]
    caught = {
        kind: [any(found(words, listed, language.writing) for listed in lists_of(language, rule)) for words in CASES[locale][rule][kind]]
        for kind in ("bad", "good")
    }
    missed = [words for words, is_caught in zip(CASES[locale][rule]["bad"], caught["bad"], strict=True) if not is_caught]
    blamed = [words for words, is_caught in zip(CASES[locale][rule]["good"], caught["good"], strict=True) if is_caught]
    assert (missed, blamed) == ([], [])


@pytest.mark.parametrize(
    "written",
    ["debt", "DEBT", "Ｄｅｂｔ", "d\u200be\u200bb\u200bt", "de\u00adbt", "d e b t", "d-e-b-t", "de.bt", "d3bt", "débt", "𝐝𝐞𝐛𝐭"],
)
def test_a_word_is_found_however_it_is_dressed_up(written: str) -> None:
    assert found(f"About your {written}, please", Listed(words=("debt",)), ENGLISH)


@pytest.mark.parametrize("innocent", ["indebted", "debtless", "de bt", "a debit card", "The bed. Bt is a name"])
def test_a_word_inside_another_is_another_word(innocent: str) -> None:
    assert found(innocent, Listed(words=("debt",)), ENGLISH) == []


def test_a_stem_stands_for_all_that_begins_with_it_and_holds() -> None:
    assert found("debts and debtor", Listed(words=("debt*",)), ENGLISH) == ["debts", "debtor"]
    assert found("utashtakiwa", Listed(words=("*shtak*",)), ENGLISH) == ["utashtakiwa"]


def test_a_phrase_reaches_over_a_few_words_but_over_no_sentence_and_no_gap() -> None:
    phrase = Listed(words=("take|taking ~ legal action",))
    assert found("taking all the legal action", phrase, ENGLISH)
    assert found("we take this one more very legal action", phrase, ENGLISH) == []
    assert found("take it. Legal action", phrase, ENGLISH) == []
    assert found("take {creditor} legal action", phrase, ENGLISH) == []


def test_what_is_excepted_is_taken_out_first_and_nothing_else() -> None:
    listed = Listed(words=("court",), unless=("tennis court",))
    assert found("the tennis court", listed, ENGLISH) == []
    assert found("the tennis court and the court", listed, ENGLISH) == ["court"]


@pytest.mark.parametrize("written", ["催收", "催 收", "催·收", "催\u200b收"])
def test_chinese_is_found_without_spaces(written: str) -> None:
    assert found(f"请{written}一下", Listed(words=("催收",)), CHINESE)


def test_chinese_does_not_join_what_a_clause_parts() -> None:
    assert found("您好，催。收到", Listed(words=("催收", "好催")), CHINESE) == []


def test_vietnamese_tones_tell_words_apart_and_may_stand_on_either_vowel() -> None:
    assert found("no đủ", Listed(words=("nợ",)), VIETNAMESE) == []
    assert found("toà án", Listed(words=("tòa án",)), VIETNAMESE)
    assert found("ban con no xau", Listed(words=("nợ xấu",)), VIETNAMESE)


def test_hindi_marks_are_letters_and_its_dot_is_optional() -> None:
    assert found("क़र्ज़ है", Listed(words=("कर्ज",)), HINDI)
    assert found("कर", Listed(words=("कर्ज",)), HINDI) == []


def test_korean_spaces_are_free_inside_a_phrase_only() -> None:
    assert found("법적조치", Listed(words=("법적 조치",)), KOREAN)
    assert found("현재 판단", Listed(words=("재판",)), KOREAN) == []


@pytest.mark.parametrize("phrase", ["", "...", "~ a", "a ~", "a|! b"])
def test_a_phrase_that_could_never_be_found_is_refused(phrase: str) -> None:
    assert unfindable(phrase, ENGLISH)


@given(st.text(max_size=60))
def test_any_text_can_be_read(text: str) -> None:
    for writing in (ENGLISH, CHINESE, VIETNAMESE, HINDI, KOREAN):
        assert all("  " not in form.strip() for form in folded(text, writing))


@given(st.sampled_from(["debt", "legal action", "final notice"]), st.text(alphabet="abcxyz éñ .,{}", max_size=20))
def test_a_listed_phrase_is_found_in_any_company(phrase: str, company: str) -> None:
    assert found(f"{company} . {phrase} . {company}".replace("{", "(").replace("}", ")"), Listed(words=(phrase,)), ENGLISH)

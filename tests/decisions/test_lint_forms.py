"""The form of a text: what is found in it, and what is left alone."""

from __future__ import annotations

import pytest

from decisions.lint_forms import breaches, script_of

LATIN = frozenset({"Latin"})
HAN = frozenset({"Han"})
JAPANESE = frozenset({"Han", "Hiragana", "Katakana"})


def rules(words: str, *, scripts: frozenset[str] = LATIN, han: str | None = None, numbers: bool = False) -> set[str]:
    return {rule for rule, _ in breaches(words, numbers_allowed=numbers, scripts=scripts, han=han, foreign=frozenset({"app", "whatsapp"}))}


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        ("Pay today!", "shouting"),
        ("还款！", "shouting"),
        ("FINAL NOTICE to you", "shouting"),
        ("This is IMPORTANT", "shouting"),
        ("⚠ Read this", "shouting"),
        ("TODO: the text", "placeholder"),
        ("Dear [name], hello", "placeholder"),
        ("Hello <customer>", "placeholder"),
        ("Lorem ipsum dolor", "placeholder"),
        ("Due on ____", "placeholder"),
        ("Hello %s", "placeholder"),
        ("Pay at http://pay.example/x", "link"),
        ("Pay at www.lantern.com", "link"),
        ("Pay at bit.ly/3x", "link"),
        ("Write to help@lantern.example", "link"),
        ("Pay at ｈｔｔｐ：／／x.com", "link"),
        ("Call +1 555 010 0199", "phone_number"),
        ("Call (02) 2345-6789", "phone_number"),
        ("Card ４１１１ １１１１ １１１１", "phone_number"),
        ("Pay at {link}. Thanks", "after_link"),
        ("раy here", "mixed_script"),
        ("pay 付款 here", "mixed_script"),
        ("Pay (now", "brackets"),
        ("Pay now)", "brackets"),
        ('Say "stop', "brackets"),
        ("pa\u200by", "invisible"),
        ("pa\u202ey", "invisible"),
    ],
)
def test_a_breach_is_found(words: str, rule: str) -> None:
    assert rule in rules(words)


@pytest.mark.parametrize(
    "words",
    [
        "{creditor}: {amount} that was due on {due_on} is still open. Pay or ask for more time: {link} Reply {stop} to stop texts.",
        "Due 12/11/2026, or 2026-11-12, 1,000.50 in 24 hours of 7 days",
        "¿Le resulta difícil? Escríbanos (también hoy). «Gracias»",
        "Open WhatsApp or the app. Reply STOP. SMS and PIN are fine.",
        "No se preocupe, todo está bien. U.S. residents e.g. in N.Y.",
    ],
)
def test_an_innocent_form_is_left_alone(words: str) -> None:
    assert rules(words) == set()


def test_a_phone_number_is_allowed_where_people_expect_one() -> None:
    assert rules("Call +1 555 010 0199", numbers=True) == set()


def test_each_way_to_write_chinese_knows_the_others_characters() -> None:
    assert rules("您的账户", scripts=HAN, han="traditional") == {"other_characters"}
    assert rules("您的帳戶", scripts=HAN, han="simplified") == {"other_characters"}
    assert rules("您的账户", scripts=HAN, han="simplified") == set()
    assert rules("您的帳戶", scripts=HAN, han="traditional") == set()
    assert rules("帐户をご確認ください", scripts=JAPANESE, han="japanese") == {"other_characters"}
    assert rules("口座をご確認ください", scripts=JAPANESE, han="japanese") == set()


def test_words_that_readers_know_may_be_in_another_script() -> None:
    assert rules("请打开App查看", scripts=HAN) == set()
    assert rules("请打开Website查看", scripts=HAN) == {"mixed_script"}


def test_hindi_may_join_letters_with_marks_that_nobody_sees() -> None:
    assert rules("क्‍ष", scripts=frozenset({"Devanagari"})) == set()


@pytest.mark.parametrize(
    ("mark", "script"), [("a", "Latin"), ("я", "Cyrillic"), ("催", "Han"), ("ก", "Thai"), ("क", "Devanagari"), ("1", None)]
)
def test_a_letters_script_is_known(mark: str, script: str | None) -> None:
    assert script_of(mark) == script

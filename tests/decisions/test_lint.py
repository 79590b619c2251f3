"""One text through the linter: its own words, its lender's name, exceptions, and what stands beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

import pytest

from config.lint_files import longest_values, word_lists_in_force
from config.rule_files import rule_packs
from decisions.lint import Excepted, WordLists, of_name, of_text
from decisions.lint_all import Beside, of_all
from decisions.lint_rules import RULES
from decisions.messages import Text, Texts, Words

LISTS = word_lists_in_force()
GOOD = "{creditor}: {amount} that was due on {due_on} is still open. Pay or ask for more time: {link} Reply {stop} to stop texts."
QUIET = "There is news for you. Open the app to see it. Turn off these notices in your phone's settings."
BESIDE = Beside(lists=LISTS, packs=rule_packs(), longest=longest_values(), stops={"STOP"}, on=date(2026, 11, 29))


def text(
    words: Mapping[str, Words],
    *,
    purpose: str = "collection",
    roles: tuple[str, ...] = ("first_party",),
    message: str = "m",
    locale: str = "en",
) -> Text:
    return Text(
        message=message,
        locale=locale,
        purpose=purpose,
        version="v1",
        writes_like="en-US",
        stop="STOP",
        creditor_roles=frozenset(roles),
        approved=True,
        words=words,
    )


def rules(found: Text, lists: WordLists = LISTS) -> set[str]:
    return {one.rule for one in of_text(found, lists)}


def sms(words: str) -> Text:
    return text({"sms": Words(body=words)})


def test_a_good_text_and_a_quiet_notification_have_no_finding() -> None:
    assert of_text(text({"sms": Words(body=GOOD), "push": Words(title="{creditor}", body=QUIET)}), LISTS) == []


@pytest.mark.parametrize("gap", ["{amount}", "{due_on}"])
def test_a_gap_that_tells_of_money_reveals_it_on_a_lock_screen_and_to_a_machine(gap: str) -> None:
    assert rules(text({"push": Words(title="{creditor}", body=f"{QUIET} {gap}")})) == {"reveals_debt"}
    assert rules(text({"voice": Words(body="Hello"), "voicemail": Words(body=f"Please call {{creditor}} about {gap}")})) == {"reveals_debt"}


def test_a_sign_of_money_reveals_it_in_any_language() -> None:
    assert rules(text({"push": Words(title="{creditor}", body=f"{QUIET} ₹")})) >= {"reveals_debt"}


def test_a_subject_that_others_may_see_is_only_warned_of() -> None:
    found = of_text(text({"email": Words(title="Your payment", body=GOOD)}), LISTS)
    assert [(one.rule, one.severity, one.part) for one in found] == [("reveals_debt", "warning", "title")]


@pytest.mark.parametrize("channel", ["sms", "whatsapp", "messenger", "rcs", "email"])
def test_an_electronic_message_says_how_to_stop(channel: str) -> None:
    assert rules(text({channel: Words(body="Hello")})) == {"opt_out"}


def test_a_letter_a_call_and_the_last_word_say_no_stop() -> None:
    assert rules(text({"letter": Words(body="Hello"), "voice": Words(body="Hello")})) == set()
    assert rules(text({"sms": Words(body="You will get no more texts.")}, purpose="confirmation")) == set()


@pytest.mark.parametrize(("purpose", "gap"), [("confirmation", "{link}"), ("education", "{amount}"), ("correction", "{due_on}")])
def test_a_message_serves_one_purpose(purpose: str, gap: str) -> None:
    assert rules(text({"sms": Words(body=f"Hello {gap} Reply {{stop}} to stop.")}, purpose=purpose)) == {"one_purpose"}


def test_a_language_that_nobody_listed_is_an_error() -> None:
    assert rules(text({"sms": Words(body=GOOD)}, locale="xx")) == {"no_word_list"}


def test_the_glossary_says_what_to_write_instead() -> None:
    (one,) = of_text(sms(f"{GOOD} Your debt."), LISTS)
    assert (one.rule, one.words, one.instead) == ("trade_word", "debt", "the payment that was due on {due_on}, what is still open")


def test_an_exception_covers_these_words_of_this_version_and_no_other() -> None:
    spoken = sms(f"{GOOD} The court and the judge.")
    excepted = Excepted(message="m", locale="en", version="v1", rule="imitation", words="court")
    assert {one.words for one in of_text(spoken, LISTS)} == {"court", "judge"}
    assert {one.words for one in of_text(spoken, replace(LISTS, exceptions=(excepted,)))} == {"judge"}
    assert of_text(spoken, replace(LISTS, exceptions=(replace(excepted, words=None),))) == []
    void = replace(LISTS, exceptions=(replace(excepted, version="v0"),))
    assert {one.words for one in of_text(spoken, void)} == {"court", "judge"}
    linted = of_all(Texts(by_key={("m", "en"): spoken}), replace(BESIDE, lists=void))
    assert [one.rule for one in linted.findings if one.rule == "void_exception"] == ["void_exception"]


@pytest.mark.parametrize(
    ("name", "channel", "rule"), [("Court Payments Office", "sms", "imitation"), ("Quick Debt Recovery", "push", "trade_word")]
)
def test_a_lenders_name_may_not_imitate_or_reveal(name: str, channel: str, rule: str) -> None:
    spoken = text({"sms": Words(body=GOOD), "push": Words(title="{creditor}", body=QUIET)})
    assert {one.rule for one in of_name(name, spoken, channel, LISTS)} == {rule}
    assert of_name("Lantern Wallet", spoken, channel, LISTS) == []


def test_a_collectors_name_is_no_breach_where_nobody_else_reads_it() -> None:
    assert of_name("Quick Debt Recovery", sms(GOOD), "sms", LISTS) == []


def test_a_text_that_says_less_than_its_english_sister_is_told() -> None:
    english = sms(GOOD)
    spanish = text({"sms": Words(body="Hola {creditor}, {amount}, {link} {stop}")}, locale="es")
    linted = of_all(Texts(by_key={("m", "en"): english, ("m", "es"): spanish}), BESIDE)
    assert [(one.locale, one.words) for one in linted.findings if one.rule == "says_less"] == [("es", "{due_on}")]


def test_a_role_that_may_not_send_a_text_is_a_warning_while_another_may() -> None:
    spoken = text({"sms": Words(body=GOOD)}, roles=("first_party", "third_party"))
    found = [one for one in of_all(Texts(by_key={("m", "en"): spoken}), BESIDE).findings if one.rule == "lacks"]
    assert [(one.severity, "third_party" in one.because, "first_party" in one.because) for one in found] == [("warning", True, False)]


def test_what_a_law_forbids_in_a_country_is_found_where_the_language_is_read() -> None:
    asks_why = text({"sms": Words(body="{creditor}: {amount} {due_on} {link} ¿Por qué no pagó? {stop}")}, locale="es")
    found = [one for one in of_all(Texts(by_key={("m", "es"): asks_why}), BESIDE).findings if one.rule == "forbidden_by_law"]
    assert [one.because.split(",")[0] for one in found] == ["CO-2300-WHY (CO)"]


def test_a_call_is_asked_for_what_it_may_not_say_only() -> None:
    """Who calls and which key ends it stand around the words of every message."""
    spoken = text({"voice": Words(body="A payment has not reached us yet.")})
    assert of_all(Texts(by_key={("m", "en"): spoken}), BESIDE).errors == 0


def test_every_rule_says_why_it_matters_and_what_to_write() -> None:
    assert [name for name, rule in RULES.items() if not (rule.because and rule.instead)] == []

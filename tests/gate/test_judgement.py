"""Judging again at the gate: the same rules as at planning, and the very words that would be sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import polars as pl
import pytest

from config.message_files import message_texts
from config.rule_files import rule_packs
from decisions.facts import Facts
from decisions.gate_verdict import SEND, WITHHOLD
from decisions.messages import Registration, Text, Texts, Words
from decisions.packs import Packs
from decisions.planned import Planned
from decisions.rule_forms import ContentRule
from decisions.rules.contents import carries
from gate.judgement import Judged, judge_again
from tests.plugins.known_facts import NOON_IN_NEW_YORK, TODAY, Known, facts_of, point

PLANNED = Planned(
    business_date=TODAY,
    id=1,
    party_id=1,
    contact_point_id=11,
    channel="sms",
    purpose="collection",
    message="early_reminder",
    locale="en",
    token=uuid4(),
    send_after=NOON_IN_NEW_YORK,
    expires_at=NOON_IN_NEW_YORK + timedelta(hours=4),
    creditor_name="Lantern",
    creditor_role="first_party",
    sender="+15005550006",
    value_encrypted=b"x",
    key_id="k",
)


def judged(
    texts: Texts,
    *,
    planned: Planned = PLANNED,
    creditor_name: str = "Lantern",
    facts: Facts | None = None,
    packs: Packs | None = None,
    **columns: Any,
) -> Judged:
    planned = replace(planned, creditor_name=creditor_name)
    (found,) = judge_again(
        facts or facts_of(Known()),
        [planned],
        stage="early",
        packs=packs or rule_packs(),
        texts=texts,
        at=NOON_IN_NEW_YORK,
        public_url="https://pay.example",
        **columns,
    )
    return found


def without_the_way_out(text: Text) -> Text:
    return replace(text, words={**text.words, "sms": Words(body="{creditor}: {amount} was due on {due_on}. {link}")})


def test_words_that_say_how_to_stop_are_sent() -> None:
    assert judged(message_texts()).action == SEND


def test_words_that_do_not_say_how_to_stop_are_withheld_whatever_was_planned() -> None:
    texts = Texts(by_key={key: without_the_way_out(text) for key, text in message_texts().by_key.items()})
    found = judged(texts)
    assert (found.action, found.reasons) == (WITHHOLD, ("US-REGF-OPTOUT-NOTICE", "words_refused:opt_out"))


def test_words_that_the_linter_refuses_are_withheld_though_every_rule_of_the_law_allows_them() -> None:
    texts = message_texts()
    text = texts.by_key["early_reminder", "en"]
    threatening = replace(text, words={**text.words, "sms": Words(body=f"{text.words['sms'].body} This is your final notice.")})
    found = judged(Texts(by_key=texts.by_key | {("early_reminder", "en"): threatening}))
    assert (found.action, found.reasons) == (WITHHOLD, ("words_refused:false_urgency",))


def test_a_lender_that_calls_itself_a_court_says_nothing() -> None:
    assert judged(message_texts(), creditor_name="The High Court").reasons == ("words_refused:imitation",)


@pytest.mark.parametrize(("cleared", "action", "reasons"), [(True, SEND, ()), (False, WITHHOLD, ("HOUSE-PROVIDER-WHATSAPP",))])
def test_a_channel_whose_clearance_is_gone_is_withheld_whatever_was_planned(cleared: bool, action: str, reasons: tuple[str, ...]) -> None:
    texts = message_texts()
    text = texts.text("early_reminder", "en")
    # A registered text: one that is not leaves only in the window after somebody wrote.
    known = Registration(id="HX" + "0" * 32, variables=("creditor", "amount", "due_on", "link", "stop"))
    spoken = replace(text, words={**text.words, "whatsapp": text.words["sms"]}, registered={"whatsapp": known})
    facts = facts_of(Known(points=(point(11, "whatsapp"),)))
    consents = facts.consents.with_columns(channel=pl.lit("whatsapp"))
    packs = rule_packs()
    found = judged(
        Texts(by_key={**texts.by_key, ("early_reminder", "en"): spoken}),
        planned=replace(PLANNED, channel="whatsapp"),
        facts=replace(facts, consents=consents),
        packs=packs if cleared else packs.model_copy(update={"clearances": ()}),
    )
    assert (found.action, found.reasons) == (action, reasons)


@pytest.mark.parametrize("channel", ["sms", "push"])
def test_every_text_that_asks_for_money_says_how_to_stop_in_its_own_language(channel: str) -> None:
    _, rule = rule_packs().rule("US-REGF-OPTOUT-NOTICE")
    assert isinstance(rule, ContentRule)
    for text in message_texts().by_key.values():
        if text.says(channel) and text.purpose == "collection":
            said = text.words[channel].body.replace("{stop}", text.stop)
            assert carries(said, rule.requires[0], text.locale), (text.message, text.locale)

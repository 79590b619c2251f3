"""The ladder of every channel, as it ships: quiet ways first, calls late, after writing, and only where the lender can; else its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from config.message_files import message_texts
from config.rule_files import rule_packs
from config.strategy_files import strategy
from decisions.choose import NO_SENDER, NO_TEXT, consider, decide
from decisions.explain import explain, words
from decisions.facts import SENDERS, Facts
from decisions.messages import Texts
from decisions.packs import Packs
from decisions.strategy import ONBOARDING, SPOKEN, STAGE_ORDER
from tests.plugins.known_facts import LONG_AGO, NOON_IN_NEW_YORK, TODAY, Known, facts_of, point

LADDERS = {stage: strategy("every-channel", stage) for stage in STAGE_ORDER}
KINDS = ("mobile", "push", "whatsapp", "messenger", "email", "address")
POINTS = tuple(point(10 + number, kind) for number, kind in enumerate(KINDS, start=1))
SPEAKS = ("push", "in_app", "email", "whatsapp", "rcs", "messenger", "sms", "call", "voice", "letter")
Row = dict[str, Any]


def stage_of(day: int) -> str:
    return next(stage for stage, ladder in LADDERS.items() if ladder.first_day <= day <= ladder.last_day)


def arrived(*days_ago: int, stage: str, message: str = "said", channel: str = "sms") -> list[Row]:
    return [
        {"stage": stage, "message": message, "channel": channel, "at": NOON_IN_NEW_YORK - timedelta(days=days), "result": "delivered"}
        for days in days_ago
    ]


def facts(day: int, *, senders: Sequence[str] = SPEAKS, treatments: Sequence[Row] = (), **known: Any) -> Facts:
    """One borrower so many days late, who has every kind of contact point and has agreed to every channel."""
    found = facts_of(Known(**{"days": day, "points": POINTS, "treatments": treatments, **known}))
    agreed = [{"party_id": 1, "channel": channel, "given_to": "creditor", "at": LONG_AGO} for channel in SPEAKS]
    return replace(
        found,
        consents=pl.DataFrame([{**dict.fromkeys(found.consents.columns), **row} for row in agreed], schema=found.consents.schema),
        senders=pl.DataFrame([(1, channel, None) for channel in senders], schema=SENDERS, orient="row"),
    )


def chosen(day: int, *, packs: Packs | None = None, texts: Texts | None = None, **given: Any) -> Row:
    return decide(
        facts(day, **given),
        LADDERS[stage_of(day)],
        packs or rule_packs(),
        texts or message_texts(),
        at=NOON_IN_NEW_YORK,
        business_date=TODAY,
        seed=b"s",
    ).row(0, named=True)


OFFERED = {"mid": arrived(20, 12, stage="early"), "late": arrived(20, 12, 9, stage="mid"), "recovery": arrived(20, 12, stage="late")}


@pytest.mark.parametrize(
    ("day", "channel", "message"),
    [
        (1, "push", "early_reminder"),
        (4, "whatsapp", "early_reminder"),
        (10, "push", "early_need_time"),
        (14, "whatsapp", "early_need_time"),
        (31, "push", "mid_talk"),
        (34, "whatsapp", "mid_talk"),
        (41, "call", "early_call"),
        (45, "push", "mid_talk"),
        (52, "push", "mid_talk"),  # a machine does not call after two messages
        (55, "push", "mid_talk"),
        (61, "push", "late_situation"),
        (68, "email", "formal_notice"),
        (75, "call", "early_call"),
        (82, "push", "late_situation"),
        (91, "push", "recovery_open_door"),
        (400, "push", "recovery_open_door"),
    ],
)
def test_who_can_be_reached_by_all_is_met_quietly_first_and_called_late(day: int, channel: str, message: str) -> None:
    found = chosen(day, treatments=OFFERED.get(stage_of(day), ()))
    assert (found["action"], found["channel"], found["message"]) == ("contact", channel, message)


def test_a_machine_calls_only_after_three_messages_arrived_and_never_before_a_person_could_have() -> None:
    enough = arrived(30, 20, stage="early") + arrived(12, stage="mid", message="mid_talk")
    assert chosen(52, treatments=enough)["channel"] == "voice"
    assert chosen(51, treatments=enough)["channel"] != "voice"
    assert chosen(52, treatments=enough[1:])["channel"] == "push"
    talks = enough[1:] + arrived(8, stage="mid", message="early_call", channel="call")
    assert chosen(52, treatments=talks)["channel"] == "push", "a talk is no written message"
    before_the_debt = enough[1:] + arrived(60, stage="early")
    assert chosen(52, treatments=before_the_debt)["channel"] == "push", "what was said of another debt does not count"


@pytest.mark.parametrize("day", [41, 52, 75, 120])
def test_whoever_is_taken_over_late_is_not_called_first(day: int) -> None:
    found = chosen(day)
    assert (found["message"], found["channel"]) == (ONBOARDING, "push")
    only_offered = arrived(9, stage=stage_of(day), message=ONBOARDING)
    assert chosen(day, treatments=only_offered)["channel"] not in SPOKEN


def test_a_person_who_dials_is_no_machine_to_the_rules() -> None:
    given = facts(41, treatments=OFFERED["mid"])
    considered = consider(given, LADDERS["mid"], rule_packs(), message_texts(), at=NOON_IN_NEW_YORK, business_date=TODAY)
    assert dict(considered.candidates.select("channel", "automated").iter_rows())["call"] is False
    assert all(considered.candidates.filter(pl.col("channel") != "call")["automated"])


@pytest.mark.parametrize(("day", "stage"), [(41, "mid"), (75, "late")])
def test_a_lender_without_a_phone_team_writes_as_before(day: int, stage: str) -> None:
    found = chosen(day, senders=("push", "sms"), treatments=OFFERED[stage])
    assert found["channel"] in {"push", "sms"}
    assert NO_SENDER in found["reasons"]


@pytest.mark.parametrize("day", [4, 20, 43, 58, 78, 300])
def test_a_lender_of_text_messages_and_an_app_reaches_everybody_on_every_day_that_the_older_ladder_does(day: int) -> None:
    stage = stage_of(day)
    known: dict[str, Any] = {"senders": ("push", "sms"), "treatments": OFFERED.get(stage, ())}
    older = decide(
        facts(day, **known),
        strategy("static-ladder", stage),
        rule_packs(),
        message_texts(),
        at=NOON_IN_NEW_YORK,
        business_date=TODAY,
        seed=b"s",
    ).row(0, named=True)
    assert (chosen(day, **known)["action"], chosen(day, **known)["channel"] in {"push", "sms"}) == ("contact", True)
    assert older["action"] == "contact"


def test_what_no_provider_has_cleared_is_passed_over_with_its_reason() -> None:
    uncleared = rule_packs().model_copy(update={"clearances": ()})
    found = chosen(4, packs=uncleared)
    assert found["channel"] == "rcs"
    assert "HOUSE-PROVIDER-WHATSAPP" in found["reasons"]


def test_a_notice_that_her_language_does_not_have_is_passed_over_with_its_reason() -> None:
    without = Texts(by_key={key: text for key, text in message_texts().by_key.items() if key != ("formal_notice", "vi")})
    found = chosen(68, texts=without, treatments=OFFERED["late"], person={"locale": "vi"})
    assert (found["message"], found["locale"]) == ("late_situation", "vi")
    assert NO_TEXT in found["reasons"]


def test_a_channel_without_an_address_is_none_and_needs_no_reason() -> None:
    found = chosen(4, points=(POINTS[0], POINTS[1]))
    assert (found["channel"], found["reasons"]) == ("rcs", [])


def test_the_explanation_names_the_channel_on_which_the_lender_cannot_speak() -> None:
    told = explain(
        facts(4, senders=("push", "sms")),
        LADDERS["early"],
        rule_packs(),
        message_texts(),
        at=NOON_IN_NEW_YORK,
        business_date=TODAY,
        seed=b"s",
    )
    said = list(words(told))
    at = next(number for number, line in enumerate(said) if "whatsapp to contact point" in line)
    assert said[at + 1] == "  Not open: the lender has no sender on this channel."
    assert f"  because {NO_SENDER}: the lender has no sender on this channel" in said


def test_who_is_left_in_peace_for_another_reason_is_not_said_to_be_out_of_reach() -> None:
    assert chosen(9, senders=("push", "sms"))["reasons"] == ["kept_for_next_step"]
    assert chosen(8, senders=("letter",))["reasons"] == ["kept_for_next_step", NO_SENDER]

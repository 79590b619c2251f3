"""Left in peace for what she did herself, or for the next step's sake: reasons that facts show, by numbers of the strategy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from config.message_files import message_texts
from config.rule_files import rule_packs
from config.strategy_files import strategy
from decisions.choose import decide
from decisions.explain import explain, words
from decisions.facts import PAYMENTS, Facts
from decisions.rests import ANSWERED, KEPT, PAID
from decisions.strategy import Rests, Strategy
from gate.judgement import judge_again
from tests.gate.test_judgement import PLANNED
from tests.plugins.known_facts import NOON_IN_NEW_YORK, TODAY, Known, facts_of

EARLY = strategy("static-ladder", "early")
ANSWERS, PAYS, KEEPS = Rests(after_answer_days=1), Rests(after_payment_days=3), Rests(before_next_step_days=2)


def facts(*, paid: Sequence[date] = (), **known: Any) -> Facts:
    paid_rows = [(1, 100, on) for on in paid]
    return replace(facts_of(Known(**known)), payments=pl.DataFrame(paid_rows, schema=PAYMENTS, orient="row"))


def decided(given: Facts, rests: Rests, by: Strategy = EARLY) -> tuple[str, list[str]]:
    row = decide(given, replace(by, rests=rests), rule_packs(), message_texts(), at=NOON_IN_NEW_YORK, business_date=TODAY, seed=b"s").row(
        0, named=True
    )
    return row["action"], row["reasons"]


def wrote(at: datetime, **columns: Any) -> dict[str, Any]:
    return {"at": at, "direction": "inbound", "result": "received", "purpose": None, **columns}


@pytest.mark.parametrize(
    ("hours_ago", "days", "peace"),
    [(1, 1, True), (11, 1, True), (13, 1, False), (13, 2, True), (24 + 13, 2, False)],
    ids=["just now", "this morning", "yesterday", "yesterday, and two days", "the day before"],
)
def test_whoever_wrote_to_us_is_left_in_peace_for_so_many_days_of_her_own(hours_ago: int, days: int, *, peace: bool) -> None:
    given = facts(history=[wrote(NOON_IN_NEW_YORK - timedelta(hours=hours_ago))])
    told = decided(given, Rests(after_answer_days=days))
    assert told == (("no_contact", [ANSWERED]) if peace else ("contact", []))
    assert decided(given, Rests()) == ("contact", [])


def test_a_talk_is_an_answer_and_a_message_of_ours_is_none() -> None:
    ours = {"at": NOON_IN_NEW_YORK - timedelta(hours=1), "purpose": "confirmation"}
    talk = {**ours, "channel": "call", "result": "conversation", "purpose": "callback"}
    assert ANSWERED in decided(facts(history=[talk]), ANSWERS)[1]
    assert ANSWERED not in decided(facts(history=[ours]), ANSWERS)[1]


@pytest.mark.parametrize(("days_ago", "peace"), [(0, True), (2, True), (3, False), (-1, False)])
def test_whoever_paid_a_part_is_left_in_peace_for_so_many_days(days_ago: int, *, peace: bool) -> None:
    given = facts(paid=[TODAY - timedelta(days=days_ago)])
    assert decided(given, PAYS) == (("no_contact", [PAID]) if peace else ("contact", []))
    assert decided(given, Rests()) == ("contact", [])


@pytest.mark.parametrize(("day", "peace"), [(1, False), (2, True), (3, True), (4, False), (7, False), (9, True), (15, False)])
def test_the_contact_is_kept_where_the_next_step_is_near(day: int, *, peace: bool) -> None:
    assert decided(facts(days=day), KEEPS) == (("no_contact", [KEPT]) if peace else ("contact", []))


def test_whoever_was_not_offered_the_milder_stage_waits_for_no_step_of_this_one() -> None:
    mid = strategy("static-ladder", "mid")
    assert decided(facts(days=33), KEEPS, mid) == ("contact", ["milder_stage_not_offered"])


def test_all_reasons_are_told_and_explained() -> None:
    given = facts(days=3, paid=[TODAY], history=[wrote(NOON_IN_NEW_YORK - timedelta(hours=1))])
    every = Rests(after_answer_days=1, after_payment_days=3, before_next_step_days=2)
    told = explain(given, replace(EARLY, rests=every), rule_packs(), message_texts(), at=NOON_IN_NEW_YORK, business_date=TODAY, seed=b"s")
    assert told["decision"]["reasons"] == told["strategy"]["rests"] == [ANSWERED, KEPT, PAID]
    said = "\n".join(words(told))
    assert all(f"because {reason}: " in said for reason in (ANSWERED, KEPT, PAID))


@pytest.mark.parametrize(
    ("rests", "reasons"),
    [(ANSWERS, (ANSWERED,)), (PAYS, (PAID,)), (KEEPS, ()), (Rests(), ())],
    ids=["she wrote", "she paid", "the next step", "none"],
)
def test_what_she_did_after_planning_stops_the_send_at_the_gate(rests: Rests, reasons: tuple[str, ...]) -> None:
    given = facts(days=3, paid=[TODAY], history=[wrote(NOON_IN_NEW_YORK - timedelta(minutes=1))])
    (judged,) = judge_again(
        given,
        [PLANNED],
        stage="early",
        packs=rule_packs(),
        texts=message_texts(),
        at=NOON_IN_NEW_YORK,
        public_url="https://pay.example",
        treatment=replace(EARLY, rests=rests),
    )
    assert judged.reasons == reasons

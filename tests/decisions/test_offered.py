"""Offered (I12): nobody meets a harsher stage's steps before the milder stage's were delivered, or tried often enough."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.message_files import message_texts
from config.rule_files import rule_packs
from config.strategy_files import strategy
from decisions.candidates import owed
from decisions.choose import NOT_OFFERED, decide
from decisions.explain import explain, words
from decisions.offered import ARRIVED, NEVER_ARRIVED, offered
from decisions.strategy import ONBOARDING
from tests.plugins.known_facts import NOON_IN_NEW_YORK, TODAY, Known, facts_of, loan, point

DAYS = {"mid": 40, "late": 75, "recovery": 120}
MILDER = {"mid": "early", "late": "mid", "recovery": "late"}
STRATEGIES = {stage: strategy("static-ladder", stage) for stage in ("pre_due", "early", *DAYS)}
Row = dict[str, Any]


def days_ago(days: float, **columns: Any) -> Row:
    return {"at": NOON_IN_NEW_YORK - timedelta(days=days), **columns}


def failed(days: float, contact_point_id: int, **columns: Any) -> Row:
    return days_ago(days, contact_point_id=contact_point_id, result="undelivered", **columns)


THREE_FAILED = [failed(9, 11), failed(5, 12), failed(2, 11)]


def was_offered(*tries: Row, stage: str = "mid", **known: Any) -> bool:
    facts = facts_of(Known(treatments=tries, **{"days": DAYS[stage], **known}))
    return offered(facts, owed(facts.loans), STRATEGIES[stage]).height == 1


def decided(*tries: Row, stage: str = "mid", at: datetime = NOON_IN_NEW_YORK, **known: Any) -> Row:
    facts = facts_of(Known(treatments=tries, **{"days": DAYS[stage], **known}))
    return decide(facts, STRATEGIES[stage], rule_packs(), message_texts(), at=at, business_date=TODAY, seed=b"seed").row(0, named=True)


@pytest.mark.parametrize("stage", DAYS)
def test_I12_whom_nothing_was_offered_gets_a_first_mild_contact_and_not_the_stage(stage: str) -> None:
    """A portfolio taken over at 75 days past due begins here."""
    chosen = decided(stage=stage)
    assert (chosen["action"], chosen["message"]) == ("contact", ONBOARDING)
    assert NOT_OFFERED in chosen["reasons"]


@pytest.mark.parametrize("stage", DAYS)
def test_I12_whom_the_milder_stage_was_delivered_meets_the_stage(stage: str) -> None:
    chosen = decided(days_ago(10, stage=MILDER[stage], message="said_mildly"), stage=stage)
    assert chosen["action"] == "contact"
    assert chosen["message"] == STRATEGIES[stage].steps[-1].message
    assert chosen["reasons"] == []


@pytest.mark.parametrize("stage", ["pre_due", "early"])
def test_the_two_mildest_stages_ask_for_nothing_before_them(stage: str) -> None:
    facts = facts_of(Known(days=-1 if stage == "pre_due" else 5))
    chosen = decide(facts, STRATEGIES[stage], rule_packs(), message_texts(), at=NOON_IN_NEW_YORK, business_date=TODAY, seed=b"seed")
    assert chosen.row(0, named=True)["action"] == "contact"
    assert NOT_OFFERED not in chosen.row(0, named=True)["reasons"]


@pytest.mark.parametrize(("result", "is_offered"), [*((result, True) for result in ARRIVED), ("sent", False), ("failed", False)])
def test_one_delivery_is_an_offer_and_a_message_of_unknown_fate_is_not(result: str, is_offered: bool) -> None:
    assert was_offered(days_ago(10, result=result)) is is_offered


@pytest.mark.parametrize(
    ("tries", "is_offered"),
    [
        ([], False),
        (THREE_FAILED, True),
        (THREE_FAILED[:2], False),
        ([failed(9, 11), failed(5, 11), failed(2, 11)], False),
        ([failed(8, 11), failed(5, 12), failed(2, 11)], False),
        ([failed(9, 11), failed(2, 12)], False),
        ([failed(9, 11), failed(5, 12), days_ago(2, result="sent")], False),
        ([*THREE_FAILED, days_ago(1, result="sent")], True),
        ([failed(30, 11), failed(9, 12), failed(9, 13)], True),
    ],
    ids=[
        "nothing",
        "enough",
        "two tries",
        "one contact point",
        "six days",
        "two tries on two points",
        "one unknown",
        "and one more",
        "long",
    ],
)
def test_three_tries_over_seven_days_on_two_contact_points_stand_for_a_delivery(tries: list[Row], is_offered: bool) -> None:
    assert was_offered(*tries) is is_offered


@pytest.mark.parametrize(("hour", "is_offered"), [(3, True), (4, False)])
def test_the_seven_days_are_days_of_the_borrowers_calendar(hour: int, is_offered: bool) -> None:
    """At 03:30 UTC it is still the evening before in New York (UTC-5 until March 8, then UTC-4)."""
    first = {"at": datetime(2026, 3, 9, hour, 30, tzinfo=NOON_IN_NEW_YORK.tzinfo), "contact_point_id": 11, "result": "failed"}
    last = {"at": datetime(2026, 3, 15, 16, tzinfo=NOON_IN_NEW_YORK.tzinfo), "contact_point_id": 12, "result": "failed"}
    assert was_offered(first, failed(5, 12), last) is is_offered


@pytest.mark.parametrize(("days", "is_offered"), [(40, True), (41, False), (400, False)])
def test_what_was_offered_before_this_debt_was_late_does_not_count(days: int, is_offered: bool) -> None:
    assert was_offered(days_ago(days)) is is_offered


def test_what_was_offered_about_another_loan_does_not_count() -> None:
    assert not was_offered(days_ago(10, loans=[7]))
    assert was_offered(days_ago(10, loans=[7, 100]))
    assert not was_offered(days_ago(10, loans=[]))


@pytest.mark.parametrize(
    ("stage", "message", "is_offered"),
    [
        ("mid", "mid_talk", True),
        ("early", "early_reminder", False),
        ("mid", ONBOARDING, False),
        ("late", ONBOARDING, True),
        ("late", "late_situation", False),
        ("recovery", "recovery_open_door", False),
    ],
)
def test_the_late_stage_asks_for_the_mid_stages_own_words_or_its_own_onboarding(stage: str, message: str, is_offered: bool) -> None:
    assert was_offered(days_ago(5, stage=stage, message=message), stage="late") is is_offered


def test_onboarding_waits_for_the_gap_too_and_the_stage_follows_after_it() -> None:
    told = days_ago(2, stage="mid", message=ONBOARDING)
    event = {"at": told["at"], "result": "delivered"}
    assert decided(told, history=[event])["reasons"] == ["strategy_wait"]
    told = days_ago(3, stage="mid", message=ONBOARDING)
    assert decided(told, history=[{"at": told["at"]}])["message"] == "mid_talk"


def test_whom_onboarding_cannot_reach_is_left_in_peace_and_the_reason_says_so() -> None:
    chosen = decided(points=[point(11, "email")])
    assert (chosen["action"], set(chosen["reasons"])) == ("no_contact", {NOT_OFFERED, "no_contact_point"})


def test_one_borrowers_offer_is_not_anothers() -> None:
    facts = facts_of(
        Known(party_id=1, days=40, treatments=[days_ago(10)]), Known(party_id=2, days=40, treatments=[days_ago(10, loans=[100])])
    )
    assert offered(facts, owed(facts.loans), STRATEGIES["mid"])["party_id"].to_list() == [1]


def test_the_explanation_says_that_the_milder_stage_was_not_offered() -> None:
    facts = facts_of(Known(days=75))
    told = explain(facts, STRATEGIES["late"], rule_packs(), message_texts(), at=NOON_IN_NEW_YORK, business_date=TODAY, seed=b"seed")
    assert told["strategy"]["offered"] is False
    assert {candidate["message"] for candidate in told["candidates"]} == {ONBOARDING}
    lines = "\n".join(words(told))
    assert "The milder stage was not offered yet" in lines
    assert f"because {NOT_OFFERED}: " in lines


def test_a_loan_in_the_early_stage_beside_a_late_one_changes_nothing() -> None:
    loans = [loan(75, loan_id=100), loan(5, loan_id=101)]
    assert decided(stage="late", days=None, loans=loans)["message"] == ONBOARDING
    told = days_ago(20, stage="mid", message="mid_talk", loans=[100])
    assert decided(told, stage="late", days=None, loans=loans)["message"] == "late_situation"


results = st.sampled_from(["sent", *ARRIVED, *NEVER_ARRIVED])
tries = st.lists(
    st.builds(lambda day, spot, result: days_ago(day, contact_point_id=spot, result=result), st.integers(0, 45), st.integers(1, 3), results)
)


@given(before=tries, more=tries)
def test_more_tries_never_take_an_offer_back(before: list[Row], more: list[Row]) -> None:
    assert was_offered(*before) <= was_offered(*before, *more)


@given(tries=tries)
def test_without_a_delivery_fewer_than_three_failures_are_never_an_offer(tries: list[Row]) -> None:
    due_on = TODAY - timedelta(days=DAYS["mid"])
    known: list[tuple[date, str]] = [(one["at"].date(), one["result"]) for one in tries]
    counted = [result for on, result in known if on >= due_on]
    if was_offered(*tries) and not set(counted) & set(ARRIVED):
        assert sum(result in NEVER_ARRIVED for result in counted) >= 3

"""Candidates: what is asked for, where the strategy stands, and through which contact points a step could be taken."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from config.message_files import message_texts
from config.strategy_files import strategy
from decisions.candidates import candidates, owed, standing
from decisions.facts import CANDIDATES, Facts
from decisions.strategy import Step, Strategy
from tests.plugins.known_facts import NOON_IN_NEW_YORK, TODAY, Known, facts_of, loan, point

EARLY, PRE_DUE = (strategy("static-ladder", stage) for stage in ("early", "pre_due"))
TEXTS = message_texts()


def one_owed(*loans: dict[str, Any]) -> dict[str, Any] | None:
    rows = owed(facts_of(Known(days=None, loans=loans)).loans).to_dicts()
    return rows[0] if rows else None


def stands(facts: Facts, *, at: datetime = NOON_IN_NEW_YORK, on: date = TODAY) -> dict[str, Any]:
    return standing(facts, EARLY, at=at, business_date=on).row(0, named=True)


def found(facts: Facts) -> pl.DataFrame:
    return candidates(facts, standing(facts, EARLY, at=NOON_IN_NEW_YORK, business_date=TODAY), EARLY, TEXTS)


def contact(days_ago: float, **columns: Any) -> dict[str, Any]:
    return {"at": NOON_IN_NEW_YORK - timedelta(days=days_ago), **columns}


def test_several_loans_in_one_currency_are_asked_for_together_from_the_oldest_due_date() -> None:
    asked = one_owed(loan(5, loan_id=2, past_due_minor=300), loan(9, loan_id=1, past_due_minor=200))
    assert asked == {
        "party_id": 1,
        "stage": "early",
        "day": 9,
        "counterparty": "borrower",
        "loans": [1, 2],
        "amount_minor": 500,
        "currency": "USD",
        "due_on": TODAY - timedelta(days=9),
    }


def test_amounts_in_two_currencies_are_never_added_up() -> None:
    asked = one_owed(loan(5, loan_id=1, currency="USD", past_due_minor=300), loan(9, loan_id=2, currency="JPY", past_due_minor=200))
    assert asked
    assert (asked["loans"], asked["amount_minor"], asked["currency"]) == ([2], 200, "JPY")


def test_a_disputed_part_is_not_asked_for() -> None:
    asked = one_owed(loan(5, past_due_minor=300, disputed_minor=100))
    assert asked
    assert asked["amount_minor"] == 200
    assert one_owed(loan(5, past_due_minor=300, disputed_minor=300)) is None


@pytest.mark.parametrize(
    "columns",
    [
        {"role": "guarantor"},
        {"role": "debt_adviser"},
        {"servicing_status": "in_plan"},
        {"servicing_status": "placed"},
        {"stage": "in_plan"},
        {"stage": None},
        {"past_due_minor": 0},
        {"delinquent_days": None},
    ],
    ids=str,
)
def test_a_loan_that_is_not_treated_by_stage_is_not_asked_for(columns: dict[str, Any]) -> None:
    assert one_owed(loan(5, **columns)) is None


def test_the_worst_loan_decides_the_stage_whatever_its_currency() -> None:
    asked = one_owed(loan(40, loan_id=1, currency="JPY", oldest_unpaid_due_on=TODAY), loan(5, loan_id=2))
    assert asked
    assert (asked["stage"], asked["currency"]) == ("mid", "USD")


@pytest.mark.parametrize(("day", "step"), [(1, 1), (3, 1), (4, 2), (9, 2), (10, 3), (13, 3), (14, 4), (30, 4)])
def test_a_step_is_reached_on_its_day(day: int, step: int) -> None:
    assert stands(facts_of(Known(days=day)))["step"] == step


@pytest.mark.parametrize(("days_ago", "waits"), [(0, True), (1, True), (2, True), (3, False), (20, False)])
def test_the_next_contact_waits_for_the_gap_in_local_days(days_ago: int, waits: bool) -> None:
    assert stands(facts_of(Known(history=[contact(days_ago)])))["waits"] is waits


def test_the_gap_counts_days_on_the_borrowers_calendar() -> None:
    """03:30 UTC is still the evening before in New York."""
    late = datetime(2026, 3, 15, 3, 30, tzinfo=UTC)
    assert stands(facts_of(Known(history=[{"at": late}])))["waits"] is False
    assert stands(facts_of(Known(person={"zones": ["Europe/Berlin"]}, history=[{"at": late}])))["waits"] is True


@pytest.mark.parametrize(("days_ago", "reached"), [([3, 6], True), ([3, 7], False), ([6], False), ([4, 5, 6], True)])
def test_the_budget_counts_contacts_of_the_last_seven_local_days(days_ago: list[int], reached: bool) -> None:
    assert stands(facts_of(Known(history=[contact(days) for days in days_ago])))["budget_reached"] is reached


@pytest.mark.parametrize(
    ("columns", "waits"),
    [
        ({"result": "undelivered"}, False),
        ({"result": "failed"}, False),
        ({"result": "sent"}, True),
        ({"direction": "inbound"}, False),
        ({"purpose": "receipt"}, False),
        ({"purpose": None}, True),
        ({"channel": "call"}, True),
    ],
    ids=str,
)
def test_what_reached_the_person_counts_and_nothing_else(columns: dict[str, Any], waits: bool) -> None:
    assert stands(facts_of(Known(history=[contact(1, **columns)])))["waits"] is waits


def test_the_day_is_the_one_that_is_that_day_in_every_plausible_zone() -> None:
    two = stands(facts_of(Known(person={"zones": ["America/New_York", "America/Los_Angeles"]})))
    assert two["day_ends_at"] == datetime(2026, 3, 18, 4, tzinfo=UTC)
    early = stands(facts_of(Known(person={"zones": ["America/New_York", "America/Los_Angeles"]})), at=datetime(2026, 3, 17, 1, tzinfo=UTC))
    assert early["at"] == datetime(2026, 3, 17, 7, tzinfo=UTC)


def test_where_the_person_is_known_to_be_decides_alone() -> None:
    known = stands(facts_of(Known(person={"known_zone": "Asia/Taipei"})))
    assert known["day_ends_at"] == datetime(2026, 3, 17, 16, tzinfo=UTC)
    assert known["day_over"] is True


@pytest.mark.parametrize("zones", [[], ["Mars/Olympus"], ["America/New_York", "Mars/Olympus"]])
def test_a_zone_that_is_not_known_gives_no_day(zones: list[str]) -> None:
    assert stands(facts_of(Known(person={"zones": zones})))["day_ends_at"] is None


def test_each_contact_point_in_use_is_one_candidate_with_the_last_step_of_its_channel() -> None:
    rows = found(facts_of(Known(days=11)))
    assert rows.select("contact_point_id", "channel", "step", "message", "text_locale").rows() == [
        (12, "push", 3, "early_need_time", "en"),
        (11, "sms", 2, "early_reminder", "en"),
    ]
    assert set(CANDIDATES) <= set(rows.columns)
    assert {name: rows.schema[name] for name in CANDIDATES} == CANDIDATES


def test_a_channel_that_is_not_reached_yet_is_no_candidate() -> None:
    assert found(facts_of(Known(days=3)))["channel"].to_list() == ["push"]


@pytest.mark.parametrize("columns", [{"status": "invalid"}, {"status": "unreachable"}, {"kind": "email"}, {"kind": "landline"}], ids=str)
def test_a_contact_point_that_no_step_can_use_is_no_candidate(columns: dict[str, Any]) -> None:
    assert found(facts_of(Known(points=[{**point(1), **columns}]))).is_empty()


def test_somebody_elses_phone_makes_that_person_the_one_who_is_contacted() -> None:
    assert found(facts_of(Known(points=[point(1, owner="spouse")])))["counterparty"].to_list() == ["spouse"]


def test_a_language_without_a_text_leaves_the_candidate_without_one() -> None:
    assert found(facts_of(Known(person={"locale": "fr"})))["text_locale"].to_list() == [None, None]
    assert found(facts_of(Known(person={"locale": None})))["text_locale"].to_list() == [None, None]


def test_a_borrower_of_another_stage_has_no_candidate() -> None:
    assert found(facts_of(Known(days=40))).is_empty()


def test_candidates_do_not_depend_on_the_order_of_rows() -> None:
    facts = facts_of(*(Known(party_id=party, days=20) for party in (3, 1, 2)))
    turned = replace(facts, borrowers=facts.borrowers[::-1], loans=facts.loans[::-1], contact_points=facts.contact_points[::-1])
    assert found(facts).equals(found(turned))


def test_nobody_at_all_is_no_error() -> None:
    assert found(facts_of()).is_empty()


def test_the_instant_of_planning_may_come_in_any_zone() -> None:
    known = facts_of(Known())
    assert stands(known, at=NOON_IN_NEW_YORK.astimezone(ZoneInfo("Asia/Taipei"))) == stands(known)


def test_who_owes_nothing_yet_is_reminded_of_the_next_due_date_without_an_amount() -> None:
    coming = one_owed(loan(-3, loan_id=3), loan(-1, loan_id=2), loan(-1, loan_id=1))
    assert coming == {
        "party_id": 1,
        "stage": "pre_due",
        "day": 0,
        "counterparty": "borrower",
        "loans": [1, 2],
        "amount_minor": None,
        "currency": None,
        "due_on": TODAY + timedelta(days=1),
    }


def test_who_is_late_with_one_loan_is_not_reminded_of_another() -> None:
    asked = one_owed(loan(5, loan_id=1), loan(-1, loan_id=2))
    assert asked
    assert (asked["stage"], asked["loans"]) == ("early", [1])


@pytest.mark.parametrize(
    "columns",
    [{"role": "guarantor"}, {"servicing_status": "in_plan"}, {"disputed_minor": 1}, {"next_due_on": None}, {"stage": None}],
    ids=str,
)
def test_a_payment_to_come_of_a_loan_that_is_not_treated_is_not_spoken_of(columns: dict[str, Any]) -> None:
    assert one_owed(loan(-1, **columns)) is None


@pytest.mark.parametrize(("days", "step"), [(-3, 1), (-2, 1), (-1, 2), (0, 2)])
def test_before_the_due_date_a_step_is_reached_by_days_to_go(days: int, step: int) -> None:
    stood = standing(facts_of(Known(days=days)), PRE_DUE, at=NOON_IN_NEW_YORK, business_date=TODAY).row(0, named=True)
    assert (stood["day"], stood["step"], stood["in_stage"], stood["offered"]) == (days, step, True, True)


def test_a_reminder_is_a_reminder_and_counts_apart_from_what_asks_for_money() -> None:
    facts = facts_of(Known(days=-1, history=[contact(1, purpose="collection")]))
    stood = standing(facts, PRE_DUE, at=NOON_IN_NEW_YORK, business_date=TODAY)
    assert stood["budget_reached"].to_list() == [False]
    assert set(candidates(facts, stood, PRE_DUE, TEXTS)["purpose"]) == {"reminder"}


@pytest.mark.parametrize(("result", "reached"), [("sent", True), ("delivered", True), ("failed", False), ("undelivered", False)])
def test_one_reminder_is_enough_unless_it_surely_reached_nobody(result: str, reached: bool) -> None:
    facts = facts_of(Known(days=-1, history=[contact(2, purpose="reminder", result=result)]))
    assert standing(facts, PRE_DUE, at=NOON_IN_NEW_YORK, business_date=TODAY)["budget_reached"].to_list() == [reached]


def with_channels(*channels: str) -> Strategy:
    """The early ladder, with one step a channel."""
    steps = tuple(
        Step(number=number, from_day=1, channels=(channel,), message="early_reminder", offers=())
        for number, channel in enumerate(channels, 1)
    )
    return replace(EARLY, steps=steps)


@pytest.mark.parametrize(
    ("channels", "ways"),
    [
        (("sms",), [(11, "sms")]),
        (("rcs", "sms"), [(11, "sms"), (11, "rcs")]),
        (("sms", "rcs"), [(11, "rcs"), (11, "sms")]),
        (("push",), [(12, "push")]),
        (("voice", "letter"), [(14, "letter"), (11, "voice"), (13, "voice")]),
        (("whatsapp", "messenger", "email"), []),
    ],
    ids=str,
)
def test_a_number_is_a_candidate_for_each_channel_that_the_strategy_names(channels: tuple[str, ...], ways: list[tuple[int, str]]) -> None:
    facts = facts_of(Known(points=(point(11), point(12, "push"), point(13, "landline"), point(14, "address"))))
    ladder = with_channels(*channels)
    rows = candidates(facts, standing(facts, ladder, at=NOON_IN_NEW_YORK, business_date=TODAY), ladder, TEXTS)
    assert rows.select("contact_point_id", "channel").rows() == ways

"""Orders: a notice before the first contact about a debt."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest

from decisions import facts
from decisions.facts import CANDIDATES
from decisions.packs import Packs
from decisions.rule_forms import Waits
from decisions.rules import judge
from decisions.rules.calendars import HolidayCalendar, day_after_waiting
from decisions.rules.timetable import EPOCH, day_number
from tests.plugins.known_facts import Known, facts_of, loan
from tests.plugins.packs import packs_of, rule

KOREA = {"country": "KR", "region": None, "zones": ["Asia/Seoul"], "home_zones": ["Asia/Seoul"], "jurisdictions": ["KR"]}
# Three business days; the notice itself is exempt.
ORDER = rule(
    "KR-START",
    "order",
    notices=["start_of_collection"],
    calendar="KR",
    applies_to={"except_purposes": ["legal_notice"]},
    values={"2020-01-01": {"business_days": 3}},
)
PACKS = packs_of(ORDER, jurisdiction="KR")


def seoul(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+09:00").astimezone(UTC)


def said(
    at: str, *notices: dict[str, Any], history: list[dict[str, Any]] | None = None, packs: Packs = PACKS, **columns: Any
) -> dict[str, Any]:
    known = facts_of(Known(days=None, loans=[loan(5, loan_id=100), loan(5, loan_id=200)], person=KOREA, history=history or []))
    rows = [{"party_id": 1, "kind": "start_of_collection", "bounced": False, **notice} for notice in notices]
    known = replace(known, notices=pl.DataFrame([{name: row.get(name) for name in facts.NOTICES} for row in rows], schema=facts.NOTICES))
    row = {
        "candidate": 0,
        "party_id": 1,
        "channel": "sms",
        "purpose": "collection",
        "at": seoul(at),
        "loans": [100],
        "counterparty": "borrower",
        "automated": True,
        **columns,
    }
    schema = {**CANDIDATES, "first": pl.Boolean}
    return judge(known, pl.DataFrame([row], schema=schema), packs).row(0, named=True)


def test_without_the_notice_there_is_no_first_contact() -> None:
    answer = said("2026-03-16T10:00")
    assert (answer["blocked_by"], answer["next_allowed_at"]) == (["KR-START"], None)


# Thursday 2026-03-12; the third business day after it is Tuesday 2026-03-17.
@pytest.mark.parametrize(("at", "allowed"), [("2026-03-16T23:59", False), ("2026-03-17T00:00", True)])
def test_contact_begins_on_the_third_business_day_after_the_notice(at: str, allowed: bool) -> None:
    answer = said(at, {"sent_at": seoul("2026-03-12T15:00")})
    assert answer["allowed"] is allowed
    assert answer["next_allowed_at"] == max(seoul("2026-03-17T00:00"), seoul(at))


def test_a_day_that_the_lender_added_is_no_business_day() -> None:
    calendar = HolidayCalendar("KR", adds=frozenset({date(2026, 3, 17)}))
    after = day_after_waiting(day_number(date(2026, 3, 12)), Waits(business_days=3), calendar)
    assert date.fromordinal(EPOCH.toordinal() + after) == date(2026, 3, 18)


def test_a_public_holiday_that_the_lender_took_away_is_a_business_day() -> None:
    friday, monday = date(2026, 2, 27), date(2026, 3, 2)  # Monday is the substitute of the first of March, a Sunday
    one = Waits(business_days=1)
    assert day_after_waiting(day_number(friday), one, HolidayCalendar("KR")) == day_number(date(2026, 3, 3))
    assert day_after_waiting(day_number(friday), one, HolidayCalendar("KR", removes=frozenset({monday}))) == day_number(monday)


def test_each_loan_needs_its_notice() -> None:
    notice = {"sent_at": seoul("2026-03-02T10:00"), "loan_id": 100}
    assert said("2026-03-16T10:00", notice)["allowed"]
    assert not said("2026-03-16T10:00", notice, loans=[100, 200])["allowed"]
    assert said("2026-03-16T10:00", notice, {**notice, "loan_id": 200}, loans=[100, 200])["allowed"]


def test_a_notice_that_bounced_is_none() -> None:
    assert not said("2026-03-16T10:00", {"sent_at": seoul("2026-03-02T10:00"), "bounced": True})["allowed"]


def test_where_contact_has_been_before_a_missing_notice_holds_nothing_back() -> None:
    before = [{"at": seoul("2026-03-10T10:00"), "loans": [100]}]
    assert said("2026-03-16T10:00", history=before)["allowed"]
    assert not said("2026-03-16T10:00", history=before, first=True)["allowed"], "the case says that it is the first"
    assert not said("2026-03-16T10:00", history=before, loans=[200])["allowed"], "not about this debt"


def test_a_notice_whose_days_still_run_holds_back_even_so() -> None:
    before = [{"at": seoul("2026-03-10T10:00"), "loans": [100]}]
    assert not said("2026-03-13T10:00", {"sent_at": seoul("2026-03-12T10:00")}, history=before)["allowed"]


def test_the_notice_itself_is_let_through() -> None:
    assert said("2026-03-16T10:00", purpose="legal_notice")["allowed"]


SAME_DAY = packs_of({**ORDER, "values": {"2020-01-01": {"days": 0}}}, jurisdiction="KR")


@pytest.mark.parametrize(("at", "allowed"), [("2026-03-16T11:59", False), ("2026-03-16T12:00", True)])
def test_where_no_days_are_to_pass_the_notice_still_comes_before_the_contact(at: str, allowed: bool) -> None:
    assert said(at, {"sent_at": seoul("2026-03-16T12:00")}, packs=SAME_DAY)["allowed"] is allowed


def test_what_was_received_was_sent() -> None:
    assert said("2026-03-17T09:01", {"received_on": date(2026, 3, 16)}, packs=SAME_DAY)["allowed"]

"""Caps: what is counted together, which contacts count, and until when."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from decisions.packs import Packs
from tests.plugins.packs import pack, rule
from tests.plugins.rule_cases import EAST, POINTS, WEST, Row, answer, frames, instant, judged, local


def cap(at_most: int, **counts: Any) -> Row:
    return rule("XA-CAP", "cap", counts=counts, values={"2020-01-01": {"at_most": at_most}})


def contact(at: str, **columns: Any) -> Row:
    return {"at": local(at), "channel": "sms", "direction": "outbound", "result": "delivered", **columns}


def said(one: Row, at: str, *history: Row, proposed: Row | None = None) -> Row:
    about = {"loans": ["L1"], "contact_point": "M", **(proposed or {})}
    return answer(one, at, history=list(history), contact_points=POINTS, loans=[{"id": "L1"}, {"id": "L2"}], proposed=about)


MORNING, NOON, MIDNIGHT = "2026-03-17T09:00", "2026-03-17T12:00", "2026-03-18T00:00"


@pytest.mark.parametrize(
    ("per", "then", "counts"),
    [
        # The proposed contact is about L1, at M, with the borrower.
        ("person", {"party": "spouse"}, False),
        ("person", {"loans": ["L2"], "contact_point": "H"}, True),
        ("debt", {"loans": ["L1"], "party": "spouse"}, False),
        ("debt", {"loans": ["L2"]}, False),
        ("debt", {"loans": ["L1"], "contact_point": "H"}, True),
        ("debt", {}, True),
        ("account", {"loans": ["L1"], "party": "spouse"}, True),
        ("account", {"loans": ["L2"]}, False),
        ("account", {"party": "spouse"}, True),
        ("household", {"loans": ["L2"], "party": "spouse", "contact_point": "H"}, True),
        ("contact_point", {"loans": ["L2"], "party": "spouse", "contact_point": "M"}, True),
        ("contact_point", {"loans": ["L1"], "contact_point": "H"}, False),
        ("contact_point", {}, True),
    ],
)
def test_contacts_count_together_as_the_rule_says(per: str, then: Row, counts: bool) -> None:
    found = said(cap(1, per=per, span="P1D"), NOON, contact(MORNING, **then))
    assert (found["allowed"], found["next_allowed_at"]) == (not counts, instant(MIDNIGHT if counts else NOON))


def test_a_contact_that_names_no_contact_point_is_not_limited_by_one() -> None:
    point = cap(1, per="contact_point", span="P1D")
    assert said(point, NOON, contact(MORNING, contact_point="M"), contact(MORNING), proposed={"contact_point": None})["allowed"]


def test_loans_that_share_an_account_are_one_debt_of_the_account() -> None:
    loans = [{"id": "L1", "account": "A"}, {"id": "L2", "account": "A"}, {"id": "L3", "account": "B"}]
    once = cap(1, per="account", span="P1D")
    for loan, counts in (("L2", True), ("L3", False)):
        history = [contact(MORNING, loans=[loan], party="spouse")]
        assert answer(once, NOON, history=history, loans=loans, proposed={"loans": ["L1"]})["allowed"] is not counts


def test_a_contact_about_several_debts_is_one_to_a_contact_about_none() -> None:
    thrice = cap(3, per="debt", span="P1D")
    both = contact(MORNING, loans=["L1", "L2"])
    # The first of the three no longer counts for the one who is asked about today; somebody else is asked about the day before.
    history = [contact("2026-03-16T09:00", loans=["L1"]), both, both]
    today = {"id": "today", "jurisdictions": ["XA"], "history": history, "proposed": {"at": local(NOON), "channel": "sms"}}
    before = {"id": "before", "jurisdictions": ["XA"], "proposed": {"at": local("2026-03-16T12:00"), "channel": "sms"}}
    packs = Packs(packs=(pack("XA", thrice), pack("house")))
    assert judged(frames((today, [EAST]), (before, [EAST])), packs=packs)["allowed"].to_list() == [True, True]
    assert not said(thrice, NOON, both, both, contact(MORNING, loans=["L2"]), proposed={"loans": []})["allowed"]


def test_a_contact_about_several_debts_waits_for_the_last() -> None:
    once = cap(1, per="debt", span="P2D")
    history = [contact("2026-03-16T09:00", loans=["L1"]), contact(MORNING, loans=["L2"])]
    assert said(once, NOON, *history)["next_allowed_at"] == instant(MIDNIGHT)
    assert said(once, NOON, *history, proposed={"loans": ["L1", "L2"]})["next_allowed_at"] == instant("2026-03-19T00:00")


@pytest.mark.parametrize(
    ("which", "then", "counts"),
    [
        ({"places": ["work"]}, {"contact_point": "W"}, True),
        ({"places": ["work"]}, {"contact_point": "H"}, False),
        ({"places": ["work"]}, {"contact_point": "M"}, False),
        ({"places": ["home"]}, {"contact_point": "H"}, True),
        ({"places": ["work"]}, {}, False),
        ({"except_places": ["work"]}, {"contact_point": "W"}, False),
        ({"except_places": ["work"]}, {"contact_point": "H"}, True),
        ({"except_places": ["work"]}, {"contact_point": "M"}, True),
        ({"except_places": ["work"]}, {}, True),
        ({"purposes": ["collection"]}, {"purpose": "collection"}, True),
        ({"purposes": ["collection"]}, {"purpose": "receipt"}, False),
        # What it was for is not known: it may have been that.
        ({"purposes": ["collection"]}, {}, True),
        ({"except_purposes": ["receipt"]}, {"purpose": "receipt"}, False),
        ({"except_purposes": ["receipt"]}, {}, True),
    ],
)
def test_contacts_count_by_what_they_were(which: Row, then: Row, counts: bool) -> None:
    assert said(cap(1, per="person", span="P1D", **which), NOON, contact(MORNING, **then))["allowed"] is not counts


@pytest.mark.parametrize(
    ("span", "first", "free"),
    [
        # Two are allowed; free when the second last has stopped to count. The clock goes forward on 2026-03-08.
        ("P7D", "2026-03-02T23:59", "2026-03-09T00:00"),
        ("PT168H", "2026-03-02T20:00", "2026-03-09T21:00"),
        ("calendar_week", "2026-03-02T00:00", "2026-03-09T00:00"),
        ("calendar_month", "2026-03-01T12:00", "2026-04-01T00:00"),
        ("P1M", "2026-02-10T12:00", "2026-03-10T00:00"),
        ("PT5M", "2026-03-08T01:59", "2026-03-08T03:04"),
    ],
)
def test_a_cap_is_free_when_the_second_last_contact_stops_to_count(span: str, first: str, free: str) -> None:
    twice = cap(2, per="person", span=span)
    last = instant(free) - timedelta(minutes=1)
    second = contact("2026-03-08T03:02") if span == "PT5M" else contact("2026-03-08T12:00")
    before = said(twice, "2026-01-01T00:00", contact(first), second, proposed={"at": last.isoformat()})
    assert not before["allowed"]
    if last + timedelta(days=8) >= instant(free):
        assert before["next_allowed_at"] == instant(free)
    assert said(twice, "2026-01-01T00:00", contact(first), second, proposed={"at": instant(free).isoformat()})["allowed"]


def test_a_clock_that_goes_back_makes_a_day_longer_and_no_hour_count_twice() -> None:
    once = cap(1, per="person", span="P1D")
    assert said(once, "2026-11-01T23:59", contact("2026-11-01T00:30"))["next_allowed_at"] == instant("2026-11-02T00:00")
    hours = cap(1, per="person", span="PT24H")
    assert said(hours, "2026-11-01T10:59", contact("2026-10-31T12:00"))["next_allowed_at"] == instant("2026-11-01T11:00")


def test_what_counts_for_good_is_never_free_again() -> None:
    once = cap(1, per="household", span="ever", results=["conversation"])
    talk = contact("2016-03-17T09:00", result="conversation", party="spouse")
    found = said(once, NOON, talk)
    assert (found["allowed"], found["blocked_for_good"], found["next_allowed_at"]) == (False, True, None)
    assert said(once, NOON, contact("2016-03-17T09:00"))["allowed"]


def test_a_consent_takes_out_what_it_covers_until_its_days_end_where_they_end_first() -> None:
    once = cap(1, per="person", span="P7D", except_consented="P2D")
    # Tuesday 02:00 in New York, Monday in Los Angeles, where the two days end with Tuesday.
    consents = [{"channel": "sms", "given_to": "collector", "at": local("2026-03-17T02:00")}]
    for at, free in (("2026-03-18T02:59", True), ("2026-03-18T03:00", False)):
        history = [contact(at)]
        assert answer(once, "2026-03-18T04:00", EAST, WEST, history=history, consents=consents)["allowed"] is free
        assert answer(once, at, EAST, WEST, history=[contact(MORNING.replace("17", "14"))], consents=consents)["allowed"] is free

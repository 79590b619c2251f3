"""Consents: to whom they were given, how long they are fresh, what renews them, which notice stands for one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.plugins.packs import rule
from tests.plugins.rule_cases import EAST, POINTS, WEST, Row, answer, instant, local

NOON = "2026-03-17T12:00"


def consent(value: Row | None = None, **fields: Any) -> Row:
    return rule("XA-CONSENT", "consent", **{"given_to": ["collector", "creditor"], "values": {"2020-01-01": value or {}}, **fields})


def given(at: str, to: str = "collector", **columns: Any) -> Row:
    return {"channel": "sms", "given_to": to, "at": local(at), **columns}


def heard(at: str, **columns: Any) -> Row:
    return {"at": local(at), "channel": "sms", "direction": "inbound", **columns}


@pytest.mark.parametrize(
    ("to", "role", "counts"),
    [
        ("collector", "third_party", True),
        ("collector", None, True),
        ("creditor", "first_party", True),
        ("creditor", "third_party", False),
        ("creditor", "debt_buyer", False),
        # Who collects is not known: it may be somebody else.
        ("creditor", None, False),
        ("merchant", "first_party", False),
    ],
)
def test_a_direct_consent_is_one_to_whoever_collects(to: str, role: str | None, counts: bool) -> None:
    one = consent(direct=True, given_to=["collector", "creditor", "merchant"])
    assert answer(one, NOON, creditor_role=role, consents=[given("2026-01-01T10:00", to)])["allowed"] is counts


# The first sixty days end with 2026-03-07, the others with the days on which the clock changes.
@pytest.mark.parametrize(
    ("at", "last", "stale"),
    [
        ("2026-01-07T00:00", "2026-03-07T23:59", "2026-03-08T00:00"),
        ("2026-01-08T23:59", "2026-03-08T23:59", "2026-03-09T00:00"),
        ("2026-09-03T10:00", "2026-11-01T23:59", "2026-11-02T00:00"),
    ],
)
def test_a_consent_is_fresh_for_sixty_days(at: str, last: str, stale: str) -> None:
    one = consent({"fresh_for": "P60D"})
    assert answer(one, last, consents=[given(at)])["allowed"]
    found = answer(one, stale, consents=[given(at)])
    assert (found["allowed"], found["blocked_for_good"]) == (False, True)


def test_a_consent_grows_stale_where_the_day_ends_first() -> None:
    one = consent({"fresh_for": "P2D"})
    # Tuesday 02:00 in New York is Monday 23:00 in Los Angeles, where the two days end with Tuesday, three hours after New York's.
    consents = [given("2026-03-17T02:00")]
    assert answer(one, "2026-03-18T02:59", EAST, WEST, consents=consents)["allowed"]
    assert not answer(one, "2026-03-18T03:00", EAST, WEST, consents=consents)["allowed"]
    assert answer(one, "2026-03-18T03:00", EAST, consents=consents)["allowed"]


def test_a_consent_whose_day_is_not_known_is_stale() -> None:
    long_ago = [{"channel": "all", "given_to": "collector", "at": "1970-01-01T00:00:00Z"}]
    assert answer(consent(), NOON, consents=long_ago)["allowed"]
    assert not answer(consent({"fresh_for": "P60D"}), NOON, consents=long_ago)["allowed"]


FRESH = {"fresh_for": "P7D"}
OLD = given("2026-01-01T10:00")


@pytest.mark.parametrize(
    ("at", "then", "counts"),
    [
        ("2026-03-11T00:00", {}, True),
        ("2026-03-10T23:59", {}, False),
        ("2026-03-16T12:00", {"channel": "call"}, False),
        ("2026-03-16T12:00", {"direction": "outbound"}, False),
        ("2026-03-16T12:00", {"party": "spouse"}, False),
        ("2026-03-16T12:00", {"contact_point": "M"}, True),
        ("2026-03-16T12:00", {"contact_point": "H"}, False),
    ],
)
def test_what_the_person_writes_by_the_channel_renews_a_consent_and_stands_for_one(at: str, then: Row, counts: bool) -> None:
    one = consent(FRESH, renewed_by=["inbound"])
    for consents in ([OLD], []):
        found = answer(one, NOON, consents=consents, contact_points=POINTS, history=[heard(at, **then)], proposed={"contact_point": "M"})
        assert found["allowed"] is counts


def test_without_a_limit_of_days_who_wrote_once_may_be_written_to() -> None:
    assert answer(consent(renewed_by=["inbound"]), NOON, history=[heard("2020-01-01T10:00")])["allowed"]
    assert not answer(consent(), NOON, history=[heard("2020-01-01T10:00")])["allowed"]


def test_a_consent_taken_back_takes_back_what_was_written_before() -> None:
    one = consent(FRESH, renewed_by=["inbound"])
    ended = given("2026-01-01T10:00", until=local("2026-03-16T12:00"))
    assert not answer(one, NOON, consents=[ended], history=[heard("2026-03-15T12:00")])["allowed"]
    assert answer(one, NOON, consents=[ended], history=[heard("2026-03-15T12:00"), heard("2026-03-16T12:00")])["allowed"]


@pytest.mark.parametrize(("verified_on", "counts"), [("2026-03-11", True), ("2026-03-10", False), (None, False)])
def test_a_check_of_the_number_renews_a_consent_and_stands_for_none(verified_on: str | None, counts: bool) -> None:
    one = consent(FRESH, renewed_by=["verification"])
    points = [{"id": "M", "kind": "mobile", "verified_on": verified_on}, {"id": "H", "kind": "mobile", "verified_on": "2026-03-17"}]
    assert answer(one, NOON, consents=[OLD], contact_points=points, proposed={"contact_point": "M"})["allowed"] is counts
    assert not answer(one, NOON, contact_points=points, proposed={"contact_point": "M"})["allowed"]


def test_a_number_she_wrote_from_long_ago_is_renewed_by_a_check() -> None:
    one = consent(FRESH, renewed_by=["inbound", "verification"])
    for verified_on, counts in (("2026-03-11", True), ("2026-03-10", False)):
        points = [{"id": "M", "verified_on": verified_on}]
        found = answer(one, NOON, contact_points=points, history=[heard("2026-01-01T10:00")], proposed={"contact_point": "M"})
        assert found["allowed"] is counts


NOTICE = {"kind": "creditor_notice", "sent_at": local("2026-02-01T10:00")}
EMAIL = consent({"opt_out_days": 35}, or_notice="creditor_notice")


def test_a_notice_stands_for_a_consent_when_its_days_are_over() -> None:
    # The thirty-fifth day after 2026-02-01 is 2026-03-08, the day on which the clock goes forward.
    early = answer(EMAIL, "2026-03-07T23:59", notices=[NOTICE])
    assert (early["allowed"], early["next_allowed_at"]) == (False, instant("2026-03-08T00:00"))
    assert answer(EMAIL, "2026-03-08T00:00", notices=[NOTICE])["allowed"]


def test_a_notice_that_names_its_last_day_waits_for_the_end_of_that_day() -> None:
    named = {**NOTICE, "opt_out_by": "2026-03-08"}
    assert answer(EMAIL, "2026-03-08T23:59", notices=[named])["next_allowed_at"] == instant("2026-03-09T00:00")
    assert answer(EMAIL, "2026-03-09T00:00", notices=[named])["allowed"]


def test_a_notice_that_left_too_few_days_never_stands_for_a_consent() -> None:
    assert not answer(EMAIL, "2026-06-01T00:00", notices=[{**NOTICE, "opt_out_by": "2026-03-07"}])["allowed"]


@pytest.mark.parametrize("differs", [{"bounced": True}, {"kind": "validation"}, {"sent_at": None}, {"loan": "L2"}])
def test_a_notice_that_did_not_arrive_or_is_another_stands_for_nothing(differs: Row) -> None:
    loans = [{"id": "L1"}, {"id": "L2"}]
    assert not answer(EMAIL, NOON, notices=[{**NOTICE, **differs}], loans=loans, proposed={"loans": ["L1"]})["allowed"]


def test_each_debt_needs_its_notice() -> None:
    loans = [{"id": "L1"}, {"id": "L2"}]
    of_one, of_other = {**NOTICE, "loan": "L1"}, {**NOTICE, "loan": "L2"}
    both = {"loans": ["L1", "L2"]}
    assert answer(EMAIL, NOON, notices=[of_one], loans=loans, proposed={"loans": ["L1"]})["allowed"]
    assert not answer(EMAIL, NOON, notices=[of_one], loans=loans, proposed=both)["allowed"]
    assert not answer(EMAIL, NOON, notices=[of_one, of_other], loans=loans)["allowed"]
    assert answer(EMAIL, NOON, notices=[of_one, of_other], loans=loans, proposed=both)["allowed"]
    later = {**of_other, "sent_at": local("2026-02-12T10:00")}
    assert answer(EMAIL, NOON, notices=[of_one, later], loans=loans, proposed=both)["next_allowed_at"] == instant("2026-03-19T00:00")


def test_who_opted_out_has_given_no_consent_by_staying_silent() -> None:
    stop = {"channel": "sms", "at": local("2026-02-10T10:00"), "until": local("2026-02-11T10:00")}
    assert not answer(EMAIL, NOON, notices=[NOTICE], optouts=[stop])["allowed"]
    assert answer(EMAIL, NOON, notices=[NOTICE], optouts=[{**stop, "channel": "email"}])["allowed"]


def test_a_consent_that_is_known_to_begin_is_waited_for() -> None:
    found = answer(consent(), NOON, consents=[given("2026-03-18T09:00")])
    assert (found["allowed"], found["next_allowed_at"]) == (False, instant("2026-03-18T09:00"))

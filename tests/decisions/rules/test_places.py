"""Places: where a person may be reached, and whose clock and calendar decide."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest

from decisions.facts import CANDIDATES
from decisions.packs import Packs
from decisions.rules import judge
from tests.plugins.known_facts import Known, facts_of, loan, point
from tests.plugins.packs import packs_of, rule

NOON = datetime(2026, 3, 17, 16, tzinfo=UTC)


def said(packs: Packs, known: Known, **columns: Any) -> dict[str, Any]:
    row = {
        "candidate": 0,
        "party_id": 1,
        "channel": "visit",
        "purpose": "collection",
        "at": NOON,
        "loans": [100],
        "counterparty": "borrower",
        **columns,
    }
    return judge(facts_of(known), pl.DataFrame([row], schema={**CANDIDATES, "place": pl.String}), packs).row(0, named=True)


ONLY_HOME = packs_of(rule("US-PLACE", "place", only=["home"], applies_to={"channels": ["visit"]}))
NOT_AT_WORK = packs_of(rule("US-PLACE", "place", forbids=["work"]))


@pytest.mark.parametrize(("place", "allowed"), [("home", True), ("work", False), ("other", False), (None, False)])
def test_where_only_the_home_is_allowed_an_unknown_place_is_not(place: str | None, allowed: bool) -> None:
    assert said(ONLY_HOME, Known(), place=place)["allowed"] is allowed


@pytest.mark.parametrize(("place", "allowed"), [("home", True), ("work", False), ("other", True), (None, True)])
def test_where_work_is_forbidden_everything_else_is_allowed(place: str | None, allowed: bool) -> None:
    assert said(NOT_AT_WORK, Known(), place=place)["allowed"] is allowed


def test_an_employers_phone_is_at_work_and_a_landline_at_home() -> None:
    points = [point(11, employer_owned=True), point(12, "landline"), point(13)]
    known = Known(points=points)
    assert not said(NOT_AT_WORK, known, channel="call", contact_point_id=11)["allowed"]
    assert said(NOT_AT_WORK, known, channel="call", contact_point_id=12)["allowed"]
    narrow = packs_of(rule("US-PLACE", "place", forbids=["home"], applies_to={"places": ["home"]}))
    assert not said(narrow, known, channel="call", contact_point_id=12)["allowed"]
    assert said(narrow, known, channel="call", contact_point_id=13)["allowed"]


def hours(clock: str, **more: Any) -> Packs:
    window = {"values": {"2020-01-01": {"opens": "08:00", "closes": "21:00"}}, **more}
    return packs_of(rule("US-HOURS", "window", clock=clock, **window))


def test_the_clock_of_the_state_where_she_lives_leaves_a_phone_from_elsewhere_out() -> None:
    at = datetime(2026, 3, 17, 13, tzinfo=UTC)  # nine in New York, six in Los Angeles
    both = Known(person={"zones": ["America/Los_Angeles", "America/New_York"], "home_zones": ["America/New_York"]})
    assert not said(hours("every_plausible_zone"), both, at=at)["allowed"]
    assert said(hours("debtor_state"), both, at=at)["allowed"]
    assert said(hours("America/New_York"), both, at=at)["allowed"]
    away = Known(person={"known_zone": "America/Los_Angeles", "zones": ["America/New_York"], "home_zones": ["America/New_York"]})
    assert not said(hours("debtor_state"), away, at=at)["allowed"], "where she is known to be decides"
    nowhere = Known(person={"zones": ["America/Los_Angeles", "America/New_York"], "home_zones": []})
    assert not said(hours("debtor_state"), nowhere, at=at)["allowed"], "an unknown state is each"


HOLIDAYS = {
    "calendar": "own_country",
    "values": {
        "2020-01-01": {
            "weekday": {"opens": "08:00", "closes": "21:00"},
            "saturday": "closed",
            "sunday": "closed",
            "holiday": "closed",
        }
    },
}


def test_public_holidays_are_those_of_the_persons_own_country() -> None:
    bastille = datetime(2026, 7, 14, 10, tzinfo=UTC)
    french = {"country": "FR", "zones": ["Europe/Paris"], "home_zones": ["Europe/Paris"]}
    german = {"country": "DE", "zones": ["Europe/Berlin"], "home_zones": ["Europe/Berlin"]}
    packs = hours("every_plausible_zone", **HOLIDAYS)
    assert not said(packs, Known(person=french), at=bastille)["allowed"]
    assert said(packs, Known(person=german), at=bastille)["allowed"]
    assert not said(packs, Known(person={**german, "country": None}), at=bastille)["allowed"], "no country, no calendar, no contact"


def test_a_lender_may_know_a_holiday_that_the_library_does_not() -> None:
    german = {"country": "DE", "zones": ["Europe/Berlin"], "home_zones": ["Europe/Berlin"]}
    at = datetime(2026, 7, 14, 10, tzinfo=UTC)
    packs = hours("every_plausible_zone", **HOLIDAYS)
    told = packs.model_copy(
        update={
            "calendars": Packs.model_validate(
                {"packs": packs.packs, "calendars": [{"calendar": "DE", "adds": {date(2026, 7, 14): "A day of mourning"}}]}
            ).calendars
        }
    )
    assert said(packs, Known(person=german), at=at)["allowed"]
    assert not said(told, Known(person=german), at=at)["allowed"]


def about(**loans: Any) -> Packs:
    return packs_of(rule("US-LOANS", "hold", holds="all", applies_to={"loans": loans}))


@pytest.mark.parametrize(
    ("which", "columns", "concerned"),
    [
        ({"products": ["microfinance"]}, {"product": "microfinance"}, True),
        ({"products": ["microfinance"]}, {"product": "credit_card"}, False),
        ({"products": ["microfinance"]}, {"product": None}, True),
        ({"except_products": ["microfinance"]}, {"product": "microfinance"}, False),
        ({"except_products": ["microfinance"]}, {"product": None}, True),
        ({"past_due_over_days": 30}, {"days_past_due": 30}, False),
        ({"past_due_over_days": 30}, {"days_past_due": 31}, True),
        ({"past_due_over_days": 30}, {"days_past_due": None}, True),
        ({"charged_off": True}, {"charged_off": False}, False),
        ({"charged_off": True}, {"charged_off": True}, True),
        ({"time_barred": True}, {"time_barred": None}, True),
    ],
)
def test_a_rule_looks_at_the_loans_that_it_is_about_and_at_those_of_which_too_little_is_known(
    which: dict[str, Any], columns: dict[str, Any], concerned: bool
) -> None:
    known = Known(days=None, loans=[loan(5, **columns)], holds=[{"kind": "dispute"}])
    assert said(about(**which), known)["allowed"] is not concerned
    assert said(about(**which), known, loans=[])["allowed"] is not concerned


def test_one_loan_among_several_is_enough() -> None:
    known = Known(
        days=None, loans=[loan(5, product="credit_card"), loan(5, loan_id=200, product="microfinance")], holds=[{"kind": "dispute"}]
    )
    packs = about(products=["microfinance"])
    assert said(packs, known, loans=[100])["allowed"]
    assert not said(packs, known, loans=[100, 200])["allowed"]
    assert not said(packs, known, loans=[])["allowed"]
    assert not said(packs, known, loans=[999])["allowed"], "nothing is known of it"


def test_a_rule_for_people_of_whom_something_is_known_looks_at_nobody_else() -> None:
    packs = packs_of(rule("US-ELDERLY", "hold", holds="all", applies_to={"facts": ["elderly"]}))
    held = [{"kind": "dispute"}]
    assert not said(packs, Known(person={"facts": ["elderly"]}, holds=held))["allowed"]
    assert said(packs, Known(holds=held))["allowed"]


def test_a_layer_alone_is_for_countries_without_a_pack_of_their_own() -> None:
    layer = rule("EU-HOURS", "hold", holds="all", applies_to={"layer_alone": "EU"})
    packs = packs_of(layer, jurisdiction="EU")
    known = Known(person={"jurisdictions": ["EU", "FR"]}, holds=[{"kind": "dispute"}])
    assert not said(packs, known)["allowed"]
    with_own = Packs(packs=(*packs.packs, packs_of(jurisdiction="FR").packs[0]))
    assert said(with_own, known)["allowed"]


@pytest.mark.parametrize(("which", "concerned"), [(11, True), (12, False), (None, True)])
def test_a_rule_about_mobile_phones_leaves_a_landline_alone_and_no_unknown_number(which: int | None, concerned: bool) -> None:
    packs = packs_of(rule("US-MOBILE", "hold", holds="all", applies_to={"contact_points": ["mobile"]}))
    known = Known(points=[point(11), point(12, "landline")], holds=[{"kind": "dispute"}])
    assert said(packs, known, channel="call", contact_point_id=which)["allowed"] is not concerned


def test_a_rule_about_loans_of_which_something_is_known_leaves_the_others_alone() -> None:
    held = [{"kind": "dispute"}]
    packs = about(past_due_over_days=90, known_only=True)
    assert not said(packs, Known(days=None, loans=[loan(5, days_past_due=91)], holds=held))["allowed"]
    assert said(packs, Known(days=None, loans=[loan(5, days_past_due=None)], holds=held))["allowed"]
    assert said(packs, Known(days=None, holds=held), loans=[])["allowed"]

"""Deadlines of cases: the law's where a pack has one, the house's where none has, the earlier of both; and how a case may end."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from config.cases import case_terms
from config.rule_files import rule_packs
from decisions.cases import ANSWERED_FIRST, CASE_KINDS, HOLD_OF, NEEDS_CORRECTION, RESULTS_OF, WITHDRAWN, Deadlines, Due, Setting, deadlines
from decisions.packs import Calendar, Packs
from decisions.words import HOLD_KINDS

TERMS = case_terms()
TUESDAY = date(2026, 3, 17)


def due(kind: str, *jurisdictions: str, on: date = TUESDAY, packs: Packs | None = None, **setting: Any) -> Deadlines:
    country = next((place for place in jurisdictions if len(place) == 2 and place != "EU"), None)
    who = Setting(**{"jurisdictions": frozenset(jurisdictions), "country": country, "role": "first_party", **setting})
    return deadlines(kind, on, who, TERMS, rule_packs() if packs is None else packs)


@pytest.mark.parametrize(
    ("kind", "places", "on", "law"),
    [
        # The day on which it was opened is not counted.
        ("complaint", ("GB",), TUESDAY, ("2026-05-12", "UK-DISP-1.6.2")),
        ("complaint", ("AU",), TUESDAY, ("2026-04-16", "AU-RG271-30")),
        ("complaint", ("IN",), TUESDAY, ("2026-04-16", "IN-RBI-OMBUDSMAN")),
        ("hardship", ("AU",), TUESDAY, ("2026-04-07", "AU-HARDSHIP-ANSWER")),
        # Ten business days; the first of March was a Sunday, and Monday a holiday in its stead.
        ("hardship", ("KR",), date(2026, 2, 27), ("2026-03-16", "KR-RESTRUCT")),
        ("data_request", ("BR",), TUESDAY, ("2026-04-01", "BR-LGPD-19")),
        ("data_request", ("EU", "DE"), TUESDAY, ("2026-04-14", "EU-GDPR-12")),
        ("data_request", ("GB",), TUESDAY, ("2026-04-14", "UK-GDPR-12")),
        ("dispute", ("TW",), TUESDAY, None),
        ("complaint", ("KR",), TUESDAY, None),
        ("deceased", ("AU",), TUESDAY, None),
    ],
)
def test_the_law_of_the_place_says_until_when(kind: str, places: tuple[str, ...], on: date, law: tuple[str, str] | None) -> None:
    found = due(kind, *places, on=on).law_answer
    assert (None if found is None else (found.on.isoformat(), found.rule)) == law


@pytest.mark.parametrize(
    ("setting", "law"),
    [
        ({"role": "third_party", "charged_off": True}, "US-NY-1.4-SUBST60"),
        # Of a loan of which it is not known, the stricter reading holds.
        ({"role": "debt_buyer"}, "US-NY-1.4-SUBST60"),
        ({"role": "third_party", "charged_off": False}, None),
        ({"role": "first_party", "charged_off": True}, None),
    ],
)
def test_a_deadline_binds_whom_and_which_loans_its_rule_names(setting: dict[str, Any], law: str | None) -> None:
    found = due("dispute", "US", "US-NY", **setting).law_answer
    assert (found.rule if found else None) == law


def test_without_a_law_the_house_says_so_and_says_that_it_is_the_house() -> None:
    assert due("dispute", "TW") == Deadlines(
        acknowledge=Due(on=date(2026, 3, 19), rule="house"), answer=Due(on=date(2026, 4, 9), rule="house"), law_answer=None
    )


def test_the_earlier_date_counts_and_the_laws_own_stands_beside_it() -> None:
    early, late = due("hardship", "AU"), due("complaint", "AU")
    assert early.answer == early.law_answer == Due(on=date(2026, 4, 7), rule="AU-HARDSHIP-ANSWER")
    assert (late.answer.rule, late.law_answer) == ("house", Due(on=date(2026, 4, 16), rule="AU-RG271-30"))
    assert late.acknowledge == Due(on=date(2026, 3, 18), rule="AU-RG271-ACKNOWLEDGE")


def test_a_day_off_that_the_lender_knows_moves_the_houses_date() -> None:
    packs = rule_packs().model_copy(update={"calendars": (Calendar(calendar="TW", adds={date(2026, 3, 18): "by decree"}),)})
    assert due("dispute", "TW", packs=packs).acknowledge.on == date(2026, 3, 20)


@pytest.mark.parametrize("country", [None, "XX"])
def test_where_nobody_knows_the_holidays_weekends_alone_are_none(country: str | None) -> None:
    assert due("dispute", country=country).answer == Due(on=date(2026, 4, 7), rule="house")


def test_rule_packs_that_cannot_be_read_leave_the_houses_dates() -> None:
    who = Setting(jurisdictions=frozenset({"AU"}), country="AU", role="first_party")
    found = deadlines("hardship", TUESDAY, who, TERMS, None)
    assert (found.acknowledge.rule, found.answer.rule, found.law_answer) == ("house", "house", None)


def test_every_kind_can_be_acknowledged_answered_and_ended() -> None:
    assert set(RESULTS_OF) == set(TERMS.days) == set(CASE_KINDS)
    assert all(WITHDRAWN in RESULTS_OF[kind] for kind in ANSWERED_FIRST)
    assert all(result in RESULTS_OF[kind] for kind, result in NEEDS_CORRECTION)
    assert set(HOLD_OF) <= set(CASE_KINDS)
    assert set(HOLD_OF.values()) <= set(HOLD_KINDS)

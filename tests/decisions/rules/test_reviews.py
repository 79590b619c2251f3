"""Rules that ask for a person: by their own nature, or because in live mode what was only recalled is no law to rely on."""

from __future__ import annotations

from typing import Any

import polars as pl

from decisions.facts import CANDIDATES
from decisions.packs import Packs
from decisions.rules import judge
from tests.plugins.known_facts import NOON_IN_NEW_YORK, Known, facts_of
from tests.plugins.packs import pack, packs_of, rule

LATE = {"opens": "08:00", "closes": "12:00"}
HOURS = {"clock": "every_plausible_zone", "values": {"2020-01-01": LATE}}


def said(packs: Packs, *, bases: set[str] | None = None, **columns: Any) -> dict[str, Any]:
    row = {
        "candidate": 0,
        "party_id": 1,
        "contact_point_id": 11,
        "channel": "sms",
        "purpose": "collection",
        "at": NOON_IN_NEW_YORK,
        "loans": [100],
        "counterparty": "borrower",
        "automated": True,
        **columns,
    }
    return judge(facts_of(Known()), pl.DataFrame([row], schema=CANDIDATES), packs, bases=bases).row(0, named=True)


def test_a_rule_that_asks_neither_forbids_nor_allows() -> None:
    answer = said(packs_of(rule("US-TACT", "window", outcome="review", **HOURS)))
    assert (answer["allowed"], answer["blocked_by"], answer["asked_by"]) == (False, [], ["US-TACT"])
    assert answer["next_allowed_at"] is not None


def test_what_another_rule_forbids_is_forbidden_and_the_question_stays() -> None:
    answer = said(packs_of(rule("US-TACT", "window", outcome="review", **HOURS), rule("US-HOURS", "window", **HOURS)))
    assert (answer["blocked_by"], answer["asked_by"]) == (["US-HOURS"], ["US-TACT"])


def test_a_recalled_rule_is_law_in_the_sandbox_and_a_question_in_live_mode() -> None:
    packs = packs_of(rule("US-RECALLED", "hold", holds="all", confidence="R"))
    assert said(packs)["allowed"]
    live = said(packs.in_live_mode(frozenset({"US", "house"})))
    assert (live["allowed"], live["blocked_by"], live["asked_by"]) == (False, [], ["US-RECALLED"])
    assert (live["blocked_for_good"], live["next_allowed_at"]) == (True, None)


def test_a_recalled_rule_that_forbids_forbids_in_live_mode_too() -> None:
    live = packs_of(rule("US-RECALLED", "window", confidence="R", **HOURS)).in_live_mode(frozenset({"US", "house"}))
    assert said(live)["blocked_by"] == ["US-RECALLED"]


def test_a_recalled_rule_asks_only_where_it_looks() -> None:
    packs = packs_of(rule("US-RECALLED", "hold", holds="all", confidence="R", applies_to={"channels": ["call"]}))
    assert said(packs.in_live_mode(frozenset({"US", "house"})))["allowed"]


APPROVAL = rule("HOUSE-UNAPPROVED", "zone", condition="unapproved_pack", basis="house")


def test_live_mode_refuses_a_pack_that_was_not_approved() -> None:
    packs = Packs(packs=(pack("US"), pack("US-NY"), pack("house", APPROVAL)))
    assert said(packs)["allowed"], "the sandbox needs no approval"
    assert said(packs.in_live_mode(frozenset({"US", "US-NY", "house"})))["allowed"]
    for missing in ("US", "US-NY", "house"):
        approved = frozenset({"US", "US-NY", "house"} - {missing})
        assert said(packs.in_live_mode(approved))["blocked_by"] == ["HOUSE-UNAPPROVED"], missing


def test_live_mode_refuses_a_draft_even_if_somebody_approved_it() -> None:
    packs = Packs(packs=(pack("US", status="draft"), pack("house", APPROVAL)))
    assert said(packs.in_live_mode(frozenset({"US", "house"})))["blocked_by"] == ["HOUSE-UNAPPROVED"]


def test_a_pack_of_another_country_needs_no_approval() -> None:
    packs = Packs(packs=(pack("CN", status="draft"), pack("US"), pack("house", APPROVAL)))
    assert said(packs.in_live_mode(frozenset({"US", "house"})))["allowed"]


def test_without_asking_when_nothing_is_said_of_it() -> None:
    row = {"candidate": 0, "party_id": 1, "channel": "sms", "purpose": "collection", "at": NOON_IN_NEW_YORK, "counterparty": "borrower"}
    found = judge(facts_of(Known()), pl.DataFrame([row], schema=CANDIDATES), packs_of(), when=False)
    assert found.columns == ["candidate", "allowed", "blocked_by", "asked_by"]

"""What every rule and all rules together must keep, whatever the facts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from config.rule_files import rule_packs
from decisions import facts
from decisions.facts import CANDIDATES
from decisions.packs import Packs
from decisions.rules import SEARCH_DAYS, judge
from tests.plugins.known_facts import NOON_IN_NEW_YORK, Known, facts_of, loan
from tests.plugins.packs import pack
from tests.plugins.rule_cases import EVERY_FORM, LAWS, LONG_AGO, PACKS, ZONES, frames, history, holds, judged, rule_cases, wishes

RULES = [rule.id for _, rule in PACKS.gating()]
# What the person herself writes may stand for a consent, and an order is about the first contact alone.
OPENED_BY_CONTACT = [rule.id for _, rule in PACKS.gating() if rule.kind in {"consent", "order"}]
FEW = settings(max_examples=20, deadline=None)


def allowed(case: tuple[dict[str, Any], list[str]]) -> bool:
    verdict: bool = judged(frames(case))["allowed"].item()
    return verdict


@given(cases=st.lists(rule_cases(), min_size=1, max_size=6))
@FEW
def test_every_rule_answers_and_what_forbids_is_named(cases: list[tuple[dict[str, Any], list[str]]]) -> None:
    verdicts = judged(frames(*cases))
    assert verdicts.columns == [
        "candidate",
        *RULES,
        "allowed",
        "blocked_by",
        "asked_by",
        "blocked_for_good",
        "next_allowed_at",
        "allowed_until",
    ]
    assert verdicts.select(*RULES, "allowed", "blocked_by", "blocked_for_good").null_count().sum_horizontal().item() == 0
    for row in verdicts.iter_rows(named=True):
        assert row["blocked_by"] == [rule for rule in RULES if not row[rule]]
        assert row["allowed"] == (row["blocked_by"] == [])
        assert row["allowed"] == (row["allowed_until"] is not None)
        assert row["blocked_for_good"] == (not row["allowed"] and row["next_allowed_at"] is None)


@given(cases=st.lists(rule_cases(), min_size=1, max_size=6))
@FEW
def test_a_frame_is_judged_like_its_rows_one_by_one(cases: list[tuple[dict[str, Any], list[str]]]) -> None:
    together = judged(frames(*cases)).drop("candidate")
    one_by_one = pl.concat([judged(frames(case)) for case in cases]).drop("candidate")
    assert_frame_equal(together, one_by_one)


@given(cases=st.lists(rule_cases(), min_size=1, max_size=6), seed=st.integers(0, 1000), share=st.floats(0, 1))
@FEW
def test_at_the_next_instant_it_is_allowed_and_before_it_is_not(
    cases: list[tuple[dict[str, Any], list[str]]], seed: int, share: float
) -> None:
    cases = [case for case in cases if case[0]["proposed"]["purpose"] != "reply"]  # a reply's leave ends, it does not come
    assume(cases)
    read = frames(*cases)
    now = read.candidates["at"].to_list()
    verdicts = judged(read, at=now)
    horizon = [at + timedelta(days=SEARCH_DAYS) for at in now]
    then = [found or last for found, last in zip(verdicts["next_allowed_at"].to_list(), horizon, strict=True)]
    known = verdicts["next_allowed_at"].is_not_null()
    assert judged(read, at=then)["allowed"].filter(known).all()
    for between in (
        [max(at, end - timedelta(microseconds=1)) for at, end in zip(now, then, strict=True)],
        [at + (end - at) * share for at, end in zip(now, then, strict=True)],
        [at + (end - at) * Random(seed).random() for at, end in zip(now, then, strict=True)],  # noqa: S311  # a place between two instants
    ):
        early = judged(read, at=between)["allowed"]
        assert not (early & ~verdicts["allowed"] & pl.Series([one < end for one, end in zip(between, then, strict=True)])).any()


@pytest.mark.parametrize("rule", EVERY_FORM, ids=lambda rule: rule["id"])
@given(cases=st.lists(rule_cases(), min_size=1, max_size=6), share=st.floats(0, 1))
@FEW
def test_each_form_of_rule_alone_names_the_very_instant_at_which_it_frees(
    rule: dict[str, Any], cases: list[tuple[dict[str, Any], list[str]]], share: float
) -> None:
    alone = Packs(packs=(pack("XA", rule), pack("house")))
    read = frames(*(({**row, "jurisdictions": ["XA"]}, zones) for row, zones in cases))
    now = read.candidates["at"].to_list()
    verdicts = judged(read, at=now, packs=alone)
    then = [found or at + timedelta(days=SEARCH_DAYS) for at, found in zip(now, verdicts["next_allowed_at"], strict=True)]
    assert judged(read, at=then, packs=alone)["allowed"].filter(verdicts["next_allowed_at"].is_not_null()).all()
    for between in (
        [max(at, end - timedelta(microseconds=1)) for at, end in zip(now, then, strict=True)],
        [at + (end - at) * share for at, end in zip(now, then, strict=True)],
    ):
        early = pl.Series([one < end for one, end in zip(between, then, strict=True)])
        assert not (judged(read, at=between, packs=alone)["allowed"] & ~verdicts["allowed"] & early).any()


@given(case=rule_cases(LAWS))
@FEW
def test_an_allowance_lasts_until_it_ends_by_the_clock(case: tuple[dict[str, Any], list[str]]) -> None:
    row, zones = case
    read = frames(({**row, "holds": [], "wishes": [], "consents": LONG_AGO}, zones))
    now = read.candidates["at"].item()
    verdict = judged(read, at=[now]).row(0, named=True)
    assume(verdict["allowed"] and row["proposed"]["purpose"] != "reply")
    until = verdict["allowed_until"]
    assert now < until <= now + timedelta(days=1, hours=2)
    assert judged(read, at=[until - timedelta(microseconds=1)])["allowed"].item()


@given(case=rule_cases(), extra=st.sampled_from(ZONES))
@FEW
def test_one_more_plausible_zone_never_allows_more(case: tuple[dict[str, Any], list[str]], extra: str) -> None:
    # Agreed hours replace the law's where the borrower asked for them: then it is not the zones that decide alone.
    row, zones = {**case[0], "agreements": []}, case[1]
    assert allowed((row, zones)) or not allowed((row, sorted({*zones, extra})))


@given(case=rule_cases(), data=st.data())
@FEW
def test_more_holds_wishes_and_stops_never_allow_more(case: tuple[dict[str, Any], list[str]], data: st.DataObject) -> None:
    row, zones = case
    at = datetime.fromisoformat(row["proposed"]["at"])
    stop = {"channel": data.draw(st.sampled_from(("all", "sms", "call"))), "at": at.isoformat()}
    more = {
        "holds": [*row["holds"], *data.draw(holds(at))],
        "wishes": [*row["wishes"], *data.draw(wishes(at))],
        "optouts": data.draw(st.sampled_from(([], [stop]))),
    }
    assert allowed(case) or not allowed(({**row, **more}, zones))


@given(case=rule_cases(), data=st.data())
@FEW
def test_more_past_contacts_never_allow_more(case: tuple[dict[str, Any], list[str]], data: st.DataObject) -> None:
    row, zones = case
    assume(row["proposed"]["purpose"] != "reply")  # whoever writes first may be answered
    more = [*row["history"], *data.draw(history(datetime.fromisoformat(row["proposed"]["at"])))]
    before, after = judged(frames(case)), judged(frames(({**row, "history": more}, zones)))
    for rule in set(RULES) - set(OPENED_BY_CONTACT):
        assert before[rule].item() or not after[rule].item(), rule


@given(cases=st.lists(rule_cases(), min_size=2, max_size=5), seed=st.integers(0, 1000))
@FEW
def test_the_order_of_facts_does_not_matter(cases: list[tuple[dict[str, Any], list[str]]], seed: int) -> None:
    read = frames(*cases)
    mixed = {name: getattr(read.facts, name).sample(fraction=1, shuffle=True, seed=seed) for name in read.facts.__slots__}
    assert_frame_equal(judged(read), judge(type(read.facts)(**mixed), read.candidates, PACKS))


def candidate(known: Known, **columns: Any) -> pl.DataFrame:
    row = {
        "candidate": 0,
        "party_id": known.party_id,
        "contact_point_id": 10 * known.party_id + 1,
        "channel": "sms",
        "purpose": "collection",
        "at": NOON_IN_NEW_YORK,
        "loans": [100 * known.party_id],
        "counterparty": "borrower",
        "automated": True,
        **columns,
    }
    return pl.DataFrame([row], schema=CANDIDATES)


def verdict(known: Known, **columns: Any) -> dict[str, Any]:
    return judge(facts_of(known), candidate(known, **columns), rule_packs()).row(0, named=True)


def test_other_packs_have_their_own_rules() -> None:
    assert PACKS.gating()
    assert PACKS.jurisdictions
    other = PACKS.model_copy(update={"packs": PACKS.packs[:1]})
    assert other.gating() == tuple((PACKS.packs[0], rule) for rule in PACKS.packs[0].gating)
    assert other.jurisdictions == {PACKS.packs[0].jurisdiction} - {"house"}


def test_an_ordinary_borrower_may_be_written_to_at_noon_until_nine() -> None:
    said = verdict(Known())
    assert (said["allowed"], said["blocked_by"], said["next_allowed_at"]) == (True, [], NOON_IN_NEW_YORK)
    assert said["allowed_until"] == datetime(2026, 3, 18, 1, tzinfo=UTC)


@pytest.mark.parametrize("fresh_until", [None, NOON_IN_NEW_YORK])
def test_a_stale_payment_feed_withholds_and_nobody_knows_until_when(fresh_until: datetime | None) -> None:
    said = verdict(Known(person={"payments_fresh_until": fresh_until}))
    assert said["blocked_by"] == ["HOUSE-STALE-PAYMENTS"]
    assert (said["blocked_for_good"], said["next_allowed_at"]) == (False, None)


def test_a_feed_that_is_fresh_for_a_microsecond_is_fresh() -> None:
    assert verdict(Known(person={"payments_fresh_until": NOON_IN_NEW_YORK + timedelta(microseconds=1)}))["allowed"]


@pytest.mark.parametrize("stopped", [{"paused": True}, {"paused": None}, {"paused_channels": ["sms"]}])
def test_operations_stop_contact_at_once_but_not_for_good(stopped: dict[str, Any]) -> None:
    said = verdict(Known(person=stopped))
    assert said["blocked_by"] == ["HOUSE-PAUSED"]
    assert (said["blocked_for_good"], said["next_allowed_at"]) == (False, None)


def test_a_pause_of_another_channel_is_none() -> None:
    assert verdict(Known(person={"paused_channels": ["push"]}))["allowed"]


def test_paused_and_opted_out_is_out_for_good() -> None:
    said = verdict(Known(person={"paused": True}, opt_outs=[{}]))
    assert said["blocked_for_good"]


def test_a_borrower_who_is_not_among_the_facts_is_not_contacted() -> None:
    judgement = judge(facts_of(Known(party_id=2)), candidate(Known(party_id=1)), rule_packs()).row(0, named=True)
    assert {"HOUSE-UNKNOWN-ZONE", "HOUSE-UNKNOWN-JURISDICTION", "HOUSE-PAUSED", "HOUSE-STALE-PAYMENTS"} <= set(judgement["blocked_by"])


def test_a_loan_that_is_no_longer_late_is_gone_from_the_facts_and_forbids() -> None:
    assert verdict(Known(days=None, loans=[loan(5, loan_id=7)]))["blocked_by"] == ["HOUSE-NOTHING-DUE"]


@pytest.mark.parametrize("ownership", ["wrong", "reassigned", "shared"])
def test_a_number_of_somebody_else_or_of_several_is_blocked_for_good(ownership: str) -> None:
    known = Known()
    points = facts_of(known).contact_points.with_columns(ownership=pl.lit(ownership))
    base = facts_of(known)
    changed = type(base)(**{**{name: getattr(base, name) for name in base.__slots__}, "contact_points": points})
    said = judge(changed, candidate(known), rule_packs()).row(0, named=True)
    assert (said["blocked_by"], said["blocked_for_good"]) == (["HOUSE-OWNERSHIP"], True)


@pytest.mark.parametrize("debtor", ["co_borrower", "guarantor"])
def test_a_persons_own_number_is_hers_whatever_her_liability(debtor: str) -> None:
    assert verdict(Known(), counterparty=debtor)["allowed"]


def test_a_hold_of_one_loan_leaves_the_others() -> None:
    known = Known(holds=[{"kind": "dispute", "loan_id": 999}])
    assert verdict(known)["allowed"]
    assert verdict(known, loans=[])["blocked_by"] == ["US-REGF-DISPUTE", "HOUSE-HOLD"]


@pytest.mark.parametrize(("scope", "blocks"), [({"channel": "sms"}, True), ({"channel": "push"}, False), ({"purpose": "reminder"}, False)])
def test_a_hold_covers_its_channel_and_purpose(scope: dict[str, str], blocks: bool) -> None:
    assert verdict(Known(holds=[{"kind": "illness", **scope}]))["allowed"] is not blocks


def test_no_candidates_no_verdicts() -> None:
    none = judge(facts_of(Known()), facts.empty(CANDIDATES), rule_packs())
    assert none.is_empty()
    assert none.columns == judge(facts_of(Known()), candidate(Known()), rule_packs()).columns


def test_without_the_packs_of_a_country_nobody_there_is_contacted() -> None:
    house = Packs(packs=tuple(pack for pack in rule_packs().packs if pack.jurisdiction in {"house", "TW"}))
    assert judge(facts_of(Known()), candidate(Known()), house)["blocked_by"].item().to_list() == ["HOUSE-UNKNOWN-JURISDICTION"]


@pytest.mark.parametrize("column", ["at", "channel", "purpose", "counterparty"])
def test_a_candidate_that_says_too_little_is_an_error(column: str) -> None:
    with pytest.raises(ValueError, match="a candidate lacks one of"):
        verdict(Known(), **{column: None})


def test_what_the_law_says_can_be_told_from_what_the_house_adds() -> None:
    known = Known(person={"creditor_role": "third_party"})
    late = candidate(known, at=datetime(2026, 3, 18, 2, tzinfo=UTC))
    everything = judge(facts_of(known), late, rule_packs())["blocked_by"].item().to_list()
    the_law = judge(facts_of(known), late, rule_packs(), bases={"law", "presumption"})["blocked_by"].item().to_list()
    assert (everything, the_law) == (["US-REGF-HOURS", "US-REGF-SMS60", "HOUSE-HOURS"], ["US-REGF-HOURS", "US-REGF-SMS60"])

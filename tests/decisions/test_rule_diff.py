"""What a change to a rule does: every field knows which way is tighter, and what has no order says so."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from decisions.packs import Pack
from decisions.rule_diff import Change, loosened, pack_changes, rule_changes
from decisions.rule_forms import Rule

RULE: dict[str, Any] = {
    "id": "ZZ-ONE",
    "says": "What a made-up law says.",
    "basis": "law",
    "reason": "made_up",
    "reference": [{"title": "An act", "read_on": "2026-11-24"}],
    "confidence": "V1",
    "reviewed_by": None,
}
FORCE: dict[str, Any] = {"values": {"2020-01-01": {}}}
COUNTS = {"per": "person", "span": "P7D", "channels": ["call"]}
CAP = {"kind": "cap", "counts": COUNTS, "values": {"2020-01-01": {"at_most": 3}}}
HOLD = {"kind": "hold", "holds": ["dispute"], "values": {"2020-01-01": {"lasts": "P30D"}}}
CONSENT = {"kind": "consent", "given_to": ["collector", "creditor"], "values": {"2020-01-01": {"fresh_for": "P60D"}}}
WISH = {"kind": "wish", "wishes": ["not_at"], "values": {"2020-01-01": {"oral_lasts": "P10D"}}}
PARTY = {"kind": "party", "may": [{"parties": ["borrower", "spouse"]}], **FORCE}
PLACE = {"kind": "place", "only": ["home", "work"], **FORCE}
CHANNEL = {"kind": "channel", "statuses": ["active", "new"], **FORCE}
WINDOW = {"kind": "window", "clock": "Etc/UTC", "values": {"2020-01-01": {"opens": "08:00", "closes": "21:00"}}}
ORDER = {"kind": "order", "notices": ["a", "b"], "values": {"2020-01-01": {"days": 5}}}
DEADLINE = {"kind": "deadline", "notices": ["a"], "after": "dispute", "values": {"2020-01-01": {"days": 5}}}
OPT_OUT = {"name": "opt_out", "phrases": {"en": ["reply stop"], "es": ["responda alto"]}}
CONTENT = {"kind": "content", "requires": [OPT_OUT], "forbids": [{"name": "threat", "phrases": {"en": ["police"]}}], **FORCE}
PLAIN = {"kind": "optout", **FORCE}


def rule(fields: dict[str, Any], **more: Any) -> Rule:
    found: Rule = TypeAdapter(Rule).validate_python({**RULE, **fields, **more})
    return found


def counts(**more: Any) -> dict[str, Any]:
    return {"counts": {**COUNTS, **more}}


def values(**value: Any) -> dict[str, Any]:
    return {"values": {"2020-01-01": value}}


TIGHTER: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    # what a rule looks at
    (PLAIN | {"applies_to": {"channels": ["sms"]}}, {"applies_to": {"channels": ["sms", "call"]}}, "applies_to.channels"),
    (PLAIN | {"applies_to": {"channels": ["sms"]}}, {"applies_to": {}}, "applies_to.channels"),
    (PLAIN | {"applies_to": {"purposes": ["collection"]}}, {"applies_to": {"except_purposes": ["receipt"]}}, "applies_to.purposes"),
    (
        PLAIN | {"applies_to": {"except_purposes": ["receipt", "reply"]}},
        {"applies_to": {"except_purposes": ["reply"]}},
        "applies_to.purposes",
    ),
    (PLAIN | {"applies_to": {"parties": ["borrower"]}}, {"applies_to": {"parties": ["borrower", "spouse"]}}, "applies_to.parties"),
    (PLAIN | {"applies_to": {"automated": True}}, {"applies_to": {}}, "applies_to.automated"),
    (PLAIN | {"applies_to": {"places": ["work"]}}, {"applies_to": {"except_places": ["home"]}}, "applies_to.places"),
    (PLAIN | {"applies_to": {"facts": ["elderly"]}}, {"applies_to": {}}, "applies_to.facts"),
    (PLAIN | {"applies_to": {"facts": ["elderly"]}}, {"applies_to": {"facts": ["minor", "elderly"]}}, "applies_to.facts"),
    (PLAIN | {"applies_to": {"layer_alone": "EU"}}, {"applies_to": {}}, "applies_to.layer_alone"),
    (PLAIN | {"applies_to": {"loans": {"products": ["personal_loan"]}}}, {"applies_to": {}}, "applies_to.loans.products"),
    (
        PLAIN | {"applies_to": {"loans": {"past_due_over_days": 30}}},
        {"applies_to": {"loans": {"past_due_over_days": 29}}},
        "applies_to.loans.past_due_over_days",
    ),
    (PLAIN | {"applies_to": {"loans": {"charged_off": True}}}, {"applies_to": {}}, "applies_to.loans.charged_off"),
    # what every rule says
    (PLAIN | {"basis": {"third_party": "law"}}, {"basis": "law"}, "basis first_party"),
    (PLAIN | {"basis": "house"}, {"basis": "law"}, "basis first_party"),
    (PLAIN | {"outcome": "review"}, {"outcome": "block"}, "outcome"),
    (PLAIN | {"one_reply": "P2D"}, {"one_reply": "P1D"}, "one_reply"),
    (PLAIN | {"one_reply": "P1D"}, {"one_reply": None}, "one_reply"),
    (PLAIN, {"confidence": "R"}, "confidence"),
    # hours
    (WINDOW, values(opens="08:01", closes="21:00"), "values 2020-01-01"),
    (WINDOW, values(opens="08:00", closes="20:59"), "values 2020-01-01"),
    (WINDOW | {"agreement_widens": True}, {"agreement_widens": False}, "agreement_widens"),
    (
        WINDOW,
        {"values": {"2020-01-01": {"weekday": {"opens": "08:00", "closes": "21:00"}, "saturday": "closed", "sunday": "closed"}}},
        "values 2020-01-01",
    ),
    # counts
    (CAP, values(at_most=2), "values 2020-01-01"),
    (CAP, counts(span="P8D"), "counts.span"),
    (CAP, counts(span="PT169H"), "counts.span"),
    (CAP | counts(span="calendar_week"), counts(span="P30D"), "counts.span"),
    (CAP | counts(span="P1M"), counts(span="ever"), "counts.span"),
    (CAP, counts(per="household"), "counts.per"),
    (CAP | counts(per="debt"), counts(per="account"), "counts.per"),
    (CAP, counts(channels=None), "counts.channels"),
    (CAP, counts(directions=["outbound", "inbound"]), "counts.directions"),
    (CAP | counts(results=["conversation"]), counts(except_results=["busy"]), "counts.results"),
    (CAP | counts(except_purposes=["receipt"]), counts(), "counts.purposes"),
    (CAP | counts(places=["work"]), counts(), "counts.places"),
    (CAP | counts(except_wrong_numbers=True), counts(), "counts.except_wrong_numbers"),
    (CAP | counts(except_consented="P7D"), counts(except_consented="P6D"), "counts.except_consented"),
    (CAP | counts(except_consented="P7D"), counts(), "counts.except_consented"),
    # holds
    (HOLD, {"holds": "all"}, "holds"),
    (HOLD, values(lasts="P31D"), "values 2020-01-01"),
    (HOLD, values(), "values 2020-01-01"),
    (HOLD, values(lasts="P30D", after="P1D"), "values 2020-01-01"),
    (HOLD | {"lets_through": {"dispute": {"purposes": ["reply"]}}}, {"lets_through": {}}, "lets_through"),
    (HOLD | {"ends_with_law": True}, {"ends_with_law": False}, "ends_with_law"),
    (HOLD | values(), {"conditions": ["disputed"]}, "conditions"),
    # consents, wishes
    (CONSENT, {"given_to": ["collector"]}, "given_to"),
    (CONSENT, {"direct": True}, "direct"),
    (CONSENT | {"renewed_by": ["inbound"]}, {"renewed_by": []}, "renewed_by"),
    (CONSENT | {"or_notice": "email"}, {"or_notice": None}, "or_notice"),
    (CONSENT, values(fresh_for="P59D"), "values 2020-01-01"),
    (CONSENT | values(), values(fresh_for="P59D"), "values 2020-01-01"),
    (CONSENT | values(opt_out_days=35), values(opt_out_days=36), "values 2020-01-01"),
    (WISH, {"wishes": ["not_at", "not_place"]}, "wishes"),
    (WISH | {"wishes": ["not_place"], "places": ["work"]}, {"places": None}, "places"),
    (WISH, values(oral_lasts="P11D"), "values 2020-01-01"),
    (WISH | values(hours_per_week=28), values(hours_per_week=29), "values 2020-01-01"),
    (WISH, values(), "values 2020-01-01"),
    # who, where, by what
    (PARTY, {"may": [{"parties": ["borrower"]}]}, "may"),
    (PARTY, {"may": [{"parties": ["borrower", "spouse"], "purposes": ["locate"]}]}, "may"),
    (PARTY, {"may": [{"parties": ["borrower", "spouse"], "only_if": ["unreachable"]}]}, "may"),
    (PARTY | {"may": [], "forbids_facts": ["minor"]}, {"may": [{"parties": ["borrower"]}]}, "may"),
    (PARTY, {"nobody": True}, "nobody"),
    (PARTY, {"forbids_facts": ["minor"]}, "forbids_facts"),
    (PARTY, {"forbids_holds": ["attorney"]}, "forbids_holds"),
    (PLACE, {"only": ["home"]}, "only"),
    (PLACE | {"only": None, "forbids": ["work"]}, {"forbids": ["work", "other"]}, "forbids"),
    (PLACE | {"consent_lifts": True}, {"consent_lifts": False}, "consent_lifts"),
    (CHANNEL, {"statuses": ["active"]}, "statuses"),
    (CHANNEL | {"statuses": None}, {"statuses": ["active"]}, "statuses"),
    (CHANNEL, {"barred": True}, "barred"),
    (CHANNEL, {"barred_by_provider": "twilio"}, "barred_by_provider"),
    (CHANNEL, {"forbids_ownership": ["wrong"]}, "forbids_ownership"),
    (CHANNEL, {"owner_is_contacted": True}, "owner_is_contacted"),
    (CHANNEL, {"kinds": ["mobile"]}, "kinds"),
    # notices and texts
    (ORDER, {"notices": ["a"]}, "notices"),
    (ORDER, values(days=6), "values 2020-01-01"),
    (ORDER, {"counted_from": "received"}, "counted_from"),
    (DEADLINE | {"notices": ["a", "b"]}, {"notices": ["a"]}, "notices"),
    (CONTENT, {"requires": [OPT_OUT, {"name": "name", "phrases": {"*": ["Lantern"]}}]}, "requires"),
    (CONTENT, {"requires": [{**OPT_OUT, "phrases": {"en": ["reply stop"]}}]}, "requires"),
    (CONTENT | {"requires": [{**OPT_OUT, "sequence": "first"}]}, {"requires": [OPT_OUT]}, "requires"),
    (CONTENT, {"forbids": [{"name": "threat", "phrases": {"en": ["police", "prison"]}}]}, "forbids"),
]


@pytest.mark.parametrize(("before", "after", "field"), TIGHTER, ids=[f"{number}-{case[2]}" for number, case in enumerate(TIGHTER)])
def test_a_tighter_field_tightens_and_the_way_back_loosens(before: dict[str, Any], after: dict[str, Any], field: str) -> None:
    old, new = rule(before), rule({**before, **after})
    there, back = {one.field: one for one in rule_changes(old, new)}, {one.field: one for one in rule_changes(new, old)}
    assert (there[field].effect, back[field].effect) == ("tightens", "loosens")
    assert {one.effect for one in there.values()} == {"tightens"}
    assert (there[field].before, there[field].after) == (back[field].after, back[field].before)
    assert there[field].before != there[field].after
    assert loosened(new, old) == []
    assert any(field in reason for reason in loosened(old, new))


@pytest.mark.parametrize(
    ("before", "after", "field"),
    [
        (WINDOW, {"clock": "every_plausible_zone"}, "clock"),
        (WINDOW, values(opens="09:00", closes="22:00"), "values 2020-01-01"),
        (CAP, counts(per="contact_point"), "counts.per"),
        (CAP | counts(per="person"), counts(per="account"), "counts.per"),
        (CAP, counts(span="calendar_week"), "counts.span"),
        # On a day of 25 hours, seven local days reach further back than 168 hours.
        (CAP, counts(span="PT168H"), "counts.span"),
        (CAP, counts(channels=["sms"]), "counts.channels"),
        (PLAIN | {"applies_to": {"channels": ["sms"]}}, {"applies_to": {"channels": ["call"]}}, "applies_to.channels"),
        (ORDER, {"calendar": "US", **values(business_days=5)}, "values 2020-01-01"),
        (DEADLINE, {"after": "complaint"}, "after"),
        (PARTY, {"may": [{"parties": ["borrower", "guarantor"]}]}, "may"),
        (CONSENT, values(fresh_for="P70D", opt_out_days=9), "values 2020-01-01"),
    ],
)
def test_what_has_no_order_is_undecided_and_no_tightening(before: dict[str, Any], after: dict[str, Any], field: str) -> None:
    old, new = rule(before), rule({**before, **after})
    assert {one.field: one.effect for one in rule_changes(old, new)}[field] == "undecided"
    assert any(field in reason and "cannot be compared" in reason for reason in loosened(new, old))


@pytest.mark.parametrize("field", ["says", "reason", "unverified", "reviewed_by"])
def test_words_change_nothing_that_is_forbidden(field: str) -> None:
    (change,) = rule_changes(rule(PLAIN), rule(PLAIN, **{field: "another_word_here"}))
    assert (change.field, change.effect) == (field, "neither")


def test_a_new_source_is_told_and_changes_nothing() -> None:
    (change,) = rule_changes(rule(PLAIN), rule(PLAIN, reference=[{"title": "Another act", "section": "§ 9", "read_on": "2026-11-25"}]))
    assert (change.field, change.effect, change.after) == ("reference", "neither", "Another act § 9 read 2026-11-25")


def test_numbers_are_compared_date_by_date() -> None:
    old = rule(CAP, values={"2020-01-01": {"at_most": 3}, "2026-01-01": {"at_most": 5}})
    new = rule(CAP, values={"2020-01-01": {"at_most": 3}, "2025-01-01": {"at_most": 2}, "2027-01-01": "ended"})
    assert [(one.field, one.before, one.after, one.effect) for one in rule_changes(old, new)] == [
        ("values 2025-01-01", "at most 3", "at most 2", "tightens"),
        ("values 2026-01-01", "at most 5", "at most 2", "tightens"),
        ("values 2027-01-01", "at most 5", "", "loosens"),
    ]


def test_holidays_that_are_closed_now_tighten_and_the_calendar_by_itself_does_neither() -> None:
    hours = {"weekday": {"opens": "08:00", "closes": "21:00"}, "saturday": "closed", "sunday": "closed"}
    old = rule(WINDOW, values={"2020-01-01": hours})
    new = rule(WINDOW, calendar="MX", values={"2020-01-01": {**hours, "holiday": "closed"}})
    assert [(one.field, one.effect) for one in rule_changes(old, new)] == [("calendar", "neither"), ("values 2020-01-01", "tightens")]
    assert loosened(new, old) == []


def test_a_rule_may_begin_later_than_the_one_that_it_extends_but_not_do_less_then() -> None:
    parent = rule(CAP, values={"2020-01-01": {"at_most": 3}, "2026-01-01": {"at_most": 2}})
    assert loosened(rule(CAP, values={"2026-01-01": {"at_most": 2}}), parent) == []
    assert loosened(rule(CAP, values={"2025-01-01": {"at_most": 3}}), parent) == ["values 2026-01-01 loosens ZZ-ONE: at most 2 → at most 3"]


def test_rules_that_come_and_go_and_a_pack_that_becomes_a_draft() -> None:
    def pack(status: str, *rules: Rule) -> Pack:
        return Pack(jurisdiction="ZZ", title="Made up", owner="nobody", reviewed_on="2026-11-24", status=status, rules=rules)

    duty = rule({"kind": "duty", **FORCE}, id="ZZ-DUTY")
    old, new = pack("ready", rule(CAP), duty), pack("draft", rule(WINDOW, id="ZZ-TWO"))
    assert [(one.rule, one.field, one.effect) for one in pack_changes(old, new)] == [
        ("", "status", "tightens"),
        ("ZZ-ONE", "rule", "loosens"),
        ("ZZ-DUTY", "rule", "neither"),
        ("ZZ-TWO", "rule", "tightens"),
    ]
    assert pack_changes(old, old) == []


def test_a_change_reads_as_a_line() -> None:
    change = Change(rule="ZZ-ONE", field="one_reply", before="", after="1", effect="loosens")
    assert str(change) == "one_reply: nothing → 1  (loosens)"
    assert change.as_json() == {"rule": "ZZ-ONE", "field": "one_reply", "before": "", "after": "1", "effect": "loosens"}

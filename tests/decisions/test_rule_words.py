"""Rules in words: nothing that a pack says is left out, and the page marks what is a draft or not verified."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from pydantic import TypeAdapter

from config.rule_files import rule_packs
from decisions.packs import Pack, Packs
from decisions.rule_forms import Rule
from decisions.rule_words import listed, name_of, page, plainly, shown

ON = date(2026, 11, 24)
RULE: dict[str, Any] = {
    "id": "ZZ-ONE",
    "says": "What a made-up law says.",
    "basis": {"third_party": "law", "first_party": "house"},
    "reason": "made_up",
    "reference": [{"title": "An act", "section": "§ 4", "href": "https://law.example/4", "read_on": "2026-11-24"}],
    "confidence": "R",
    "reviewed_by": None,
    "unverified": "Nobody has read the act.",
}
FORCE: dict[str, Any] = {"values": {"2020-01-01": {}}}


def pack(*rules: dict[str, Any], status: str = "ready") -> Pack:
    adapter: TypeAdapter[Rule] = TypeAdapter(Rule)
    made = [adapter.validate_python({**RULE, "id": f"ZZ-{number}", **rule}) for number, rule in enumerate(rules)]
    return Pack.model_validate(
        {"jurisdiction": "ZZ", "title": "Made up.", "owner": "nobody", "reviewed_on": "2026-11-24", "status": status, "rules": made}
    )


def words(rule: dict[str, Any]) -> str:
    made = pack(rule)
    return "\n".join(shown(made, made.rules[0], ON))


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ({"kind": "optout", **FORCE, "applies_to": {"except_purposes": ["receipt"], "parties": ["spouse"]}}, ["every purpose but receipt", "parties spouse"]),
        ({"kind": "optout", **FORCE, "applies_to": {"places": ["work"]}}, ["only at work"]),
        ({"kind": "optout", **FORCE, "applies_to": {"except_places": ["home"]}}, ["everywhere but at home"]),
        ({"kind": "optout", **FORCE, "applies_to": {"facts": ["elderly"], "layer_alone": "EU"}}, ["is known: elderly", "EU is all the law"]),
        (
            {"kind": "optout", **FORCE, "applies_to": {"loans": {"except_products": ["credit_card"], "past_due_over_days": 30, "time_barred": False}}},
            ["loans other than credit_card", "more than 30 days past due", "not time-barred"],
        ),
        ({"kind": "optout", **FORCE, "outcome": "review", "one_reply": "P1D"}, ["asks for a person's judgement", "is let through for 1 day"]),
        (
            {
                "kind": "cap",
                "counts": {"per": "household", "span": "P3M", "places": ["work"], "results": ["conversation"], "except_purposes": ["receipt"], "except_consented": "P7D"},
                "values": {"2020-01-01": {"at_most": 3}},
            },
            ["at most 3", "per household, for 3 calendar months", "only those at work", "ended as conversation", "not those for receipt", "within 7 days of a direct consent"],
        ),
        (
            {"kind": "cooldown", "counts": {"per": "debt", "span": "PT36H", "other_channels_only": True, "except_places": ["home"]}, **FORCE},
            ["quiet for 36 hours", "by another channel", "not those at home"],
        ),
        ({"kind": "cooldown", "counts": {"per": "debt", "span": "calendar_week"}, **FORCE}, ["to the end of the calendar week"]),
        ({"kind": "cooldown", "counts": {"per": "debt", "span": "ever"}, **FORCE}, ["quiet for good"]),
        (
            {"kind": "hold", "holds": ["dispute"], "lets_through": {"dispute": {"purposes": ["dispute_response"], "parties": ["attorney"]}}, "values": {"2020-01-01": {"lasts": "P60D", "after": "P1M"}}},
            ["Holds: dispute", "dispute: dispute_response; to attorney", "lasts through 60 local days", "quiet for 1 calendar month after its end"],
        ),
        ({"kind": "hold", "holds": "all", "ends_with_law": True, **FORCE}, ["every hold", "a law of the person's place that ends the hold"]),
        ({"kind": "hold", "conditions": ["nothing_due"], **FORCE}, ["nothing undisputed is past due"]),
        (
            {"kind": "consent", "given_to": ["collector"], "direct": True, "renewed_by": ["inbound"], "or_notice": "creditor_email_notice", "values": {"2020-01-01": {"fresh_for": "P60D", "opt_out_days": 35}}},
            ["collector, directly", "a message of the person's by that channel", "creditor_email_notice", "good through 60 local days", "35 days to opt out"],
        ),
        ({"kind": "wish", "wishes": ["not_place"], "places": ["work"], "values": {"2020-01-01": {"oral_lasts": "P10D", "hours_per_week": 28}}}, ["places (work)", "only spoken is good through 10", "28 quiet hours a week"]),
        ({"kind": "party", "may": [{"parties": ["reference"], "purposes": ["locate"], "only_if": ["unreachable"]}], "forbids_holds": ["attorney"], **FORCE}, ["reference for locate, if known: unreachable", "Not on hold: attorney"]),
        ({"kind": "party", "nobody": True, "forbids_facts": ["minor"], **FORCE}, ["May contact: nobody", "Not if known: minor"]),
        ({"kind": "place", "forbids": ["work"], "consent_lifts": True, **FORCE}, ["Not at: work", "a consent to the channel"]),
        ({"kind": "place", "only": ["home"], **FORCE}, ["Only at: home"]),
        (
            {"kind": "channel", "barred_by_provider": "meta", "kinds": ["mobile"], "forbids_employer_owned": True, **FORCE},
            ["until meta's word", "config/clearances.yaml", "Only of kind: mobile", "must not be the employer's"],
        ),
        ({"kind": "channel", "barred": True, **FORCE}, ["Barred: always"]),
        ({"kind": "zone", "condition": "unapproved_pack", **FORCE}, ["a pack is a draft or not approved"]),
        (
            {"kind": "order", "notices": ["a_notice"], "calendar": "KR", "counted_from": "received", "values": {"2020-01-01": {"business_days": 3}}},
            ["contact begins 3 business days after the notice was received", "Notice: a_notice", "public holidays of KR"],
        ),
        ({"kind": "deadline", "notices": ["validation"], "after": "first_contact", "values": {"2020-01-01": {"days": 5}}}, ["due 5 days after first contact"]),
        (
            {"kind": "content", "requires": [{"name": "opt_out", "sequence": "first", "forms": ["voicemail"], "phrases": {"en": ["reply stop"], "*": ["STOP"]}}], **FORCE},
            ["Must say: opt_out in the first contact (voicemail only)", "en: “reply stop”", "any language: “STOP”"],
        ),
        ({"kind": "content", "forbids": [{"name": "threat", "phrases": {"en": ["police", "prison"]}}], **FORCE}, ["Must not say: threat", "“police” / “prison”"]),
        ({"kind": "window", "clock": "debtor_state", "agreement_widens": True, "values": {"2020-01-01": {"opens": "08:00", "closes": "24:00"}}}, ["08:00–24:00", "the state where the person lives", "may be wider"]),
        ({"kind": "duty", "values": {"2020-01-01": {}, "2026-01-01": "ended"}}, ["On 2026-11-24: not in force", "from 2026-01-01 no longer in force"]),
    ],
)  # fmt: skip
def test_every_field_of_a_rule_is_said(rule: dict[str, Any], says: list[str]) -> None:
    told = words(rule)
    assert [part for part in says if part not in told] == []


def test_a_rule_names_its_source_its_doubts_and_who_checked_it() -> None:
    told = words({"kind": "optout", **FORCE})
    assert "Source: An act § 4, https://law.example/4, read 2026-11-24" in told
    assert "NOT VERIFIED: Nobody has read the act." in told
    assert "Confidence: R, recalled, not verified; reviewed by nobody yet" in told
    assert "Basis: law (third_party), house (first_party)" in told


def test_a_rule_as_plain_values_holds_what_its_pack_says_and_the_same_in_words() -> None:
    made = pack({"kind": "window", "clock": "Etc/UTC", "values": {"2020-01-01": {"opens": "08:00", "closes": "21:00"}}}, status="draft")
    told = plainly(made, made.rules[0], ON)
    assert (told["rule"], told["jurisdiction"], told["status"], told["on"]) == ("ZZ-0", "ZZ", "draft", "2026-11-24")
    assert told["values"] == {"2020-01-01": {"opens": "08:00", "closes": "21:00"}}
    assert told["in_force"] == "08:00–21:00, on the clock of Etc/UTC"
    assert told["unverified"] == "Nobody has read the act."
    assert told["reference"][0]["href"] == "https://law.example/4"


def test_the_list_marks_drafts_and_doubts() -> None:
    (line,) = listed(Packs(packs=(pack({"kind": "optout", **FORCE}, status="draft"),)), None)
    assert line == (
        "ZZ-0  optout  law (third_party), house (first_party)  R  DRAFT  What a made-up law says.  NOT VERIFIED: Nobody has read the act."
    )


def test_the_page_counts_rules_and_marks_drafts() -> None:
    told = page(Packs(packs=(pack({"kind": "optout", **FORCE}, {"kind": "duty", **FORCE}, status="draft"),)))
    assert "| Unknown Region | `ZZ` | **draft** | 2 | 1 | 2 | 2026-11-24 |" in told
    assert "**This pack is a draft.**" in told
    assert "Not verified in whole or in part: ZZ-0, ZZ-1." in told
    assert "- **not verified:** Nobody has read the act." in told


@pytest.mark.parametrize(
    ("jurisdiction", "name"),
    [
        ("KR", "South Korea"),
        ("EU", "European Union"),
        ("US", "United States, federal"),
        ("US-MA", "Massachusetts, United States"),
        ("US-NY-NYC", "New York City"),
        ("BR-SP", "São Paulo, Brazil"),
        ("house", "The house"),
    ],
)
def test_a_jurisdiction_has_a_name(jurisdiction: str, name: str) -> None:
    assert name_of(jurisdiction) == name


def test_every_pack_that_ships_has_a_name_that_is_not_its_code() -> None:
    assert [pack.jurisdiction for pack in rule_packs().packs if name_of(pack.jurisdiction) == pack.jurisdiction] == []

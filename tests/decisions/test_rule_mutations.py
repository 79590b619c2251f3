"""Mutations: every number of a rule is moved both ways, and nothing else of it."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from config.rule_files import rule_packs
from decisions.packs import Pack
from decisions.rule_forms import CapRule
from decisions.rule_mutations import mutations

RULE: dict[str, Any] = {
    "says": "What a made-up law says.",
    "basis": "law",
    "reason": "made_up",
    "reference": [{"title": "Act 7 of 1999", "section": "§ 3", "read_on": "2026-11-24"}],
    "confidence": "V1",
    "reviewed_by": None,
}
WINDOW = {"kind": "window", "clock": "Etc/GMT+7", "values": {"2020-01-01": {"opens": "00:00", "closes": "24:00"}}}
CAP = {
    "kind": "cap",
    "one_reply": "P1D",
    "counts": {"per": "debt", "span": "PT24H", "except_consented": "P7D"},
    "values": {"2000-01-01": {"at_most": 1}, "2026-01-01": "ended"},
}


def pack_of(*rules: dict[str, Any]) -> Pack:
    return Pack.model_validate(
        {
            "jurisdiction": "ZZ",
            "title": "Made up",
            "owner": "nobody",
            "reviewed_on": "2026-11-24",
            "status": "draft",
            "rules": [{**RULE, "id": f"ZZ-{number}", **rule} for number, rule in enumerate(rules)],
        }
    )


def moved(*rules: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(mutation.field, mutation.before, mutation.after) for mutation in mutations(pack_of(*rules))]


def test_hours_and_their_date_are_moved_where_there_is_room() -> None:
    assert moved(WINDOW) == [
        ("values", "2020-01-01", "2019-12-31"),
        ("values", "2020-01-01", "2020-01-02"),
        ("values.2020-01-01.opens", "00:00", "00:01"),
        ("values.2020-01-01.closes", "24:00", "23:59"),
    ]


def test_numbers_and_periods_are_moved_and_what_the_form_refuses_is_not() -> None:
    assert moved(CAP) == [
        ("values", "2026-01-01", "2025-12-31"),
        ("values", "2026-01-01", "2026-01-02"),
        ("one_reply", "P1D", "P2D"),
        ("counts.span", "PT24H", "PT23H"),
        ("counts.span", "PT24H", "PT25H"),
        ("counts.except_consented", "P7D", "P6D"),
        ("counts.except_consented", "P7D", "P8D"),
        ("values.2000-01-01.at_most", "1", "2"),
    ]


def test_a_mutated_pack_differs_in_that_number_alone() -> None:
    pack = pack_of(WINDOW, CAP)
    mutation = next(mutation for mutation in mutations(pack) if mutation.field == "values.2000-01-01.at_most")
    rule = mutation.pack.rules[1]
    assert isinstance(rule, CapRule)
    value = rule.values[date(2000, 1, 1)]
    assert value != "ended"
    assert value.at_most == 2
    assert mutation.pack.rules[0] == pack.rules[0]
    assert str(mutation) == "ZZ-1: values.2000-01-01.at_most: 1 → 2"


@pytest.mark.parametrize(
    "silent",
    [
        {"kind": "duty", "values": {"2020-01-01": {}}},
        {"kind": "optout", "values": {"2000-01-01": {}}},
        {
            "kind": "content",
            "requires": [{"name": "opt_out", "phrases": {"en": ["reply 24:00", "P7D"]}}],
            "values": {"2000-01-01": {}},
        },
    ],
)
def test_words_and_duties_have_nothing_to_move(silent: dict[str, Any]) -> None:
    assert moved(silent) == []


def test_of_a_deadline_only_its_date_is_moved_and_only_to_a_later_day() -> None:
    deadline = {"kind": "deadline", "notices": ["validation"], "after": "first_contact", "values": {"2020-01-01": {"days": 5}}}
    assert [field for field, _, _ in moved(deadline)] == ["values"]


def test_every_rule_that_gates_and_has_a_number_is_moved() -> None:
    for pack in rule_packs().packs:
        found = {mutation.rule for mutation in mutations(pack)}
        assert {rule.id for rule in pack.gating if rule.kind in {"window", "cap"}} <= found

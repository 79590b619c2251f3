"""Instructions to the core system: which terms are whole, and whose word suffices."""

from __future__ import annotations

from typing import Any

import pytest

from decisions.core_instructions import (
    ANSWERS,
    AUTOMATIC,
    KINDS,
    LEADS_TO,
    STATES,
    TRANSITIONS,
    Authority,
    Powers,
    Signer,
    contradicts,
    is_granted,
    is_news,
    may_ask,
    may_sign,
    problem_of,
    suffices_alone,
)

PLAN = {"instalments": [{"due_on": "2026-04-01", "amount_minor": 500}, {"due_on": "2026-05-01", "amount_minor": 500}]}
FREEZE = {"starts_on": "2026-04-01", "ends_on": "2026-05-01"}
WHOLE: dict[str, tuple[dict[str, Any], int]] = {
    "plan": (PLAN, 0),
    "extension": ({"due_on": "2026-03-01", "new_due_on": "2026-04-01"}, 10),
    "fee_freeze": (FREEZE, 10),
    "interest_freeze": (FREEZE, 0),
    "waiver": ({"component": "fee", "amount_minor": 250}, 250),
    "stop_debit": ({"starts_on": "2026-04-01"}, 0),
    "status": ({"servicing_status": "in_plan"}, 0),
}
LIMITS = Authority(
    powers={
        AUTOMATIC: Powers(alone={"waiver": {"USD": 10}}, with_another={}),
        "agent": Powers(alone={"waiver": {"USD": 100}, "plan": {}}, with_another={}),
        "supervisor": Powers(alone={"waiver": {"USD": 200}}, with_another={"waiver": {"USD": 1000}}),
    },
    adds_up_days=365,
)


def same(name: str, other: str) -> bool:
    return name == other


def test_every_kind_has_terms_that_are_whole() -> None:
    assert set(WHOLE) == set(KINDS)
    assert [problem_of(kind, terms, relief) for kind, (terms, relief) in WHOLE.items()] == [None] * len(KINDS)


@pytest.mark.parametrize(
    ("kind", "terms", "relief", "says"),
    [
        ("gift", {}, 0, "no kind"),
        ("plan", {}, 0, "lack instalments"),
        ("plan", {"instalments": []}, 0, "at least one"),
        ("plan", {"instalments": [{"due_on": "2026-04-01", "amount_minor": 0}]}, 0, "at least one"),
        ("plan", {"instalments": [{"due_on": "2026-04-01", "amount_minor": True}]}, 0, "at least one"),
        ("plan", {"instalments": [*PLAN["instalments"], PLAN["instalments"][0]]}, 0, "in the order"),
        ("plan", {**PLAN, "name": "Ada"}, 0, "have no name"),
        ("extension", {"due_on": "2026-03-01", "new_due_on": "soon"}, 0, "new_due_on is a date"),
        ("fee_freeze", {"starts_on": "2026-05-01", "ends_on": "2026-05-01"}, 0, "behind"),
        ("waiver", {"component": "fee", "amount_minor": 250}, 249, "relief is its amount"),
        ("waiver", {"component": "soul", "amount_minor": 250}, 250, "component is one of"),
        ("stop_debit", {"starts_on": "2026-04-01"}, 1, "gives nothing up"),
        ("interest_freeze", FREEZE, -1, "0 or more"),
    ],
)
def test_terms_that_are_not_whole_are_named(kind: str, terms: dict[str, Any], relief: int, says: str) -> None:
    assert says in str(problem_of(kind, terms, relief))


def test_every_state_has_its_line_and_every_answer_leads_along_the_table() -> None:
    assert set(TRANSITIONS) == set(STATES)
    assert set(LEADS_TO) == set(ANSWERS)
    assert all(after <= set(STATES) for after in TRANSITIONS.values())
    for first, then in (("accepted", "applied"),):
        assert then in TRANSITIONS[first]


@pytest.mark.parametrize(
    ("state", "answer", "news"),
    [
        ("queued", "received", True), ("queued", "accepted", True), ("queued", "applied", True), ("delivered", "received", False),
        ("late", "received", False), ("late", "accepted", True), ("accepted", "received", False), ("accepted", "accepted", False),
        ("accepted", "refused", True), ("applied", "accepted", False), ("refused", "refused", False),
    ],
)  # fmt: skip
def test_an_answer_that_says_less_than_is_known_is_no_news(state: str, answer: str, news: bool) -> None:
    assert is_news(state, answer) is news


def test_the_contrary_of_an_end_is_a_contradiction_and_nothing_else_is() -> None:
    found = {(state, answer) for state in STATES for answer in ANSWERS if contradicts(state, answer)}
    assert found == {("applied", "refused"), ("refused", "accepted"), ("refused", "applied")}


@pytest.mark.parametrize(
    ("role", "currency", "minor", "suffices"),
    [
        (AUTOMATIC, "USD", 10, True), (AUTOMATIC, "USD", 11, False), ("agent", "USD", 100, True), ("agent", "USD", 101, False),
        ("agent", "JPY", 1, False), ("nobody", "USD", 0, False), ("supervisor", "USD", 201, False),
    ],
)  # fmt: skip
def test_one_word_suffices_up_to_the_limit_and_in_no_other_currency(role: str, currency: str, minor: int, suffices: bool) -> None:
    assert suffices_alone(LIMITS, role, "waiver", currency, minor) is suffices


def test_a_role_without_the_kind_may_neither_ask_nor_sign() -> None:
    assert may_ask(LIMITS, "agent", "plan")
    assert not may_ask(LIMITS, "agent", "stop_debit")
    assert not may_ask(LIMITS, "stranger", "waiver")
    assert not may_sign(LIMITS, "agent", "plan", "USD", 1)


@pytest.mark.parametrize(
    ("asked_by", "signers", "minor", "granted"),
    [
        (Signer("ann", "agent"), [], 100, True),
        (Signer("ann", "agent"), [], 101, False),
        (Signer("ann", "agent"), [Signer("ann", "supervisor")], 150, False),  # the same person in another role
        (Signer("ann", "agent"), [Signer("sue", "supervisor")], 150, True),
        (Signer("ann", "agent"), [Signer("sue", "supervisor")], 900, True),  # two people
        (Signer("ann", "agent"), [Signer("sue", "supervisor")], 1001, False),  # above what anybody may sign
        (Signer("ann", "agent"), [Signer("bob", "agent")], 150, False),  # a colleague without the power
        (Signer("page", AUTOMATIC), [], 10, True),
        (Signer("page", AUTOMATIC), [Signer("page", AUTOMATIC)], 11, False),  # a machine is nobody
        (Signer("page", AUTOMATIC), [Signer("sue", "supervisor")], 150, True),
        (Signer("page", AUTOMATIC), [Signer("sue", "supervisor")], 900, False),  # a machine and one person are not two people
        (Signer("page", AUTOMATIC), [Signer("sue", "supervisor"), Signer("sue", "supervisor")], 900, False),
        (Signer("page", AUTOMATIC), [Signer("sue", "supervisor"), Signer("tom", "supervisor")], 900, True),
    ],
)
def test_above_a_limit_two_people_stand_for_it(asked_by: Signer, signers: list[Signer], minor: int, granted: bool) -> None:
    assert is_granted(LIMITS, "waiver", "USD", minor, asked_by=asked_by, signers=signers, same=same) is granted

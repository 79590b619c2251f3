"""The core outbox over the ledger: asked once, granted within limits, never cut, answered once, and late ones owned by a person."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError, OperationalError

from config.core import core_terms
from ledger import case_lists, core_answers, core_effects
from ledger.core_answers import hear, overdue, reject_and_open, tell_late
from ledger.core_instructions import (
    ImpossibleMoveError,
    Instruction,
    InstructionRefused,
    Wanted,
    approve,
    ask,
    history,
    lock,
    move,
    read,
    state_of,
)
from ledger.engine import connection
from tests.plugins.portfolio import BorrowerIds, Portfolio, noon

NOON = noon("US")


@pytest.fixture
def borrower(portfolio: Portfolio) -> BorrowerIds:
    portfolio.clock(NOON)
    return portfolio.borrower()


def waiver(borrower: BorrowerIds, minor: int = 2_000, *, by: str = "ann", role: str = "agent", key: str | None = None) -> Wanted:
    return Wanted(
        loan_id=borrower.loan_id, party_id=borrower.party_id, kind="waiver", terms={"component": "fee", "amount_minor": minor},
        relief_minor=minor, asked_by=by, role=role, key=key or uuid4().hex,
    )  # fmt: skip


def asked(wanted: Wanted) -> Instruction:
    with connection() as tx:
        number = ask(tx, wanted)
        found = read(tx, number)
    assert found is not None
    return found


def answer(one: Instruction, *answers: str) -> list[str]:
    with connection() as tx:
        return [hear(tx, one.token, word, at=NOON, reason="too_late" if word == "refused" else None) for word in answers]


def state(one: Instruction) -> str | None:
    with connection() as tx:
        return state_of(tx, one.id)


def told(one: Instruction) -> list[str]:
    with connection() as tx:
        return [row.kind for row in history(tx, one.id)]


def case_kinds() -> list[str]:
    with connection() as tx:
        return [one.kind for one in case_lists.listed(tx)]


# --- asked for ----------------------------------------------------------------------------------------------------------


def test_asked_for_twice_with_one_key_it_is_one_instruction(borrower: BorrowerIds) -> None:
    first, again = asked(waiver(borrower, key="k")), asked(waiver(borrower, key="k"))
    assert again == first
    assert (first.state, first.accept_by) == ("queued", NOON + core_terms().accepted["waiver"])
    assert told(first) == ["asked", "queued"]


def test_a_key_that_is_used_for_something_else_writes_nothing(borrower: BorrowerIds) -> None:
    asked(waiver(borrower, key="k"))
    with pytest.raises(InstructionRefused, match="used again for something else"):
        asked(waiver(borrower, 1_999, key="k"))
    with connection() as tx:
        assert tx.execute(text("SELECT count(*) FROM core_instruction")).scalar() == 1


def test_what_is_not_whole_is_refused(borrower: BorrowerIds) -> None:
    given = waiver(borrower)
    values = {name: getattr(given, name) for name in Wanted.__dataclass_fields__}
    changes: list[tuple[Mapping[str, Any], str]] = [
        ({"role": "auditor"}, "may not ask"),
        ({"role": ""}, "may not ask"),
        ({"relief_minor": 1}, "relief is its amount"),
        ({"asked_by": "  "}, "say who asks"),
        ({"key": ""}, "a key"),
        ({"kind": "gift"}, "no kind"),
        ({"party_id": 10**9}, "none of theirs"),
    ]
    for change, says in changes:
        with pytest.raises(InstructionRefused, match=says):
            asked(Wanted(**{**values, **change}))


def test_a_loan_of_somebody_else_is_refused(portfolio: Portfolio, borrower: BorrowerIds) -> None:
    stranger = portfolio.borrower()
    mixed = BorrowerIds(party_id=borrower.party_id, loan_id=stranger.loan_id, sms_id=None, push_id=None)
    with pytest.raises(InstructionRefused, match="none of theirs"):
        asked(waiver(mixed))


# --- limits -------------------------------------------------------------------------------------------------------------


def test_above_a_limit_it_waits_whole_and_another_person_lets_it_go(borrower: BorrowerIds) -> None:
    one = asked(waiver(borrower, 5_000))
    assert (one.state, one.relief_minor, one.accept_by) == ("needs_approval", 5_000, None)
    with connection() as tx:
        assert approve(tx, one.id, by="sue", role="supervisor") == "queued"
    with connection() as tx:
        now = read(tx, one.id)
    assert now is not None
    assert (now.relief_minor, now.accept_by) == (5_000, NOON + core_terms().accepted["waiver"])


def test_nobody_lets_go_what_is_not_theirs(borrower: BorrowerIds) -> None:
    one = asked(waiver(borrower, 5_000))
    for by, role, says in (
        ("ann", "supervisor", "four eyes"),
        ("  ANN ", "supervisor", "four eyes"),
        ("bob", "agent", "may not sign"),
        ("bob", "auditor", "may not sign"),
        ("page", "automatic", "may not sign"),
        ("", "supervisor", "say who"),
    ):
        with pytest.raises(InstructionRefused, match=says), connection() as tx:
            approve(tx, one.id, by=by, role=role)
    assert state(one) == "needs_approval"


def test_what_a_machine_granted_above_its_limit_needs_two_people_where_one_is_not_enough(borrower: BorrowerIds) -> None:
    plan = Wanted(
        loan_id=borrower.loan_id, party_id=borrower.party_id, kind="plan", key="p", relief_minor=100_000, asked_by="page",
        terms={"instalments": [{"due_on": "2026-04-01", "amount_minor": 5_000}]},
    )  # fmt: skip
    one = asked(plan)
    assert one.state == "needs_approval"
    with connection() as tx:
        assert approve(tx, one.id, by="sue", role="supervisor") == "needs_approval"
    with pytest.raises(InstructionRefused, match="four eyes"), connection() as tx:
        approve(tx, one.id, by="Sue", role="supervisor")
    with connection() as tx:
        assert approve(tx, one.id, by="tom", role="supervisor") == "queued"


def test_a_currency_without_a_limit_can_be_given_up_by_nobody(portfolio: Portfolio) -> None:
    portfolio.clock(NOON)
    chinese = portfolio.borrower(country="CN")
    one = asked(waiver(chinese, 1))
    assert (one.currency, one.state) == ("CNY", "needs_approval")
    for role in ("supervisor", "compliance"):
        with pytest.raises(InstructionRefused, match="may not sign"), connection() as tx:
            approve(tx, one.id, by=role, role=role)


def test_many_small_ones_are_a_big_one(borrower: BorrowerIds, portfolio: Portfolio) -> None:
    assert [asked(waiver(borrower, 1_000)).state for _ in range(3)] == ["queued", "queued", "needs_approval"]
    # Of another loan, and once the first ones are long ago, it begins anew.
    assert asked(waiver(portfolio.borrower(), 1_000)).state == "queued"
    portfolio.clock(NOON + timedelta(days=366))
    assert asked(waiver(borrower, 1_000)).state == "queued"


def test_a_person_says_no_and_somebody_tells_the_borrower(borrower: BorrowerIds) -> None:
    one = asked(waiver(borrower, 5_000))
    with pytest.raises(InstructionRefused, match="a machine refuses nobody"), connection() as tx:
        reject_and_open(tx, one.id, by="page", role="automatic", at=NOON)
    with connection() as tx:
        reject_and_open(tx, one.id, by="sue", role="supervisor", at=NOON)
    assert (state(one), case_kinds()) == ("refused", ["core_instruction"])
    with pytest.raises(InstructionRefused, match="waits for no approval"), connection() as tx:
        approve(tx, one.id, by="tom", role="supervisor")


# --- answered -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def effects(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What took effect, in order."""
    seen: list[str] = []

    def noted(word: str) -> core_effects.Effect:
        def effect(tx: Connection, one: Instruction, at: object) -> None:
            del tx, at
            seen.append(f"{word} {one.kind}")

        return effect

    monkeypatch.setattr(core_answers, "WHEN_ACCEPTED", {"waiver": noted("accepted")})
    monkeypatch.setattr(core_answers, "WHEN_REFUSED", {"waiver": noted("refused")})
    return seen


# Answers in their order → what became of each, the state at the end, effects, cases.
ANSWERED: list[tuple[list[str], list[str], str, list[str], list[str]]] = [
    (["received", "accepted", "applied"], ["moved"] * 3, "applied", ["accepted waiver"], []),
    (["applied"], ["moved"], "applied", ["accepted waiver"], []),
    (["accepted", "accepted", "received"], ["moved", "heard_before", "heard_before"], "accepted", ["accepted waiver"], []),
    (["applied", "accepted", "applied"], ["moved", "heard_before", "heard_before"], "applied", ["accepted waiver"], []),
    (["refused", "refused"], ["moved", "heard_before"], "refused", ["refused waiver"], ["core_instruction"]),
    (["accepted", "refused"], ["moved", "moved"], "refused", ["accepted waiver", "refused waiver"], ["core_instruction"]),
    (["refused", "accepted"], ["moved", "contradicted"], "refused", ["refused waiver"], ["core_instruction"]),
    (["applied", "refused"], ["moved", "contradicted"], "applied", ["accepted waiver"], ["core_instruction"]),
]


def test_an_answer_takes_effect_once_in_whatever_order(portfolio: Portfolio, effects: list[str]) -> None:
    portfolio.clock(NOON)
    for answers, became, ends, effect, cases in ANSWERED:
        effects.clear()
        before = case_kinds()
        one = asked(waiver(portfolio.borrower()))
        assert answer(one, *answers) == became, answers
        assert (state(one), effects, case_kinds()[len(before) :]) == (ends, effect, cases), answers


def test_an_effect_that_fails_leaves_the_answer_unheard(borrower: BorrowerIds, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(tx: Connection, one: Instruction, at: object) -> None:
        raise RuntimeError(f"{tx.closed} {one.id} {at}")

    monkeypatch.setattr(core_answers, "WHEN_ACCEPTED", {"waiver": fails})
    one = asked(waiver(borrower))
    with pytest.raises(RuntimeError, match=str(one.id)):
        answer(one, "accepted")
    assert state(one) == "queued"


def test_what_was_never_delivered_cannot_be_answered(borrower: BorrowerIds) -> None:
    assert answer(asked(waiver(borrower, 5_000)), "accepted") == ["unknown"]
    with connection() as tx:
        assert hear(tx, uuid4(), "accepted", at=NOON) == "unknown"


def test_the_table_is_the_only_way_from_state_to_state(borrower: BorrowerIds) -> None:
    one = asked(waiver(borrower))
    with pytest.raises(ImpossibleMoveError, match="does not become"), connection() as tx:
        move(tx, one, "applied", by="test", at=NOON)
    answer(one, "accepted")
    with pytest.raises(ImpossibleMoveError, match="no more"), connection() as tx:
        move(tx, one, "delivered", by="test", at=NOON)  # what somebody read before
    with pytest.raises(IntegrityError, match="core_instruction_state"), connection() as tx:
        tx.execute(text("UPDATE core_instruction SET state = 'done'"))


# --- late ---------------------------------------------------------------------------------------------------------------


def test_what_nobody_accepts_in_time_is_a_case_once_and_may_be_accepted_still(borrower: BorrowerIds) -> None:
    one = asked(waiver(borrower))
    due = NOON + core_terms().accepted["waiver"]
    with connection() as tx:
        assert overdue(tx, due - timedelta(microseconds=1)) == []
        assert not tell_late(tx, one.id, at=due - timedelta(microseconds=1))
        assert tell_late(tx, one.id, at=due)
        assert not tell_late(tx, one.id, at=due + timedelta(days=1))
    assert (state(one), case_kinds()) == ("late", ["core_instruction"])
    assert answer(one, "accepted") == ["moved"]
    assert state(one) == "accepted"


def test_what_was_accepted_and_is_not_applied_in_time_is_a_case_and_stays_agreed(borrower: BorrowerIds) -> None:
    one = asked(waiver(borrower))
    answer(one, "accepted")
    due = NOON + core_terms().applied["waiver"]
    with connection() as tx:
        assert tell_late(tx, one.id, at=due)
        assert overdue(tx, due + timedelta(days=9)) == []
    assert (state(one), case_kinds()) == ("accepted", ["core_instruction"])


def test_an_answer_waits_for_whoever_holds_the_borrower(borrower: BorrowerIds) -> None:
    one = asked(waiver(borrower))
    with connection() as holder:
        lock(holder, one.id)
        with connection() as tx:
            tx.execute(text("SET LOCAL lock_timeout = '50ms'"))
            with pytest.raises(OperationalError, match="LockNotAvailable"):
                hear(tx, one.token, "accepted", at=NOON)
            tx.rollback()
    assert state(one) == "queued"

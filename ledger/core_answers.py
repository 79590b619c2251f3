"""What the core system answers, and what has not been answered in time.

What is accepted takes effect here and now; what is refused or late becomes a case, which a person owns. An answer that comes twice,
late or out of order does nothing twice and lowers nothing; one that says the contrary of an end is written down and looked at.

In:   a connection inside a transaction; an instruction's key on the wire and the answer; or the business instant.
Out:  states, effects, cases.
Pure: no.
Source: docs/adr/0043; docs/core.md.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from sqlalchemy import Connection, text

from config.cases import case_terms_in_force
from decisions.core_instructions import LEADS_TO, TRANSITIONS, contradicts, is_news
from ledger import cases
from ledger.core_effects import WHEN_ACCEPTED, WHEN_REFUSED
from ledger.core_instructions import CORE, MACHINE, Instruction, by_token, lock, move, note, reject

# How a case came that no person and no channel brought.
CHANNEL: Final = "core"
CASE: Final = "core_instruction"

Became = Literal["unknown", "heard_before", "moved", "contradicted"]


def hear(tx: Connection, token: UUID, answer: str, *, at: datetime, reason: str | None = None) -> Became:
    """Apply an answer of the core system.

    Args:
        tx: Inside a transaction.
        token: The key on the wire.
        answer: One of `decisions.core_instructions.ANSWERS`.
        at: Business instant.
        reason: The core system's code, where it refuses.
    """
    found = by_token(tx, token)
    one = None if found is None else lock(tx, found.id)
    if one is None or one.state == "needs_approval":
        return "unknown"  # what was never delivered cannot be answered
    if contradicts(one.state, answer):
        note(tx, one.id, "contradicted", by=CORE, at=at, reason=reason or answer)
        _open_case(tx, one, f"contradicted by {answer}", at)
        return "contradicted"
    if not is_news(one.state, answer):
        return "heard_before"
    tx.execute(_DELIVERED, {"id": one.id, "at": at})
    for state in LEADS_TO[answer]:
        if state in TRANSITIONS[one.state]:
            move(tx, one, state, by=CORE, at=at, reason=reason)
            was, one = one.state, replace(one, state=state)
            _take_effect(tx, one, was, at, reason)
    return "moved"


def reject_and_open(tx: Connection, number: int, *, by: str, role: str, at: datetime) -> None:
    """A person says no to what waits for an approval: a case is opened, since somebody has to tell the borrower.

    Raises:
        InstructionRefused: As `ledger.core_instructions.reject`.
    """
    one = reject(tx, number, by=by, role=role)
    _refused(tx, one, at, "not approved")


def overdue(tx: Connection, at: datetime) -> list[int]:
    """Instructions whose deadline has passed and of which that was not told."""
    return list(tx.execute(_OVERDUE, {"at": at}).scalars())


def tell_late(tx: Connection, number: int, *, at: datetime) -> bool:
    """Open the case of an instruction that was not accepted, or not applied, in time; False where that was told already."""
    one = lock(tx, number)
    if one is None or number not in overdue(tx, at):
        return False
    what = "applied" if one.state == "accepted" else "accepted"
    note(tx, number, "told_late", by=MACHINE, at=at, reason=what)
    if "late" in TRANSITIONS[one.state]:
        move(tx, one, "late", by=MACHINE, at=at)
    _open_case(tx, one, f"not {what} in time", at)
    return True


def _take_effect(tx: Connection, one: Instruction, was: str, at: datetime, reason: str | None) -> None:
    if one.state == "accepted" and (effect := WHEN_ACCEPTED.get(one.kind)) is not None:
        effect(tx, one, at)
    if one.state == "refused":
        _refused(tx, one, at, f"refused{' after it was accepted' if was == 'accepted' else ''}: {reason or 'no reason given'}")


def _refused(tx: Connection, one: Instruction, at: datetime, why: str) -> None:
    if (effect := WHEN_REFUSED.get(one.kind)) is not None:
        effect(tx, one, at)
    _open_case(tx, one, why, at)


def _open_case(tx: Connection, one: Instruction, why: str, at: datetime) -> None:
    said = cases.Statement(
        party_id=one.party_id, kind=CASE, at=at, channel=CHANNEL, loan_id=one.loan_id, reference=f"core instruction {one.id} {why}"
    )
    cases.open_case(tx, said, case_terms_in_force())


_DELIVERED = text("UPDATE core_instruction SET delivered_at = coalesce(delivered_at, :at) WHERE id = :id")
_OVERDUE = text("""
    SELECT i.id FROM core_instruction i
    WHERE (i.state IN ('queued', 'delivered') AND i.accept_by <= :at)
       OR (i.state = 'accepted' AND i.apply_by <= :at AND NOT EXISTS (
           SELECT FROM core_instruction_event e WHERE e.instruction_id = i.id AND e.kind = 'told_late' AND e.reason = 'applied'))
    ORDER BY i.id
""")

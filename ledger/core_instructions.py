"""The outbox of what the lender's core system is told: asked for once, granted within limits, delivered, answered.

An instruction is written in the transaction of what it follows from, and only becomes true for the borrower when the core system has
accepted it (ledger/core_answers.py). Relief above a role's limit waits for another person and is never cut down.

In:   a connection inside a transaction; what is wanted, or an instruction's number; who says so.
Out:  rows of `core_instruction`, `core_instruction_event`.
Pure: no; reads and writes the ledger. Whoever writes holds the borrower's lock (ledger/locks.py); every function here takes it.
Source: docs/adr/0043, 0044; docs/core.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import Connection, Row, text

from config.core import authority_in_force, core_terms_in_force
from decisions.core_instructions import AUTOMATIC, TRANSITIONS, Signer, is_granted, may_ask, may_sign, problem_of, suffices_alone
from ledger import clock
from ledger.approvals import same_person
from ledger.locks import lock_with_liable

# Who says what no person said.
MACHINE: Final = "tideover"
CORE: Final = "core"
NOT_APPROVED: Final = "not_approved"


class InstructionRefused(RuntimeError):
    """It was not written down; the message says why and what to do."""


class ImpossibleMoveError(RuntimeError):
    """A transition of ours that the table does not have: a bug."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the core system is to be told.

    Attributes:
        loan_id: About which loan.
        party_id: Whose wish or hardship it follows from; stands for the loan.
        kind: One of `decisions.core_instructions.KINDS`.
        terms: Dates and amounts, as docs/core.md says; nothing personal.
        relief_minor: What the lender gives up by it, in minor units of the loan's currency.
        asked_by: Who asks: a colleague's name, or a word of ours.
        key: Of whoever asks; with the same one it is the same instruction.
        role: In which role; `automatic` = no person looked at it.
    """

    loan_id: int
    party_id: int
    kind: str
    terms: Mapping[str, Any]
    relief_minor: int
    asked_by: str
    key: str
    role: str = AUTOMATIC


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """An instruction as the ledger has it."""

    id: int
    key: str
    token: UUID
    loan_id: int
    party_id: int
    kind: str
    terms: Mapping[str, Any]
    relief_minor: int
    currency: str
    asked_by: str
    asked_as: str
    asked_at: datetime
    state: str
    queued_at: datetime | None
    accept_by: datetime | None
    apply_by: datetime | None
    tries: int
    delivered_at: datetime | None
    reason_code: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """One row of an instruction's history."""

    kind: str
    said_by: str
    said_as: str | None
    reason: str | None
    at: datetime
    recorded_at: datetime = field(repr=False)


def ask(tx: Connection, wanted: Wanted) -> int:
    """Write down what the core system is to be told; `queued` where one word suffices, else `needs_approval`.

    Returns:
        Its number; of the same key always the same.

    Raises:
        InstructionRefused: Terms that are not whole, a loan that is not theirs, a role that may not ask for this, a key that was used
            for something else.
    """
    who = " ".join(wanted.asked_by.split())
    if not who or not wanted.key:
        raise InstructionRefused("say who asks, and give the instruction a key")
    if problem := problem_of(wanted.kind, wanted.terms, wanted.relief_minor):
        raise InstructionRefused(problem)
    authority, at = authority_in_force(), clock.now(tx)
    if not may_ask(authority, wanted.role, wanted.kind):
        raise InstructionRefused(f"the role {wanted.role!r} may not ask for a {wanted.kind} (config/authority.yaml)")
    lock_with_liable(tx, [wanted.party_id])
    known = tx.execute(_BY_KEY, {"key": wanted.key}).one_or_none()
    if known is not None:
        if _is_another(known, wanted):
            raise InstructionRefused(f"the key of instruction {known.id} is used again for something else: nothing is written")
        return int(known.id)
    currency = tx.execute(_CURRENCY, {"loan": wanted.loan_id, "party": wanted.party_id}).scalar()
    if currency is None:
        raise InstructionRefused("no such borrower, or the loan is none of theirs")
    total = wanted.relief_minor + _granted_before(tx, wanted.loan_id, wanted.kind, at)
    state = (
        "queued" if suffices_alone(authority, wanted.role, wanted.kind, currency, total) or not wanted.relief_minor else "needs_approval"
    )
    keys = {
        "key": wanted.key,
        "token": uuid4(),
        "loan": wanted.loan_id,
        "party": wanted.party_id,
        "kind": wanted.kind,
        "terms": json.dumps(dict(wanted.terms)),
        "relief": wanted.relief_minor,
        "currency": currency,
        "by": who,
        "as": wanted.role,
        "at": at,
        "state": state,
        **_due(wanted.kind, at if state == "queued" else None),
    }
    number = int(tx.execute(_INSERT, keys).scalar_one())
    note(tx, number, "asked", by=who, role=wanted.role, at=at)
    note(tx, number, state, by=MACHINE, at=at)
    return number


def approve(tx: Connection, number: int, *, by: str, role: str) -> str:
    """A person stands for what is above a limit; queued as soon as enough people do.

    Args:
        tx: Inside a transaction.
        number: Of an instruction that waits for it.
        by: Who; somebody else than whoever asked.
        role: In which role; config/authority.yaml says what it may sign.

    Returns:
        Its state now.

    Raises:
        InstructionRefused: It waits for nobody, the same person again, a role that may not sign such an amount, no name.
    """
    who = " ".join(by.split())
    if not who:
        raise InstructionRefused("say who approves it")
    one, at, authority = _waits(tx, number), clock.now(tx), authority_in_force()
    signers = [Signer(row.said_by, row.said_as) for row in tx.execute(_SIGNERS, {"id": number})]
    if any(same_person(who, name) for name in [one.asked_by if one.asked_as != AUTOMATIC else "", *(signer.name for signer in signers)]):
        raise InstructionRefused(f"{who} stands for instruction {number} already: somebody else approves it (four eyes)")
    total = one.relief_minor + _granted_before(tx, one.loan_id, one.kind, at, but=number)
    if role == AUTOMATIC or not may_sign(authority, role, one.kind, one.currency, total):
        raise InstructionRefused(
            f"the role {role!r} may not sign a {one.kind} of {total} {one.currency} in minor units, with what was granted for this loan"
            " before (config/authority.yaml)"
        )
    note(tx, number, "approved", by=who, role=role, at=at)
    asker = Signer(one.asked_by, one.asked_as)
    if not is_granted(authority, one.kind, one.currency, total, asked_by=asker, signers=[*signers, Signer(who, role)], same=same_person):
        return one.state
    tx.execute(_QUEUE, {"id": number, **_due(one.kind, at)})
    move(tx, one, "queued", by=MACHINE, at=at)
    return "queued"


def reject(tx: Connection, number: int, *, by: str, role: str) -> Instruction:
    """A person says no to what waits for an approval; the caller opens the case (ledger/core_answers.py).

    Raises:
        InstructionRefused: It waits for nobody, a role that may not ask for such a thing, or no name.
    """
    who = " ".join(by.split())
    if not who:
        raise InstructionRefused("say who rejects it")
    one, at = _waits(tx, number), clock.now(tx)
    if role == AUTOMATIC or not may_ask(authority_in_force(), role, one.kind):
        raise InstructionRefused(f"the role {role!r} decides nothing about a {one.kind} (config/authority.yaml); a machine refuses nobody")
    note(tx, number, "rejected", by=who, role=role, at=at, reason=NOT_APPROVED)
    move(tx, one, "refused", by=who, at=at, reason=NOT_APPROVED)
    return one


def state_of(tx: Connection, number: int) -> str | None:
    """How far an instruction has come, of `decisions.core_instructions.STATES`; None where there is none."""
    found: str | None = tx.execute(_STATE, {"id": number}).scalar()
    return found


def read(tx: Connection, number: int) -> Instruction | None:
    """One instruction."""
    row = tx.execute(_READ, {"id": number}).mappings().one_or_none()
    return None if row is None else Instruction(**row)


def by_token(tx: Connection, token: UUID) -> Instruction | None:
    """The instruction with this key on the wire."""
    row = tx.execute(_BY_TOKEN, {"token": token}).mappings().one_or_none()
    return None if row is None else Instruction(**row)


def lock(tx: Connection, number: int) -> Instruction | None:
    """An instruction with its borrower and all who stand for the loan locked; read behind the lock."""
    party_id = tx.execute(_PARTY, {"id": number}).scalar()
    if party_id is None:
        return None
    lock_with_liable(tx, [party_id])
    return read(tx, number)


def history(tx: Connection, number: int) -> list[Happened]:
    """All that happened to an instruction, the oldest first."""
    return [Happened(**row) for row in tx.execute(_HISTORY, {"id": number}).mappings()]


def listed(tx: Connection, *, states: tuple[str, ...] = (), kind: str | None = None) -> list[Instruction]:
    """Instructions in these states, or in all, by number."""
    rows = tx.execute(_LIST, {"states": list(states), "kind": kind}).mappings()
    return [Instruction(**row) for row in rows]


def move(tx: Connection, one: Instruction, to: str, *, by: str, at: datetime, reason: str | None = None) -> None:
    """Change the state of a locked instruction and write it down; the one guarded update.

    Raises:
        ImpossibleMoveError: The table has no such transition, or somebody else was first.
    """
    if to not in TRANSITIONS[one.state]:
        raise ImpossibleMoveError(f"instruction {one.id}: {one.state} does not become {to}")
    if tx.execute(_MOVE, {"id": one.id, "was": one.state, "to": to, "reason": reason}).rowcount != 1:
        raise ImpossibleMoveError(f"instruction {one.id} was {one.state} no more")
    note(tx, one.id, to, by=by, at=at, reason=reason)


def note(tx: Connection, number: int, kind: str, *, by: str, at: datetime, role: str | None = None, reason: str | None = None) -> None:
    """Write a row of an instruction's history."""
    tx.execute(_NOTE, {"id": number, "kind": kind, "by": by, "as": role, "reason": reason, "at": at})


def _waits(tx: Connection, number: int) -> Instruction:
    one = lock(tx, number)
    if one is None:
        raise InstructionRefused(f"no instruction {number}; `tideover core list` names them")
    if one.state != "needs_approval":
        raise InstructionRefused(f"instruction {number} waits for no approval: it is {one.state}")
    return one


def _granted_before(tx: Connection, loan_id: int, kind: str, at: datetime, *, but: int = 0) -> int:
    """Relief of a kind that was granted for a loan lately, or waits to be: many small amounts are a big one."""
    since = at - timedelta(days=authority_in_force().adds_up_days)
    return int(tx.execute(_BEFORE, {"loan": loan_id, "kind": kind, "since": since, "but": but}).scalar_one())


def _due(kind: str, queued_at: datetime | None) -> dict[str, datetime | None]:
    terms = core_terms_in_force()
    return {
        "queued_at": queued_at,
        "accept_by": None if queued_at is None else queued_at + terms.accepted[kind],
        "apply_by": None if queued_at is None else queued_at + terms.applied[kind],
    }


def _is_another(known: Row[Any], wanted: Wanted) -> bool:
    asked = (wanted.loan_id, wanted.party_id, wanted.kind, dict(wanted.terms), wanted.relief_minor)
    return (known.loan_id, known.party_id, known.kind, known.terms, known.relief_minor) != asked


_COLUMNS: Final = (
    "id, key, token, loan_id, party_id, kind, terms, relief_minor, currency, asked_by, asked_as, asked_at, state, queued_at, accept_by,"
    " apply_by, tries, delivered_at, reason_code"
)
_BY_KEY = text("SELECT id, loan_id, party_id, kind, terms, relief_minor FROM core_instruction WHERE key = :key")
_CURRENCY = text("""
    SELECT v.currency FROM loan_version v
    WHERE v.loan_id = :loan AND v.superseded_at IS NULL AND EXISTS (
        SELECT FROM loan_party lp WHERE lp.loan_id = v.loan_id AND lp.party_id = :party AND lp.superseded_at IS NULL)
""")
_INSERT = text("""
    INSERT INTO core_instruction (key, token, loan_id, party_id, kind, terms, relief_minor, currency, asked_by, asked_as, asked_at, state,
        queued_at, accept_by, apply_by)
    VALUES (:key, :token, :loan, :party, :kind, CAST(:terms AS jsonb), :relief, :currency, :by, :as, :at, :state,
        :queued_at, :accept_by, :apply_by)
    RETURNING id
""")
_QUEUE = text("UPDATE core_instruction SET queued_at = :queued_at, accept_by = :accept_by, apply_by = :apply_by WHERE id = :id")
_MOVE = text("UPDATE core_instruction SET state = :to, reason_code = coalesce(:reason, reason_code) WHERE id = :id AND state = :was")
_NOTE = text("""
    INSERT INTO core_instruction_event (instruction_id, kind, said_by, said_as, reason, at) VALUES (:id, :kind, :by, :as, :reason, :at)
""")
_SIGNERS = text("SELECT said_by, said_as FROM core_instruction_event WHERE instruction_id = :id AND kind = 'approved' ORDER BY id")
_BEFORE = text("""
    SELECT coalesce(sum(relief_minor), 0) FROM core_instruction
    WHERE loan_id = :loan AND kind = :kind AND state <> 'refused' AND asked_at > :since AND id <> :but
""")
_STATE = text("SELECT state FROM core_instruction WHERE id = :id")
_PARTY = text("SELECT party_id FROM core_instruction WHERE id = :id")
_READ = text(f"SELECT {_COLUMNS} FROM core_instruction WHERE id = :id")  # noqa: S608  # the columns above
_BY_TOKEN = text(f"SELECT {_COLUMNS} FROM core_instruction WHERE token = :token")  # noqa: S608  # the columns above
_LIST = text(f"""
    SELECT {_COLUMNS} FROM core_instruction
    WHERE (cardinality(CAST(:states AS text[])) = 0 OR state = ANY(:states)) AND (CAST(:kind AS text) IS NULL OR kind = :kind) ORDER BY id
""")  # noqa: S608  # the columns above
_HISTORY = text("""
    SELECT kind, said_by, said_as, reason, at, recorded_at FROM core_instruction_event WHERE instruction_id = :id ORDER BY id
""")

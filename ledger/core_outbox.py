"""Delivery's side of the core outbox: who delivers what now, what is put off, and what is to be asked about.

In:   a connection inside a transaction.
Out:  instructions as they go over the wire, each to one caller at a time; when the next try is.
Pure: no; reads and writes the ledger. A lease ends by the wall clock: a process that was killed leaves nothing undelivered.
Source: docs/adr/0043.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, text

from ledger.core_instructions import MACHINE, lock, move, note

# So long whoever took an instruction has it to himself; longer than any call takes.
LEASE_SECONDS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """An instruction that is to be delivered: what goes over the wire, in the lender's own ids."""

    id: int
    token: UUID
    kind: str
    creditor: str
    loan: str
    party: str
    currency: str
    relief_minor: int
    terms: Mapping[str, Any]
    asked_at: datetime
    accept_by: datetime
    apply_by: datetime
    tries: int


def take_due(tx: Connection, *, at_most: int, only: int | None = None) -> list[Due]:
    """Take what is to be delivered now; whoever else looks meanwhile gets others.

    Args:
        tx: Inside a transaction, which is committed before the call is made.
        at_most: So many.
        only: One instruction alone, whether its time has come or not; None = all.
    """
    keys = {"at_most": at_most, "only": only, "lease": LEASE_SECONDS}
    return [Due(**row) for row in tx.execute(_TAKE, keys).mappings()]


def put_off(tx: Connection, one: Due, *, seconds: int, why: str, at: datetime) -> None:
    """Write down that nobody answered, and when the next try is."""
    tx.execute(_PUT_OFF, {"id": one.id, "seconds": seconds})
    note(tx, one.id, "tried", by=MACHINE, at=at, reason=why)


def to_ask(tx: Connection) -> list[tuple[int, UUID]]:
    """Instructions that the core system has and has not ended: number and key."""
    return [(row.id, row.token) for row in tx.execute(_TO_ASK)]


def never_had(tx: Connection, number: int, at: datetime) -> bool:
    """The core system says that it never had an instruction that it once took: it is delivered anew. False where it is ended meanwhile."""
    one = lock(tx, number)
    if one is None or one.state not in {"delivered", "late"}:
        return False
    tx.execute(_ANEW, {"id": number})
    if one.state == "delivered":
        move(tx, one, "queued", by=MACHINE, at=at)
    note(tx, number, "tried", by=MACHINE, at=at, reason="unknown_key")
    return True


def counts(tx: Connection) -> dict[str, int]:
    """State → how many instructions are in it."""
    return {row.state: row.found for row in tx.execute(_COUNTS)}


_TAKE = text("""
    WITH due AS (
        SELECT id FROM core_instruction
        WHERE state IN ('queued', 'late') AND delivered_at IS NULL
          AND (id = CAST(:only AS bigint) OR (CAST(:only AS bigint) IS NULL AND next_try_at <= clock_timestamp()))
        ORDER BY accept_by, id LIMIT :at_most FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE core_instruction i SET next_try_at = clock_timestamp() + make_interval(secs => :lease), tries = tries + 1
        FROM due WHERE i.id = due.id RETURNING i.*
    )
    SELECT t.id, t.token, t.kind, c.external_id AS creditor, l.external_id AS loan, p.external_id AS party, t.currency, t.relief_minor,
           t.terms, t.asked_at, t.accept_by, t.apply_by, t.tries
    FROM taken t JOIN loan l ON l.id = t.loan_id JOIN party p ON p.id = t.party_id JOIN creditor c ON c.id = l.creditor_id
    ORDER BY t.accept_by, t.id
""")
_PUT_OFF = text("UPDATE core_instruction SET next_try_at = clock_timestamp() + make_interval(secs => :seconds) WHERE id = :id")
_TO_ASK = text("""
    SELECT id, token FROM core_instruction
    WHERE (state IN ('delivered', 'late') AND delivered_at IS NOT NULL) OR state = 'accepted' ORDER BY id
""")
_ANEW = text("UPDATE core_instruction SET delivered_at = NULL, next_try_at = clock_timestamp() WHERE id = :id")
_COUNTS = text("SELECT state, count(*) AS found FROM core_instruction GROUP BY state ORDER BY state")

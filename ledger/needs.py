"""What is done differently for a person: of a closed list, never why.

In:   a connection inside a transaction; names of config/needs.yaml. Whoever writes takes the borrower's lock.
Out:  versions of `person_need`; channels that a need ends are stopped as by her own word.
Pure: no; reads and writes the ledger. Saying the same twice changes nothing.
Source: issue 8, "stored as what to do differently, not as a diagnosis"; docs/adr/0056.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, text

from config.agents import Need, needs_in_force
from ledger import answers
from ledger.locks import lock_borrowers


class NeedRefused(ValueError):
    """It is no need of the list; the message says which there are."""


def of_party(tx: Connection, party_id: int) -> list[Need]:
    """What is done differently for a person now: what stands first comes first, else in the order of the list."""
    known = set(tx.execute(_OF_PARTY, {"party": party_id}).scalars())
    found = [need for name, need in needs_in_force().items() if name in known]
    return sorted(found, key=lambda need: not need.first)


def write(tx: Connection, party_id: int, names: Iterable[str], *, by: str, at: datetime) -> list[str]:
    """Write down that a person needs these from now on.

    Args:
        tx: Inside a transaction; the borrower is locked by it.
        party_id: Who.
        names: Of the list.
        by: Who says so.
        at: Business instant.

    Returns:
        Those that are new.

    Raises:
        NeedRefused: One is not of the list.
    """
    wanted = _known(names)
    lock_borrowers(tx, [party_id])
    fresh = [need for need in wanted if tx.execute(_WRITE, {"party": party_id, "need": need.name, "by": by, "at": at}).rowcount]
    # Also where the need is known: whoever says it again means it again.
    if stops := sorted({channel for need in wanted for channel in need.stops}):
        answers.opt_out(tx, [party_id], stops, at=at)
    return [need.name for need in fresh]


def end(tx: Connection, party_id: int, name: str, *, by: str, at: datetime) -> bool:
    """Write down that a person needs this no more; False where she did not. What she stopped stays stopped: only she starts it again."""
    _known([name])
    lock_borrowers(tx, [party_id])
    return tx.execute(_END, {"party": party_id, "need": name, "by": by, "at": at}).rowcount == 1


def _known(names: Iterable[str]) -> list[Need]:
    known = needs_in_force()
    wanted = list(dict.fromkeys(names))
    if unknown := [name for name in wanted if name not in known]:
        raise NeedRefused(f"no need {unknown[0]!r}; there are {', '.join(known)}")
    return [known[name] for name in wanted]


_OF_PARTY = text("SELECT need FROM person_need WHERE party_id = :party AND superseded_at IS NULL AND NOT is_over")
_WRITE = text("""
    WITH standing AS (
        SELECT id, is_over FROM person_need WHERE party_id = :party AND need = :need AND superseded_at IS NULL
    ), old AS (
        UPDATE person_need n SET superseded_at = clock_timestamp() FROM standing s WHERE n.id = s.id AND s.is_over RETURNING n.id
    )
    INSERT INTO person_need (effective_at, source, party_id, need)
    SELECT :at, :by, :party, :need
    WHERE (SELECT count(*) FROM standing) = (SELECT count(*) FROM old)
""")
_END = text("""
    WITH old AS (
        UPDATE person_need SET superseded_at = clock_timestamp()
        WHERE party_id = :party AND need = :need AND superseded_at IS NULL AND NOT is_over RETURNING party_id
    )
    INSERT INTO person_need (effective_at, source, party_id, need, is_over) SELECT :at, :by, party_id, :need, true FROM old
""")

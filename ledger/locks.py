"""The borrower lock: whoever contacts a person, or writes down a reason not to, holds the person's row first.

In:   a connection inside a transaction; party ids.
Out:  locked rows of `party`, until the transaction ends.
Pure: no.
Source: ARCHITECTURE.md, "The lock, written down once": facts are read by later statements than this one.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, text


def lock_borrowers(connection: Connection, party_ids: Iterable[int]) -> list[int]:
    """Lock these borrowers in the order of their ids, waiting for whoever holds them.

    Args:
        connection: Inside the transaction that will write.
        party_ids: Any order, repetitions allowed.

    Returns:
        Ids that exist and are locked now, ascending.
    """
    return list(connection.execute(_LOCK, {"ids": sorted(set(party_ids))}).scalars())


def lock_with_liable(connection: Connection, party_ids: Iterable[int]) -> list[int]:
    """Lock these borrowers and everybody who stands for a loan with one of them: a dispute leaves all of them in peace."""
    return lock_borrowers(connection, connection.execute(_WITH_LIABLE, {"ids": sorted(set(party_ids))}).scalars())


# Alone in its statement: one that waits for the lock and reads facts at once would see those from before the wait.
_LOCK = text("SELECT id FROM party WHERE id = ANY(:ids) ORDER BY id FOR UPDATE")
_WITH_LIABLE = text("""
    SELECT unnest(CAST(:ids AS bigint[]))
    UNION
    SELECT other.party_id FROM loan_party mine
    JOIN loan_party other ON other.loan_id = mine.loan_id AND other.superseded_at IS NULL
    WHERE mine.party_id = ANY(:ids) AND mine.superseded_at IS NULL
""")

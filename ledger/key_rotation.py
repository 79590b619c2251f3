"""Keys in order: which key what is encrypted with, and moving it to the one that encrypts now, batch by batch.

Three things move. People's keys are wrapped anew by the house's first key; what the house's keys encrypted although it is one person's is
encrypted anew with a key of hers; what is nobody's in particular, with the house's first key. All keys stay readable meanwhile, a batch
is a transaction, and what is done is not found again: whoever is broken off begins anew and goes on.

In:   a connection inside a transaction; how far the batch before came.
Out:  rows of `party_key` and of every table with encrypted values, rewritten; counts.
Pure: no. What is decrypted leaves this file only encrypted.
"""

# ruff: noqa: S608  # statements are built from the names of declared tables and columns

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Connection, Row, Table, text

from ledger import vault
from ledger.all_tables import METADATA
from ledger.locks import lock_borrowers
from ledger.of_a_person import ways

ENCRYPTED: Final = "_encrypted"
KEY_ID: Final = "key_id"
KEYS: Final = "party_key"
# Whose a row is, where its table does not say so itself.
_PARTY_OF: Final[Mapping[str, str]] = {
    "contact_point_version": "(SELECT k.party_id FROM contact_point k WHERE k.id = t.contact_point_id)",
    "case_event": "(SELECT c.party_id FROM borrower_case c WHERE c.id = t.case_id)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A column of encrypted values.

    Attributes:
        name: Of its table.
        place: The table's column by whose order batches go; unique.
        column: That is encrypted.
        key: The column that names the value's key.
        party: Whose a row is, as SQL; None = nobody's in particular.
    """

    name: str
    place: str
    column: str
    key: str
    party: str | None

    @property
    def is_a_persons(self) -> str:
        """Condition that a row's value is encrypted with a key of a person."""
        return f"t.{self.key} LIKE '{vault.PERSON}%'"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysStand:
    """How keys stand, in counts.

    Attributes:
        first: Id of the house's key that encrypts now.
        wrapped_by: House's key → keys of people that it wraps.
        house: House's key → values that it encrypts itself, by table.
        to_move: Keys and values that `rotate` would move.
        not_at_hand: Keys that something needs and TIDEOVER_ENCRYPTION_KEYS has not: what they closed cannot be read.
        needless: Keys that nothing needs any more, besides backups of before.
    """

    first: str
    wrapped_by: Mapping[str, int]
    house: Mapping[str, Mapping[str, int]]
    to_move: int
    not_at_hand: tuple[str, ...] = field(default=())
    needless: tuple[str, ...] = field(default=())


@lru_cache(maxsize=1)
def sealed_columns() -> tuple[Sealed, ...]:
    """Every column of encrypted values, by the name of its table."""
    return tuple(one for table in sorted(METADATA.sorted_tables, key=lambda one: one.name) for one in _sealed(table))


def stand(tx: Connection) -> KeysStand:
    """How keys stand now."""
    first = vault.first_key_id()
    wrapped = {row.wrapped_by: row.found for row in tx.execute(_WRAPPED)}
    house: dict[str, dict[str, int]] = {}
    to_move = sum(count for key, count in wrapped.items() if key != first)
    for one in sealed_columns():
        statement = f"SELECT t.{one.key} AS key_id, count(*) AS found FROM {one.name} t WHERE NOT {one.is_a_persons} GROUP BY 1"
        for row in tx.execute(text(statement)):
            house.setdefault(row.key_id, {})[one.name] = row.found
            to_move += row.found if one.party is not None or row.key_id != first else 0
    needed, known = {*wrapped, *house, first}, vault.house_key_ids()
    return KeysStand(
        first=first,
        wrapped_by=wrapped,
        house=house,
        to_move=to_move,
        not_at_hand=tuple(sorted(needed - set(known))),
        needless=tuple(one for one in known if one not in needed),
    )


def rewrap(tx: Connection, *, after: str, at_most: int) -> tuple[int, str | None]:
    """Wrap a batch of people's keys anew by the house's first key.

    Args:
        tx: A transaction of this batch alone.
        after: Where the batch before ended; empty for the first.
        at_most: How many.

    Returns:
        How many, and where it ended; None = there are no more.
    """
    rows = tx.execute(_TO_WRAP, {"after": after, "first": vault.first_key_id(), "at_most": at_most}).all()
    if not rows:
        return 0, None
    again = [vault.seal(vault.unseal(row.wrapped, row.wrapped_by, bound_to=row.id), bound_to=row.id) for row in rows]
    values = {"ids": [row.id for row in rows], "wrapped": [one for one, _ in again], "by": [by for _, by in again]}
    tx.execute(_WRAP, values)
    return len(rows), rows[-1].id


def reseal(tx: Connection, one: Sealed, *, after: int, at_most: int) -> tuple[int, int | None]:
    """Encrypt a batch of a table's values anew: one person's with a key of hers, others with the house's first key. As `rewrap`."""
    whose = one.party or "NULL::bigint"
    moves = f"NOT {one.is_a_persons}" + ("" if one.party else f" AND t.{one.key} <> :first")
    statement = f"""
        SELECT t.{one.place} AS place, t.{one.key} AS key_id, {whose} AS party_id, t.{one.column} AS closed FROM {one.name} t
        WHERE t.{one.place} > :after AND {moves} ORDER BY t.{one.place} LIMIT :at_most FOR UPDATE OF t
    """
    rows = tx.execute(text(statement), {"after": after, "first": vault.first_key_id(), "at_most": at_most}).all()
    if not rows:
        return 0, None
    keys = _keys_of(tx, sorted({row.party_id for row in rows} - {None}))
    _write(tx, one, [(row, keys.get(row.party_id)) for row in rows])
    return len(rows), rows[-1].place


def renew(tx: Connection, party_id: int) -> tuple[int, int]:
    """Give a person a new data key, encrypt what is hers with it, and destroy the old ones.

    Returns:
        How many values, and how many keys are gone.
    """
    lock_borrowers(tx, [party_id])
    old = list(tx.execute(_KEYS_OF, {"parties": [party_id]}).scalars())
    new = vault.make_key(tx, party_id)
    vault.learn(tx, old)
    moved = sum(_renew_in(tx, one, party_id, new, old) for one in sealed_columns())
    gone = tx.execute(_DESTROY, {"ids": old}).rowcount
    vault.forget(old)
    return moved, gone


def destroy(tx: Connection, party_id: int) -> int:
    """Destroy every key of a person: what they encrypted cannot be read again, here or in what was copied from here without them."""
    gone = list(tx.execute(_KEYS_OF, {"parties": [party_id]}).scalars())
    tx.execute(_DESTROY, {"ids": gone})
    vault.forget(gone)
    return len(gone)


def _renew_in(tx: Connection, one: Sealed, party_id: int, new: str, old: Sequence[str]) -> int:
    way = ways(METADATA).get(one.name)
    if way is None:
        return 0
    statement = f"SELECT t.{one.place} AS place, t.{one.key} AS key_id, t.{one.column} AS closed FROM {one.name} t WHERE {way}"
    rows = tx.execute(text(f"{statement} AND t.{one.key} = ANY(:old) FOR UPDATE OF t"), {"party": party_id, "old": old}).all()
    _write(tx, one, [(row, new) for row in rows])
    return len(rows)


def _write(tx: Connection, one: Sealed, rows: Sequence[tuple[Row[Any], str | None]]) -> None:
    if not rows:
        return
    again = [_again(row, key_id) for row, key_id in rows]
    places, closed, keys = zip(*again, strict=True)
    statement = f"""
        UPDATE {one.name} t SET {one.column} = d.closed, {one.key} = d.key_id
        FROM unnest(CAST(:places AS bigint[]), CAST(:closed AS bytea[]), CAST(:keys AS text[])) AS d(place, closed, key_id)
        WHERE t.{one.place} = d.place
    """
    tx.execute(text(statement), {"places": list(places), "closed": list(closed), "keys": list(keys)})


def _again(row: Row[Any], key_id: str | None) -> tuple[int, bytes | None, str]:
    """A row's value under another key: a person's, or the house's first. What is erased stays so."""
    if row.closed is None:
        return row.place, None, row.key_id if key_id is None else key_id
    opened = vault.decrypt_bytes(row.closed, row.key_id)
    if key_id is not None:
        return row.place, vault.encrypt_bytes_with(key_id, opened), key_id
    return (row.place, *vault.seal(opened))


def _keys_of(tx: Connection, party_ids: Sequence[int]) -> dict[int, str]:
    """Party → its newest key; made where there is none."""
    found = {row.party_id: row.id for row in tx.execute(_NEWEST, {"parties": list(party_ids)})}
    vault.learn(tx, found.values())
    return {party_id: found.get(party_id) or vault.make_key(tx, party_id) for party_id in party_ids}


def _sealed(table: Table) -> Iterator[Sealed]:
    own = "t.party_id" if "party_id" in table.columns else None
    for column in table.columns:
        if column.name.endswith(ENCRYPTED):
            key = column.name.removesuffix(ENCRYPTED) + f"_{KEY_ID}"
            yield Sealed(
                name=table.name,
                place=[part.name for part in table.primary_key.columns][-1],
                column=column.name,
                key=key if key in table.columns else KEY_ID,
                party=_PARTY_OF.get(table.name, own),
            )


_WRAPPED = text("SELECT wrapped_by, count(*) AS found FROM party_key GROUP BY wrapped_by")
_TO_WRAP = text("""
    SELECT id, wrapped_by, wrapped FROM party_key WHERE id > :after AND wrapped_by <> :first ORDER BY id LIMIT :at_most FOR UPDATE
""")
_WRAP = text("""
    UPDATE party_key k SET wrapped = d.wrapped, wrapped_by = d.wrapped_by
    FROM unnest(CAST(:ids AS text[]), CAST(:wrapped AS bytea[]), CAST(:by AS text[])) AS d(id, wrapped, wrapped_by) WHERE k.id = d.id
""")
_KEYS_OF = text("SELECT id FROM party_key WHERE party_id = ANY(:parties) ORDER BY id FOR UPDATE")
_NEWEST = text(
    "SELECT DISTINCT ON (party_id) party_id, id FROM party_key WHERE party_id = ANY(:parties) ORDER BY party_id, made_at DESC, id DESC"
)
_DESTROY = text("DELETE FROM party_key WHERE id = ANY(:ids)")

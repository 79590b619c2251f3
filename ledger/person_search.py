"""Looking for a person: by any contact value, without reading one of them, or by the lender's id or ours.

A value is brought into the ledger's form and looked up by its blind index: what is not typed whole finds nobody, and nothing is
decrypted but the last digits of what was found. Whoever had a value long ago is found too, and is said to have had it.

In:   a connection; what somebody typed.
Out:  `Found` values: ids and hidden values.
Pure: no; reads. Who looked, and why, is written down by whoever asks (ledger/staff_views.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from config.zones import zone_tables
from decisions.masked import masked
from decisions.portfolio import canonical_values
from ledger import vault

# A value that more people have is a shop's or an office's: the list ends, and says so.
FOUND_MAX: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A contact point of somebody, hidden.

    Attributes:
        id: Ours.
        kind: mobile, email, ….
        shown: Its value, most of it hidden; None = erased.
        status: active, inactive, invalid, unreachable.
        ownership: claimed, verified, shared, reassigned, wrong.
        is_now: It is their value now; False = it was.
    """

    id: int
    kind: str
    shown: str | None
    status: str
    ownership: str
    is_now: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Somebody who was looked for.

    Attributes:
        party_id: Our id.
        external_id: The lender's.
        creditor: Whose borrower it is.
        points: Of theirs, those with the value that was asked for; empty = found by an id.
    """

    party_id: int
    external_id: str
    creditor: str
    points: tuple[Point, ...]


def search(connection: Connection, typed: str) -> tuple[Found, ...]:
    """Whoever has or had a contact value, or is called so.

    Args:
        connection: Any.
        typed: A number in the international form, an address, a token, the lender's id of a person, or ours as #123.

    Returns:
        At most `FOUND_MAX` of them, by our id; nobody where nothing was typed.
    """
    wanted = typed.strip()
    if not wanted:
        return ()
    values = [vault.blind_index(value) for value in canonical_values(wanted, zone_tables())]
    number = wanted.removeprefix("#") if wanted.startswith("#") else ""
    keys = {
        "values": values,
        "named": wanted,
        "id": int(number) if number.isascii() and number.isdigit() and len(number) < len(str(2**63)) else None,
        "at_most": FOUND_MAX,
    }
    rows = connection.execute(_SEARCH, keys).all()
    return tuple(
        Found(
            party_id=row.id,
            external_id=row.external_id,
            creditor=row.creditor,
            points=tuple(points_of(connection, row.id, values=values)) if row.by_value else (),
        )
        for row in rows
    )


def exists(connection: Connection, party_id: int) -> bool:
    """Whether the ledger knows somebody by this id."""
    return connection.execute(_EXISTS, {"id": party_id}).scalar() is not None


def points_of(connection: Connection, party_id: int, *, values: Sequence[bytes] | None = None) -> list[Point]:
    """A person's contact points, hidden.

    Args:
        connection: Any.
        party_id: Whose.
        values: Blind indexes of which one must have been theirs; None = all of their points as they are now.
    """
    rows = connection.execute(_POINTS, {"party": party_id, "every": values is None, "values": list(values or ())}).all()
    vault.learn(connection, [row.key_id for row in rows])
    return [
        Point(
            id=row.id,
            kind=row.kind,
            shown=None if row.value_encrypted is None else masked(vault.decrypt(row.value_encrypted, row.key_id), row.kind),
            status=row.status,
            ownership=row.ownership,
            is_now=row.is_now,
        )
        for row in rows
    ]


_EXISTS = text("SELECT 1 FROM party WHERE id = :id")
_SEARCH = text("""
    SELECT p.id, p.external_id, c.name AS creditor, had.by_value
    FROM party p JOIN creditor c ON c.id = p.creditor_id
    JOIN (
        SELECT party_id, bool_or(by_value) AS by_value FROM (
            SELECT t.party_id, true AS by_value FROM contact_point_version v JOIN contact_point t ON t.id = v.contact_point_id
            WHERE v.blind_index = ANY(:values)
            UNION ALL SELECT id, false FROM party WHERE external_id = :named
            UNION ALL SELECT id, false FROM party WHERE id = CAST(:id AS bigint)) every
        GROUP BY party_id) had ON had.party_id = p.id
    ORDER BY p.id LIMIT :at_most
""")
_POINTS = text("""
    SELECT DISTINCT ON (t.id) t.id, t.kind, v.value_encrypted, v.key_id, v.status, coalesce(o.ownership, 'claimed') AS ownership,
           v.superseded_at IS NULL AS is_now
    FROM contact_point t JOIN contact_point_version v ON v.contact_point_id = t.id
    LEFT JOIN contact_value o ON o.blind_index = v.blind_index AND o.superseded_at IS NULL
    WHERE t.party_id = :party AND CASE WHEN :every THEN v.superseded_at IS NULL ELSE v.blind_index = ANY(:values) END
    ORDER BY t.id, v.id DESC
""")

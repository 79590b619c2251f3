"""Who of the staff looked at whom: every page about a person is noted, and can be counted and read afterwards.

In:   a connection inside a transaction; who, whom, which page, and why where a reason was given.
Out:  rows of `staff_view`; counts by person and day.
Pure: no; reads and writes the ledger. Times are the database's wall clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, text

from ledger import vault


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One look.

    Attributes:
        at: When.
        staff_id: Who.
        name: Of her.
        party_id: At whom.
        what: Which page.
        why: In her words; None where none was asked for.
    """

    at: datetime
    staff_id: int
    name: str
    party_id: int
    what: str
    why: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """How much somebody looked at in a day.

    Attributes:
        staff_id: Who.
        name: Of her.
        people: How many different people.
        views: How many looks.
    """

    staff_id: int
    name: str
    people: int
    views: int


def note_view(tx: Connection, staff_id: int, party_id: int, what: str, why: str | None = None) -> None:
    """Note that one of the staff looks at a person; call it in the transaction that reads what is shown.

    Args:
        tx: Inside a transaction that may write: what cannot be noted is not shown.
        staff_id: Who.
        party_id: At whom.
        what: Which page: a word of ours, such as `case` or `person`.
        why: The reason that she gave; kept encrypted.
    """
    kept = (None, None) if why is None else vault.encrypt_for(tx, party_id, why)
    tx.execute(_NOTE, {"staff": staff_id, "party": party_id, "what": what, "why": kept[0], "key": kept[1]})


def views(tx: Connection, *, day: date, zone: str, staff_id: int | None = None, party_id: int | None = None) -> list[View]:
    """The looks of a local day, the first one first.

    Args:
        tx: A connection.
        day: In `zone`.
        zone: IANA name.
        staff_id: Only hers.
        party_id: Only at this person.
    """
    rows = tx.execute(_VIEWS, {"day": day, "zone": zone, "staff": staff_id, "party": party_id}).all()
    vault.learn(tx, [row.key_id for row in rows])
    return [
        View(
            at=row.at,
            staff_id=row.staff_id,
            name=row.name,
            party_id=row.party_id,
            what=row.what,
            why=None if row.why_encrypted is None else vault.decrypt(row.why_encrypted, row.key_id),
        )
        for row in rows
    ]


def looks(tx: Connection, *, day: date, zone: str) -> list[Looks]:
    """Who looked at how many people on a local day, the most first."""
    return [Looks(**row._mapping) for row in tx.execute(_LOOKS, {"day": day, "zone": zone})]  # noqa: SLF001  # SQLAlchemy's public name for a row as a mapping


_NOTE = text("""
    INSERT INTO staff_view (staff_id, party_id, what, why_encrypted, key_id) VALUES (:staff, :party, :what, :why, :key)
""")
_VIEWS = text("""
    SELECT v.at, v.staff_id, s.name, v.party_id, v.what, v.why_encrypted, v.key_id
    FROM staff_view v JOIN staff s ON s.id = v.staff_id
    WHERE v.at >= CAST(:day AS timestamp) AT TIME ZONE :zone AND v.at < (CAST(:day AS timestamp) + interval '1 day') AT TIME ZONE :zone
      AND (CAST(:staff AS bigint) IS NULL OR v.staff_id = :staff) AND (CAST(:party AS bigint) IS NULL OR v.party_id = :party)
    ORDER BY v.id
""")
_LOOKS = text("""
    SELECT v.staff_id, s.name, count(DISTINCT v.party_id) AS people, count(*) AS views
    FROM staff_view v JOIN staff s ON s.id = v.staff_id
    WHERE v.at >= CAST(:day AS timestamp) AT TIME ZONE :zone AND v.at < (CAST(:day AS timestamp) + interval '1 day') AT TIME ZONE :zone
    GROUP BY v.staff_id, s.name ORDER BY people DESC, views DESC, v.staff_id
""")

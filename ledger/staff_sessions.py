"""Sessions of the desks: opened by a sign-in, ended by rest, by their own end, by the person, or when she leaves.

In:   a connection; what a browser shows, of which only the hash is kept.
Out:  rows of `staff_session`; whose desk is open.
Pure: no; reads and writes the ledger. Times are the database's wall clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, text

from config.desk_files import DeskPolicy
from ledger import browser_secrets, staff
from ledger.staff import Staff

SHOWN_MAX: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """A desk that is open.

    Attributes:
        id: Of the session.
        staff: Whose, with the roles that she has now.
    """

    id: int
    staff: Staff


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A session, for the list that a person sees of her own.

    Attributes:
        id: Of it.
        opened_at: When she signed in.
        seen_at: When it was last used.
    """

    id: int
    opened_at: datetime
    seen_at: datetime


def begin(tx: Connection, staff_id: int, *, instead_of: str | None) -> str:
    """Open a desk; returns what the browser has to show, which is kept nowhere.

    Args:
        tx: Inside a transaction.
        staff_id: Whose.
        instead_of: What the browser showed until now: that session ends, so that nobody's secret outlives a sign-in.
    """
    if instead_of is not None:
        tx.execute(_END_SECRET, {"hash": browser_secrets.hash_of(instead_of)})
    secret = browser_secrets.draw()
    tx.execute(_BEGIN, {"staff": staff_id, "hash": browser_secrets.hash_of(secret)})
    return secret


def find(tx: Connection, secret: str, policy: DeskPolicy) -> Open | None:
    """The session of a secret, which goes on by being found; None where it has ended."""
    keys = {"hash": browser_secrets.hash_of(secret), "idle": policy.idle.total_seconds(), "longest": policy.longest.total_seconds()}
    row = tx.execute(_FIND, keys).one_or_none()
    return None if row is None else Open(id=row.session_id, staff=staff.of_row(row))


def in_force(tx: Connection, staff_id: int, policy: DeskPolicy) -> list[Shown]:
    """Somebody's open desks, the last used first."""
    keys = {"staff": staff_id, "idle": policy.idle.total_seconds(), "longest": policy.longest.total_seconds(), "most": SHOWN_MAX}
    return [Shown(**row._mapping) for row in tx.execute(_IN_FORCE, keys)]  # noqa: SLF001  # SQLAlchemy's public name for a row as a mapping


def end(tx: Connection, session_id: int) -> None:
    """Close a desk."""
    tx.execute(_END, {"id": session_id})


def end_all(tx: Connection, staff_id: int) -> int:
    """Close every desk of somebody; returns how many were open."""
    return tx.execute(_END_ALL, {"staff": staff_id}).rowcount


_BEGIN = text("INSERT INTO staff_session (staff_id, secret_hash) VALUES (:staff, :hash)")
_FIND = text("""
    UPDATE staff_session v SET seen_at = clock_timestamp() FROM staff s
    WHERE v.secret_hash = :hash AND v.ended_at IS NULL AND v.seen_at > clock_timestamp() - make_interval(secs => :idle)
      AND v.opened_at > clock_timestamp() - make_interval(secs => :longest)
      AND s.id = v.staff_id AND s.ended_at IS NULL
    RETURNING v.id AS session_id, s.id, s.name,
              (SELECT coalesce(array_agg(DISTINCT r.role), '{}') FROM staff_role r WHERE r.staff_id = s.id AND r.taken_at IS NULL) AS roles
""")
_IN_FORCE = text("""
    SELECT id, opened_at, seen_at FROM staff_session
    WHERE staff_id = :staff AND ended_at IS NULL AND seen_at > clock_timestamp() - make_interval(secs => :idle)
      AND opened_at > clock_timestamp() - make_interval(secs => :longest)
    ORDER BY seen_at DESC LIMIT :most
""")
_END = text("UPDATE staff_session SET ended_at = clock_timestamp() WHERE id = :id AND ended_at IS NULL")
_END_SECRET = text("UPDATE staff_session SET ended_at = clock_timestamp() WHERE secret_hash = :hash AND ended_at IS NULL")
_END_ALL = text("UPDATE staff_session SET ended_at = clock_timestamp() WHERE staff_id = :staff AND ended_at IS NULL")

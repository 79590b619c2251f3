"""The staff: who she is by the issuer of sign-ins, which roles she has, and that she is one of us no more.

Nobody is let in by what the issuer claims alone: a row here says who may come, but for groups that config/roles.yaml names. Roles
are read at every request, so that what is taken is gone at once.

In:   a connection; issuer and subject as a checked sign-in names them; who says so.
Out:  rows of `staff` and `staff_role`; `Staff`.
Pure: no; reads and writes the ledger. Times are the database's wall clock.
Source: docs/adr/0052.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from config.roles import roles_in_force

NAME_MAX: Final = 120
SUBJECT_MAX: Final = 255
# What gives and takes the roles of groups.
ISSUER: Final = "the issuer's groups"


class StaffRefused(ValueError):
    """It was not written down; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Staff:
    """One of the staff, as she is now.

    Attributes:
        id: Of `staff`.
        name: Under which what she does is kept.
        roles: In which she works.
        rights: Of all of them together.
    """

    id: int
    name: str
    roles: frozenset[str]
    rights: frozenset[str]

    def answers_as(self, among: Collection[str]) -> str | None:
        """The word of hers, among those that may answer something (`operations`, `compliance`, …); None where she may not."""
        words = roles_in_force().answers_as
        return next((words[role] for role in sorted(self.roles) if words.get(role) in among), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One of the staff, for a list.

    Attributes:
        id: Of `staff`.
        issuer: Who vouches for her sign-ins.
        subject: As it names her.
        name: As she is called.
        roles: In force.
        added_by: Who added her.
        added_at: When.
        ended_at: When she left; None = she is one of us.
        seen_at: When she was last at a desk; None = never.
    """

    id: int
    issuer: str
    subject: str
    name: str
    roles: tuple[str, ...]
    added_by: str
    added_at: datetime
    ended_at: datetime | None
    seen_at: datetime | None


def find(tx: Connection, issuer: str, subject: str) -> Staff | None:
    """Who signs in; None where nobody here is known by that name."""
    row = tx.execute(_FIND, {"issuer": issuer, "subject": subject}).one_or_none()
    return None if row is None else of_row(row)


def of_row(row: Row[Any]) -> Staff:
    """From the columns id, name, roles."""
    known = roles_in_force()
    return Staff(id=row.id, name=row.name, roles=frozenset(row.roles), rights=known.rights_of(row.roles))


def add(tx: Connection, *, name: str, issuer: str, subject: str, roles: Iterable[str], by: str) -> int:
    """Let somebody in from now on, in these roles.

    Returns:
        Her id.

    Raises:
        StaffRefused: No name or subject, a role that is none, she is one of us already, or somebody else of us is called so: what
            people approve is kept by their names.
    """
    called, wanted = " ".join(name.split()), _known(roles)
    if not called or len(called) > NAME_MAX or not subject.strip() or len(subject) > SUBJECT_MAX or not issuer:
        raise StaffRefused(f"say who: a name (at most {NAME_MAX} signs), and how the issuer names her (at most {SUBJECT_MAX})")
    _lock(tx)
    if find(tx, issuer, subject) is not None:
        raise StaffRefused("the issuer's name for her is known here already: `tideover staff roles` gives her others")
    if tx.execute(_SAME_NAME, {"name": called}).one_or_none() is not None:
        raise StaffRefused("somebody of the staff is called so already: add what tells the two apart")
    keys = {"issuer": issuer, "subject": subject, "name": called, "by": _by(by)}
    staff_id = int(tx.execute(_ADD, keys).scalar_one())
    for role in wanted:
        _give(tx, staff_id, role, by=by)
    return staff_id


def set_roles(tx: Connection, staff_id: int, roles: Iterable[str], *, by: str) -> None:
    """Give somebody exactly these roles; those that groups give stay.

    Raises:
        StaffRefused: Nobody of that id is one of us, or a role is none.
    """
    wanted = set(_known(roles))
    _lock(tx)
    _in_force(tx, staff_id)
    _change(tx, staff_id, wanted, by=by, by_group=False)


def end(tx: Connection, staff_id: int, *, by: str) -> None:
    """Let somebody in no more: her roles and her open desks end with it, at once.

    Raises:
        StaffRefused: Nobody of that id is one of us.
    """
    _lock(tx)
    _in_force(tx, staff_id)
    keys = {"id": staff_id, "by": _by(by)}
    tx.execute(_END, keys)
    tx.execute(_END_ROLES, keys)
    tx.execute(_END_SESSIONS, keys)


def come_by_groups(tx: Connection, *, issuer: str, subject: str, name: str, groups: Iterable[str]) -> Staff | None:
    """Who signs in, with the roles that her groups give now: she is written down where she is new, and what no group gives is taken.

    Args:
        tx: Inside a transaction.
        issuer: As checked.
        subject: As checked.
        name: As the issuer calls her; used where she is new.
        groups: As the issuer's claim names them.
    """
    known = roles_in_force()
    given = {known.by_group[group] for group in groups if group in known.by_group}
    _lock(tx)
    found = find(tx, issuer, subject)
    if found is None:
        if not given:
            return None
        called = " ".join(name.split())[:NAME_MAX] or subject
        if tx.execute(_SAME_NAME, {"name": called}).one_or_none() is not None:
            called = f"{called[: NAME_MAX // 2]} ({subject[: NAME_MAX // 2]})"
        staff_id = int(tx.execute(_ADD, {"issuer": issuer, "subject": subject, "name": called, "by": ISSUER}).scalar_one())
    else:
        staff_id = found.id
    _change(tx, staff_id, given, by=ISSUER, by_group=True)
    return find(tx, issuer, subject)


def everybody(tx: Connection, *, ended_too: bool = False) -> list[Listed]:
    """The staff, in the order of their ids."""
    return [Listed(**{**row._mapping, "roles": tuple(row.roles)}) for row in tx.execute(_EVERYBODY, {"ended_too": ended_too})]  # noqa: SLF001  # SQLAlchemy's public name for a row as a mapping


def _change(tx: Connection, staff_id: int, wanted: set[str], *, by: str, by_group: bool) -> None:
    keys = {"id": staff_id, "by": _by(by), "by_group": by_group}
    has = set(tx.execute(_ROLES, keys).scalars())
    for role in sorted(has - wanted):
        tx.execute(_TAKE, {**keys, "role": role})
    for role in sorted(wanted - has):
        _give(tx, staff_id, role, by=by, by_group=by_group)


def _give(tx: Connection, staff_id: int, role: str, *, by: str, by_group: bool = False) -> None:
    tx.execute(_GIVE, {"id": staff_id, "role": role, "by": _by(by), "by_group": by_group})


def _known(roles: Iterable[str]) -> list[str]:
    wanted = sorted(set(roles))
    if unknown := [role for role in wanted if role not in roles_in_force().by_role]:
        raise StaffRefused(f"no such role: {', '.join(unknown)}; there are {', '.join(sorted(roles_in_force().by_role))}")
    return wanted


def _by(by: str) -> str:
    who = " ".join(by.split())
    if not who:
        raise StaffRefused("say who: --by NAME")
    return who


def _in_force(tx: Connection, staff_id: int) -> None:
    if tx.execute(_IS_IN_FORCE, {"id": staff_id}).one_or_none() is None:
        raise StaffRefused(f"nobody of the staff has the number {staff_id}, or she has left: see `tideover staff list`")


def _lock(tx: Connection) -> None:
    """One change of the staff at a time: there are few, and two at once must not add one person twice."""
    tx.execute(_LOCK)


_ROLES_OF: Final = "(SELECT coalesce(array_agg(DISTINCT r.role), '{}') FROM staff_role r WHERE r.staff_id = s.id AND r.taken_at IS NULL)"
_FIND = text(
    f"SELECT s.id, s.name, {_ROLES_OF} AS roles FROM staff s WHERE s.issuer = :issuer AND s.subject = :subject AND s.ended_at IS NULL"  # noqa: S608  # the words above
)
_SAME_NAME = text("SELECT 1 FROM staff WHERE lower(name) = lower(:name) AND ended_at IS NULL LIMIT 1")
_LOCK = text("LOCK TABLE staff IN SHARE ROW EXCLUSIVE MODE")
_ADD = text("INSERT INTO staff (issuer, subject, name, added_by) VALUES (:issuer, :subject, :name, :by) RETURNING id")
_GIVE = text("INSERT INTO staff_role (staff_id, role, by_group, given_by) VALUES (:id, :role, :by_group, :by)")
_TAKE = text("""
    UPDATE staff_role SET taken_at = clock_timestamp(), taken_by = :by
    WHERE staff_id = :id AND role = :role AND by_group = :by_group AND taken_at IS NULL
""")
_ROLES = text("SELECT role FROM staff_role WHERE staff_id = :id AND by_group = :by_group AND taken_at IS NULL")
_IS_IN_FORCE = text("SELECT 1 FROM staff WHERE id = :id AND ended_at IS NULL")
_END = text("UPDATE staff SET ended_at = clock_timestamp(), ended_by = :by WHERE id = :id")
_END_ROLES = text("UPDATE staff_role SET taken_at = clock_timestamp(), taken_by = :by WHERE staff_id = :id AND taken_at IS NULL")
_END_SESSIONS = text("UPDATE staff_session SET ended_at = clock_timestamp() WHERE staff_id = :id AND ended_at IS NULL")
_EVERYBODY = text(
    f"""
    SELECT s.id, s.issuer, s.subject, s.name, {_ROLES_OF} AS roles, s.added_by, s.added_at, s.ended_at,
           (SELECT max(seen_at) FROM staff_session v WHERE v.staff_id = s.id) AS seen_at
    FROM staff s WHERE :ended_too OR s.ended_at IS NULL ORDER BY s.id
"""  # noqa: S608  # the words above
)

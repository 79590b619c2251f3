"""Tables of the staff: who, in which roles, which desks are open, and who looked at whom.

Pure: yes; declares.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from sqlalchemy import CheckConstraint, Index, Text, text
from sqlmodel import Field, SQLModel

from ledger.columns import big, identity, instant, recorded


class Staff(SQLModel, table=True):
    """One of the staff, as the issuer of sign-ins names her; whoever left and comes back is a new row."""

    __tablename__: ClassVar[str] = "staff"
    __table_args__ = (
        Index("staff_in_force", "issuer", "subject", unique=True, postgresql_where=text("ended_at IS NULL")),
        CheckConstraint("(ended_at IS NULL) = (ended_by IS NULL)", name="staff_end_is_whole"),
    )

    id: int | None = identity()
    issuer: str = Field(sa_type=Text)
    subject: str = Field(sa_type=Text)
    name: str = Field(sa_type=Text)
    added_by: str = Field(sa_type=Text)
    added_at: datetime = recorded()
    ended_at: datetime | None = instant(nullable=True)
    ended_by: str | None = Field(default=None, sa_type=Text)


class StaffRole(SQLModel, table=True):
    """A role that somebody has or had."""

    __tablename__: ClassVar[str] = "staff_role"
    __table_args__ = (
        Index("staff_role_in_force", "staff_id", "role", "by_group", unique=True, postgresql_where=text("taken_at IS NULL")),
        CheckConstraint("(taken_at IS NULL) = (taken_by IS NULL)", name="staff_role_end_is_whole"),
    )

    id: int | None = identity()
    staff_id: int = big(foreign_key="staff.id")
    role: str = Field(sa_type=Text)
    # Given by a group of the issuer's (config/roles.yaml): it ends at the first sign-in without that group.
    by_group: bool
    given_by: str = Field(sa_type=Text)
    given_at: datetime = recorded()
    taken_at: datetime | None = instant(nullable=True)
    taken_by: str | None = Field(default=None, sa_type=Text)


class StaffSession(SQLModel, table=True):
    """A desk that is open: whose, since when, and the hash of what the browser shows. Wall clock."""

    __tablename__: ClassVar[str] = "staff_session"
    __table_args__ = (
        Index("staff_session_secret", "secret_hash", unique=True),
        Index("staff_session_of_staff", "staff_id", "opened_at"),
    )

    id: int | None = identity()
    staff_id: int = big(foreign_key="staff.id")
    secret_hash: bytes
    opened_at: datetime = recorded()
    seen_at: datetime = recorded()
    ended_at: datetime | None = instant(nullable=True)


class StaffView(SQLModel, table=True):
    """One look of one of the staff at a person: which page, when, and why where a reason was given. Wall clock."""

    __tablename__: ClassVar[str] = "staff_view"
    __table_args__ = (
        Index("staff_view_of_staff", "staff_id", "at"),
        Index("staff_view_of_party", "party_id", "at"),
        CheckConstraint("(why_encrypted IS NULL) = (key_id IS NULL)", name="staff_view_reason_is_whole"),
    )

    id: int | None = identity()
    staff_id: int = big(foreign_key="staff.id")
    party_id: int = big(foreign_key="party.id")
    what: str = Field(sa_type=Text)
    # In her own words, which may name somebody.
    why_encrypted: bytes | None = Field(default=None, nullable=True)
    key_id: str | None = Field(default=None, sa_type=Text)
    at: datetime = recorded()

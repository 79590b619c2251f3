"""Tables of agencies: who may collect where, which loan is with whom since when, what each was told and has acknowledged.

What agencies say comes back into `contact_event`, the one log that all caps read (docs/agencies.md).

Pure: no; importing this module only declares tables.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from ledger.columns import big, identity, instant, one_of, recorded

# What an agency is told of a loan that it has.
TOLD_KINDS = ("placed", "recalled", "hold", "opt_out", "wish", "payment")


class Agency(SQLModel, table=True):
    """A firm that collects for the lender, how people reach it, and the certificate that what it is sent is encrypted for."""

    __tablename__: ClassVar[str] = "agency"
    __table_args__ = (CheckConstraint("code ~ '^[a-z0-9][a-z0-9-]{1,31}$'", name="agency_code_is_a_word"),)

    id: int | None = identity()
    # Our short name of it: in commands, names of files and `contact_event.source`.
    code: str = Field(sa_type=Text, unique=True)
    # As borrowers are told it.
    name: str = Field(sa_type=Text)
    # How a borrower reaches it: the firm's address or number, nobody's own.
    contact: str = Field(sa_type=Text)
    # X.509, PEM; null = nothing can be sent to it.
    certificate: str | None = Field(default=None, sa_type=Text)
    added_by: str = Field(sa_type=Text)
    at: datetime = instant()
    recorded_at: datetime = recorded()


class AgencyLicence(SQLModel, table=True):
    """An agency's leave to collect in a jurisdiction, [from_on, until_on). A longer one is a further row."""

    __tablename__: ClassVar[str] = "agency_licence"
    __table_args__ = (
        CheckConstraint("until_on > from_on", name="agency_licence_interval"),
        CheckConstraint("jurisdiction ~ '^[A-Z]{2}(-[A-Z0-9]{1,3}){0,2}$'", name="agency_licence_jurisdiction"),
        UniqueConstraint("agency_id", "jurisdiction", "number", "from_on", "until_on", name="agency_licence_once"),
    )

    id: int | None = identity()
    agency_id: int = big(foreign_key="agency.id")
    jurisdiction: str = Field(sa_type=Text)
    number: str = Field(sa_type=Text)
    from_on: date
    until_on: date
    added_by: str = Field(sa_type=Text)
    recorded_at: datetime = recorded()


class Placement(SQLModel, table=True):
    """A loan that is, or was, with an agency. It ends once, and why stands with it."""

    __tablename__: ClassVar[str] = "placement"
    __table_args__ = (
        CheckConstraint(
            "(ended_at IS NULL) = (ended_because IS NULL) AND (ended_at IS NULL) = (ended_by IS NULL)", name="placement_end_is_whole"
        ),
        Index("placement_one_open", "loan_id", unique=True, postgresql_where=text("ended_at IS NULL")),
        Index("placement_of_agency", "agency_id", "id"),
        UniqueConstraint("reference", name="placement_reference"),
    )

    id: int | None = identity()
    # What the agency calls it: no id of ours, nor of the lender's.
    reference: UUID
    loan_id: int = big(foreign_key="loan.id", index=True)
    agency_id: int = big(foreign_key="agency.id")
    starts_at: datetime = instant()
    until_on: date
    placed_by: str = Field(sa_type=Text)
    ended_at: datetime | None = instant(nullable=True)
    # A word of ours, or the kind of the hold that called it back.
    ended_because: str | None = Field(default=None, sa_type=Text)
    ended_by: str | None = Field(default=None, sa_type=Text)
    # Its hold has ended too: that takes the borrowers' locks, and a recall waits for nobody's.
    released_at: datetime | None = instant(nullable=True)
    recorded_at: datetime = recorded()


class AgencyFeed(SQLModel, table=True):
    """One file for an agency: what has become new for the loans that it has; and when it said that it had read it."""

    __tablename__: ClassVar[str] = "agency_feed"
    __table_args__ = (UniqueConstraint("agency_id", "number", name="agency_feed_number"),)

    id: int | None = identity()
    agency_id: int = big(foreign_key="agency.id")
    number: int
    # The lender's local date: until its end the agency says that it has read it.
    business_date: date
    lines: int
    # SHA-256 over what was encrypted.
    content_hash: bytes
    made_at: datetime = instant()
    acknowledged_at: datetime | None = instant(nullable=True)
    # The last date on which people were told that it was not acknowledged.
    told_late_on: date | None = Field(default=None)
    recorded_at: datetime = recorded()


class AgencyFeedItem(SQLModel, table=True):
    """One thing that an agency was told: which row of which kind. Told once."""

    __tablename__: ClassVar[str] = "agency_feed_item"
    __table_args__ = (
        one_of("kind", TOLD_KINDS, "agency_feed_item_kind"),
        UniqueConstraint("placement_id", "kind", "subject_id", name="agency_feed_item_once"),
        Index("agency_feed_item_of_feed", "feed_id"),
    )

    id: int | None = identity()
    feed_id: int = big(foreign_key="agency_feed.id")
    placement_id: int = big(foreign_key="placement.id")
    kind: str = Field(sa_type=Text)
    subject_id: int = big()


class AgencyFinding(SQLModel, table=True):
    """A contact by an agency that was against a rule, or about a loan that it did not have. Append-only; for the auditor."""

    __tablename__: ClassVar[str] = "agency_finding"
    __table_args__ = (
        UniqueConstraint("event_id", "rule", name="agency_finding_once"),
        Index("agency_finding_of_agency", "agency_id", "event_business_date"),
    )

    id: int | None = identity()
    agency_id: int = big(foreign_key="agency.id")
    placement_id: int = big(foreign_key="placement.id")
    # Of `contact_event`.
    event_business_date: date
    event_id: int = big()
    # A rule's id, or `not_placed`.
    rule: str = Field(sa_type=Text)
    at: datetime = instant()
    recorded_at: datetime = recorded()

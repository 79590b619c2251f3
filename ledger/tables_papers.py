"""Tables of what a person brings to her page, and takes from it.

Pure: yes; declares.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Text
from sqlmodel import Field, SQLModel

from decisions.uploads import FILE_KINDS
from ledger.columns import Fact, big, current, identity, instant, one_of, recorded

# What a person takes from her page: PDFs, and all that is kept of her, as data or to read.
DOCUMENTS = ("statement", "receipt", "plan", "no_dues", "data_json", "data_page")

# After which she may say whether it helped: a case that was closed, a plan that was kept, a loan that was paid back.
HELPS = ("case", "plan", "paid")


class LanguageWish(Fact, table=True):
    """The language that a person chose for what is written to her; it goes before the one that the lender says."""

    __tablename__: ClassVar[str] = "language_wish"
    __table_args__ = (current("language_wish_current", "party_id"),)

    id: int | None = identity()
    party_id: int = big(foreign_key="party.id")
    locale: str = Field(sa_type=Text)


class Helped(SQLModel, table=True):
    """What a person answered to "Did this help?"; once for each thing. Counted in reports; nothing is decided by it."""

    __tablename__: ClassVar[str] = "helped"
    __table_args__ = (
        one_of("about", HELPS, "helped_about"),
        Index("helped_once", "party_id", "about", "about_id", unique=True),
        Index("helped_at", "at"),
    )

    id: int | None = identity()
    party_id: int = big(foreign_key="party.id")
    about: str = Field(sa_type=Text)
    # Of the case, the plan or the loan.
    about_id: int = big()
    has_helped: bool
    at: datetime = instant()
    recorded_at: datetime = recorded()


class PersonFile(SQLModel, table=True):
    """A file that a person sent with what she said, encrypted; without its name. It belongs to an answer of hers, or to a case."""

    __tablename__: ClassVar[str] = "person_file"
    __table_args__ = (
        one_of("kind", FILE_KINDS, "person_file_kind"),
        CheckConstraint("(said_under IS NULL) <> (case_id IS NULL)", name="person_file_belongs_to_one"),
        CheckConstraint("size_bytes > 0", name="person_file_not_empty"),
        # The same file sent again with the same thing, by a double click, is kept once.
        Index("person_file_once", "party_id", "said_under", "case_id", "digest", unique=True, postgresql_nulls_not_distinct=True),
        Index("person_file_of_case", "case_id"),
    )

    id: int | None = identity()
    party_id: int = big(foreign_key="party.id")
    # The provider's id of the inbox row that it came with (provider `page`); that row opens the case.
    said_under: str | None = Field(default=None, sa_type=Text)
    case_id: int | None = big(nullable=True, foreign_key="borrower_case.id")
    kind: str = Field(sa_type=Text)
    size_bytes: int
    # Keyed: tells equal files apart from others, and nothing of what is in them.
    digest: bytes
    content_encrypted: bytes
    key_id: str = Field(sa_type=Text)
    at: datetime = instant()
    recorded_at: datetime = recorded()


class DocumentGiven(SQLModel, table=True):
    """A document that a person took from her page; append-only. The document itself is not kept: its hash tells whether one is it."""

    __tablename__: ClassVar[str] = "document_given"
    __table_args__ = (
        one_of("kind", DOCUMENTS, "document_given_kind"),
        Index("document_given_reference", "reference", unique=True),
        Index("document_given_of_party", "party_id", "recorded_at"),
    )

    id: int | None = identity()
    party_id: int = big(foreign_key="party.id")
    kind: str = Field(sa_type=Text)
    # Of which loan, payment or plan; null = of all that she has.
    loan_id: int | None = big(nullable=True, foreign_key="loan.id")
    payment_id: int | None = big(nullable=True, foreign_key="payment.id")
    plan_id: int | None = big(nullable=True, foreign_key="plan.id")
    # Stands at the foot of each page.
    reference: UUID
    locale: str = Field(sa_type=Text)
    content_hash: bytes
    at: datetime = instant()
    recorded_at: datetime = recorded()

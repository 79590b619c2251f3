"""The table of erasures: who asked to be forgotten, until when records must be kept, and that it was done.

Pure: yes; declares.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import CheckConstraint, Index, Text, text
from sqlmodel import Field, SQLModel

from ledger.columns import big, identity, instant, json_document, one_of, recorded, texts

ERASURE_STATES = ("restricted", "erased", "lifted")


class Erasure(SQLModel, table=True):
    """A person who is left in peace until nothing has to be kept of her any more, and then is erased. One that is not lifted a person."""

    __tablename__: ClassVar[str] = "erasure"
    __table_args__ = (
        one_of("state", ERASURE_STATES, "erasure_state"),
        CheckConstraint(
            "(state = 'erased') = (erased_at IS NOT NULL) AND (state = 'erased') = (mark IS NOT NULL)", name="erasure_is_whole"
        ),
        CheckConstraint("(state = 'lifted') = (lifted_at IS NOT NULL)", name="erasure_lifted"),
        Index("erasure_of_party", "party_id", unique=True, postgresql_where=text("state <> 'lifted'")),
        Index("erasure_mark", "mark", unique=True, postgresql_where=text("mark IS NOT NULL")),
    )

    id: int | None = identity()
    party_id: int = big(foreign_key="party.id")
    case_id: int | None = big(nullable=True, foreign_key="borrower_case.id")
    state: str = Field(sa_type=Text)
    asked_by: str = Field(sa_type=Text)
    asked_at: datetime = instant()
    # The first day on which nothing has to be kept; null while something is still going on, which `waits_for` names.
    due_on: date | None = Field(default=None)
    because: str | None = Field(default=None, sa_type=Text)
    waits_for: list[str] = texts()
    lifted_at: datetime | None = instant(nullable=True)
    erased_at: datetime | None = instant(nullable=True)
    # Table → rows that were emptied or removed.
    counts: dict[str, Any] = json_document()
    # Keyed hash of the lender's id: by it, and by nothing else, a later file's row is known to be of somebody who was erased.
    mark: bytes | None = Field(default=None)
    recorded_at: datetime = recorded()

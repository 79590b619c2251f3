"""The tables of what the lender's core system is told: instructions, and all that happened to each.

Pure: yes; declares.
Source: docs/adr/0043, 0044.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from decisions.core_instructions import KINDS, STATES, WAITING
from ledger.columns import big, identity, instant, json_document, one_of, recorded

# What happens to an instruction: its states, and what changes none of them.
INSTRUCTION_EVENTS = ("asked", "approved", "rejected", "tried", "told_late", "contradicted", *STATES)


class CoreInstruction(SQLModel, table=True):
    """One thing that the core system is told: what, for which loan, by when, and how far it has come."""

    __tablename__: ClassVar[str] = "core_instruction"
    __table_args__ = (
        one_of("kind", KINDS, "core_instruction_kind"),
        one_of("state", STATES, "core_instruction_state"),
        CheckConstraint("relief_minor >= 0", name="core_instruction_relief_not_negative"),
        CheckConstraint("currency ~ '^[A-Z]{3}$'", name="core_instruction_currency_iso4217"),
        CheckConstraint("(queued_at IS NULL) = (accept_by IS NULL AND apply_by IS NULL)", name="core_instruction_due_once_queued"),
        UniqueConstraint("key", name="core_instruction_key"),
        UniqueConstraint("token", name="core_instruction_token"),
        Index("core_instruction_of_loan", "loan_id"),
        Index("core_instruction_of_party", "party_id"),
        Index("core_instruction_waiting", "next_try_at", postgresql_where=text(f"state IN {WAITING!r}")),
    )

    id: int | None = identity()
    # Ours, of whoever asks: asked for twice with one key, it is one instruction. Nothing personal.
    key: str = Field(sa_type=Text)
    # The idempotency key on the wire.
    token: UUID
    loan_id: int = big(foreign_key="loan.id")
    party_id: int = big(foreign_key="party.id")
    kind: str = Field(sa_type=Text)
    # Dates and amounts; nothing personal.
    terms: dict[str, Any] = json_document()
    relief_minor: int = big()
    currency: str = Field(sa_type=Text)
    asked_by: str = Field(sa_type=Text)
    asked_as: str = Field(sa_type=Text)
    asked_at: datetime = instant()
    state: str = Field(sa_type=Text)
    queued_at: datetime | None = instant(nullable=True)
    accept_by: datetime | None = instant(nullable=True)
    apply_by: datetime | None = instant(nullable=True)
    # Wall clock, as all leases: until then nobody else delivers it, or asks about it.
    next_try_at: datetime = recorded()
    tries: int = Field(default=0, nullable=False, sa_column_kwargs={"server_default": text("0")})
    delivered_at: datetime | None = instant(nullable=True)
    # The core system's word for why not.
    reason_code: str | None = Field(default=None, sa_type=Text)
    recorded_at: datetime = recorded()


class CoreInstructionEvent(SQLModel, table=True):
    """What happened to an instruction: who, when, what; append-only."""

    __tablename__: ClassVar[str] = "core_instruction_event"
    __table_args__ = (
        one_of("kind", INSTRUCTION_EVENTS, "core_instruction_event_kind"),
        Index("core_instruction_event_of_instruction", "instruction_id"),
        # Nobody signs one twice, and of each deadline it is told once that it has passed.
        Index("core_instruction_event_signed_once", "instruction_id", "said_by", unique=True, postgresql_where=text("kind = 'approved'")),
        Index("core_instruction_event_told_once", "instruction_id", "reason", unique=True, postgresql_where=text("kind = 'told_late'")),
    )

    id: int | None = identity()
    instruction_id: int = big(foreign_key="core_instruction.id")
    kind: str = Field(sa_type=Text)
    said_by: str = Field(sa_type=Text)
    # In which role, where a person said so.
    said_as: str | None = Field(default=None, sa_type=Text)
    # A reason's code, or an error's class; nothing personal.
    reason: str | None = Field(default=None, sa_type=Text)
    at: datetime = instant()
    recorded_at: datetime = recorded()

"""The table of payments that were asked of the wallet; what came in is a row of `payment` (ledger/tables.py).

Pure: yes; declares.
Source: docs/adr/0045.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from ledger.columns import big, identity, instant, one_of, recorded

# `asked`: the wallet has not answered yet, and perhaps has it. `misfit`: money moved that fits nowhere; a case is open.
ORDER_STATES = ("asked", "waiting", "paid", "failed", "expired", "misfit")


class PaymentOrder(SQLModel, table=True):
    """A payment that a borrower chose on her page, and what came of it."""

    __tablename__: ClassVar[str] = "payment_order"
    __table_args__ = (
        one_of("state", ORDER_STATES, "payment_order_state"),
        CheckConstraint("amount_minor > 0", name="payment_order_amount_positive"),
        UniqueConstraint("key", name="payment_order_key"),
        UniqueConstraint("token", name="payment_order_token"),
        Index("payment_order_of_party", "party_id"),
        Index("payment_order_open", "asked_at", postgresql_where=text("state IN ('asked', 'waiting')")),
    )

    id: int | None = identity()
    # Of the form that was sent: sent twice, it is one payment.
    key: str = Field(sa_type=Text)
    # The idempotency key on the wire, and the name of its page.
    token: UUID
    party_id: int = big(foreign_key="party.id")
    loan_id: int = big(foreign_key="loan.id")
    amount_minor: int = big()
    currency: str = Field(sa_type=Text)
    state: str = Field(sa_type=Text)
    # The wallet's own, and where she confirms it.
    wallet_id: str | None = Field(default=None, sa_type=Text)
    confirm_url: str | None = Field(default=None, sa_type=Text)
    error_code: str | None = Field(default=None, sa_type=Text)
    asked_at: datetime = instant()
    ended_at: datetime | None = instant(nullable=True)
    recorded_at: datetime = recorded()

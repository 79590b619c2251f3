"""The tables of plans that fit: what moved in a wallet, what was offered and by which figures, and what she chose.

Pure: yes; declares.
Source: docs/adr/0046, 0048.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import ClassVar

from sqlalchemy import CheckConstraint, Index, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from decisions.wallet_flows import FLOW_KINDS
from ledger.columns import ImportedFact, big, current, identity, instant, one_of, recorded

ROADS = ("extension", "plan", "review", "hardship")
# Whose figures an offer rests on: the wallet's, hers, or the wallet's as she put them right.
FIGURES_FROM = ("wallet", "borrower", "both")


class WalletFlow(ImportedFact, table=True):
    """All of one kind that moved in a person's wallet on one day, or what it held at the day's end."""

    __tablename__: ClassVar[str] = "wallet_flow"
    __table_args__ = (
        one_of("kind", FLOW_KINDS, "wallet_flow_kind"),
        CheckConstraint("amount_minor >= 0", name="wallet_flow_not_negative"),
        CheckConstraint("currency ~ '^[A-Z]{3}$'", name="wallet_flow_currency_iso4217"),
        current("wallet_flow_current", "party_id", "moved_on", "kind", "currency"),
    )

    id: int | None = identity()
    party_id: int = big()
    moved_on: date
    kind: str = Field(sa_type=Text)
    currency: str = Field(sa_type=Text)
    amount_minor: int = big()


class PlanOffer(SQLModel, table=True):
    """What the rule said to a person about a loan, and why; append-only. The figures are hers, and encrypted."""

    __tablename__: ClassVar[str] = "plan_offer"
    __table_args__ = (
        one_of("road", ROADS, "plan_offer_road"),
        one_of("figures_from", FIGURES_FROM, "plan_offer_figures_from"),
        Index("plan_offer_of_party", "party_id"),
        # The same circumstances under the same rule: the same offer (ledger/audit_ledger.py).
        Index("plan_offer_alike", "rule_hash", "circumstances_digest"),
    )

    id: int | None = identity()
    party_id: int = big(foreign_key="party.id")
    loan_id: int = big(foreign_key="loan.id")
    at: datetime = instant()
    road: str = Field(sa_type=Text)
    figures_from: str = Field(sa_type=Text)
    # Of config/affordability.yaml, which `policy_version` keeps.
    rule_hash: str = Field(sa_type=Text)
    # Keyed hashes: nobody reads an amount out of them who has not the key.
    circumstances_digest: bytes
    offer_digest: bytes
    # Circumstances and offer, as JSON.
    record_encrypted: bytes
    key_id: str = Field(sa_type=Text)
    recorded_at: datetime = recorded()


class PlanChoice(SQLModel, table=True):
    """A choice that a person took: of which offer, the plan that came of it, and what the core system was asked."""

    __tablename__: ClassVar[str] = "plan_choice"
    __table_args__ = (
        UniqueConstraint("offer_id", name="plan_choice_one_of_an_offer"),
        UniqueConstraint("plan_id", name="plan_choice_of_plan"),
        Index("plan_choice_of_party", "party_id"),
    )

    id: int | None = identity()
    offer_id: int = big(foreign_key="plan_offer.id")
    # Which of the offer's choices, from 0 on.
    place: int
    party_id: int = big(foreign_key="party.id")
    plan_id: int = big(foreign_key="plan.id")
    at: datetime = instant()
    recorded_at: datetime = recorded()

"""The peers' own tables: what somebody would write who plans reminders with SQLModel and has no history to keep.

In:   a ledger that planning was measured on.
Out:  `Borrower` and what belongs to it, as SQLModel classes; `fill` copies the ledger's facts of today into them; `Decision` is what a
      peer decides.
Pure: no; `fill` writes tables named `peer_…` beside the ledger's.
"""

from datetime import date, datetime
from typing import Final

from sqlalchemy import Connection, DateTime, MetaData, text
from sqlalchemy.orm import registry
from sqlmodel import Field, Relationship, SQLModel

PEERS: Final = MetaData()


class Base(SQLModel, registry=registry(metadata=PEERS)):
    """Tables of the peers, apart from the ledger's, whose classes bear the same names."""

    metadata = PEERS


class Loan(Base, table=True):
    """What is owed."""

    __tablename__ = "peer_loan"
    id: int | None = Field(default=None, primary_key=True)
    borrower_id: int = Field(foreign_key="peer_borrower.id", index=True)
    status: str
    borrower: "Borrower" = Relationship(back_populates="loans")
    instalments: list["Instalment"] = Relationship(back_populates="loan", sa_relationship_kwargs={"order_by": "Instalment.due_on"})
    payments: list["Payment"] = Relationship(back_populates="loan")


class Instalment(Base, table=True):
    """When how much falls due."""

    __tablename__ = "peer_instalment"
    id: int | None = Field(default=None, primary_key=True)
    loan_id: int = Field(foreign_key="peer_loan.id", index=True)
    due_on: date
    due_minor: int
    loan: "Loan" = Relationship(back_populates="instalments")


class Payment(Base, table=True):
    """What was paid."""

    __tablename__ = "peer_payment"
    id: int | None = Field(default=None, primary_key=True)
    loan_id: int = Field(foreign_key="peer_loan.id", index=True)
    amount_minor: int
    loan: "Loan" = Relationship(back_populates="payments")


class ContactPoint(Base, table=True):
    """A number or an app."""

    __tablename__ = "peer_contact_point"
    id: int | None = Field(default=None, primary_key=True)
    borrower_id: int = Field(foreign_key="peer_borrower.id", index=True)
    channel: str
    borrower: "Borrower" = Relationship(back_populates="contact_points")


class Consent(Base, table=True):
    """A yes to a channel."""

    __tablename__ = "peer_consent"
    id: int | None = Field(default=None, primary_key=True)
    borrower_id: int = Field(foreign_key="peer_borrower.id", index=True)
    channel: str
    borrower: "Borrower" = Relationship(back_populates="consents")


class OptOut(Base, table=True):
    """A stop, of a channel or of all."""

    __tablename__ = "peer_opt_out"
    id: int | None = Field(default=None, primary_key=True)
    borrower_id: int = Field(foreign_key="peer_borrower.id", index=True)
    channel: str
    borrower: "Borrower" = Relationship(back_populates="opt_outs")


class Hold(Base, table=True):
    """A reason not to write at all."""

    __tablename__ = "peer_hold"
    id: int | None = Field(default=None, primary_key=True)
    borrower_id: int = Field(foreign_key="peer_borrower.id", index=True)
    kind: str
    borrower: "Borrower" = Relationship(back_populates="holds")


class PastContact(Base, table=True):
    """Somebody was written to."""

    __tablename__ = "peer_past_contact"
    id: int | None = Field(default=None, primary_key=True)
    borrower_id: int = Field(foreign_key="peer_borrower.id", index=True)
    at: datetime = Field(sa_type=DateTime(timezone=True))
    borrower: "Borrower" = Relationship(back_populates="past_contacts")


class Borrower(Base, table=True):
    """A person who owes."""

    __tablename__ = "peer_borrower"
    id: int | None = Field(default=None, primary_key=True)
    country: str
    zone: str
    loans: list["Loan"] = Relationship(back_populates="borrower")
    contact_points: list["ContactPoint"] = Relationship(back_populates="borrower")
    consents: list["Consent"] = Relationship(back_populates="borrower")
    opt_outs: list["OptOut"] = Relationship(back_populates="borrower")
    holds: list["Hold"] = Relationship(back_populates="borrower")
    past_contacts: list["PastContact"] = Relationship(back_populates="borrower")


class Decision(Base, table=True):
    """What is done today for a borrower, and why not."""

    __tablename__ = "peer_decision"
    borrower_id: int = Field(primary_key=True)
    business_date: date = Field(primary_key=True)
    channel: str | None = None
    contact_point_id: int | None = None
    step: int | None = None
    reason: str | None = None
    send_after: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))


def fill(tx: Connection) -> None:
    """Copy today's facts out of the ledger."""
    PEERS.drop_all(tx)
    PEERS.create_all(tx)
    for statement in _COPY:
        tx.execute(text(statement))
    tx.execute(text("ANALYZE"))


_COPY: Final = (
    "INSERT INTO peer_borrower (id, country, zone) SELECT party_id, country, zones[1] FROM party_version WHERE superseded_at IS NULL",
    """INSERT INTO peer_loan (id, borrower_id, status) SELECT v.loan_id, p.party_id, v.status
       FROM loan_version v JOIN loan_party p ON p.loan_id = v.loan_id AND p.superseded_at IS NULL WHERE v.superseded_at IS NULL""",
    """INSERT INTO peer_instalment (loan_id, due_on, due_minor)
       SELECT loan_id, due_on, principal_minor + interest_minor + fee_minor + penalty_minor FROM instalment WHERE superseded_at IS NULL""",
    "INSERT INTO peer_payment (loan_id, amount_minor) SELECT loan_id, amount_minor FROM payment WHERE superseded_at IS NULL",
    """INSERT INTO peer_contact_point (id, borrower_id, channel)
       SELECT id, party_id, CASE kind WHEN 'mobile' THEN 'sms' ELSE kind END FROM contact_point""",
    """INSERT INTO peer_consent (borrower_id, channel)
       SELECT party_id, channel FROM consent WHERE superseded_at IS NULL AND withdrawn_at IS NULL""",
    "INSERT INTO peer_opt_out (borrower_id, channel) SELECT party_id, channel FROM opt_out WHERE superseded_at IS NULL",
    "INSERT INTO peer_hold (borrower_id, kind) SELECT party_id, kind FROM hold WHERE superseded_at IS NULL",
    "INSERT INTO peer_past_contact (borrower_id, at) SELECT party_id, at FROM contact_event WHERE direction = 'outbound' AND counts",
)

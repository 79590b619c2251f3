"""The ledger's tables: what is true, since when, and since when we know it.

Three kinds of table stand here.

* **Identities** (`party`, `loan`, `contact_point`, ...): an id that never changes, and the lender's own id.
* **Facts**: append-only versions. Every row says when it took effect (`effective_at`), when we learned it
  (`recorded_at`), from where (`source`) and in which import. A correction is a new row; the old one only gets
  `superseded_at`, so that a decision replays from what was known then. The version in force is the one whose
  `superseded_at` is null: a partial unique index says that there is at most one.
* **Records** of what we did (`decision`, `attempt`, `contact_event`, ...): keyed by `business_date` first, so that
  they can be partitioned later without touching a key.

Money is an integer in minor units with its ISO 4217 code; instants are UTC. Business instants (`effective_at`, `at`,
`starts_at`) come from the one clock (ledger/clock.py) or from the outside world and never have a default.
`recorded_at` and leases are the database's wall clock.

Pure: no; importing this module only declares tables.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    SmallInteger,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from decisions.cases import CASE_KINDS, CASE_STATES, STATED_BY
from decisions.words import CHANNELS, HOLD_KINDS, RESULTS
from ledger.columns import Fact, ImportedFact, big, current, identity, instant, json_document, learned, one_of, recorded, texts
from ledger.partitions import LATE_DAYS_MAX

ATTEMPT_STATES = (
    "planned",
    "submitting",
    "accepted",
    "sent",
    "delivered",
    "read",
    "replied",
    "undelivered",
    "failed",
    "rejected",
    "withheld",
    "superseded",
    "expired",
    "unknown",
    "parked",
)
# A live attempt either may still reach the person or already has: no second one for the same borrower, day and stage.
LIVE_ATTEMPT_STATES = ("planned", "submitting", "accepted", "sent", "delivered", "read", "replied", "unknown", "parked")

STAGES = ("pre_due", "early", "mid", "late", "recovery")
# Runs that treat nobody's lateness: their messages put right, remind of a promise, answer or teach, whatever stage a person is in.
# `code` opens a person's page, each time she asks for one. `case` says that something was received, or answered, which she is owed
# an answer to (ledger/cases.py). `plan` tells that a plan was agreed, and remembers of its payments.
# `callback` and `call` are dialled by a person (gate/dial.py): who asked for it, and whom no message reached.
SERVICES = ("correction", "promise", "reply", "confirmation", "callback", "call", "code", "case", "education", "plan")
# Whether people have said yes to a run (ledger/run_approvals.py). A run sends in the first two of them, and in no other.
SENDING_APPROVALS = ("none", "approved")
# Whether few go first, and how it stands with them (ledger/canaries.py). A run sends in the first three, in `trying` to the few alone.
SENDING_CANARIES = ("none", "trying", "passed")
RUN_CANARIES = (*SENDING_CANARIES, "undecided", "untried", "stopped")
RUN_APPROVALS = (*SENDING_APPROVALS, "undecided", "awaiting", "narrowing", "rejected", "lapsed")


# --- where facts come from ------------------------------------------------------------------------------------------


class ImportBatch(SQLModel, table=True):
    """One import of one set of files: what was read, and what became of each row."""

    __tablename__: ClassVar[str] = "import_batch"
    __table_args__ = (
        CheckConstraint(
            "(withdrawn_at IS NULL) = (withdrawn_by IS NULL) AND (withdrawn_at IS NULL) = (withdrawn_because IS NULL)",
            name="import_batch_withdrawal_is_whole",
        ),
    )

    id: int | None = identity()
    mapping: str = Field(sa_type=Text)
    mapping_hash: str = Field(sa_type=Text)
    file_hash: str = Field(sa_type=Text, index=True)
    started_at: datetime = recorded()
    finished_at: datetime | None = instant(nullable=True)
    counts: dict[str, Any] = json_document()
    # Taken back by somebody: its rows stay, and are not in force any more (ledger/withdrawals.py).
    withdrawn_at: datetime | None = instant(nullable=True)
    withdrawn_by: str | None = Field(default=None, sa_type=Text)
    withdrawn_because: str | None = Field(default=None, sa_type=Text)


class Feed(Fact, table=True):
    """How far a source of facts reaches, and how old it may be before nobody is contacted on its word."""

    __tablename__: ClassVar[str] = "feed"
    __table_args__ = (
        one_of("kind", ("payments", "wallet_flows", "contacts"), "feed_kind"),
        CheckConstraint("age_seconds_max > 0", name="feed_age_positive"),
        current("feed_current", "creditor_id", "kind"),
    )

    id: int | None = identity()
    creditor_id: int = big(foreign_key="creditor.id")
    kind: str = Field(sa_type=Text)
    covers_until: datetime = instant()
    age_seconds_max: int


# --- who, and what is owed ------------------------------------------------------------------------------------------


class Creditor(SQLModel, table=True):
    """The lender as the borrower knows it: name, role before the law, senders, page."""

    __tablename__: ClassVar[str] = "creditor"
    __table_args__ = (one_of("role", ("first_party", "third_party", "debt_buyer"), "creditor_role"),)

    id: int | None = identity()
    external_id: str = Field(sa_type=Text, unique=True)
    name: str = Field(sa_type=Text)
    role: str = Field(sa_type=Text)
    country: str = Field(sa_type=Text)
    licence: str | None = Field(default=None, sa_type=Text)
    page_domain: str | None = Field(default=None, sa_type=Text)
    senders: dict[str, Any] = json_document()


class Party(SQLModel, table=True):
    """A person: borrower, co-borrower, guarantor, attorney, adviser. Locking this row is locking the borrower."""

    __tablename__: ClassVar[str] = "party"
    __table_args__ = (UniqueConstraint("creditor_id", "external_id", name="party_external_id"),)

    id: int | None = identity()
    creditor_id: int = big(foreign_key="creditor.id")
    external_id: str = Field(sa_type=Text)


class PartyVersion(ImportedFact, table=True):
    """What is known of a person. The name is encrypted; what planning needs stands in the clear."""

    __tablename__: ClassVar[str] = "party_version"
    __table_args__ = (current("party_version_current", "party_id"),)

    id: int | None = identity()
    party_id: int = big()
    name_encrypted: bytes | None = Field(default=None)
    key_id: str | None = Field(default=None, sa_type=Text)
    locale: str = Field(sa_type=Text)
    country: str | None = Field(default=None, sa_type=Text)
    region: str | None = Field(default=None, sa_type=Text)
    postal_code: str | None = Field(default=None, sa_type=Text)
    known_zone: str | None = Field(default=None, sa_type=Text)
    # Every zone the person may be in, from place, postal code and all numbers; derived once at import.
    zones: list[str] = texts()
    facts: list[str] = texts()
    digest: bytes = Field()


class Loan(SQLModel, table=True):
    """A loan's identity."""

    __tablename__: ClassVar[str] = "loan"
    __table_args__ = (UniqueConstraint("creditor_id", "external_id", name="loan_external_id"),)

    id: int | None = identity()
    creditor_id: int = big(foreign_key="creditor.id")
    external_id: str = Field(sa_type=Text)


class LoanVersion(ImportedFact, table=True):
    """A loan's terms and status as one source stated them."""

    __tablename__: ClassVar[str] = "loan_version"
    __table_args__ = (
        one_of(
            "status",
            ("active", "written_off", "submitted", "approved", "rejected", "withdrawn", "closed", "overpaid"),
            "loan_status",
        ),
        one_of(
            "servicing_status",
            ("active", "in_plan", "written_off", "placed", "sold", "settled", "paid", "estate", "forgiven"),
            "loan_servicing_status",
        ),
        CheckConstraint("principal_minor >= 0", name="loan_principal_not_negative"),
        CheckConstraint("grace_days >= 0", name="loan_grace_not_negative"),
        CheckConstraint("currency ~ '^[A-Z]{3}$'", name="loan_currency_iso4217"),
        CheckConstraint("disputed_minor >= 0", name="loan_disputed_not_negative"),
        current("loan_version_current", "loan_id"),
        *learned("loan_version"),
    )

    id: int | None = identity()
    loan_id: int = big()
    product: str = Field(sa_type=Text)
    account: str | None = Field(default=None, sa_type=Text)
    currency: str = Field(sa_type=Text)
    principal_minor: int = big()
    apr_basis_points: int | None = Field(default=None)
    jurisdiction: str | None = Field(default=None, sa_type=Text)
    opened_on: date | None = Field(default=None)
    bucket_scheme: str = Field(sa_type=Text)
    allocation_order: list[str] = texts()
    grace_days: int
    status: str = Field(sa_type=Text)
    servicing_status: str = Field(sa_type=Text)
    disputed_minor: int = big()
    charged_off: bool
    time_barred: bool
    digest: bytes = Field()


class LoanParty(ImportedFact, table=True):
    """Who is liable for which loan, in which role, from when to when."""

    __tablename__: ClassVar[str] = "loan_party"
    __table_args__ = (
        one_of(
            "role",
            ("borrower", "co_borrower", "guarantor", "executor", "attorney", "debt_adviser"),
            "loan_party_role",
        ),
        CheckConstraint("ends_on IS NULL OR ends_on >= starts_on", name="loan_party_interval"),
        current("loan_party_current", "loan_id", "party_id", "role"),
        Index("loan_party_of_party", "party_id", postgresql_where=text("superseded_at IS NULL")),
        *learned("loan_party"),
    )

    id: int | None = identity()
    loan_id: int = big()
    party_id: int = big()
    role: str = Field(sa_type=Text)
    starts_on: date | None = Field(default=None)
    ends_on: date | None = Field(default=None)


class Instalment(ImportedFact, table=True):
    """What falls due on a day, by component."""

    __tablename__: ClassVar[str] = "instalment"
    __table_args__ = (
        CheckConstraint(
            "principal_minor >= 0 AND interest_minor >= 0 AND fee_minor >= 0 AND penalty_minor >= 0",
            name="instalment_not_negative",
        ),
        current("instalment_current", "loan_id", "number"),
        *learned("instalment"),
        Index("instalment_due", "due_on", postgresql_where=text("superseded_at IS NULL")),
    )

    id: int | None = identity()
    loan_id: int = big()
    number: int
    due_on: date
    principal_minor: int = big()
    interest_minor: int = big()
    fee_minor: int = big()
    penalty_minor: int = big()


class Payment(ImportedFact, table=True):
    """Money that came in, or went back.

    A reversal is a payment row of its own: negative, and it names what it takes back and why.
    """

    __tablename__: ClassVar[str] = "payment"
    __table_args__ = (
        one_of("state", ("claimed", "pending", "posted", "reversed"), "payment_state"),
        one_of("reversal_reason", ("returned", "chargeback", "misposted", "refund", "fraud"), "payment_reversal_reason"),
        CheckConstraint("(state = 'reversed') = (amount_minor < 0)", name="payment_sign"),
        CheckConstraint("amount_minor <> 0", name="payment_not_zero"),
        CheckConstraint(
            "(state = 'reversed') = (reverses_external_id IS NOT NULL) AND (state = 'reversed') = (reversal_reason IS NOT NULL)",
            name="payment_reversal_names_what_and_why",
        ),
        current("payment_current", "loan_id", "external_id"),
        Index("payment_not_booked", "effective_at", postgresql_where=text("NOT booked AND superseded_at IS NULL")),
        *learned("payment"),
        Index("payment_paid", "paid_on", postgresql_where=text("superseded_at IS NULL")),
    )

    id: int | None = identity()
    loan_id: int = big()
    external_id: str = Field(sa_type=Text)
    state: str = Field(sa_type=Text)
    amount_minor: int = big()
    # The local date in the loan's zone, from which ageing counts, beside the instant.
    paid_on: date
    paid_at: datetime | None = instant(nullable=True)
    # Whether the lender's books show it; what the wallet told of counts before they do (ledger/wallet_payments.py).
    booked: bool = Field(default=True, nullable=False, sa_column_kwargs={"server_default": text("true")})
    rail: str | None = Field(default=None, sa_type=Text)
    reverses_external_id: str | None = Field(default=None, sa_type=Text)
    reversal_reason: str | None = Field(default=None, sa_type=Text)


class Allocation(ImportedFact, table=True):
    """Where the core system itself says which part of a payment paid what."""

    __tablename__: ClassVar[str] = "allocation"
    __table_args__ = (
        one_of("component", ("penalty", "fee", "interest", "principal"), "allocation_component"),
        CheckConstraint("amount_minor <> 0", name="allocation_not_zero"),
        current("allocation_current", "loan_id", "payment_external_id", "instalment_number", "component"),
    )

    id: int | None = identity()
    loan_id: int = big()
    payment_external_id: str = Field(sa_type=Text)
    instalment_number: int
    component: str = Field(sa_type=Text)
    amount_minor: int = big()


class AgeingPause(Fact, table=True):
    """Days of a loan that do not age: [starts_on, ends_on)."""

    __tablename__: ClassVar[str] = "ageing_pause"
    __table_args__ = (
        CheckConstraint("ends_on >= starts_on", name="ageing_pause_interval"),
        current("ageing_pause_current", "loan_id", "starts_on"),
    )

    id: int | None = identity()
    loan_id: int = big(foreign_key="loan.id")
    starts_on: date
    ends_on: date
    reason: str = Field(sa_type=Text)


class DelinquencySnapshot(ImportedFact, table=True):
    """How late a source itself called a loan on a date; evidence beside our own ageing, never its input."""

    __tablename__: ClassVar[str] = "delinquency_snapshot"
    __table_args__ = (current("delinquency_snapshot_current", "loan_id", "as_of"),)

    id: int | None = identity()
    loan_id: int = big()
    as_of: date
    months_past_due: int
    status_code: str = Field(sa_type=Text)
    balance_minor: int | None = big(nullable=True)


class LoanAging(SQLModel, table=True):
    """What ageing found for the loans that are late or nearly due; may be computed again. That its loan is there: docs/adr/0076."""

    __tablename__: ClassVar[str] = "loan_aging"

    business_date: date = Field(primary_key=True)
    loan_id: int = Field(primary_key=True, sa_type=BigInteger)
    party_id: int = big()
    days_past_due: int
    delinquent_days: int
    past_due_minor: int = big()
    outstanding_minor: int = big()
    oldest_unpaid_due_on: date | None = Field(default=None)
    next_due_on: date | None = Field(default=None)
    bucket: str = Field(sa_type=Text)
    stage: str | None = Field(default=None, sa_type=Text)
    __table_args__ = (Index("loan_aging_of_party", "business_date", "party_id"), {"postgresql_partition_by": "RANGE (business_date)"})


class Plan(SQLModel, table=True):
    """A payment plan's identity."""

    __tablename__: ClassVar[str] = "plan"

    id: int | None = identity()
    loan_id: int = big(foreign_key="loan.id", index=True)
    kind: str = Field(sa_type=Text)
    __table_args__ = (one_of("kind", ("plan", "extension", "settlement"), "plan_kind"),)


class PlanVersion(Fact, table=True):
    """One version of a plan: its instalments and how it stands."""

    __tablename__: ClassVar[str] = "plan_version"
    __table_args__ = (
        one_of(
            "status",
            ("offered", "accepted", "refused", "active", "late", "broken", "renegotiated", "completed"),
            "plan_status",
        ),
        UniqueConstraint("plan_id", "version", name="plan_version_number"),
        current("plan_version_current", "plan_id"),
    )

    id: int | None = identity()
    plan_id: int = big(foreign_key="plan.id")
    version: int
    status: str = Field(sa_type=Text)
    agreed_on: date | None = Field(default=None)
    instalments: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSONB, nullable=False)


class Promise(Fact, table=True):
    """Date and amount that the borrower named."""

    __tablename__: ClassVar[str] = "promise"
    __table_args__ = (
        CheckConstraint("amount_minor IS NULL OR amount_minor > 0", name="promise_amount_positive"),
        one_of("state", ("open", "kept", "partial", "broken", "withdrawn"), "promise_state"),
        current("promise_current", "party_id", "loan_id", "due_on"),
    )

    id: int | None = identity()
    party_id: int = big(foreign_key="party.id")
    loan_id: int | None = big(nullable=True, foreign_key="loan.id")
    due_on: date
    amount_minor: int | None = big(nullable=True)
    currency: str | None = Field(default=None, sa_type=Text)
    state: str = Field(sa_type=Text)


# --- how a person may be reached ------------------------------------------------------------------------------------


class ContactValue(ImportedFact, table=True):
    """Who owns a number or address. Ownership belongs to the value: "not me" blocks it for every borrower."""

    __tablename__: ClassVar[str] = "contact_value"
    __table_args__ = (
        one_of("ownership", ("claimed", "verified", "shared", "reassigned", "wrong"), "contact_value_ownership"),
        current("contact_value_current", "blind_index"),
        Index("contact_value_of_value", "blind_index"),
        # Of most values nothing is known but that they were given.
        Index("contact_value_told", "blind_index", postgresql_where=text("superseded_at IS NULL AND ownership <> 'claimed'")),
    )

    id: int | None = identity()
    blind_index: bytes
    ownership: str = Field(sa_type=Text)


class ContactPoint(SQLModel, table=True):
    """A contact point's identity. That its person is there: docs/adr/0076."""

    __tablename__: ClassVar[str] = "contact_point"
    __table_args__ = (
        UniqueConstraint("party_id", "external_id", name="contact_point_external_id"),
        one_of(
            "kind",
            ("mobile", "landline", "email", "address", "push", "whatsapp", "messenger", "social"),
            "contact_point_kind",
        ),
    )

    id: int | None = identity()
    party_id: int = big()
    external_id: str = Field(sa_type=Text)
    kind: str = Field(sa_type=Text)


class ContactPointVersion(ImportedFact, table=True):
    """A phone number, push token, address: value encrypted, what planning needs derived once at import."""

    __tablename__: ClassVar[str] = "contact_point_version"
    __table_args__ = (
        one_of("status", ("active", "inactive", "invalid", "unreachable"), "contact_point_status"),
        one_of(
            "owner",
            ("borrower", "co_borrower", "spouse", "guarantor", "attorney", "employer", "reference", "household", "third_party", "executor"),
            "contact_point_owner",
        ),
        current("contact_point_version_current", "contact_point_id"),
        Index("contact_point_version_value", "blind_index"),
    )

    id: int | None = identity()
    contact_point_id: int = big()
    # Null = erased.
    value_encrypted: bytes | None = Field(default=None)
    blind_index: bytes
    key_id: str = Field(sa_type=Text)
    country: str | None = Field(default=None, sa_type=Text)
    zones: list[str] = texts()
    owner: str = Field(sa_type=Text)
    employer_owned: bool
    verified_on: date | None = Field(default=None)
    status: str = Field(sa_type=Text)
    digest: bytes = Field()


class Consent(ImportedFact, table=True):
    """Leave to use a channel: to whom it was given, when, until when, and whether it was taken back."""

    __tablename__: ClassVar[str] = "consent"
    __table_args__ = (current("consent_current", "party_id", "channel", "given_to", "at"),)

    id: int | None = identity()
    party_id: int = big()
    channel: str = Field(sa_type=Text)
    given_to: str = Field(sa_type=Text)
    at: datetime = instant()
    until: datetime | None = instant(nullable=True)
    withdrawn_at: datetime | None = instant(nullable=True)


class OptOut(Fact, table=True):
    """A stop: of one channel or all, of one contact point or every one."""

    __tablename__: ClassVar[str] = "opt_out"
    __table_args__ = (
        one_of("channel", ("all", *CHANNELS), "opt_out_channel"),
        Index("opt_out_of_party", "party_id", postgresql_where=text("superseded_at IS NULL")),
    )

    id: int | None = identity()
    party_id: int = big(foreign_key="party.id")
    channel: str = Field(sa_type=Text)
    contact_point_id: int | None = big(nullable=True, foreign_key="contact_point.id")
    at: datetime = instant()
    until: datetime | None = instant(nullable=True)


class Wish(Fact, table=True):
    """What the person asked for: hours, places, channels to leave alone."""

    __tablename__: ClassVar[str] = "wish"
    __table_args__ = (
        one_of("kind", ("not_at", "not_place", "not_channel"), "wish_kind"),
        Index("wish_of_party", "party_id", postgresql_where=text("superseded_at IS NULL")),
    )

    id: int | None = identity()
    party_id: int = big(foreign_key="party.id")
    kind: str = Field(sa_type=Text)
    days: list[str] = texts()
    opens: str | None = Field(default=None, sa_type=Text)
    closes: str | None = Field(default=None, sa_type=Text)
    place: str | None = Field(default=None, sa_type=Text)
    channels: list[str] = texts()
    starts_at: datetime = instant()
    until: datetime | None = instant(nullable=True)
    form: str | None = Field(default=None, sa_type=Text)


class Agreement(Fact, table=True):
    """Hours that both sides agreed on; widens only where the borrower asked for it."""

    __tablename__: ClassVar[str] = "agreement"
    __table_args__ = (Index("agreement_of_party", "party_id", postgresql_where=text("superseded_at IS NULL")),)

    id: int | None = identity()
    party_id: int = big(foreign_key="party.id")
    kind: str = Field(sa_type=Text)
    days: list[str] = texts()
    opens: str | None = Field(default=None, sa_type=Text)
    closes: str | None = Field(default=None, sa_type=Text)
    requested_by: str = Field(sa_type=Text)
    at: datetime = instant()
    until: datetime | None = instant(nullable=True)


class Notice(Fact, table=True):
    """A notice that a law wants before something else may happen."""

    __tablename__: ClassVar[str] = "notice"
    __table_args__ = (Index("notice_of_party", "party_id", postgresql_where=text("superseded_at IS NULL")),)

    id: int | None = identity()
    party_id: int = big(foreign_key="party.id")
    loan_id: int | None = big(nullable=True, foreign_key="loan.id")
    kind: str = Field(sa_type=Text)
    sent_at: datetime = instant()
    received_on: date | None = Field(default=None)
    bounced: bool
    opt_out_by: date | None = Field(default=None)


class Hold(Fact, table=True):
    """A reason not to contact: on a party, on a loan, or on all who are liable for it."""

    __tablename__: ClassVar[str] = "hold"
    __table_args__ = (
        one_of("kind", HOLD_KINDS, "hold_kind"),
        CheckConstraint("until IS NULL OR until >= starts_at", name="hold_interval"),
        Index("hold_of_party", "party_id", postgresql_where=text("superseded_at IS NULL")),
        Index("hold_of_loan", "loan_id", postgresql_where=text("superseded_at IS NULL AND loan_id IS NOT NULL")),
    )

    id: int | None = identity()
    party_id: int = big(foreign_key="party.id")
    loan_id: int | None = big(nullable=True, foreign_key="loan.id")
    all_liable: bool
    kind: str = Field(sa_type=Text)
    channel: str | None = Field(default=None, sa_type=Text)
    purpose: str | None = Field(default=None, sa_type=Text)
    starts_at: datetime = instant()
    until: datetime | None = instant(nullable=True)


class Pause(Fact, table=True):
    """Operations stop contact: everything, a creditor, a stage, a channel, a jurisdiction, a sender. In force while not lifted."""

    __tablename__: ClassVar[str] = "pause"

    id: int | None = identity()
    creditor_id: int | None = big(nullable=True, foreign_key="creditor.id")
    stage: str | None = Field(default=None, sa_type=Text)
    channel: str | None = Field(default=None, sa_type=Text)
    jurisdiction: str | None = Field(default=None, sa_type=Text)
    sender: str | None = Field(default=None, sa_type=Text)
    reason: str = Field(sa_type=Text)
    # Who paused; on the version that ends it, who resumed.
    said_by: str | None = Field(default=None, sa_type=Text)
    starts_at: datetime = instant()
    until: datetime | None = instant(nullable=True)


class Drill(SQLModel, table=True):
    """A kill-switch drill: a pause while messages were on their way, and how long after it the last call was begun."""

    __tablename__: ClassVar[str] = "drill"
    __table_args__ = (
        one_of("verdict", ("passed", "failed", "nothing_under_way"), "drill_verdict"),
        CheckConstraint("(verdict = 'nothing_under_way') = (pause_id IS NULL)", name="drill_measures_a_pause"),
        CheckConstraint("(pause_id IS NULL) = (paused_at IS NULL)", name="drill_pause_is_whole"),
    )

    id: int | None = identity()
    # The business instant; `paused_at` is the database's wall clock when the pause was written.
    at: datetime = instant()
    what: str = Field(sa_type=Text)
    said_by: str = Field(sa_type=Text)
    pause_id: int | None = big(nullable=True, foreign_key="pause.id")
    paused_at: datetime | None = instant(nullable=True)
    under_way: int
    sent_after: int
    # From `paused_at` until the last call that was begun after it; 0 = none was.
    last_send_seconds: float
    bound_seconds: float
    verdict: str = Field(sa_type=Text)
    recorded_at: datetime = recorded()


INCIDENT_KINDS = ("wrong_text", "wrong_portfolio", "provider_outage", "violation", "privacy", "complaint", "other")


class Incident(SQLModel, table=True):
    """Something went wrong for people: what, when, and how its list of them was chosen. The list and the notes are rows of their own."""

    __tablename__: ClassVar[str] = "incident"
    __table_args__ = (
        one_of("kind", INCIDENT_KINDS, "incident_kind"),
        CheckConstraint("until IS NULL OR since IS NULL OR until >= since", name="incident_interval"),
    )

    id: int | None = identity()
    kind: str = Field(sa_type=Text)
    title: str = Field(sa_type=Text)
    since: datetime | None = instant(nullable=True)
    until: datetime | None = instant(nullable=True)
    # How the list was chosen; the list itself does not change any more.
    selection: dict[str, Any] = json_document()
    opened_by: str = Field(sa_type=Text)
    opened_at: datetime = instant()
    recorded_at: datetime = recorded()


class IncidentPerson(SQLModel, table=True):
    """One person whom an incident concerns, and the attempts that reached out to them with what was wrong."""

    __tablename__: ClassVar[str] = "incident_person"

    incident_id: int = Field(primary_key=True, sa_type=BigInteger, foreign_key="incident.id")
    party_id: int = Field(primary_key=True, sa_type=BigInteger, foreign_key="party.id")
    attempts: list[int] = Field(
        default_factory=list, sa_type=ARRAY(BigInteger), nullable=False, sa_column_kwargs={"server_default": text("'{}'")}
    )


class IncidentNote(SQLModel, table=True):
    """What somebody did about an incident, or wrote about it: append-only."""

    __tablename__: ClassVar[str] = "incident_note"
    __table_args__ = (
        one_of("kind", ("note", "correction_asked", "correction_planned", "closed", "reopened"), "incident_note_kind"),
        Index("incident_note_of_incident", "incident_id"),
    )

    id: int | None = identity()
    incident_id: int = big(foreign_key="incident.id")
    kind: str = Field(sa_type=Text)
    said_by: str = Field(sa_type=Text)
    said: str = Field(sa_type=Text)
    at: datetime = instant()
    recorded_at: datetime = recorded()


# --- what was in force, and who agreed to it ------------------------------------------------------------------------


class PolicyVersion(SQLModel, table=True):
    """Every rule pack, strategy, message and experiment that was ever in force, by the hash of its content."""

    __tablename__: ClassVar[str] = "policy_version"
    __table_args__ = (
        one_of(
            "kind",
            (
                "rules",
                "strategy",
                "message",
                "experiment",
                "mapping",
                "calendar",
                "ageing",
                "clearance",
                "affordability",
                "model",
                "prices",
                "arm",
            ),
            "policy_version_kind",
        ),
    )

    hash: str = Field(primary_key=True, sa_type=Text)
    kind: str = Field(sa_type=Text)
    name: str = Field(sa_type=Text)
    body: str = Field(sa_type=Text)
    recorded_at: datetime = recorded()


class Approval(SQLModel, table=True):
    """Four eyes on a message, strategy, pack, run, waiver or experiment."""

    __tablename__: ClassVar[str] = "approval"
    __table_args__ = (
        CheckConstraint("approved_by IS NULL OR approved_by <> asked_by", name="approval_four_eyes"),
        one_of("verdict", ("asked", "approved", "rejected"), "approval_verdict"),
        CheckConstraint("(verdict = 'asked') = (approved_by IS NULL)", name="approval_names_who"),
        Index("approval_of_subject", "subject_hash"),
    )

    id: int | None = identity()
    subject_kind: str = Field(sa_type=Text)
    subject_hash: str = Field(sa_type=Text)
    asked_by: str = Field(sa_type=Text)
    approved_by: str | None = Field(default=None, sa_type=Text)
    role: str | None = Field(default=None, sa_type=Text)
    verdict: str = Field(sa_type=Text)
    reason: str | None = Field(default=None, sa_type=Text)
    at: datetime = instant()
    until: datetime | None = instant(nullable=True)
    recorded_at: datetime = recorded()


class ApprovalCode(SQLModel, table=True):
    """A one-time code that says who speaks: kept as a salted hash, for one person in one role, until a wall-clock instant."""

    __tablename__: ClassVar[str] = "approval_code"
    __table_args__ = (CheckConstraint("used_at IS NULL OR used_for IS NOT NULL", name="approval_code_used_for"),)

    id: int | None = identity()
    salt: bytes
    digest: bytes
    person: str = Field(sa_type=Text)
    role: str = Field(sa_type=Text)
    # Who made it: the account on the machine, which is no proof of a person, and a trace.
    made_by: str = Field(sa_type=Text)
    # Only for this run; null = for any.
    campaign_run_id: int | None = big(nullable=True, foreign_key="campaign_run.id")
    made_at: datetime = recorded()
    expires_at: datetime = instant()
    used_at: datetime | None = instant(nullable=True)
    used_for: str | None = Field(default=None, sa_type=Text)


class ApprovalAnswer(SQLModel, table=True):
    """What was answered to the question whether a run may send, and what came of it: each form once, wrong codes too."""

    __tablename__: ClassVar[str] = "approval_answer"
    __table_args__ = (
        one_of("outcome", ("asked", "approved", "rejected", "refused", "wrong_code"), "approval_answer_outcome"),
        UniqueConstraint("campaign_run_id", "form", name="approval_answer_once"),
    )

    id: int | None = identity()
    campaign_run_id: int = big(foreign_key="campaign_run.id")
    subject_hash: str | None = Field(default=None, sa_type=Text)
    # Which form, or which call on the terminal: the same one is never taken twice.
    form: str = Field(sa_type=Text)
    outcome: str = Field(sa_type=Text)
    said: str = Field(sa_type=Text)
    approval_code_id: int | None = big(nullable=True, foreign_key="approval_code.id")
    recorded_at: datetime = recorded()


# --- what we decided and did ----------------------------------------------------------------------------------------


class CampaignRun(SQLModel, table=True):
    """One stage on one business date: a second run of the flow for the same date finds this row."""

    __tablename__: ClassVar[str] = "campaign_run"
    __table_args__ = (
        one_of("stage", (*STAGES, *SERVICES), "campaign_run_stage"),
        one_of("state", ("open", "closed", "paused", "rejected"), "campaign_run_state"),
        UniqueConstraint("stage", "business_date", "scope", name="campaign_run_once"),
        one_of("approval", RUN_APPROVALS, "campaign_run_approval"),
        one_of("mode", ("sandbox", "allowlist", "live"), "campaign_run_mode"),
        one_of("canary", RUN_CANARIES, "campaign_run_canary"),
        CheckConstraint("canary <> 'trying' OR canary_rank IS NOT NULL", name="campaign_run_canary_rank"),
        CheckConstraint(
            "approval <> 'awaiting' OR (approval_subject IS NOT NULL AND approval_until IS NOT NULL)", name="campaign_run_asks_whole"
        ),
    )

    id: int | None = identity()
    stage: str = Field(sa_type=Text)
    business_date: date
    # Which part of the portfolio: 'all', or a country; of a service what it is about, such as 'incident-7'.
    scope: str = Field(sa_type=Text)
    state: str = Field(sa_type=Text)
    preview: bool
    borrowers_max: int | None = Field(default=None)
    seed: str = Field(sa_type=Text)
    policy_hashes: dict[str, Any] = json_document()
    opened_at: datetime = instant()
    closed_at: datetime | None = instant(nullable=True)
    # The date was missed, or its run broke off; on this date a backfill caught up with it. It runs no more.
    caught_up_on: date | None = Field(default=None)
    evidence_root: bytes | None = Field(default=None)
    # Every run of a Prefect flow that opened this one or took it up again, oldest first; where its log and artifacts are.
    flow_run_ids: list[UUID] = Field(
        default_factory=list, sa_type=ARRAY(Uuid), nullable=False, sa_column_kwargs={"server_default": text("'{}'")}
    )
    recorded_at: datetime = recorded()
    # Whether people have said yes, and above how many contacts they are asked; null = they are not asked.
    approval: str = Field(default="none", sa_type=Text, nullable=False, sa_column_kwargs={"server_default": text("'none'")})
    approval_above: int | None = Field(default=None)
    # Hash of what they are asked about (`approval.subject_hash`), since when and until when, by the wall clock.
    approval_subject: str | None = Field(default=None, sa_type=Text)
    approval_asked_at: datetime | None = instant(nullable=True)
    approval_until: datetime | None = instant(nullable=True)
    # The Prefect flow run that waits for their answer.
    approval_flow_run: UUID | None = Field(default=None)
    # At most so many contacts, where a person has said so; of whom is said by a rank that the run's seed gives.
    approved_max: int | None = Field(default=None)
    approved_rank: str | None = Field(default=None, sa_type=Text)
    # TIDEOVER_MODE when it was opened.
    mode: str = Field(default="sandbox", sa_type=Text, nullable=False, sa_column_kwargs={"server_default": text("'sandbox'")})
    # Who goes first, by the same rank, and what is said of them.
    canary: str = Field(default="none", sa_type=Text, nullable=False, sa_column_kwargs={"server_default": text("'none'")})
    canary_rank: str | None = Field(default=None, sa_type=Text)
    canary_said: str | None = Field(default=None, sa_type=Text)


class Backfill(SQLModel, table=True):
    """Past dates looked at again: decided again, caught up with, or recorded again. One open at a time of the same request."""

    __tablename__: ClassVar[str] = "backfill"
    __table_args__ = (
        one_of("kind", ("re_decide", "catch_up", "re_record"), "backfill_kind"),
        CheckConstraint("last_on >= first_on", name="backfill_interval"),
        Index("backfill_open_once", "key", unique=True, postgresql_where=text("finished_at IS NULL")),
    )

    id: int | None = identity()
    kind: str = Field(sa_type=Text)
    # Hash of the whole request: the same one, started again, goes on where it was broken off.
    key: str = Field(sa_type=Text)
    request: dict[str, Any] = json_document()
    first_on: date
    last_on: date
    opened_at: datetime = instant()
    # Wall clock: facts recorded until then are looked at, in every step, however often it is broken off.
    known_at: datetime = instant()
    finished_at: datetime | None = instant(nullable=True)
    recorded_at: datetime = recorded()


class BackfillStep(SQLModel, table=True):
    """One date of a backfill, done: written once, in the transaction of what it found."""

    __tablename__: ClassVar[str] = "backfill_step"

    backfill_id: int = Field(primary_key=True, sa_type=BigInteger, foreign_key="backfill.id")
    business_date: date = Field(primary_key=True)
    counts: dict[str, Any] = json_document()
    recorded_at: datetime = recorded()


class BackfillDifference(SQLModel, table=True):
    """What a backfill found to be different: of whom, before and after. Append-only; what it differs from stays as it is."""

    __tablename__: ClassVar[str] = "backfill_difference"
    __table_args__ = (
        ForeignKeyConstraint(
            ["backfill_id", "business_date"], ["backfill_step.backfill_id", "backfill_step.business_date"], name="backfill_difference_step"
        ),
        CheckConstraint("before IS DISTINCT FROM after", name="backfill_difference_differs"),
        Index("backfill_difference_of_date", "business_date", "what", "subject_id"),
    )

    backfill_id: int = Field(primary_key=True, sa_type=BigInteger)
    business_date: date = Field(primary_key=True)
    # decision/<stage> (of a party), ageing (of a loan), attempt and outcome and contact (of an attempt), promise (of a promise).
    what: str = Field(primary_key=True, sa_type=Text)
    subject_id: int = Field(primary_key=True, sa_type=BigInteger)
    before: dict[str, Any] | None = json_document(nullable=True)
    after: dict[str, Any] | None = json_document(nullable=True)
    # The date in whose figures it counts: the date itself, or, where that month is closed, the day on which it became known.
    booked_on: date
    recorded_at: datetime = recorded()


class CampaignShard(SQLModel, table=True):
    """The borrowers of a run, cut into parts that Prefect orchestrates, retries and shows."""

    __tablename__: ClassVar[str] = "campaign_shard"
    __table_args__ = (CheckConstraint("last_party_id >= first_party_id", name="campaign_shard_interval"),)

    campaign_run_id: int = Field(primary_key=True, sa_type=BigInteger, foreign_key="campaign_run.id")
    shard: int = Field(primary_key=True)
    first_party_id: int = big()
    last_party_id: int = big()
    borrowers: int
    planned: int | None = Field(default=None)
    withheld: int | None = Field(default=None)
    decided_at: datetime | None = instant(nullable=True)


class ReasonSet(SQLModel, table=True):
    """A set of reasons, kept once: millions of decisions share a few."""

    __tablename__: ClassVar[str] = "reason_set"

    id: int | None = identity()
    reasons: list[str] = Field(sa_type=ARRAY(Text), nullable=False, unique=True)


class Decision(SQLModel, table=True):
    """For one party on one date: contact or not, channel, message, offer, reasons, probability.

    That its run, its borrower and its reasons are there is checked by the database once a statement, not once a row (docs/adr/0076).
    """

    __tablename__: ClassVar[str] = "decision"
    __table_args__ = (
        UniqueConstraint("business_date", "party_id", "stage", name="decision_once"),
        CheckConstraint("probability > 0 AND probability <= 1", name="decision_probability"),
        one_of("action", ("contact", "no_contact"), "decision_action"),
        CheckConstraint(
            "(action = 'contact') = (contact_point_id IS NOT NULL AND channel IS NOT NULL AND message IS NOT NULL)",
            name="decision_contact_is_whole",
        ),
        Index("decision_of_run", "campaign_run_id", "shard"),
    )

    business_date: date = Field(primary_key=True)
    id: int | None = identity()
    campaign_run_id: int = big()
    shard: int
    party_id: int = big()
    stage: str = Field(sa_type=Text)
    step: int
    action: str = Field(sa_type=Text)
    channel: str | None = Field(default=None, sa_type=Text)
    contact_point_id: int | None = big(nullable=True)
    message: str | None = Field(default=None, sa_type=Text)
    offer: str | None = Field(default=None, sa_type=Text)
    locale: str | None = Field(default=None, sa_type=Text)
    score: int = big()
    probability: float
    # Only where more than one arm was allowed; the rest is replayed by `tideover explain`.
    propensities: dict[str, Any] | None = json_document(nullable=True)
    # Of the chosen arm, where a model weighs hours: 0 to 5, of four hours by the person's clock.
    hour_slot: int | None = Field(default=None, sa_type=SmallInteger)
    reason_set_id: int = big()
    decided_at: datetime = instant()
    # Facts recorded up to this wall-clock instant were seen: `explain` reads them again as of then.
    facts_known_at: datetime = instant()


class Attempt(SQLModel, table=True):
    """One try to reach one contact point; ledger/attempts.py alone moves its state.

    That its decision, of the same run and borrower, and its contact point are there is checked as a decision's references are.
    """

    __tablename__: ClassVar[str] = "attempt"
    __table_args__ = (
        # The borrower first: it finds all attempts of hers too.
        UniqueConstraint("party_id", "business_date", "stage", "step", "try_number", name="attempt_idempotency_key"),
        Index(
            "attempt_one_live",
            "business_date",
            "party_id",
            "stage",
            unique=True,
            # A code that is asked for anew is no second try of the one before it.
            postgresql_where=text("state IN (" + ", ".join(f"'{state}'" for state in LIVE_ATTEMPT_STATES) + ") AND stage <> 'code'"),
        ),
        one_of("state", ATTEMPT_STATES, "attempt_state"),
        one_of("channel", CHANNELS, "attempt_channel"),
        CheckConstraint(
            "state <> 'submitting' OR (claim_id IS NOT NULL AND call_deadline IS NOT NULL)", name="attempt_submitting_is_claimed"
        ),
        # A lane goes through a run in the order of the borrowers, which is the order of their locks.
        Index("attempt_due", "campaign_run_id", "party_id", postgresql_where=text("state = 'planned'")),
        Index("attempt_open", "call_deadline", postgresql_where=text("state IN ('submitting', 'unknown')")),
        Index("attempt_parked", "id", postgresql_where=text("state = 'parked'")),
        Index("attempt_token", "token"),
        Index("attempt_provider_id", "provider_id", postgresql_where=text("provider_id IS NOT NULL")),
    )

    business_date: date = Field(primary_key=True)
    id: int | None = identity()
    decision_id: int = big()
    campaign_run_id: int = big()
    party_id: int = big()
    contact_point_id: int = big()
    stage: str = Field(sa_type=Text)
    step: int
    try_number: int
    channel: str = Field(sa_type=Text)
    purpose: str = Field(sa_type=Text)
    message: str = Field(sa_type=Text)
    offer: str | None = Field(default=None, sa_type=Text)
    locale: str = Field(sa_type=Text)
    state: str = Field(sa_type=Text)
    # For callback addresses and the borrower's links: 128 random bits that say nothing.
    token: UUID
    send_after: datetime = instant()
    expires_at: datetime = instant()
    claim_id: UUID | None = Field(default=None)
    call_deadline: datetime | None = instant(nullable=True)
    # Written just before the call (ledger/calls.py), wall clock: past its deadline without it, surely no call was made.
    called_at: datetime | None = instant(nullable=True)
    # When the provider's whole list was first read without finding it, wall clock.
    not_listed_at: datetime | None = instant(nullable=True)
    submitted_at: datetime | None = instant(nullable=True)
    provider: str | None = Field(default=None, sa_type=Text)
    provider_id: str | None = Field(default=None, sa_type=Text)
    error_code: str | None = Field(default=None, sa_type=Text)
    # Rule ids, pack versions, zones and clock under which the gate let it pass, or why it did not.
    permit: dict[str, Any] | None = json_document(nullable=True)
    text_hash: str | None = Field(default=None, sa_type=Text)
    segments: int | None = Field(default=None)
    recorded_at: datetime = recorded()


class AttemptTransition(SQLModel, table=True):
    """Every move of an attempt, with its cause."""

    __tablename__: ClassVar[str] = "attempt_transition"
    __table_args__ = (
        ForeignKeyConstraint(["business_date", "attempt_id"], ["attempt.business_date", "attempt.id"], name="attempt_transition_attempt"),
        Index("attempt_transition_of_attempt", "business_date", "attempt_id"),
    )

    business_date: date = Field(primary_key=True)
    id: int | None = identity()
    attempt_id: int = big()
    from_state: str | None = Field(default=None, sa_type=Text)
    to_state: str = Field(sa_type=Text)
    cause: str = Field(sa_type=Text)
    # What the provider said with it: its id of the message, its error, segments. Nothing personal.
    details: dict[str, Any] | None = json_document(nullable=True)
    # A leaf under this batch's Merkle root.
    evidence_batch_id: int | None = big(nullable=True)
    at: datetime = instant()
    recorded_at: datetime = recorded()


class ContactEvent(SQLModel, table=True):
    """The one log that all caps read: what happened between us and a person, both directions, append-only.

    Results and un-counting are further rows. Imported contacts and an agency's use the same table.
    """

    __tablename__: ClassVar[str] = "contact_event"
    __table_args__ = (
        one_of("channel", CHANNELS, "contact_event_channel"),
        one_of("direction", ("outbound", "inbound"), "contact_event_direction"),
        one_of("result", RESULTS, "contact_event_result"),
        ForeignKeyConstraint(
            ["attempt_business_date", "attempt_id"], ["attempt.business_date", "attempt.id"], name="contact_event_attempt"
        ),
        CheckConstraint("(attempt_id IS NULL) = (attempt_business_date IS NULL)", name="contact_event_attempt_is_whole"),
        CheckConstraint("about_event_id IS NULL OR NOT counts", name="contact_event_counts_once"),
        CheckConstraint("NOT uncounts OR about_event_id IS NOT NULL", name="contact_event_uncounts_something"),
        # So far back caps look for its date: they would not see one that is dated earlier still.
        CheckConstraint(
            f"about_event_id IS NOT NULL OR business_date >= (at AT TIME ZONE 'UTC')::date - {LATE_DAYS_MAX}",
            name="contact_event_near_its_date",
        ),
        Index("contact_event_of_party", "party_id", "at"),
        Index("contact_event_of_batch", "business_date", "evidence_batch_id", postgresql_where=text("evidence_batch_id IS NOT NULL")),
        Index("contact_event_of_attempt", "attempt_business_date", "attempt_id", postgresql_where=text("attempt_id IS NOT NULL")),
        Index(
            "contact_event_external_id",
            "business_date",
            "source",
            "external_id",
            unique=True,
            postgresql_where=text("external_id IS NOT NULL"),
        ),
    )

    business_date: date = Field(primary_key=True)
    id: int | None = identity()
    party_id: int = big(foreign_key="party.id")
    at: datetime = instant()
    channel: str = Field(sa_type=Text)
    direction: str = Field(sa_type=Text)
    loans: list[int] = Field(
        default_factory=list, sa_type=ARRAY(BigInteger), nullable=False, sa_column_kwargs={"server_default": text("'{}'")}
    )
    contact_point_id: int | None = big(nullable=True)
    counterparty: str = Field(sa_type=Text)
    purpose: str | None = Field(default=None, sa_type=Text)
    result: str = Field(sa_type=Text)
    attempt_business_date: date | None = Field(default=None)
    attempt_id: int | None = big(nullable=True)
    # A result or an un-counting speaks of an earlier event; only events without this are contacts of their own.
    about_event_id: int | None = big(nullable=True)
    counts: bool
    # True on a row that takes its event back: the provider surely did not process it, so no cap counts it any more.
    uncounts: bool = Field(default=False, nullable=False, sa_column_kwargs={"server_default": text("false")})
    # What the gate wrote is a leaf under this batch's Merkle root, with a salted hash of the text and the permit.
    evidence_batch_id: int | None = big(nullable=True)
    commitment: str | None = Field(default=None, sa_type=Text)
    jurisdiction: str | None = Field(default=None, sa_type=Text)
    external_id: str | None = Field(default=None, sa_type=Text)
    source: str = Field(sa_type=Text)
    recorded_at: datetime = recorded()


# --- what the world says --------------------------------------------------------------------------------------------


class ProviderEvent(SQLModel, table=True):
    """The inbox: one row for each thing that a provider said, whatever the number of times it said it."""

    __tablename__: ClassVar[str] = "provider_event"
    __table_args__ = (
        UniqueConstraint("provider", "provider_id", "status", name="provider_event_once"),
        one_of("kind", ("status", "inbound", "acknowledgement"), "provider_event_kind"),
        Index("provider_event_waiting", "id", postgresql_where=text("applied_at IS NULL")),
    )

    id: int | None = identity()
    provider: str = Field(sa_type=Text)
    provider_id: str = Field(sa_type=Text)
    kind: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    token: UUID | None = Field(default=None)
    error_code: str | None = Field(default=None, sa_type=Text)
    at: datetime = instant()
    received_at: datetime = recorded()
    times_received: int
    applied_at: datetime | None = instant(nullable=True)
    effect: str | None = Field(default=None, sa_type=Text)


class ProviderEventPayload(SQLModel, table=True):
    """What was received, raw and encrypted; dropped after some days."""

    __tablename__: ClassVar[str] = "provider_event_payload"

    provider_event_id: int = Field(primary_key=True, sa_type=BigInteger, foreign_key="provider_event.id")
    payload_encrypted: bytes
    key_id: str = Field(sa_type=Text)
    received_at: datetime = recorded()


class PersonWrote(SQLModel, table=True):
    """That somebody wrote to an address of the lender's: for a day it may be answered in free words (ledger/reply_windows.py)."""

    __tablename__: ClassVar[str] = "person_wrote"
    __table_args__ = (
        one_of("channel", ("whatsapp", "messenger", "rcs"), "person_wrote_channel"),
        Index("person_wrote_last", "blind_index", "channel", "sender", "at"),
    )

    provider_event_id: int = Field(primary_key=True, sa_type=BigInteger, foreign_key="provider_event.id")
    # The lender's own number, page, agent or messaging service; nobody's else.
    sender: str = Field(primary_key=True, sa_type=Text)
    channel: str = Field(sa_type=Text)
    blind_index: bytes
    at: datetime = instant()


class Outcome(SQLModel, table=True):
    """What a person's answer was taken to mean, and what it did."""

    __tablename__: ClassVar[str] = "outcome"
    __table_args__ = (
        one_of(
            "intent",
            (
                "stop",
                "start",
                "paid",
                "promise",
                "cannot_pay",
                "dispute",
                "wrong_person",
                "call_me",
                "help",
                "danger",
                "unclear",
                "complaint",
            ),
            "outcome_intent",
        ),
        Index("outcome_of_party", "party_id"),
        Index("outcome_to_answer", "at", postgresql_where=text("intent IN ('help', 'stop')")),
        Index("outcome_waiting", "id", postgresql_where=text("needs_person AND handled_at IS NULL")),
        # Looked at with every message that a person writes.
        Index("outcome_in_danger", "id", postgresql_where=text("intent = 'danger' AND needs_person AND handled_at IS NULL")),
    )

    id: int | None = identity()
    party_id: int = big(foreign_key="party.id")
    attempt_business_date: date | None = Field(default=None)
    attempt_id: int | None = big(nullable=True)
    provider_event_id: int | None = big(nullable=True, foreign_key="provider_event.id")
    channel: str = Field(sa_type=Text)
    intent: str = Field(sa_type=Text)
    because: str | None = Field(default=None, sa_type=Text)
    due_on: date | None = Field(default=None)
    amount_minor: int | None = big(nullable=True)
    currency: str | None = Field(default=None, sa_type=Text)
    needs_person: bool
    handled_at: datetime | None = instant(nullable=True)
    at: datetime = instant()
    recorded_at: datetime = recorded()


class OutcomeHandled(SQLModel, table=True):
    """Who handled an answer that waited for a person, and what was done. Append-only: a second word on it is a second row."""

    __tablename__: ClassVar[str] = "outcome_handled"
    __table_args__ = (Index("outcome_handled_once", "outcome_id", "by", "done", unique=True),)

    id: int | None = identity()
    outcome_id: int = big(foreign_key="outcome.id")
    by: str = Field(sa_type=Text)
    done: str = Field(sa_type=Text)
    at: datetime = instant()
    recorded_at: datetime = recorded()


# --- what people are owed an answer to ------------------------------------------------------------------------------

# What happens to a case; `said_again` = the person said the same while it was open; `disagreed` = with an answer, and it waits for
# one again. The last two are told by the flow `disputes`.
CASE_EVENTS = ("opened", "said_again", "taken", "acknowledged", "answered", "disagreed", "note", "closed", "near", "late")


class BorrowerCase(SQLModel, table=True):
    """A dispute, complaint, hardship or other matter that a person is owed an answer to: since when, until when, how it ended."""

    __tablename__: ClassVar[str] = "borrower_case"
    __table_args__ = (
        one_of("kind", CASE_KINDS, "borrower_case_kind"),
        one_of("state", CASE_STATES, "borrower_case_state"),
        one_of("stated_by", STATED_BY, "borrower_case_stated_by"),
        CheckConstraint("disputed_minor IS NULL OR (disputed_minor > 0 AND currency IS NOT NULL)", name="borrower_case_part_is_money"),
        CheckConstraint("(state = 'closed') = (closed_at IS NOT NULL)", name="borrower_case_closed"),
        CheckConstraint("(state = 'closed') = (result IS NOT NULL)", name="borrower_case_ends_with_a_result"),
        CheckConstraint("(law_answer_by IS NULL) = (law_rule IS NULL)", name="borrower_case_law_is_named"),
        # Of one kind a person has one open case for a loan, and one for no loan in particular.
        Index(
            "borrower_case_one_open",
            "party_id",
            "kind",
            "loan_id",
            unique=True,
            postgresql_where=text("state <> 'closed'"),
            postgresql_nulls_not_distinct=True,
        ),
        Index("borrower_case_of_party", "party_id"),
        Index("borrower_case_due", "answer_by", postgresql_where=text("state <> 'closed'")),
    )

    id: int | None = identity()
    kind: str = Field(sa_type=Text)
    party_id: int = big(foreign_key="party.id")
    # Null = no loan in particular: all of the person's.
    loan_id: int | None = big(nullable=True, foreign_key="loan.id")
    # The inbox row that it was opened by; null = somebody wrote it down.
    provider_event_id: int | None = big(nullable=True, foreign_key="provider_event.id")
    stated_by: str = Field(sa_type=Text)
    # How it came: a channel, or `person` where a colleague was told.
    channel: str = Field(sa_type=Text)
    # The part that is disputed, minor units; null = the whole, or no money.
    disputed_minor: int | None = big(nullable=True)
    currency: str | None = Field(default=None, sa_type=Text)
    owner: str = Field(sa_type=Text)
    opened_at: datetime = instant()
    # Local dates where the person is. A rule is a rule's id, or `house` (decisions/cases.py).
    opened_on: date
    acknowledge_by: date
    acknowledge_rule: str = Field(sa_type=Text)
    answer_by: date
    answer_rule: str = Field(sa_type=Text)
    # The law's own date, where a pack knows one; `answer_by` is never later.
    law_answer_by: date | None = Field(default=None)
    law_rule: str | None = Field(default=None, sa_type=Text)
    state: str = Field(sa_type=Text)
    acknowledged_at: datetime | None = instant(nullable=True)
    answered_at: datetime | None = instant(nullable=True)
    closed_at: datetime | None = instant(nullable=True)
    result: str | None = Field(default=None, sa_type=Text)
    recorded_at: datetime = recorded()


class CaseEvent(SQLModel, table=True):
    """What happened to a case: who, when, what; append-only. What somebody wrote about it is encrypted."""

    __tablename__: ClassVar[str] = "case_event"
    __table_args__ = (
        one_of("kind", CASE_EVENTS, "case_event_kind"),
        CheckConstraint("(words_encrypted IS NULL) = (key_id IS NULL)", name="case_event_words_have_a_key"),
        Index("case_event_of_case", "case_id"),
        # That a deadline is near is told once, that it has passed once a day.
        Index("case_event_told_once", "case_id", "kind", "reference", unique=True, postgresql_where=text("kind IN ('near', 'late')")),
    )

    id: int | None = identity()
    case_id: int = big(foreign_key="borrower_case.id")
    kind: str = Field(sa_type=Text)
    said_by: str = Field(sa_type=Text)
    # Where it can be read or proved: an attempt, a letter's number, an inbox row. Nothing personal.
    reference: str | None = Field(default=None, sa_type=Text)
    words_encrypted: bytes | None = Field(default=None)
    key_id: str | None = Field(default=None, sa_type=Text)
    at: datetime = instant()
    recorded_at: datetime = recorded()


# --- the phone team -------------------------------------------------------------------------------------------------

# In the order in which people are called: who asked for it, whom no message reached, whom a strategy says.
CALL_REASONS = ("callback", "unreached", "strategy")
CALL_TASK_STATES = ("waiting", "taken", "done", "withdrawn", "lapsed")


class CallTask(SQLModel, table=True):
    """A person who is to be called by a person: why, in which window, who answers for it, and what became of it."""

    __tablename__: ClassVar[str] = "call_task"
    __table_args__ = (
        one_of("reason", CALL_REASONS, "call_task_reason"),
        one_of("state", CALL_TASK_STATES, "call_task_state"),
        one_of("result", RESULTS, "call_task_result"),
        CheckConstraint("closes_at > opens_at", name="call_task_window"),
        CheckConstraint("(attempt_id IS NULL) = (attempt_business_date IS NULL)", name="call_task_attempt_is_whole"),
        CheckConstraint("state <> 'taken' OR (taken_by IS NOT NULL AND attempt_id IS NOT NULL)", name="call_task_taken_by_somebody"),
        CheckConstraint("(state IN ('waiting', 'taken')) = (closed_at IS NULL)", name="call_task_closed"),
        ForeignKeyConstraint(["attempt_business_date", "attempt_id"], ["attempt.business_date", "attempt.id"], name="call_task_attempt"),
        Index("call_task_one_waiting", "party_id", unique=True, postgresql_where=text("state = 'waiting'")),
        Index("call_task_of_party", "party_id"),
        Index("call_task_of_attempt", "attempt_business_date", "attempt_id", postgresql_where=text("attempt_id IS NOT NULL")),
        Index("call_task_open", "closes_at", postgresql_where=text("state IN ('waiting', 'taken')")),
    )

    id: int | None = identity()
    party_id: int = big(foreign_key="party.id")
    # Where the person asked to be called; null = wherever a person may be called.
    contact_point_id: int | None = big(nullable=True, foreign_key="contact_point.id")
    reason: str = Field(sa_type=Text)
    # How that is known, in a word of ours; never in the person's.
    because: str = Field(sa_type=Text)
    opens_at: datetime = instant()
    closes_at: datetime = instant()
    # Who answers for it; a team, or a colleague.
    owner: str = Field(sa_type=Text)
    state: str = Field(sa_type=Text)
    asked_at: datetime = instant()
    # When the window of a call-back was found to be over without a talk; it stays first in the queue all the same.
    missed_at: datetime | None = instant(nullable=True)
    # The attempt that is being dialled, or was last.
    attempt_business_date: date | None = Field(default=None)
    attempt_id: int | None = big(nullable=True)
    taken_by: str | None = Field(default=None, sa_type=Text)
    taken_at: datetime | None = instant(nullable=True)
    tries: int = Field(default=0, nullable=False, sa_column_kwargs={"server_default": text("0")})
    result: str | None = Field(default=None, sa_type=Text)
    closed_at: datetime | None = instant(nullable=True)
    recorded_at: datetime = recorded()


class CallWords(SQLModel, table=True):
    """What a voice may say in one automated call, as the gate judged it; encrypted; dropped when the call is over."""

    __tablename__: ClassVar[str] = "call_words"
    __table_args__ = (
        ForeignKeyConstraint(["business_date", "attempt_id"], ["attempt.business_date", "attempt.id"], name="call_words_attempt"),
        Index("call_words_token", "token", unique=True),
    )

    business_date: date = Field(primary_key=True)
    attempt_id: int = Field(primary_key=True, sa_type=BigInteger)
    # Of the attempt: the provider's requests bring it.
    token: UUID
    words_encrypted: bytes
    key_id: str = Field(sa_type=Text)
    recorded_at: datetime = recorded()


# --- the borrower's page --------------------------------------------------------------------------------------------


class PageCode(SQLModel, table=True):
    """A code that somebody with a link asked for. It is not kept: it follows from its attempt's token and a key (ledger/page_codes.py)."""

    __tablename__: ClassVar[str] = "page_code"
    __table_args__ = (
        ForeignKeyConstraint(["business_date", "attempt_id"], ["attempt.business_date", "attempt.id"], name="page_code_attempt"),
        CheckConstraint("wrong_tries >= 0", name="page_code_tries_not_negative"),
        Index("page_code_of_party", "party_id", "asked_at"),
    )

    id: int | None = identity()
    party_id: int = big(foreign_key="party.id")
    # The attempt whose link was opened.
    link_attempt_id: int = big()
    # The attempt that brings the code.
    business_date: date
    attempt_id: int = big()
    # Wall clock, as all that ends by itself.
    asked_at: datetime = recorded()
    wrong_tries: int = Field(default=0, nullable=False, sa_column_kwargs={"server_default": text("0")})
    used_at: datetime | None = instant(nullable=True)


class PageSession(SQLModel, table=True):
    """A page that is open: for whom, since when, and the hash of what her browser shows. Wall clock."""

    __tablename__: ClassVar[str] = "page_session"
    __table_args__ = (
        ForeignKeyConstraint(
            ["link_business_date", "link_attempt_id"], ["attempt.business_date", "attempt.id"], name="page_session_attempt"
        ),
        Index("page_session_secret", "secret_hash", unique=True),
        Index("page_session_of_party", "party_id"),
    )

    id: int | None = identity()
    party_id: int = big(foreign_key="party.id")
    secret_hash: bytes
    link_business_date: date
    link_attempt_id: int = big()
    opened_at: datetime = recorded()
    seen_at: datetime = recorded()
    ended_at: datetime | None = instant(nullable=True)


class PageClosing(SQLModel, table=True):
    """All links that were sent to a person up to an instant are closed."""

    __tablename__: ClassVar[str] = "page_closing"
    __table_args__ = (Index("page_closing_of_party", "party_id", "at"),)

    id: int | None = identity()
    party_id: int = big(foreign_key="party.id")
    # The business instant; links of messages that left until then open nothing any more.
    at: datetime = instant()
    recorded_at: datetime = recorded()


# --- proof, and the one clock ---------------------------------------------------------------------------------------


class EvidenceBatch(SQLModel, table=True):
    """One Merkle root per written batch of decisions, transitions or contacts; batches of a run are linked, runs are not."""

    __tablename__: ClassVar[str] = "evidence_batch"
    __table_args__ = (
        CheckConstraint("leaves > 0", name="evidence_batch_not_empty"),
        one_of("kind", ("decisions", "transitions", "contacts"), "evidence_batch_kind"),
        CheckConstraint("(number IS NULL) = (link IS NULL)", name="evidence_batch_link_is_whole"),
        Index("evidence_batch_number", "campaign_run_id", "number", unique=True, postgresql_where=text("number IS NOT NULL")),
    )

    business_date: date = Field(primary_key=True)
    id: int | None = identity()
    campaign_run_id: int = big(foreign_key="campaign_run.id", index=True)
    kind: str = Field(default="contacts", sa_type=Text, sa_column_kwargs={"server_default": text("'contacts'")})
    # Decisions: of which shard.
    shard: int | None = Field(default=None)
    # Decisions and transitions: the lowest and highest id of the rows.
    first_id: int | None = big(nullable=True)
    last_id: int | None = big(nullable=True)
    root: bytes
    leaves: int
    claim_id: UUID | None = Field(default=None)
    # Place in the run's chain, and the chain's hash up to it; null until it is linked.
    number: int | None = Field(default=None)
    link: bytes | None = Field(default=None)
    recorded_at: datetime = recorded()


class AuditResult(SQLModel, table=True):
    """What an audit of a period found, in counts; its artifacts and events name the rest."""

    __tablename__: ClassVar[str] = "audit_result"
    __table_args__ = (CheckConstraint("last >= first", name="audit_result_interval"),)

    id: int | None = identity()
    first: date
    last: date
    at: datetime = instant()
    attempts: int = big()
    violations: int
    # I1 to I12 → held or broken; check → how often.
    invariants: dict[str, Any] = json_document()
    found: dict[str, Any] = json_document()
    # Why not all could be looked at; empty = all was.
    warnings: list[str] = texts()
    recorded_at: datetime = recorded()


class Morning(SQLModel, table=True):
    """How things stood on the morning of a business date, for the next morning to say what has changed since."""

    __tablename__: ClassVar[str] = "morning"

    business_date: date = Field(primary_key=True)
    at: datetime = instant()
    # Policies and settings in force, and the portfolio in counts; nothing personal.
    facts: dict[str, Any] = json_document()
    recorded_at: datetime = recorded()


class SenderPace(SQLModel, table=True):
    """How far ahead the road of one sender is taken: every process that sends from it takes its slots here."""

    __tablename__: ClassVar[str] = "sender_pace"

    # Channel and sender id, such as "sms:+15005550006"; nobody's number but the lender's.
    sender: str = Field(primary_key=True, sa_type=Text)
    # The database's wall clock.
    free_at: datetime = instant()


class SandboxClock(SQLModel, table=True):
    """The simulated clock: one row, in sandbox mode only; it stands while a run sends and jumps between phases."""

    __tablename__: ClassVar[str] = "sandbox_clock"
    __table_args__ = (CheckConstraint("id = 1", name="sandbox_clock_is_one"),)

    id: int = Field(primary_key=True)
    at: datetime = instant()

"""What documents for a person are made of, beside what her page shows; and which ones she took.

In:   a connection; her party id.
Out:  plain values, personal; rows of `document_given`.
Pure: no; reads, and notes what was given.
Source: docs/adr/0050.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from decisions.no_dues import Books
from ledger import vault
from ledger.page_reads import Debt


@dataclass(frozen=True, slots=True, kw_only=True)
class Receivable:
    """A payment that arrived and was not taken back."""

    id: int
    loan_id: int
    reference: str
    currency: str
    paid_on: date
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreedPlan:
    """A plan that is agreed, or was kept to its end.

    Attributes:
        id: Of the plan.
        loan_id: Of which loan.
        reference: What she knows it by.
        currency: Of the loan.
        agreed_on: Local day.
        instalments: Due on, minor units.
    """

    id: int
    loan_id: int
    reference: str
    currency: str
    agreed_on: date
    instalments: tuple[tuple[date, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A document that a person takes.

    Attributes:
        party_id: Who.
        kind: One of `ledger.tables_papers.DOCUMENTS`.
        reference: Stands on it; the same one is noted once.
        locale: Its language.
        content_hash: SHA-256 of it.
        at: Business instant.
        loan_id: Of which loan.
        payment_id: Of which payment.
        plan_id: Of which plan.
    """

    party_id: int
    kind: str
    reference: UUID
    locale: str
    content_hash: bytes = field(repr=False)
    at: datetime
    loan_id: int | None = None
    payment_id: int | None = None
    plan_id: int | None = None


def name_of(tx: Connection, party_id: int) -> str | None:
    """A person's name as the lender has it; None = not known.

    Raises:
        MissingKeyError: It was encrypted with a key that is gone.
    """
    row = tx.execute(_NAME, {"party": party_id}).one_or_none()
    return None if row is None or row.name_encrypted is None else vault.decrypt(row.name_encrypted, row.key_id)


def received(tx: Connection, party_id: int) -> list[Receivable]:
    """Payments that arrived for her loans and were not taken back, the newest first."""
    return [Receivable(**row) for row in tx.execute(_RECEIVED, {"party": party_id}).mappings()]


def plans(tx: Connection, party_id: int) -> list[AgreedPlan]:
    """Plans for her loans that are agreed or were kept; not what was only offered, and not what was broken or replaced."""
    return [
        AgreedPlan(
            id=row.id,
            loan_id=row.loan_id,
            reference=row.reference,
            currency=row.currency,
            agreed_on=row.agreed_on,
            instalments=tuple(sorted((date.fromisoformat(one["due_on"]), int(one["amount_minor"])) for one in row.instalments)),
        )
        for row in tx.execute(_PLANS, {"party": party_id})
    ]


def books(tx: Connection, debt: Debt, *, at: datetime) -> Books:
    """What is known of a loan by which nothing may be owed."""
    row = tx.execute(_BOOKS, {"loan": debt.loan_id, "at": at}).one()
    return Books(
        outstanding_minor=debt.outstanding_minor,
        principal_minor=row.principal_minor,
        instalments_principal_minor=sum(one.principal_minor for one in debt.instalments) if debt.instalments else None,
        servicing_status=row.servicing_status,
        is_fresh=row.is_fresh,
    )


def given_since(tx: Connection, party_id: int, kinds: Collection[str], within: timedelta) -> int:
    """How many such documents a person took lately; by the wall clock."""
    keys = {"party": party_id, "kinds": sorted(kinds), "seconds": within.total_seconds()}
    return int(tx.execute(_SINCE, keys).scalar_one())


def note_given(tx: Connection, given: Given) -> None:
    """Write down that a person took a document; once for one reference."""
    keys = {name: getattr(given, name) for name in ("kind", "reference", "locale", "content_hash", "at")}
    about = {"party": given.party_id, "loan": given.loan_id, "payment": given.payment_id, "plan": given.plan_id}
    tx.execute(_NOTE, keys | about)


_NAME = text("SELECT name_encrypted, key_id FROM party_version WHERE party_id = :party AND superseded_at IS NULL")
_RECEIVED = text("""
    SELECT y.id, y.loan_id, coalesce(v.account, l.external_id) AS reference, v.currency, y.paid_on, y.amount_minor
    FROM loan_party lp JOIN loan l ON l.id = lp.loan_id JOIN loan_version v ON v.loan_id = l.id AND v.superseded_at IS NULL
    JOIN payment y ON y.loan_id = l.id AND y.superseded_at IS NULL AND y.state = 'posted'
    WHERE lp.party_id = :party AND lp.superseded_at IS NULL AND lp.role IN ('borrower', 'co_borrower', 'guarantor')
      AND NOT EXISTS (
        SELECT FROM payment r WHERE r.loan_id = y.loan_id AND r.state = 'reversed' AND r.superseded_at IS NULL
           AND r.reverses_external_id = y.external_id)
    GROUP BY y.id, v.account, l.external_id, v.currency
    ORDER BY y.paid_on DESC, y.id DESC
""")
_PLANS = text("""
    SELECT p.id, p.loan_id, coalesce(v.account, l.external_id) AS reference, v.currency, n.instalments,
           coalesce(n.agreed_on, n.effective_at::date) AS agreed_on
    FROM loan_party lp JOIN loan l ON l.id = lp.loan_id JOIN loan_version v ON v.loan_id = l.id AND v.superseded_at IS NULL
    JOIN plan p ON p.loan_id = l.id JOIN plan_version n ON n.plan_id = p.id AND n.superseded_at IS NULL
    WHERE lp.party_id = :party AND lp.superseded_at IS NULL AND lp.role IN ('borrower', 'co_borrower', 'guarantor')
      AND n.status IN ('active', 'late', 'completed')
    ORDER BY agreed_on DESC, p.id DESC
""")
# What is paid after a feed's end is not known yet; and what the wallet alone tells of may be taken back before the books have it.
_BOOKS = text("""
    SELECT v.principal_minor, v.servicing_status,
           coalesce(f.covers_until + make_interval(secs => f.age_seconds_max) >= :at, false) AND NOT EXISTS (
               SELECT FROM payment y WHERE y.loan_id = l.id AND y.superseded_at IS NULL AND NOT y.booked) AS is_fresh
    FROM loan l JOIN loan_version v ON v.loan_id = l.id AND v.superseded_at IS NULL
    LEFT JOIN feed f ON f.creditor_id = l.creditor_id AND f.kind = 'payments' AND f.superseded_at IS NULL
    WHERE l.id = :loan
""")
_SINCE = text("""
    SELECT count(*) FROM document_given
    WHERE party_id = :party AND kind = ANY(:kinds) AND recorded_at > clock_timestamp() - make_interval(secs => :seconds)
""")
_NOTE = text("""
    INSERT INTO document_given (party_id, kind, loan_id, payment_id, plan_id, reference, locale, content_hash, at)
    VALUES (:party, :kind, :loan, :payment, :plan, :reference, :locale, :content_hash, :at)
    ON CONFLICT (reference) DO NOTHING
""")

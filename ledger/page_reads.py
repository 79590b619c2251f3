"""What a person's page shows her: her loans, what was paid, what is open, every contact made, and what became of what she said.

In:   a connection; her party id.
Out:  plain values, personal: for her eyes, never logged.
Pure: no; reads.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from ledger.aging_facts import age_in_full, unpaid_instalments_of

CONTACTS_MAX: Final = 200
PAYMENTS_MAX: Final = 60
PARTS: Final = ("principal_minor", "interest_minor", "fee_minor", "penalty_minor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Whose page it is.

    Attributes:
        locale: What she reads; as the lender says it.
        zone: Where her days begin.
        country: ISO 3166-1, or None.
        creditor: The lender, as she knows it.
        licence: The lender's.
        creditor_role: The lender's before the law.
    """

    locale: str | None
    zone: str
    country: str | None
    creditor: str
    licence: str | None
    creditor_role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Instalment:
    """One instalment: what was agreed by part, and what of it is open."""

    number: int
    due_on: date
    principal_minor: int
    interest_minor: int
    fee_minor: int
    penalty_minor: int
    open_minor: int

    @property
    def total_minor(self) -> int:
        """All parts together."""
        return self.principal_minor + self.interest_minor + self.fee_minor + self.penalty_minor

    @property
    def paid_minor(self) -> int:
        """What came in for it."""
        return self.total_minor - self.open_minor


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """A payment: posted, pending, or taken back (negative); `booked`: the lender's books show it."""

    paid_on: date
    state: str
    amount_minor: int
    booked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Debt:
    """A loan as she sees it.

    Attributes:
        loan_id: Ours.
        reference: What she knows it by.
        currency: ISO 4217.
        past_due_minor: Due, and not paid.
        outstanding_minor: All that is still to pay.
        disputed_minor: What she has called wrong, and is not asked for.
        days_past_due: Since the oldest unpaid due date.
        stage: Of treatment; None = in none.
        next_due_on: The next unpaid due date from today on.
        next_due_minor: What is open of it.
        instalments: By number.
        payments: The newest first.
    """

    loan_id: int
    reference: str
    currency: str
    past_due_minor: int
    outstanding_minor: int
    disputed_minor: int
    days_past_due: int
    stage: str | None
    next_due_on: date | None
    next_due_minor: int
    instalments: tuple[Instalment, ...]
    payments: tuple[Paid, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How things stand with a person.

    Attributes:
        holds: Kind and end of each hold that is in force.
        stopped: Channels that she stopped; `all` = every one.
        promised: The promise that is waited for: day, amount, currency.
        answer_by: Local date by which she is owed an answer, the earliest; None = none is owed.
    """

    holds: tuple[tuple[str, datetime | None], ...]
    stopped: tuple[str, ...]
    promised: tuple[date, int | None, str | None] | None
    answer_by: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactMade:
    """A contact from us to her.

    Attributes:
        id: Of the log.
        at: When.
        channel: How.
        attempt_id: Ours, where it was ours; None = of others.
    """

    id: int
    at: datetime
    channel: str
    attempt_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What became of what she said on her page.

    Attributes:
        intent: What it was taken to mean.
        needs_person: Whether somebody looks at it.
        until: When the peace ends that came of it; None = when somebody ends it, or there is none.
        gives_peace: Whether there is one.
        answer_by: Local date by which she is owed an answer to it; None = none is owed.
    """

    intent: str
    needs_person: bool
    until: datetime | None
    gives_peace: bool
    answer_by: date | None = None


@dataclass(slots=True)
class _Open:
    """What is open of a loan's instalments, as ageing has it; taken off row by row."""

    rows: defaultdict[tuple[Any, ...], list[int]] = field(default_factory=lambda: defaultdict(list))

    def take(self, key: tuple[Any, ...]) -> int:
        """Minor units open of an instalment."""
        left = self.rows.get(key)
        return left.pop(0) if left else 0


def zone_of(tx: Connection, party_id: int) -> str:
    """Zone in which a person's days are counted; UTC where none is known."""
    found: str | None = tx.execute(_ZONE, {"party": party_id}).scalar()
    return found or "UTC"


def references(tx: Connection, party_id: int) -> dict[int, str]:
    """What a person knows each of her loans by, also those of before."""
    return {row.loan_id: row.reference for row in tx.execute(_REFERENCES, {"party": party_id})}


def person(tx: Connection, party_id: int) -> Person:
    """Whose page it is, and whose loans they are."""
    return Person(**tx.execute(_PERSON, {"party": party_id}).mappings().one())


def debts(tx: Connection, party_id: int, *, on: date, payments_max: int = PAYMENTS_MAX) -> list[Debt]:
    """Every loan for which a person stands on a local date, by id, to the minor unit; of each so many payments, the newest."""
    found = tx.execute(_LOANS, {"party": party_id, "on": on}).all()
    loans = [row.loan_id for row in found]
    if not loans:
        return []
    rows, instalments = age_in_full(tx, loans, business_date=on)
    aged = {row["loan_id"]: row for row in rows.iter_rows(named=True)}
    unpaid: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in instalments.iter_rows(named=True):
        unpaid[row["loan_id"]].append(row)
    agreed = _by_loan(tx.execute(_INSTALMENTS, {"loans": loans}).all())
    paid = _by_loan(tx.execute(_PAYMENTS, {"loans": loans, "at_most": payments_max}).all())
    return [_debt(row, aged.get(row.loan_id), unpaid[row.loan_id], agreed[row.loan_id], paid[row.loan_id], on) for row in found]


def past_due(tx: Connection, party_id: int, *, on: date) -> tuple[frozenset[str], int]:
    """The currencies of all the loans for which a person stands, and what is due and not paid of them, in minor units."""
    found = tx.execute(_LOANS, {"party": party_id, "on": on}).all()
    unpaid = unpaid_instalments_of(tx, [row.loan_id for row in found], business_date=on)
    late = unpaid.filter(unpaid["days_past_due"] > 0)["unpaid_minor"].sum()
    return frozenset(row.currency for row in found), int(late)


def standing(tx: Connection, party_id: int, *, at: datetime) -> Standing:
    """What is in force for a person at a business instant."""
    keys = {"party": party_id, "at": at}
    promise = tx.execute(_PROMISE, keys).one_or_none()
    return Standing(
        holds=tuple((row.kind, row.until) for row in tx.execute(_HOLDS, keys)),
        stopped=tuple(tx.execute(_STOPPED, keys).scalars()),
        promised=None if promise is None else (promise.due_on, promise.amount_minor, promise.currency),
        answer_by=tx.execute(_ANSWER_BY, keys).scalar(),
    )


def contacts(tx: Connection, party_id: int, *, at_most: int = CONTACTS_MAX) -> list[ContactMade]:
    """Contacts from us to a person, whoever made them, the newest first; without those that were surely not made."""
    return [ContactMade(**row) for row in tx.execute(_CONTACTS, {"party": party_id, "at_most": at_most}).mappings()]


def is_hers(tx: Connection, party_id: int, attempt_id: int) -> bool:
    """Whether an attempt was made to reach this person, and left."""
    return tx.execute(_IS_HERS, {"party": party_id, "attempt": attempt_id}).scalar() is not None


def heard(tx: Connection, party_id: int, provider_id: str) -> Heard | None:
    """What became of what she said under an id of ours; None where it is not applied yet."""
    row = tx.execute(_HEARD, {"party": party_id, "provider_id": provider_id}).one_or_none()
    if row is None:
        return None
    return Heard(intent=row.intent, needs_person=row.needs_person, until=row.until, gives_peace=row.holds > 0, answer_by=row.answer_by)


def _by_loan(rows: Sequence[Row[Any]]) -> defaultdict[int, list[Row[Any]]]:
    found: defaultdict[int, list[Row[Any]]] = defaultdict(list)
    for row in rows:
        found[row.loan_id].append(row)
    return found


def _debt(
    loan: Row[Any],
    aged: dict[str, Any] | None,
    unpaid: Sequence[dict[str, Any]],
    agreed: Sequence[Row[Any]],
    paid: Sequence[Row[Any]],
    on: date,
) -> Debt:
    left = _Open()
    for row in unpaid:
        left.rows[_key(row)].append(row["unpaid_minor"])
    instalments = tuple(
        Instalment(number=row.number, open_minor=left.take(_key(row._mapping)), **{name: getattr(row, name) for name in ("due_on", *PARTS)})  # noqa: SLF001  # SQLAlchemy's public name for a row as a mapping
        for row in agreed
    )
    to_come = [one for one in instalments if one.due_on >= on and one.open_minor > 0]
    next_due_on = min((one.due_on for one in to_come), default=None)
    return Debt(
        loan_id=loan.loan_id,
        reference=loan.reference,
        currency=loan.currency,
        past_due_minor=sum(row["unpaid_minor"] for row in unpaid if row["days_past_due"] > 0),
        outstanding_minor=sum(row["unpaid_minor"] for row in unpaid),
        disputed_minor=loan.disputed_minor,
        days_past_due=max((row["days_past_due"] for row in unpaid), default=0),
        stage=None if aged is None else aged["stage"],
        next_due_on=next_due_on,
        next_due_minor=sum(one.open_minor for one in to_come if one.due_on == next_due_on),
        instalments=instalments,
        payments=tuple(Paid(paid_on=row.paid_on, state=row.state, amount_minor=row.amount_minor, booked=row.booked) for row in paid),
    )


def _key(row: Any) -> tuple[Any, ...]:
    """By what an instalment of ageing, which has no number, is known again."""
    return tuple(row[name] for name in ("due_on", *PARTS))


_ZONE = text("SELECT coalesce(known_zone, zones[1]) FROM party_version WHERE party_id = :party AND superseded_at IS NULL")
_PERSON = text("""
    SELECT v.locale, coalesce(v.known_zone, v.zones[1], 'UTC') AS zone, v.country, c.name AS creditor, c.licence,
           c.role AS creditor_role
    FROM party p JOIN creditor c ON c.id = p.creditor_id
    LEFT JOIN party_version v ON v.party_id = p.id AND v.superseded_at IS NULL
    WHERE p.id = :party
""")
# Who only advises or represents somebody sees nothing of her loans here.
_LOANS = text("""
    SELECT DISTINCT v.loan_id, coalesce(v.account, l.external_id) AS reference, v.currency, v.disputed_minor
    FROM loan_party lp JOIN loan l ON l.id = lp.loan_id JOIN loan_version v ON v.loan_id = l.id AND v.superseded_at IS NULL
    WHERE lp.party_id = :party AND lp.superseded_at IS NULL AND lp.role IN ('borrower', 'co_borrower', 'guarantor')
      AND (lp.starts_on IS NULL OR lp.starts_on <= :on) AND (lp.ends_on IS NULL OR lp.ends_on > :on)
    ORDER BY v.loan_id
""")
_REFERENCES = text("""
    SELECT DISTINCT l.id AS loan_id, coalesce(v.account, l.external_id) AS reference
    FROM loan_party lp JOIN loan l ON l.id = lp.loan_id JOIN loan_version v ON v.loan_id = l.id AND v.superseded_at IS NULL
    WHERE lp.party_id = :party AND lp.superseded_at IS NULL AND lp.role IN ('borrower', 'co_borrower', 'guarantor')
""")
_INSTALMENTS = text("""
    SELECT loan_id, number, due_on, principal_minor, interest_minor, fee_minor, penalty_minor FROM instalment
    WHERE loan_id = ANY(:loans) AND superseded_at IS NULL ORDER BY loan_id, number
""")
_PAYMENTS = text("""
    SELECT loan_id, paid_on, state, amount_minor, booked FROM (
        SELECT y.*, row_number() OVER (PARTITION BY loan_id ORDER BY paid_on DESC, id DESC) AS place
        FROM payment y WHERE loan_id = ANY(:loans) AND superseded_at IS NULL AND state IN ('posted', 'pending', 'reversed')) newest
    WHERE place <= :at_most ORDER BY loan_id, place
""")
_HOLDS = text("""
    SELECT kind, CASE WHEN bool_or(until IS NULL) THEN NULL ELSE max(until) END AS until FROM hold
    WHERE party_id = :party AND superseded_at IS NULL AND channel IS NULL AND purpose IS NULL
      AND starts_at <= :at AND (until IS NULL OR until > :at)
    GROUP BY kind ORDER BY kind
""")
_STOPPED = text("""
    SELECT DISTINCT channel FROM opt_out
    WHERE party_id = :party AND superseded_at IS NULL AND contact_point_id IS NULL AND at <= :at AND (until IS NULL OR until > :at)
    ORDER BY channel
""")
_PROMISE = text("""
    SELECT due_on, amount_minor, currency FROM promise
    WHERE party_id = :party AND superseded_at IS NULL AND state = 'open' AND effective_at <= :at ORDER BY due_on DESC, id DESC LIMIT 1
""")
# Where a borrower is reached is found out without her.
_ANSWER_BY = text("""
    SELECT min(answer_by) FROM borrower_case
    WHERE party_id = :party AND state <> 'closed' AND answered_at IS NULL AND kind <> 'wrong_number'
""")
_CONTACTS = text("""
    SELECT e.id, e.at, e.channel, e.attempt_id FROM contact_event e
    WHERE e.party_id = :party AND e.direction = 'outbound' AND e.about_event_id IS NULL
      AND NOT EXISTS (SELECT 1 FROM contact_event u WHERE u.party_id = e.party_id AND u.about_event_id = e.id AND u.uncounts)
    ORDER BY e.at DESC, e.id DESC LIMIT :at_most
""")
_IS_HERS = text("SELECT 1 FROM attempt WHERE id = :attempt AND party_id = :party AND submitted_at IS NOT NULL")
_HEARD = text("""
    SELECT o.intent, o.needs_person, count(h.id) AS holds,
           (SELECT min(c.answer_by) FROM borrower_case c
            WHERE c.party_id = o.party_id AND c.state <> 'closed' AND c.answered_at IS NULL AND o.needs_person
              AND c.kind = CASE o.intent WHEN 'paid' THEN 'dispute' WHEN 'cannot_pay' THEN 'hardship' ELSE o.intent END) AS answer_by,
           CASE WHEN bool_or(h.until IS NULL) THEN NULL ELSE max(h.until) END AS until
    FROM provider_event e JOIN outcome o ON o.provider_event_id = e.id AND o.party_id = :party
    LEFT JOIN hold h ON h.party_id = o.party_id AND h.superseded_at IS NULL AND h.starts_at <= o.at AND (h.until IS NULL OR h.until > o.at)
     AND h.kind = CASE o.intent WHEN 'paid' THEN 'paid_claimed' WHEN 'cannot_pay' THEN 'hardship' WHEN 'call_me' THEN 'callback'
                                ELSE o.intent END
    WHERE e.provider = 'page' AND e.provider_id = :provider_id
    GROUP BY o.id ORDER BY o.id LIMIT 1
""")

"""What a person's page shows her: her loans, what was paid, what is open, every contact made, and what became of what she said.

In:   a connection; her party id.
Out:  plain values, personal: for her eyes, never logged.
Pure: no; reads.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from decisions.aging_few import Aged
from ledger import aging_facts
from ledger.together import Rows, together

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
    facts = together(tx, _FACTS, {"loans": loans, "at_most": payments_max})
    aged = aging_facts.age_few(facts, business_date=on)
    agreed, paid = _by_loan(facts["instalments"]), _by_loan(facts["newest"])
    return [_debt(row, aged[row.loan_id], agreed[row.loan_id], paid[row.loan_id]) for row in found]


def past_due(tx: Connection, party_id: int, *, on: date) -> tuple[frozenset[str], int]:
    """The currencies of all the loans for which a person stands, and what is due and not paid of them, in minor units."""
    found = debts(tx, party_id, on=on, payments_max=0)
    return frozenset(debt.currency for debt in found), sum(debt.past_due_minor for debt in found)


def standing(tx: Connection, party_id: int, *, at: datetime) -> Standing:
    """What is in force for a person at a business instant."""
    found = together(tx, _STANDING, {"party": party_id, "at": at})
    promise = next(iter(found["promise"]), None)
    answer_by = found["answer"][0]["answer_by"]
    return Standing(
        holds=tuple((row["kind"], row["until"] and datetime.fromisoformat(row["until"]).astimezone(UTC)) for row in found["holds"]),
        stopped=tuple(row["channel"] for row in found["stopped"]),
        promised=None if promise is None else (date.fromisoformat(promise["due_on"]), promise["amount_minor"], promise["currency"]),
        answer_by=answer_by and date.fromisoformat(answer_by),
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


def _by_loan(rows: Rows) -> defaultdict[int, Rows]:
    found: defaultdict[int, Rows] = defaultdict(list)
    for row in rows:
        found[row["loan_id"]].append(row)
    return found


def _debt(loan: Row[Any], aged: Aged, agreed: Rows, paid: Rows) -> Debt:
    instalments = tuple(
        Instalment(
            number=row["number"], due_on=date.fromisoformat(row["due_on"]), open_minor=open_minor, **{name: row[name] for name in PARTS}
        )
        for row, open_minor in zip(agreed, aged.unpaid_minor, strict=True)
    )
    return Debt(
        loan_id=loan.loan_id,
        reference=loan.reference,
        currency=loan.currency,
        past_due_minor=aged.past_due_minor,
        outstanding_minor=aged.outstanding_minor,
        disputed_minor=loan.disputed_minor,
        days_past_due=aged.days_past_due,
        # Of a plan that is kept, with nothing late or near beside it, nothing is shown.
        stage=aged.treatment if aged.days_past_due > 0 or aged.stage is not None else None,
        next_due_on=aged.next_due_on,
        next_due_minor=sum(one.open_minor for one in instalments if one.due_on == aged.next_due_on),
        instalments=instalments,
        payments=tuple(
            Paid(paid_on=date.fromisoformat(row["paid_on"]), state=row["state"], amount_minor=row["amount_minor"], booked=row["booked"])
            for row in paid
        ),
    )


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
# Beside what they are aged by, the payments that are shown.
_NEWEST: Final = """
    SELECT loan_id, paid_on, state, amount_minor, booked FROM (
        SELECT y.*, row_number() OVER (PARTITION BY loan_id ORDER BY paid_on DESC, id DESC) AS place
        FROM payment y WHERE loan_id = ANY(:loans) AND superseded_at IS NULL AND state IN ('posted', 'pending', 'reversed')) newest
    WHERE place <= :at_most ORDER BY loan_id, place
"""
_FACTS: Final = {**aging_facts.FEW, "newest": _NEWEST}
_HOLDS: Final = """
    SELECT kind, CASE WHEN bool_or(until IS NULL) THEN NULL ELSE max(until) END AS until FROM hold
    WHERE party_id = :party AND superseded_at IS NULL AND channel IS NULL AND purpose IS NULL
      AND starts_at <= :at AND (until IS NULL OR until > :at)
    GROUP BY kind ORDER BY kind
"""
_STOPPED: Final = """
    SELECT DISTINCT channel FROM opt_out
    WHERE party_id = :party AND superseded_at IS NULL AND contact_point_id IS NULL AND at <= :at AND (until IS NULL OR until > :at)
    ORDER BY channel
"""
_PROMISE: Final = """
    SELECT due_on, amount_minor, currency FROM promise
    WHERE party_id = :party AND superseded_at IS NULL AND state = 'open' AND effective_at <= :at ORDER BY due_on DESC, id DESC LIMIT 1
"""
# Where a borrower is reached is found out without her.
_ANSWER_BY: Final = """
    SELECT min(answer_by) AS answer_by FROM borrower_case
    WHERE party_id = :party AND state <> 'closed' AND answered_at IS NULL AND kind <> 'wrong_number'
"""
_STANDING: Final = {"holds": _HOLDS, "stopped": _STOPPED, "promise": _PROMISE, "answer": _ANSWER_BY}
_CONTACTS = text("""
    SELECT e.id, e.at, e.channel, e.attempt_id FROM contact_event e
    WHERE e.party_id = :party AND e.direction = 'outbound' AND e.about_event_id IS NULL
      AND NOT EXISTS (
        SELECT 1 FROM contact_event u
        WHERE u.business_date = e.business_date AND u.party_id = e.party_id AND u.about_event_id = e.id AND u.uncounts)
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

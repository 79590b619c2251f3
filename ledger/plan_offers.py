"""Offers of a plan: what a person could pay of a loan, by which figures and why, written down before she sees it.

Whoever asks is left in peace while she chooses. Where the rule grants nothing a case is opened at once: a machine refuses nobody.

In:   a connection inside a transaction; a person, a loan, what she says; the business instant, the policy.
Out:  rows of `plan_offer`, a hold, where needed a case; offers read back.
Pure: no; reads and writes the ledger. Writing takes the lock of the borrower and of all who stand for the loan.
Source: docs/adr/0046, 0047.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, text

from config.affordability import PlanPolicy, affordability_policy
from config.cases import case_terms_in_force
from decisions import offer_records
from decisions.affordability import TO_A_PERSON, offer
from decisions.business_days import business_days_end
from decisions.means import Declared, Means, Owed, means
from decisions.offer_records import Record
from decisions.wallet_flows import MONTH_DAYS, Flow, Seen, Window, seen
from ledger import answers, cases, page_reads, vault
from ledger.cases import Statement
from ledger.locks import lock_with_liable
from ledger.page_reads import Debt

SOURCE: Final = "plans"
# What the keyed hashes are good for.
CIRCUMSTANCES: Final = "plan circumstances"
OFFER: Final = "plan offer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What is known before anything is asked.

    Attributes:
        owed: What is to be paid, and what falls due beside it.
        due_on: Oldest unpaid due date of what is to be paid.
        reference: What she knows the loan by.
        seen: What her wallet shows; None = too little.
        floor: Of her country.
        today: Where she is.
    """

    owed: Owed
    due_on: date
    reference: str
    seen: Seen | None
    floor: tuple[str, int] | None
    today: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """An offer that was made.

    Attributes:
        id: Of it.
        loan_id: Of which loan.
        at: When.
        figures_from: Whose figures count.
        rule_hash: Of the rule's version.
        record: What was kept.
        is_taken: Whether a choice of it was taken.
    """

    id: int
    loan_id: int
    at: datetime
    figures_from: str
    rule_hash: str
    record: Record
    is_taken: bool


def situation(tx: Connection, party_id: int, loan_id: int, policy: PlanPolicy, *, at: datetime) -> Situation | None:
    """What is known of a person and a loan; None where there is nothing that she could choose a plan for."""
    person = tx.execute(_PERSON, {"party": party_id}).one()
    zone = _zones(person)[0]
    today = at.astimezone(ZoneInfo(zone)).date()
    debts = page_reads.debts(tx, party_id, on=today)
    debt = next((one for one in debts if one.loan_id == loan_id), None)
    if debt is None or loan_id not in may_choose(tx, party_id, [debt], policy, today=today):
        return None
    open_minor, due_on = _open(debt, policy, today) or (0, today)
    beside = sum(_due_soon(one, today) for one in debts if one.currency == debt.currency) - (
        open_minor if due_on >= today and due_on <= today + timedelta(days=MONTH_DAYS) else 0
    )
    planned = tx.execute(_PLANNED, {"party": party_id, "currency": debt.currency, "today": today, "days": MONTH_DAYS}).scalar_one()
    return Situation(
        owed=Owed(currency=debt.currency, open_minor=open_minor, due_minor=beside + int(planned)),
        due_on=due_on,
        reference=debt.reference,
        seen=seen_of(tx, party_id, debt.currency, policy, today),
        floor=policy.terms.floors.get(person.country or ""),
        today=today,
    )


def may_choose(tx: Connection, party_id: int, debts: Sequence[Debt], policy: PlanPolicy, *, today: date) -> frozenset[int]:
    """Those of a person's loans that she may choose a plan for.

    She borrowed it, something of it is due, no plan of it is under way, and nothing that she disputes waits for an answer.
    """
    wanted = [debt.loan_id for debt in debts if _open(debt, policy, today) is not None]
    return frozenset(tx.execute(_MAY_CHOOSE, {"party": party_id, "loans": wanted}).scalars()) if wanted else frozenset()


def make(tx: Connection, party_id: int, loan_id: int, declared: Declared, policy: PlanPolicy, *, at: datetime, channel: str) -> int | None:
    """Apply the rule, and write down what it says.

    Args:
        tx: Inside a transaction.
        party_id: Who asks.
        loan_id: Of which loan.
        declared: What she says.
        policy: In force.
        at: Business instant.
        channel: By which she came.

    Returns:
        The offer's number; None where she has to be asked for her figures first, or there is nothing to choose a plan for.
    """
    lock_with_liable(tx, [party_id])
    known = situation(tx, party_id, loan_id, policy, at=at)
    found = None if known is None else _means(known, declared, policy)
    if known is None or found is None:
        return None
    leave_in_peace(tx, party_id, policy, at=at)
    said = offer(found.circumstances, policy.terms)
    record = offer_records.written(
        found.circumstances, declared, said, essential_is_floor=found.essential_is_floor, due_minor=known.owed.due_minor
    )
    encrypted, key_id = vault.encrypt_for(tx, party_id, record)
    rule = affordability_policy()
    tx.execute(_KEEP_RULE, {"hash": rule.hash, "kind": rule.kind, "name": rule.name, "body": rule.body})
    keys = {
        "party": party_id,
        "loan": loan_id,
        "at": at,
        "road": said.road,
        "from": found.figures_from,
        "rule": rule.hash,
        "circumstances": vault.keyed(CIRCUMSTANCES, offer_records.canonical(found.circumstances)),
        "offer": vault.keyed(OFFER, offer_records.canonical(said)),
        "record": encrypted,
        "key": key_id,
    }
    number = int(tx.execute(_INSERT, keys).scalar_one())
    if said.road in TO_A_PERSON:
        asked = Statement(
            party_id=party_id, kind="hardship", at=at, channel=channel, loan_id=loan_id, reference=f"plan offer {number}: {said.road}"
        )
        cases.open_case(tx, asked, case_terms_in_force())
    return number


def read(tx: Connection, party_id: int, offer_id: int) -> Offered | None:
    """An offer that was made to this person."""
    row = tx.execute(_READ, {"id": offer_id, "party": party_id}).one_or_none()
    return None if row is None else _offered(row)


def all_of(tx: Connection, party_id: int) -> list[Offered]:
    """Every offer that was made to a person, the oldest first."""
    return [_offered(row) for row in tx.execute(_ALL, {"party": party_id})]


def _offered(row: Row[tuple[object, ...]]) -> Offered:
    record = offer_records.read(vault.decrypt(row.record_encrypted, row.key_id))
    return Offered(
        id=row.id,
        loan_id=row.loan_id,
        at=row.at,
        figures_from=row.figures_from,
        rule_hash=row.rule_hash,
        record=record,
        is_taken=row.is_taken,
    )


def _means(known: Situation, declared: Declared, policy: PlanPolicy) -> Means | None:
    return means(known.seen, declared, known.owed, floor=known.floor, today=known.today, terms=policy.terms)


def _open(debt: Debt, policy: PlanPolicy, today: date) -> tuple[int, date] | None:
    """What a plan would be of, and since when it is due: what is past due and not disputed, else what falls due so soon that it matters."""
    unpaid = [one for one in debt.instalments if one.open_minor > 0]
    if debt.past_due_minor > debt.disputed_minor:
        return debt.past_due_minor - debt.disputed_minor, min(one.due_on for one in unpaid)
    soon = debt.next_due_on is not None and (debt.next_due_on - today).days <= policy.terms.extension_days_max
    if debt.past_due_minor or debt.disputed_minor or not soon or debt.next_due_on is None:
        return None
    return debt.next_due_minor, debt.next_due_on


def _due_soon(debt: Debt, today: date) -> int:
    """What falls due of a loan within 30 days from today on."""
    return sum(one.open_minor for one in debt.instalments if today <= one.due_on <= today + timedelta(days=MONTH_DAYS))


def seen_of(tx: Connection, party_id: int, currency: str, policy: PlanPolicy, today: date) -> Seen | None:
    """What her wallet shows of the last days, up to yesterday; None where its last day lies too far back."""
    terms = policy.terms
    keys = {"party": party_id, "currency": currency, "since": today - timedelta(days=terms.window_days), "until": today - timedelta(days=1)}
    flows = tuple(Flow(row.moved_on, row.kind, row.amount_minor) for row in tx.execute(_FLOWS, keys))
    if not flows or flows[-1].on < today - timedelta(days=terms.age_days_max):
        return None
    window = Window(since=flows[0].on, until=flows[-1].on, flows=flows)
    return seen(window, today=today, days_min=terms.covered_days_min)


def leave_in_peace(tx: Connection, party_id: int, policy: PlanPolicy, *, at: datetime) -> None:
    """Nobody asks her for money for the days in which she chooses."""
    person = tx.execute(_PERSON, {"party": party_id}).one()
    until = business_days_end(at, zones=_zones(person), country=person.country, business_days=policy.choosing_days)
    answers.hold(tx, party_id, "plan", starts_at=at, until=until, source=SOURCE)


def _zones(person: Row[tuple[object, ...]]) -> tuple[str, ...]:
    return (person.known_zone,) if person.known_zone else tuple(person.zones) or ("UTC",)


_PERSON = text("""
    SELECT v.country, v.known_zone, coalesce(v.zones, '{}') AS zones
    FROM party p LEFT JOIN party_version v ON v.party_id = p.id AND v.superseded_at IS NULL WHERE p.id = :party
""")
# Who only stands for somebody else's loan agrees to nothing in her name.
_MAY_CHOOSE = text("""
    SELECT DISTINCT lp.loan_id FROM loan_party lp
    WHERE lp.party_id = :party AND lp.loan_id = ANY(:loans) AND lp.superseded_at IS NULL AND lp.role IN ('borrower', 'co_borrower')
      AND NOT EXISTS (
        SELECT FROM plan p JOIN plan_version v ON v.plan_id = p.id AND v.superseded_at IS NULL
        WHERE p.loan_id = lp.loan_id AND v.status IN ('accepted', 'active', 'late'))
      AND NOT EXISTS (
        SELECT FROM borrower_case c WHERE c.kind = 'dispute' AND c.state <> 'closed'
          AND (c.loan_id = lp.loan_id OR (c.loan_id IS NULL AND c.party_id = lp.party_id)))
""")
# What plans of hers, agreed or on their way, ask for in the next days.
_PLANNED = text("""
    SELECT coalesce(sum(i.amount_minor), 0)
    FROM plan p JOIN plan_version v ON v.plan_id = p.id AND v.superseded_at IS NULL
    JOIN loan_version l ON l.loan_id = p.loan_id AND l.superseded_at IS NULL
    CROSS JOIN LATERAL jsonb_to_recordset(v.instalments) AS i(due_on date, amount_minor bigint)
    WHERE v.status IN ('accepted', 'active', 'late') AND l.currency = :currency
      AND i.due_on BETWEEN CAST(:today AS date) AND CAST(:today AS date) + CAST(:days AS integer)
      AND p.loan_id IN (SELECT lp.loan_id FROM loan_party lp WHERE lp.party_id = :party AND lp.superseded_at IS NULL)
""")
_FLOWS = text("""
    SELECT moved_on, kind, amount_minor FROM wallet_flow
    WHERE party_id = :party AND currency = :currency AND superseded_at IS NULL AND moved_on BETWEEN :since AND :until
    ORDER BY moved_on, kind
""")
_KEEP_RULE = text("""
    INSERT INTO policy_version (hash, kind, name, body) VALUES (:hash, :kind, :name, :body) ON CONFLICT (hash) DO NOTHING
""")
_INSERT = text("""
    INSERT INTO plan_offer (party_id, loan_id, at, road, figures_from, rule_hash, circumstances_digest, offer_digest,
                            record_encrypted, key_id)
    VALUES (:party, :loan, :at, :road, :from, :rule, :circumstances, :offer, :record, :key) RETURNING id
""")
_OFFER_COLUMNS: Final = """
    SELECT o.id, o.loan_id, o.at, o.figures_from, o.rule_hash, o.record_encrypted, o.key_id,
           EXISTS (SELECT FROM plan_choice c WHERE c.offer_id = o.id) AS is_taken
    FROM plan_offer o WHERE o.party_id = :party
"""
_READ = text(f"{_OFFER_COLUMNS} AND o.id = :id")
_ALL = text(f"{_OFFER_COLUMNS} ORDER BY o.id")

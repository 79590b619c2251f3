"""Keeping plans: how each stands after what was paid, who is told that hers is agreed, whom a kind reminder is for.

A payment that does not come is first of all a question: as many as may be left out change nothing, then a person looks, and only when her
case is closed and nothing came for long is a plan called broken. None is called late while the payment feed does not cover its day.

In:   a connection inside a transaction; plans, a local date, the business instant, the policy.
Out:  versions of `plan_version`, ends of holds, cases; `REACHED` of who is to be told.
Pure: no; reads and writes the ledger. Judging again finds the same and writes nothing.
Source: DOMAIN.md, "payment plan"; SCIENCE.md E2; docs/adr/0048.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, Final

import polars as pl
from sqlalchemy import Connection, Row, text

from config.affordability import PlanPolicy
from config.cases import case_terms_in_force
from decisions.affordability import income_has_fallen, skips_of
from decisions.business_days import business_day_after, day_ends_at
from decisions.plans import ACTIVE, COMPLETED, LATE, stands
from decisions.service_messages import REACHED
from decisions.wallet_flows import CYCLES
from ledger import cases, plan_offers, plans
from ledger.cases import Statement
from ledger.frames import Known
from ledger.locks import lock_with_liable

STAGE: Final = "plan"
AGREED: Final = "plan_agreed"
BROKEN: Final = "broken"
WAITING: Final = "waiting for the feed"
FALLEN: Final = "income has fallen"
NOW: Final = Known(None)


def under_way(tx: Connection) -> list[int]:
    """Plans that are agreed and not over, by number."""
    return list(tx.execute(_UNDER_WAY).scalars())


def judge(tx: Connection, plan_id: int, policy: PlanPolicy, *, on: date, at: datetime) -> str | None:
    """Judge one plan on a date.

    Returns:
        What became of it now: a state, `WAITING`, or `FALLEN` (a person looks, since she earns less); None = it stands as before.
    """
    party_id = tx.execute(_PARTY_OF, {"plan": plan_id}).scalar()
    if party_id is None:
        return None
    lock_with_liable(tx, [party_id])
    row = tx.execute(_PLAN, {"plan": plan_id, "party": party_id}).one_or_none()
    if row is None:
        return None
    payments = plans.payments_of(row.instalments)
    until = [business_day_after(one.due_on, country=row.country, business_days=policy.late_days) for one in payments]
    state = stands(
        payments,
        int(row.paid_minor),
        on=on,
        in_time_until=until,
        skips=skips_of(len(payments), policy.terms),
        catch_up_days=max(CYCLES.values()),
    )
    if state == LATE and not _is_covered(row, max((day for day in until if day < on), default=on)):
        return WAITING if row.status == ACTIVE else None
    if state == LATE and row.status == LATE:
        return _break(tx, row, policy, on=on, at=at)
    if state == row.status:
        return _look_at_income(tx, row, policy, at=at)
    plans.write(tx, plan_id, state, payments, at=at, agreed_on=row.agreed_on)
    if state == LATE:
        _ask_a_person(tx, row, f"plan {plan_id} late", at)
    if state == COMPLETED:
        plans.end_peace(tx, party_id, row.loan_id, at=at)
    return state


def judge_all(tx: Connection, plan_ids: list[int], policy: PlanPolicy, *, on: date, at: datetime) -> Counter[str]:
    """Judge some plans; what became of how many."""
    return Counter(found for plan_id in plan_ids if (found := judge(tx, plan_id, policy, on=on, at=at)) is not None)


def to_tell(tx: Connection, *, agreed_since: datetime) -> pl.DataFrame:
    """`REACHED` of whose plan was agreed since an instant and who was not told."""
    rows = tx.execute(_TO_TELL, {"since": agreed_since, "stage": STAGE, "message": AGREED}).all()
    return pl.DataFrame([tuple(row) for row in rows], schema=REACHED, orient="row")


def to_remind(tx: Connection, due_on: date) -> pl.DataFrame:
    """`REACHED` of who has a payment of a kept plan on a day that is not there yet."""
    rows = tx.execute(text(_TO_REMIND.format(known=NOW)), {"first": due_on, "last": due_on, "parties": None}).all()
    return pl.DataFrame([tuple(row) for row in rows], schema=REACHED, orient="row")


def near(tx: Connection, party_ids: Iterable[int], *, first: date, last: date, known_at: datetime | None = None) -> frozenset[int]:
    """Of these people who has a payment of a kept plan on one of these days that is not there yet.

    Args:
        tx: Under the borrowers' lock, where somebody is told.
        party_ids: Whose.
        first: Local day.
        last: Another one, not before it.
        known_at: See `ledger.frames.Known`.
    """
    keys = {"first": first, "last": last, "parties": sorted(set(party_ids))}
    return frozenset(row.party_id for row in tx.execute(text(_TO_REMIND.format(known=Known(known_at))), keys))


def _break(tx: Connection, row: Row[Any], policy: PlanPolicy, *, on: date, at: datetime) -> str | None:
    """Only once a person has looked, and nothing came for long after."""
    if row.has_case or row.late_since is None or (on - row.late_since).days < policy.broken_days:
        return None
    plans.write(tx, row.plan_id, BROKEN, plans.payments_of(row.instalments), at=at, agreed_on=row.agreed_on)
    plans.end_peace(tx, row.party_id, row.loan_id, at=at)
    return BROKEN


def _look_at_income(tx: Connection, row: Row[Any], policy: PlanPolicy, *, at: datetime) -> str | None:
    """Whether so much less comes in than when she chose that somebody looks at the plan with her; asked once a plan."""
    if row.status != ACTIVE or row.offer_id is None or row.was_looked_at:
        return None
    offered = plan_offers.read(tx, row.party_id, row.offer_id)
    if offered is None or offered.figures_from == "borrower":
        return None
    known = offered.record.circumstances
    now = plan_offers.seen_of(tx, row.party_id, known["currency"], policy, plans.local_day(tx, at, row))
    if now is None or not income_has_fallen(known["income_minor"], now.income_minor, policy.terms):
        return None
    _ask_a_person(tx, row, f"plan {row.plan_id} income", at)
    return FALLEN


def _ask_a_person(tx: Connection, row: Row[Any], why: str, at: datetime) -> None:
    """She has asked for nothing: nobody thanks her for having done so, and a person talks with her first."""
    said = Statement(party_id=row.party_id, kind="hardship", at=at, channel="plan", loan_id=row.loan_id, stated_by="unknown", reference=why)
    number, is_new = cases.open_case(tx, said, case_terms_in_force())
    if is_new:
        cases.acknowledge(tx, number, by=cases.MACHINE, at=at, reference=why)


def _is_covered(row: Row[Any], last_day: date) -> bool:
    """Whether the creditor's payment feed covers the last day on which a payment counted."""
    zones = (row.known_zone,) if row.known_zone else tuple(row.zones)
    return row.covers_until is not None and row.covers_until >= day_ends_at(last_day, zones=zones)


_UNDER_WAY = text("""
    SELECT v.plan_id FROM plan_version v WHERE v.superseded_at IS NULL AND v.status IN ('active', 'late') ORDER BY v.plan_id
""")
# Whoever chose it; a plan that an import brought is the borrower's.
_PARTY_OF = text("""
    SELECT coalesce(c.party_id, (
        SELECT lp.party_id FROM loan_party lp WHERE lp.loan_id = p.loan_id AND lp.superseded_at IS NULL
        ORDER BY lp.role <> 'borrower', lp.role <> 'co_borrower', lp.party_id LIMIT 1)) AS party_id
    FROM plan p LEFT JOIN plan_choice c ON c.plan_id = p.id WHERE p.id = :plan
""")
# As ageing counts: from the day on which it was agreed; what was taken back counts where what it takes back was posted.
_PLAN = text("""
    SELECT p.id AS plan_id, p.loan_id, y.id AS party_id, v.status, v.instalments, v.agreed_on, b.country, b.known_zone,
           coalesce(b.zones, '{}') AS zones, f.covers_until, c.offer_id,
           (SELECT coalesce(sum(m.amount_minor), 0) FROM payment m
            WHERE m.loan_id = p.loan_id AND m.superseded_at IS NULL AND m.paid_on >= coalesce(v.agreed_on, v.effective_at::date)
              AND (m.state = 'posted' OR m.state = 'reversed' AND EXISTS (
                SELECT FROM payment o WHERE o.loan_id = m.loan_id AND o.external_id = m.reverses_external_id AND o.state = 'posted'
                  AND o.superseded_at IS NULL))) AS paid_minor,
           CASE WHEN v.status = 'late' THEN v.effective_at::date END AS late_since,
           EXISTS (SELECT FROM borrower_case k WHERE k.party_id = y.id AND k.kind = 'hardship' AND k.state <> 'closed'
                     AND (k.loan_id = p.loan_id OR k.loan_id IS NULL)) AS has_case,
           EXISTS (SELECT FROM borrower_case k JOIN case_event e ON e.case_id = k.id
                   WHERE k.party_id = y.id AND e.reference = 'plan ' || p.id || ' income') AS was_looked_at
    FROM plan p JOIN plan_version v ON v.plan_id = p.id AND v.superseded_at IS NULL
    JOIN party y ON y.id = :party
    LEFT JOIN party_version b ON b.party_id = y.id AND b.superseded_at IS NULL
    LEFT JOIN feed f ON f.creditor_id = y.creditor_id AND f.kind = 'payments' AND f.superseded_at IS NULL
    LEFT JOIN plan_choice c ON c.plan_id = p.id
    WHERE p.id = :plan AND v.status IN ('active', 'late')
""")
_TO_TELL = text("""
    SELECT DISTINCT c.party_id, e.contact_point_id
    FROM plan_choice c JOIN plan_version v ON v.plan_id = c.plan_id AND v.superseded_at IS NULL
    LEFT JOIN LATERAL (
        SELECT i.contact_point_id FROM contact_event i WHERE i.party_id = c.party_id AND i.direction = 'inbound'
        ORDER BY i.at DESC, i.id DESC LIMIT 1) e ON true
    WHERE v.status = 'active' AND v.effective_at > :since AND NOT EXISTS (
        SELECT 1 FROM attempt a WHERE a.party_id = c.party_id AND a.stage = :stage AND a.message = :message
          AND (a.state IN ('planned', 'submitting', 'unknown', 'parked')
               OR (a.state IN ('accepted', 'sent', 'delivered', 'read', 'replied') AND a.submitted_at >= v.effective_at)))
    ORDER BY c.party_id
""")
# What is paid ahead is not remembered of.
_TO_REMIND: Final = """
    SELECT DISTINCT c.party_id, e.contact_point_id
    FROM plan_choice c JOIN plan_version v ON v.plan_id = c.plan_id AND {known[v]}
    JOIN plan p ON p.id = c.plan_id
    LEFT JOIN LATERAL (
        SELECT i.contact_point_id FROM contact_event i WHERE i.party_id = c.party_id AND i.direction = 'inbound'
        ORDER BY i.at DESC, i.id DESC LIMIT 1) e ON true
    CROSS JOIN LATERAL jsonb_to_recordset(v.instalments) AS n(due_on date, amount_minor bigint)
    WHERE v.status = 'active' AND n.due_on BETWEEN :first AND :last
      AND (CAST(:parties AS bigint[]) IS NULL OR c.party_id = ANY(CAST(:parties AS bigint[])))
      AND (SELECT sum(i.amount_minor) FROM jsonb_to_recordset(v.instalments) AS i(due_on date, amount_minor bigint)
           WHERE i.due_on <= n.due_on)
        > (SELECT coalesce(sum(m.amount_minor), 0) FROM payment m
           WHERE m.loan_id = p.loan_id AND {known[m]} AND m.state IN ('posted', 'pending', 'reversed') AND m.paid_on >= v.agreed_on)
    ORDER BY c.party_id
"""

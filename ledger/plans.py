"""Plans: chosen on the page, agreed once the core system has accepted them, kept, late or over.

A choice is a plan only on its way: the lender's core system is asked in the same transaction, and nothing is called agreed before it has
accepted. Meanwhile, and as long as the plan is kept, nobody asks for money of that loan. What is refused goes to a person.

In:   a connection inside a transaction; an offer and which of its choices; an instruction's answer; the business instant.
Out:  versions of `plan_version`, rows of `plan_choice`, holds, instructions, cases; how a plan stands.
Pure: no; reads and writes the ledger. Writing takes the lock of the borrower and of all who stand for the loan.
Source: docs/adr/0048; DOMAIN.md, "payment plan".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from config.affordability import PlanPolicy, plan_policy_in_force
from config.cases import case_terms_in_force
from decisions.affordability import EXTENSION, Choice, Payment, skips_of
from decisions.business_days import business_day_after, day_ends_at
from decisions.core_instructions import AUTOMATIC
from ledger import answers, cases, plan_offers
from ledger.cases import Statement
from ledger.core_instructions import MACHINE, Instruction, Wanted, ask
from ledger.locks import lock_with_liable
from ledger.plan_offers import SOURCE

ACCEPTED: Final = "accepted"
ACTIVE: Final = "active"
REFUSED: Final = "refused"
# Nothing of these is added to what is paid by a plan: it never raises what is paid in the end.
FREEZES: Final = ("penalty", "fee", "interest")


class PlanRefused(RuntimeError):
    """A choice that cannot be taken any more: she is shown what fits now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How the newest plan of a loan stands.

    Attributes:
        id: Of the plan.
        kind: `plan` or `extension`.
        status: Of its version in force.
        payments: In order.
        agreed_on: Local day on which it was agreed; None = it is not.
        skips: So many payments may be left out in all.
        is_late: Whether the lender has not answered in time.
    """

    id: int
    kind: str
    status: str
    payments: tuple[Payment, ...]
    agreed_on: date | None
    skips: int
    is_late: bool


def choose(
    tx: Connection,
    party_id: int,
    offer_id: int,
    place: int,
    policy: PlanPolicy,
    *,
    at: datetime,
    asked_by: str = MACHINE,
    role: str = AUTOMATIC,
) -> int:
    """Take one of an offer's choices: the core system is asked, and she is left in peace about that loan from now on.

    Args:
        tx: Inside a transaction.
        party_id: Who chooses.
        offer_id: Of which offer.
        place: Of the choice, from 0 on.
        policy: In force.
        at: Business instant.
        asked_by: Which colleague writes it down for her, on a call; usually nobody does.
        role: In which role, of config/authority.yaml.

    Returns:
        The plan's number; of the same offer always the same.

    Raises:
        PlanRefused: There is no such choice, something was paid or disputed since, a plan is under way, or it is of another day.
        InstructionRefused: The role may not ask for it.
    """
    lock_with_liable(tx, [party_id])
    before = tx.execute(_TAKEN, {"offer": offer_id, "party": party_id}).scalar()
    if before is not None:
        return int(before)
    offered = plan_offers.read(tx, party_id, offer_id)
    if offered is None or not 0 <= place < len(offered.record.offer.choices):
        raise PlanRefused("there is no such choice")
    now = plan_offers.situation(tx, party_id, offered.loan_id, policy, at=at)
    made_of = offered.record.circumstances
    if now is None or now.owed.open_minor != made_of["open_minor"] or now.today.isoformat() != made_of["today"]:
        raise PlanRefused("what is open, or the day, is another one than when it was offered")
    choice = offered.record.offer.choices[place]
    plan_id = int(tx.execute(_PLAN, {"loan": offered.loan_id, "kind": choice.kind}).scalar_one())
    write(tx, plan_id, ACCEPTED, choice.payments, at=at, agreed_on=None)
    tx.execute(_CHOICE, {"offer": offer_id, "place": place, "party": party_id, "plan": plan_id, "at": at})
    wanted = Wanted(
        loan_id=offered.loan_id,
        party_id=party_id,
        kind=choice.kind,
        terms=_terms(choice, plan_id, now.due_on),
        relief_minor=0,
        asked_by=asked_by,
        role=role,
        key=f"plan {plan_id}",
    )
    ask(tx, wanted)
    answers.hold(tx, party_id, "plan", starts_at=at, until=None, loan_id=offered.loan_id, source=SOURCE)
    return plan_id


def agreed(tx: Connection, told: Instruction, at: datetime) -> None:
    """The core system has accepted: the plan is in force, and peace lasts as long as it does."""
    found = _of_instruction(tx, told)
    if found is None or found.status != ACCEPTED:
        return
    person = tx.execute(_PERSON, {"party": told.party_id}).one()
    zones = (person.known_zone,) if person.known_zone else tuple(person.zones)
    today = local_day(tx, at, person)
    payments = payments_of(found.instalments)
    write(tx, found.plan_id, ACTIVE, payments, at=at, agreed_on=today)
    last = business_day_after(payments[-1].due_on, country=person.country, business_days=plan_policy_in_force().late_days)
    end_peace(tx, told.party_id, told.loan_id, at=at)
    answers.hold(tx, told.party_id, "plan", starts_at=at, until=day_ends_at(last, zones=zones), loan_id=told.loan_id, source=SOURCE)


def refused(tx: Connection, told: Instruction, at: datetime) -> None:
    """The lender says no: a person looks for another way with her, and nobody asks for money meanwhile."""
    found = _of_instruction(tx, told)
    if found is None or found.status not in {ACCEPTED, ACTIVE}:
        return
    write(tx, found.plan_id, REFUSED, payments_of(found.instalments), at=at, agreed_on=found.agreed_on)
    said = Statement(
        party_id=told.party_id, kind="hardship", at=at, channel="core", loan_id=told.loan_id, reference=f"plan {found.plan_id} refused"
    )
    cases.open_case(tx, said, case_terms_in_force())
    end_peace(tx, told.party_id, told.loan_id, at=at)


def standings(tx: Connection, party_id: int, policy: PlanPolicy) -> dict[int, Standing]:
    """Loan → how its newest plan stands, of the loans that a person borrowed."""
    found = {}
    for row in tx.execute(_STANDINGS, {"party": party_id}):
        payments = payments_of(row.instalments)
        found[row.loan_id] = Standing(
            id=row.plan_id,
            kind=row.kind,
            status=row.status,
            payments=payments,
            agreed_on=row.agreed_on,
            skips=skips_of(len(payments), policy.terms),
            is_late=row.instruction_state == "late",
        )
    return found


def local_day(tx: Connection, at: datetime, person: Row[Any]) -> date:
    """The day where a person is, of a row with `known_zone` and `zones`."""
    zone = person.known_zone or (person.zones[0] if person.zones else "UTC")
    day: date = tx.execute(_LOCAL_DAY, {"at": at, "zone": zone}).scalar_one()
    return day


def _terms(choice: Choice, plan_id: int, due_on: date) -> dict[str, Any]:
    """What the core system is told: days and amounts."""
    kept = {"plan": plan_id, "freezes": list(FREEZES)}
    if choice.kind == EXTENSION:
        (only,) = choice.payments
        return {**kept, "due_on": due_on.isoformat(), "new_due_on": only.due_on.isoformat(), "amount_minor": only.amount_minor}
    return {**kept, "instalments": _plain(choice.payments)}


def _plain(payments: tuple[Payment, ...]) -> list[dict[str, Any]]:
    return [{"due_on": one.due_on.isoformat(), "amount_minor": one.amount_minor} for one in payments]


def payments_of(instalments: list[dict[str, Any]]) -> tuple[Payment, ...]:
    """Payments as a version keeps them."""
    return tuple(Payment(date.fromisoformat(one["due_on"]), one["amount_minor"]) for one in instalments)


def write(tx: Connection, plan_id: int, status: str, payments: tuple[Payment, ...], *, at: datetime, agreed_on: date | None) -> None:
    """Write a version of a plan; it is in force from now on."""
    keys = {
        "plan": plan_id,
        "status": status,
        "at": at,
        "agreed_on": agreed_on,
        "instalments": json.dumps(_plain(payments)),
        "source": SOURCE,
    }
    tx.execute(_SUPERSEDE, keys)
    tx.execute(_VERSION, keys)


def _of_instruction(tx: Connection, told: Instruction) -> Row[Any] | None:
    """The plan that an instruction is about, where it came from a choice of hers."""
    if not isinstance(told.terms.get("plan"), int):
        return None
    return tx.execute(_CURRENT, {"plan": told.terms["plan"], "loan": told.loan_id}).one_or_none()


def end_peace(tx: Connection, party_id: int, loan_id: int, *, at: datetime) -> None:
    """Nobody is left in peace for a plan of this loan any more."""
    tx.execute(_END_HOLDS, {"party": party_id, "loan": loan_id, "at": at, "source": SOURCE})


_TAKEN = text("SELECT plan_id FROM plan_choice WHERE offer_id = :offer AND party_id = :party")
_PLAN = text("INSERT INTO plan (loan_id, kind) VALUES (:loan, :kind) RETURNING id")
_CHOICE = text("INSERT INTO plan_choice (offer_id, place, party_id, plan_id, at) VALUES (:offer, :place, :party, :plan, :at)")
_SUPERSEDE = text("UPDATE plan_version SET superseded_at = clock_timestamp() WHERE plan_id = :plan AND superseded_at IS NULL")
_VERSION = text("""
    INSERT INTO plan_version (effective_at, source, plan_id, version, status, agreed_on, instalments)
    SELECT :at, :source, :plan, coalesce(max(version), 0) + 1, :status, CAST(:agreed_on AS date), CAST(:instalments AS jsonb)
    FROM plan_version WHERE plan_id = :plan
""")
_CURRENT = text("""
    SELECT v.plan_id, v.status, v.instalments, v.agreed_on FROM plan p JOIN plan_version v ON v.plan_id = p.id AND v.superseded_at IS NULL
    WHERE p.id = :plan AND p.loan_id = :loan AND EXISTS (SELECT FROM plan_choice c WHERE c.plan_id = p.id)
""")
_STANDINGS = text("""
    SELECT DISTINCT ON (p.loan_id) p.loan_id, p.id AS plan_id, p.kind, v.status, v.instalments, v.agreed_on, i.state AS instruction_state
    FROM loan_party lp JOIN plan p ON p.loan_id = lp.loan_id
    JOIN plan_version v ON v.plan_id = p.id AND v.superseded_at IS NULL
    LEFT JOIN core_instruction i ON i.key = 'plan ' || p.id
    WHERE lp.party_id = :party AND lp.superseded_at IS NULL AND lp.role IN ('borrower', 'co_borrower')
    ORDER BY p.loan_id, p.id DESC
""")
_PERSON = text(
    "SELECT country, known_zone, coalesce(zones, '{}') AS zones FROM party_version WHERE party_id = :party AND superseded_at IS NULL"
)
_LOCAL_DAY = text("SELECT (CAST(:at AS timestamptz) AT TIME ZONE :zone)::date")
# The hold itself stays as it was known; from now on its version with an end is in force.
_END_HOLDS = text("""
    WITH old AS (
        UPDATE hold SET superseded_at = clock_timestamp()
        WHERE party_id = :party AND loan_id = :loan AND kind = 'plan' AND source = :source AND superseded_at IS NULL
          AND (until IS NULL OR until > :at)
        RETURNING *
    )
    INSERT INTO hold (effective_at, source, party_id, loan_id, all_liable, kind, channel, purpose, starts_at, until)
    SELECT :at, :source, party_id, loan_id, all_liable, kind, channel, purpose, starts_at, greatest(CAST(:at AS timestamptz), starts_at)
    FROM old
""")

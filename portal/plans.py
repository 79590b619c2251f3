"""What a person could pay, on her page: her figures, the choices that fit and why, the one she takes, and how it stands.

Whatever she asks for is written down with its figures before she sees it (ledger/plan_offers.py). Nothing is preselected, the smallest
payment stands first, every choice says what is paid in the end; and there is always less, another day, and a person.

In:   her session, forms.
Out:  pages; offers, choices.
Pure: no.
Source: SCIENCE.md E; docs/plans.md; docs/adr/0046, 0048.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from config.affordability import plan_policy_in_force
from config.page_texts import PageWords
from decisions.affordability import TO_A_PERSON, Choice, Reason
from decisions.means import Declared
from decisions.wallet_flows import CYCLES
from ledger import clock, page_reads, plan_offers, plans
from ledger.engine import connection
from ledger.page_sessions import Session
from ledger.plan_offers import Offered, Situation
from ledger.plans import PlanRefused, Standing
from portal.account import guard, inside
from portal.pages import BASE, Asked, day, go, local_day, money, page, show
from portal.typed import UnclearError, day_of, minor_of, written
from portal.web import Fields

# What she may fill in → what it is in the form.
AMOUNTS: Final[Mapping[str, str]] = {
    "income": "plan_income_label",
    "essential": "plan_essential_label",
    "debts": "plan_debts_label",
    "aside": "plan_aside_label",
    "at_most": "plan_most_label",
}
EACH: Final[Mapping[str, str]] = {
    "weekly": "plan_each_weekly",
    "fortnightly": "plan_each_fortnightly",
    "monthly": "plan_each_monthly",
}
OFTEN: Final[Mapping[str, str]] = {"weekly": "plan_weekly", "fortnightly": "plan_fortnightly", "monthly": "plan_monthly"}
FIGURES: Final[Mapping[str, str]] = {
    "wallet": "plan_figures_wallet",
    "borrower": "plan_figures_borrower",
    "both": "plan_figures_both",
}
BECAUSE: Final[Mapping[str, str]] = {
    "income": "plan_income",
    "needs": "plan_needs",
    "half": "plan_half",
    "nothing_left": "plan_nothing_left",
    "too_long": "plan_too_long",
    "would_run_short": "plan_would_run_short",
    "person_grants": "plan_person_grants",
    "smaller_is_safer": "plan_smaller_is_safer",
    "weeks_went_well": "plan_well",
}
STANDS: Final[Mapping[str, str]] = {
    "accepted": "plan_is_sent",
    "refused": "plan_is_refused",
    "active": "plan_is_agreed",
    "late": "plan_is_late",
    "broken": "plan_is_over",
    "renegotiated": "plan_is_over",
    "completed": "plan_is_paid",
    "offered": "plan_is_sent",
}
NOT_ANSWERED: Final = "plan_is_waited_for"
# From today on, a pay day may lie so far ahead: of a month, its days.
NEXT_DAYS_MAX: Final = 45


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A choice in words.

    Attributes:
        place: In its offer.
        headline: How much, and how often.
        details: What else is to be known before one chooses.
        payments: (day, amount), in words.
    """

    place: int
    headline: str
    details: tuple[str, ...]
    payments: tuple[tuple[str, str], ...]


async def ask(asked: Asked, session: Session) -> Response:
    """Her figures, where the wallet says too little of her."""
    known = await run_in_threadpool(_situation, session, _loan(asked))
    return go("account") if known is None else _form(asked, known, asked.fields)


async def look(asked: Asked, session: Session) -> Response:
    """She wants to see what fits: by the wallet, or by the figures that she sends."""
    loan_id = _loan(asked)
    known = await run_in_threadpool(_situation, session, loan_id)
    if known is None:
        return go("account")
    try:
        declared = declared_of(asked.fields, known, asked.words)
    except UnclearError as error:
        return _form(asked, known, asked.fields, trouble=error.field)

    def make() -> int | None:
        with connection() as tx:
            return plan_offers.make(
                tx, session.party_id, loan_id, declared, plan_policy_in_force(), at=clock.now(tx), channel=session.channel
            )

    number = await run_in_threadpool(make)
    return go(f"plans/{loan_id}/ask" if number is None else f"plans/{loan_id}/offers/{number}")


async def offered(asked: Asked, session: Session) -> Response:
    """What fits, and why."""
    found = await run_in_threadpool(_offered, session, asked)
    if found is None:
        return go("account")
    words, said, currency = asked.words, found.record.offer, found.record.circumstances["currency"]
    return show(
        asked,
        "plan_offer",
        guard=guard(asked),
        loan=found.loan_id,
        offer=found.id,
        to_a_person=said.road in TO_A_PERSON,
        open_now=money(found.record.circumstances["open_minor"], currency, words),
        choices=[shown(choice, place, currency, words) for place, choice in enumerate(said.choices)],
        because=because(found, words),
        figures=words.say(FIGURES[found.figures_from]),
        answer_by=await run_in_threadpool(_answer_by, session) if said.road in TO_A_PERSON else None,
        action=f"{BASE}/plans/{found.loan_id}",
        **form_fields(filled(found, words), currency, date.fromisoformat(found.record.circumstances["today"]), words),
    )


async def one(asked: Asked, session: Session) -> Response:
    """One choice with each of its payments, before she takes it."""
    found, place = await run_in_threadpool(_offered, session, asked), asked.request.path_params["place"]
    if found is None or place >= len(found.record.offer.choices):
        return go("account")
    choice, currency = found.record.offer.choices[place], found.record.circumstances["currency"]
    return show(
        asked,
        "plan_choice",
        guard=guard(asked),
        loan=found.loan_id,
        offer=found.id,
        choice=shown(choice, place, currency, asked.words),
        missed=missed(choice.skips, asked.words),
    )


async def take(asked: Asked, session: Session) -> Response:
    """She takes it: the lender is asked."""
    found, place = await run_in_threadpool(_offered, session, asked), asked.request.path_params["place"]
    if found is None:
        return go("account")

    def choose() -> bool:
        with connection() as tx:
            try:
                plans.choose(tx, session.party_id, found.id, place, plan_policy_in_force(), at=clock.now(tx))
            except PlanRefused:
                return False
        return True

    if await run_in_threadpool(choose):
        return go(f"plans/{found.loan_id}")
    return show(asked, "message", heading=asked.words.say("plan_title"), body=asked.words.say("plan_changed"))


async def stands(asked: Asked, session: Session) -> Response:
    """How her plan stands."""
    loan_id = _loan(asked)

    def read() -> tuple[Standing | None, str | None, date | None]:
        with connection(read_only=True) as tx:
            found = plans.standings(tx, session.party_id, plan_policy_in_force()).get(loan_id)
            today = local_day(clock.now(tx), page_reads.zone_of(tx, session.party_id))
            debts = page_reads.debts(tx, session.party_id, on=today)
            currency = next((debt.currency for debt in debts if debt.loan_id == loan_id), None)
            return found, currency, page_reads.standing(tx, session.party_id, at=clock.now(tx)).answer_by

    found, currency, answer_by = await run_in_threadpool(read)
    if found is None or currency is None:
        return go("account")
    words = asked.words
    return show(
        asked,
        "plan",
        said=how_it_stands(found, words),
        payments=[(day(payment.due_on, words), money(payment.amount_minor, currency, words)) for payment in found.payments],
        missed=missed(found.skips, words) if found.status in {"accepted", "active"} else (),
        answer_by=answer_by if found.status in {"refused", "late"} else None,
    )


def declared_of(fields: Fields, known: Situation, words: PageWords) -> Declared:
    """What a form says; a line that is left empty says nothing.

    Raises:
        UnclearError: An amount that is none, a day that is none or too far ahead, a rhythm that does not exist.
    """
    currency = known.owed.currency
    amounts = {
        name: minor_of(fields[name], currency, words, least=name == "at_most", field=name)
        for name in AMOUNTS
        if fields.get(name, "").strip()
    }
    cycle = fields.get("cycle", "")
    if cycle and cycle not in CYCLES:
        raise UnclearError("cycle")
    tomorrow = known.today + timedelta(days=1)
    last = known.today + timedelta(days=NEXT_DAYS_MAX)
    return Declared(
        income_minor=amounts.get("income"),
        essential_minor=amounts.get("essential"),
        debts_minor=amounts.get("debts"),
        aside_minor=amounts.get("aside"),
        at_most_minor=amounts.get("at_most"),
        cycle=cycle or None,  # type: ignore[arg-type]  # one of CYCLES
        next_income_on=day_of(fields["next"], first=tomorrow, last=last, field="next") if fields.get("next") else None,
        first_on=day_of(fields["first"], first=tomorrow, last=last, field="first") if fields.get("first") else None,
    )


def shown(choice: Choice, place: int, currency: str, words: PageWords) -> Shown:
    """A choice in words: how much, how often, until when, and what is paid in the end."""
    first, last = choice.payments[0], choice.payments[-1]
    amount = money(first.amount_minor, currency, words)
    details = []
    if len(choice.payments) == 1:
        headline = words.say("plan_once", amount=amount, date=day(first.due_on, words))
    else:
        headline = words.say(EACH[choice.cycle], amount=amount)
        count = str(len(choice.payments))
        details.append(words.say("plan_count", count=count, first=day(first.due_on, words), last=day(last.due_on, words)))
    if last.amount_minor != first.amount_minor:
        details.append(words.say("plan_last", amount=money(last.amount_minor, currency, words)))
    details.append(words.say("plan_cost", amount=money(choice.total_minor, currency, words)))
    payments = tuple((day(payment.due_on, words), money(payment.amount_minor, currency, words)) for payment in choice.payments)
    return Shown(place=place, headline=headline, details=tuple(details), payments=payments)


def because(found: Offered, words: PageWords) -> list[str]:
    """Why these amounts: the rule's own reasons, and that a floor counted."""
    currency = found.record.circumstances["currency"]
    said = [_reason(reason, currency, words) for reason in found.record.offer.reasons]
    if found.record.essential_is_floor:
        said.append(words.say("plan_floor", amount=money(found.record.circumstances["essential_minor"], currency, words)))
    return said


def missed(skips: int, words: PageWords) -> tuple[str, ...]:
    """What happens when a payment does not come."""
    return (words.say("plan_missed"), *((words.say("plan_skips", count=str(skips)),) if skips else ()))


def how_it_stands(found: Standing, words: PageWords) -> list[str]:
    """How a plan stands, in sentences; agreed only where the lender has accepted it."""
    if found.status == "accepted" and found.is_late:
        return [words.say("plan_is_sent"), words.say(NOT_ANSWERED)]
    text = STANDS[found.status]
    if text == "plan_is_agreed" and found.agreed_on is not None:
        return [words.say(text, date=day(found.agreed_on, words)), words.say("plan_peace")]
    return [words.say(text)]


def filled(found: Offered, words: PageWords) -> dict[str, str]:
    """The form with the figures that counted."""
    known, said = found.record.circumstances, found.record.declared
    amounts = {
        "income": known["income_minor"],
        "essential": known["essential_minor"],
        "debts": known["debts_minor"] - found.record.due_minor,
        # Left empty, the rule's own stand.
        "aside": said.aside_minor,
        "at_most": said.at_most_minor,
    }
    return {
        **{name: "" if minor is None else written(minor, known["currency"], words) for name, minor in amounts.items()},
        "cycle": known["cycle"],
        "next": known["next_income_on"],
        "first": "" if said.first_on is None else said.first_on.isoformat(),
    }


def _reason(reason: Reason, currency: str, words: PageWords) -> str:
    gaps = {name: money(minor, currency, words) for name, minor in reason.amounts.items()}
    return words.say(BECAUSE[reason.name], **gaps, **{name: str(count) for name, count in reason.counts.items()})


def _form(asked: Asked, known: Situation, typed: Fields, *, trouble: str | None = None) -> Response:
    words = asked.words
    return show(
        asked,
        "plan_ask",
        guard=guard(asked),
        loan=_loan(asked),
        action=f"{BASE}/plans/{_loan(asked)}",
        trouble=trouble_of(trouble, known, words),
        wrong=trouble,
        **form_fields(typed, known.owed.currency, known.today, words),
    )


def trouble_of(field: str | None, known: Situation, words: PageWords) -> str | None:
    """What is said of a field that is filled in wrongly."""
    if field is None:
        return None
    if field in AMOUNTS:
        return words.say("bad_amount", example=written(known.owed.open_minor, known.owed.currency, words))
    first, last = known.today + timedelta(days=1), known.today + timedelta(days=NEXT_DAYS_MAX)
    return words.say("plan_bad_day", first=day(first, words), last=day(last, words))


def form_fields(typed: Fields, currency: str, today: date, words: PageWords) -> dict[str, Any]:
    """What the form is made of (portal/templates/plan_form.html)."""
    return {
        "typed": {name: typed.get(name, "") for name in (*AMOUNTS, "cycle", "next", "first")},
        "amounts": {name: words.say(label) for name, label in AMOUNTS.items()},
        "often": {cycle: words.say(text) for cycle, text in OFTEN.items()},
        "currency": currency,
        "first_day": (today + timedelta(days=1)).isoformat(),
        "last_day": (today + timedelta(days=NEXT_DAYS_MAX)).isoformat(),
    }


def _loan(asked: Asked) -> int:
    number: int = asked.request.path_params["loan"]
    return number


def _situation(session: Session, loan_id: int) -> Situation | None:
    with connection(read_only=True) as tx:
        return plan_offers.situation(tx, session.party_id, loan_id, plan_policy_in_force(), at=clock.now(tx))


def _offered(session: Session, asked: Asked) -> Offered | None:
    with connection(read_only=True) as tx:
        found = plan_offers.read(tx, session.party_id, asked.request.path_params["offer"])
    return found if found is not None and found.loan_id == _loan(asked) else None


def _answer_by(session: Session) -> date | None:
    with connection(read_only=True) as tx:
        return page_reads.standing(tx, session.party_id, at=clock.now(tx)).answer_by


_OFFER: Final = f"{BASE}/plans/{{loan:int}}/offers/{{offer:int}}"
routes: Final = [
    Route(f"{BASE}/plans/{{loan:int}}", page(inside(stands)), methods=["GET"]),
    Route(f"{BASE}/plans/{{loan:int}}", page(inside(look)), methods=["POST"]),
    Route(f"{BASE}/plans/{{loan:int}}/ask", page(inside(ask)), methods=["GET"]),
    Route(_OFFER, page(inside(offered)), methods=["GET"]),
    Route(f"{_OFFER}/{{place:int}}", page(inside(one)), methods=["GET"]),
    Route(f"{_OFFER}/{{place:int}}", page(inside(take)), methods=["POST"]),
]

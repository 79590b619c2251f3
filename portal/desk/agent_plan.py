"""A plan on a call: what fits the person, by her wallet or by what she says, and the choice that she makes, written down by the agent.

The rule, the offer, the choice and what is asked of the core system are those of her own page (portal/plans.py). The talk is written
down first; from then on she is left in peace while she chooses. Where nothing fits, a person looks.

In:   GET and POST below /desk/calls/TASK/plan, for whoever made that call, on the same day.
Out:  pages; offers, choices, cases.
Pure: no.
Source: docs/adr/0048, 0073; docs/phone-team.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import Connection
from starlette import status
from starlette.responses import Response
from starlette.routing import Route

from config.affordability import plan_policy_in_force
from config.cases import case_terms_in_force
from config.page_texts import USUAL, PageWords
from config.portal_files import page_words_in_force
from decisions.affordability import TO_A_PERSON
from decisions.means import Declared
from decisions.messages import closest
from ledger import agents, call_queue, cases, erasures, page_reads, plan_offers, plans
from ledger.call_queue import CallTask
from ledger.cases import Statement
from ledger.page_reads import Debt
from ledger.plans import PlanRefused, Standing
from portal.desk.frame import BASE, Asked, NotFound, desk_page, go, message, show
from portal.desk.working import REFUSALS, actor, in_ledger, refused
from portal.pages import day, local_day, money
from portal.plans import FIGURES, because, declared_of, filled, form_fields, how_it_stands, missed, shown, trouble_of
from portal.typed import UnclearError
from portal.web import Fields

VIEW: Final = "plan on a call"
PLAN: Final = "plan"
CALL: Final = "call"
# Roles of config/authority.yaml that grant on a call, the one with more authority first.
GRANT: Final = ("supervisor", "agent")
NUMBER_MAX: Final = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """A call of hers that was a talk, today.

    Attributes:
        task: Of the queue.
        agent: By what name she calls.
        words: What the person's own page says, in her language.
        today: Where the person is.
    """

    task: CallTask
    agent: str
    words: PageWords
    today: date


async def begin(asked: Asked) -> Response:
    """Straight after the talk was written down: what fits, where that is known; a case, where there is nothing to choose a plan for."""

    def work(tx: Connection) -> str:
        talk = _talk(tx, asked)
        loans = _loans(tx, talk)
        if not loans:
            _hand_over(tx, asked, talk, "no loan to choose a plan for")
            return f"calls/{talk.task.id}/done"
        return _offered_of(tx, asked, talk, loans[0].loan_id, Declared()) if len(loans) == 1 else f"calls/{talk.task.id}/plan"

    return go(await in_ledger(work))


async def loans(asked: Asked) -> Response:
    """Which of her loans."""

    def read(tx: Connection) -> dict[str, Any]:
        talk = _talk(tx, asked)
        return {"task": talk.task, "debts": _loans(tx, talk)}

    return show(asked, "desk/agent_plan_loans", **await in_ledger(read))


async def ask(asked: Asked) -> Response:
    """The form for what she says, where her wallet says too little."""
    return await _form(asked, asked.fields)


async def look(asked: Asked) -> Response:
    """Work out what fits, by her wallet or by what she says."""

    def work(tx: Connection) -> str:
        talk, loan_id = _talk(tx, asked), _number(asked, "loan")
        known = plan_offers.situation(tx, talk.task.party_id, loan_id, plan_policy_in_force(), at=asked.at)
        if known is None:
            raise NotFound
        return _offered_of(tx, asked, talk, loan_id, declared_of(asked.fields, known, talk.words))

    try:
        return go(await in_ledger(work))
    except UnclearError as error:
        return await _form(asked, asked.fields, trouble=error.field)


async def offered(asked: Asked) -> Response:
    """What fits her, and why; to be read out."""

    def read(tx: Connection) -> dict[str, Any]:
        talk = _talk(tx, asked)
        found = plan_offers.read(tx, talk.task.party_id, _number(asked, "offer"))
        if found is None or found.loan_id != _number(asked, "loan"):
            raise NotFound
        words, currency = talk.words, found.record.circumstances["currency"]
        today = date.fromisoformat(found.record.circumstances["today"])
        choices = found.record.offer.choices
        return {
            "task": talk.task,
            "her": words,
            "path": _path(talk, found.loan_id),
            "offer": found.id,
            "to_a_person": found.record.offer.road in TO_A_PERSON,
            "open_now": money(found.record.circumstances["open_minor"], currency, words),
            "choices": [(shown(one, place, currency, words), missed(one.skips, words)) for place, one in enumerate(choices)],
            "because": because(found, words),
            "figures": words.say(FIGURES[found.figures_from]),
            "action": _path(talk, found.loan_id),
            **form_fields(filled(found, words), currency, today, words),
        }

    return show(asked, "desk/agent_plan", **await in_ledger(read))


async def take(asked: Asked) -> Response:
    """She chooses: the lender is asked, in the agent's name and within her authority."""
    place, role = _number(asked, "place"), next((one for one in GRANT if one in asked.staff.roles), "none")

    def work(tx: Connection) -> str:
        talk, loan_id, offer = _talk(tx, asked), _number(asked, "loan"), _number(asked, "offer")
        found = plan_offers.read(tx, talk.task.party_id, offer)
        if found is None or found.loan_id != loan_id:
            raise NotFound
        policy = plan_policy_in_force()
        plans.choose(tx, talk.task.party_id, offer, place, policy, at=asked.at, asked_by=actor(asked), role=role)
        return f"calls/{talk.task.id}/plan/{loan_id}/stands"

    try:
        return go(await in_ledger(work))
    except PlanRefused:
        return message(asked, "ap_changed", code=status.HTTP_409_CONFLICT)
    except REFUSALS as error:
        return refused(asked, error)


async def stands(asked: Asked) -> Response:
    """How her plan stands: agreed only where the lender has accepted it."""

    def read(tx: Connection) -> tuple[Talk, Standing, str]:
        talk, loan_id = _talk(tx, asked), _number(asked, "loan")
        found = plans.standings(tx, talk.task.party_id, plan_policy_in_force()).get(loan_id)
        debts = page_reads.debts(tx, talk.task.party_id, on=talk.today)
        currency = next((debt.currency for debt in debts if debt.loan_id == loan_id), None)
        if found is None or currency is None:
            raise NotFound
        return talk, found, currency

    talk, found, currency = await in_ledger(read)
    words = talk.words
    return show(
        asked,
        "desk/agent_plan_stands",
        task=talk.task,
        her=words,
        said=how_it_stands(found, words),
        payments=[(day(one.due_on, words), money(one.amount_minor, currency, words)) for one in found.payments],
        missed=missed(found.skips, words),
        agreed=found.agreed_on is not None,
    )


async def none_fits(asked: Asked) -> Response:
    """None of it fits her, or she does not want to look: a person looks for another way."""

    def work(tx: Connection) -> str:
        talk = _talk(tx, asked)
        _hand_over(tx, asked, talk, "no choice fits")
        return f"calls/{talk.task.id}/done"

    return go(await in_ledger(work))


async def _form(asked: Asked, typed: Fields, *, trouble: str | None = None) -> Response:
    def read(tx: Connection) -> dict[str, Any]:
        talk, loan_id = _talk(tx, asked), _number(asked, "loan")
        known = plan_offers.situation(tx, talk.task.party_id, loan_id, plan_policy_in_force(), at=asked.at)
        if known is None:
            raise NotFound
        return {
            "task": talk.task,
            "her": talk.words,
            "action": _path(talk, loan_id),
            "trouble": trouble_of(trouble, known, talk.words),
            "wrong": trouble,
            "all": trouble in {"aside", "at_most", "first"},
            **form_fields(typed, known.owed.currency, known.today, talk.words),
        }

    code = status.HTTP_200_OK if trouble is None else status.HTTP_422_UNPROCESSABLE_CONTENT
    return show(asked, "desk/agent_plan_ask", code=code, **await in_ledger(read))


def _talk(tx: Connection, asked: Asked) -> Talk:
    """The talk that she had, noted as a look at that person.

    Raises:
        NotFound: It is no talk of hers, or of another day: she is told as little as of one that is none.
    """
    agent, task = agents.find_of_staff(tx, asked.staff.id), call_queue.read(tx, _number(asked, "task"))
    if agent is None or task is None or task.taken_by != agent.name or task.result != "conversation":
        raise NotFound
    callee = call_queue.callee(tx, task, at=asked.at)
    if task.attempt_business_date != callee.business_date or erasures.is_restricted(tx, task.party_id):
        raise NotFound
    asked.note(tx, task.party_id, VIEW)
    known = page_words_in_force()
    words = known[closest(callee.locale or USUAL, known) or USUAL]
    return Talk(task=task, agent=agent.name, words=words, today=local_day(asked.at, callee.zone))


def _loans(tx: Connection, talk: Talk) -> list[Debt]:
    """Those of her loans that she may choose a plan for."""
    debts = page_reads.debts(tx, talk.task.party_id, on=talk.today)
    may = plan_offers.may_choose(tx, talk.task.party_id, debts, plan_policy_in_force(), today=talk.today)
    return [debt for debt in debts if debt.loan_id in may]


def _offered_of(tx: Connection, asked: Asked, talk: Talk, loan_id: int, declared: Declared) -> str:
    """Where an offer stands that is made now; where she has to be asked first, the form."""
    number = plan_offers.make(tx, talk.task.party_id, loan_id, declared, plan_policy_in_force(), at=asked.at, channel=CALL)
    place = f"calls/{talk.task.id}/plan/{loan_id}"
    return f"{place}/ask" if number is None else f"{place}/offers/{number}"


def _hand_over(tx: Connection, asked: Asked, talk: Talk, why: str) -> None:
    said = Statement(
        party_id=talk.task.party_id, kind="hardship", at=asked.at, channel=CALL, said_by=talk.agent, reference=f"call {talk.task.id}: {why}"
    )
    cases.open_case(tx, said, case_terms_in_force())


def _path(talk: Talk, loan_id: int) -> str:
    return f"{BASE}/calls/{talk.task.id}/plan/{loan_id}"


def _number(asked: Asked, name: str) -> int:
    """A number of the address; one that no ledger can have is no address."""
    number = int(asked.request.path_params[name])
    if number > NUMBER_MAX:
        raise NotFound
    return number


_PLAN: Final = f"{BASE}/calls/{{task:int}}/plan"
_LOAN: Final = f"{_PLAN}/{{loan:int}}"
_OFFER: Final = f"{_LOAN}/offers/{{offer:int}}"
routes: Final = (
    Route(_PLAN, desk_page(loans, shows_person=True, right="calls.work"), methods=["GET"]),
    Route(f"{_PLAN}/none", desk_page(none_fits, shows_person=False, right="calls.work"), methods=["POST"]),
    Route(_LOAN, desk_page(look, shows_person=True, right="calls.work"), methods=["POST"]),
    Route(f"{_LOAN}/ask", desk_page(ask, shows_person=True, right="calls.work"), methods=["GET"]),
    Route(_OFFER, desk_page(offered, shows_person=True, right="calls.work"), methods=["GET"]),
    Route(f"{_OFFER}/{{place:int}}", desk_page(take, shows_person=False, right="relief.grant"), methods=["POST"]),
    Route(f"{_LOAN}/stands", desk_page(stands, shows_person=True, right="calls.work"), methods=["GET"]),
)

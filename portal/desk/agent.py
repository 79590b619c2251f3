"""The agent's desk: whom she may call, the next person's card, the call, and what came of it.

The list shows no name and no number. A card is one agent's alone (ledger/call_cards.py); each look at it is noted. The number is shown
when the gate has said yes, and not before; what the gate refuses is said in words, with the next window in both zones. What came of a
call goes the road of every reply (gate/dial.py).

In:   GET and POST below /desk/calls.
Out:  pages; cards, dials, outcomes.
Pure: no.
Source: docs/adr/0031, 0056, 0057.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection
from starlette import status
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from config.agents import needs_in_force, wanted_in_force
from config.call_scripts import spoken
from config.settings import settings
from decisions.agents import OFF_SHIFT, Agent, is_on_shift, may_not_call
from gate.dial import DialRefused, NotNow, NotYou, Told, record_outcome, take_call, take_card
from gate.written_again import explained
from ledger import agent_calls, agent_reads, agents, call_cards, call_queue, call_words, clock, erasures, needs, page_reads, vault
from ledger.call_queue import Callee, CallTask, CallWindow
from ledger.engine import connection
from ledger.law import law_in_force
from portal.desk import agent_plan
from portal.desk.frame import BASE, Asked, NotFound, Room, desk_page, go, show
from portal.desk.working import in_ledger
from portal.pages import local_day
from portal.typed import UnclearError, day_of, minor_of, written

LISTED_MAX: Final = 60
VIEW: Final = "call card"
# What one saves → how the call ended, and what the person said.
OUTCOMES: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "promise": ("conversation", ("promise",)),
    "plan": ("conversation", ()),
    "cannot_pay": ("conversation", ("cannot_pay",)),
    "dispute": ("conversation", ("dispute",)),
    "complaint": ("conversation", ("complaint",)),
    "paid": ("conversation", ("paid",)),
    "call_back": ("conversation", ()),
    "vulnerable": ("conversation", ()),
    "stop": ("conversation", ("stop",)),
    "danger": ("conversation", ("danger",)),
    "talked": ("conversation", ()),
    "wrong_number": ("wrong_number", ()),
    "hung_up": ("dropped", ()),
    "somebody_else": ("dropped", ()),
    "no_answer": ("no_answer", ()),
    "busy": ("busy", ()),
    "voicemail": ("limited_content_voicemail", ()),
    "not_in_service": ("not_in_service", ()),
}
TALKS: Final = tuple(name for name, (result, _) in OUTCOMES.items() if result == "conversation")
# In which her own words are kept, where they say more.
TAKES_WORDS: Final = frozenset({"dispute", "complaint"})
# A promise is proposed for so many days from today: the agent asks, and changes it.
PROMISE_DAYS: Final = 3
WORDS_MAX: Final = 2_000
# How it may stand with being put through, for which there are words.
LINES: Final = frozenset(
    {agent_calls.RINGING, agent_calls.UNKNOWN, agent_calls.REFUSED, "completed", "busy", "no-answer", "failed", "canceled"}
)
# Rule's reason → what is said of it; any other is said by its rule's own sentence alone.
WHY: Final[Mapping[str, str]] = {
    **dict.fromkeys(("outside_contact_hours", "outside_house_hours", "outside_working_hours", "unreasonable_time", "quiet_hours"), "hours"),
    **dict.fromkeys(
        (
            "call_cap_reached",
            "state_cap_reached",
            "district_cap_reached",
            "contacted_today",
            "contacted_often",
            "talked_lately",
            "spoken_today",
            "tried_often_today",
            "other_channel_this_week",
        ),
        "often",
    ),
    **dict.fromkeys(("opted_out", "against_wish", "consent_revoked", "no_consent"), "stopped"),
    **dict.fromkeys(
        ("on_hold", "disputed", "complaint_open", "promised", "breathing_space", "protected_person", "executor_asked", "represented"),
        "peace",
    ),
    **dict.fromkeys(("stale_payments", "unknown_zone", "unknown_jurisdiction"), "unknown"),
}
# Words of the gate's own, and of who may call.
OWN_WORDS: Final = frozenset(
    {
        "paused",
        "no_number",
        "no_text",
        "called_today",
        "agent_off_shift",
        "agent_language",
        "agent_jurisdiction",
        "agent_certificate_missing",
        "agent_certificate_expired",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """One reason why a call is not made: a text of ours, the rule, and its sentence (in English, as the packs are)."""

    text: str | None
    rule: str | None
    says: str | None


class _Unfit(RuntimeError):
    """What was typed cannot be saved; the text says why."""


async def calls(asked: Asked) -> Response:
    """Whom she may call, and since when they wait; nothing personal."""

    def read() -> dict[str, Any]:
        with connection(read_only=True) as tx:
            agent = agents.find_of_staff(tx, asked.staff.id)
            if agent is None:
                return {"agent": None}
            at = clock.now(tx)
            waiting = call_queue.waiting(tx, at=at, at_most=LISTED_MAX)
            people = call_queue.callees(tx, waiting, at=at)
            others = call_cards.others(tx, agent_id=agent.id)
            held = call_cards.held_by(tx, agent.id)
        reasons = {task.id: may_not_call(agent, people[task.id].person, wanted_in_force(), at=at) for task in waiting}
        mine = [task for task in waiting if not set(reasons[task.id]) - {OFF_SHIFT} and task.id not in others and task.state == "waiting"]
        return {
            "agent": agent,
            "on_shift": is_on_shift(agent.shifts, at),
            "own_zone": _own_zone(agent),
            "held": held,
            "due": [(task, people[task.id]) for task in mine if task.opens_at <= at],
            "later": [(task, people[task.id]) for task in mine if task.opens_at > at],
            "not_hers": len(waiting) - len(mine),
        }

    return show(asked, "desk/agent_list", **await run_in_threadpool(read))


async def take(asked: Asked) -> Response:
    """The next person's card."""

    def give() -> int | None:
        with connection() as tx:
            agent = agents.find_of_staff(tx, asked.staff.id)
        return None if agent is None else take_card(agent)

    task_id = await run_in_threadpool(give)
    return go("calls" if task_id is None else f"calls/{task_id}")


async def give_back(asked: Asked) -> Response:
    """She leaves the person to somebody else."""

    def give() -> None:
        with connection() as tx:
            agent = agents.find_of_staff(tx, asked.staff.id)
            if agent is not None:
                call_cards.give_back(tx, agent.id)

    await run_in_threadpool(give)
    return go("calls")


async def card(asked: Asked) -> Response:
    """The person whom she has: what is owed, what was said, what is done differently; the number once she dials."""
    return await _card(asked)


async def call(asked: Asked) -> Response:
    """The gate is asked now."""
    task_id = asked.request.path_params["task"]

    def dial() -> tuple[Agent, CallTask, Callee, Any]:
        with connection() as tx:
            agent, task, callee = _held(tx, asked, task_id)
        return agent, task, callee, take_call(task_id, by=agent.name)

    try:
        agent, task, callee, taken = await run_in_threadpool(dial)
    except DialRefused:
        # Somebody was faster, or it waits no more: the list says how it stands.
        return go("calls")
    if isinstance(taken, NotNow | NotYou):
        at = taken.at if isinstance(taken, NotNow) else None
        await in_ledger(lambda tx: asked.note(tx, task.party_id, VIEW))
        why = await run_in_threadpool(_in_words, taken.reasons)
        return show(
            asked, "desk/agent_refused", task=task, why=why, again_at=at, her_zone=callee.zone, own_zone=_own_zone(agent),
            waits=at is not None or isinstance(taken, NotYou),
        )  # fmt: skip
    return go(f"calls/{task_id}")


async def outcome(asked: Asked) -> Response:
    """What came of the call is written down."""
    task_id = asked.request.path_params["task"]

    def tell() -> None:
        with connection() as tx:
            agent, _, callee = _held(tx, asked, task_id)
        told = _told(asked, callee)
        try:
            record_outcome(task_id, told, by=agent.name)
        except DialRefused:
            # Of what a form of ours can say, only this is left to be wrong; a call that is told already is done.
            with connection(read_only=True) as tx:
                task = call_queue.read(tx, task_id)
            if task is not None and task.state == "taken":
                raise _Unfit("disclosures_first") from None

    try:
        await run_in_threadpool(tell)
    except _Unfit as error:
        return await _card(asked, trouble=str(error), code=status.HTTP_422_UNPROCESSABLE_CONTENT)
    return await agent_plan.begin(asked) if asked.fields["outcome"] == agent_plan.PLAN else go(f"calls/{task_id}/done")


async def done(asked: Asked) -> Response:
    """What became of it, as the ledger has it."""
    task_id = asked.request.path_params["task"]

    def read() -> dict[str, Any]:
        with connection() as tx:
            agent, task = agents.find_of_staff(tx, asked.staff.id), call_queue.read(tx, task_id)
            if agent is None or task is None or task.taken_by != agent.name or task.attempt_id is None:
                raise NotFound
            asked.note(tx, task.party_id, VIEW)
            assert task.attempt_business_date is not None  # noqa: S101  # a call has both
            return {
                "task": task,
                "understood": agent_reads.said_in_call(tx, (task.attempt_business_date, task.attempt_id)),
                "cases": agent_reads.open_cases(tx, task.party_id),
                "needs": needs.of_party(tx, task.party_id),
                "standing": page_reads.standing(tx, task.party_id, at=clock.now(tx)),
                "her_zone": page_reads.zone_of(tx, task.party_id),
            }

    return show(asked, "desk/agent_done", **await run_in_threadpool(read))


async def end_need(asked: Asked) -> Response:
    """Something is done differently for her no more."""
    task_id = asked.request.path_params["task"]

    def end() -> None:
        with connection() as tx:
            agent, task, _ = _held(tx, asked, task_id)
            if asked.fields.get("need", "") in needs_in_force():
                needs.end(tx, task.party_id, asked.fields["need"], by=f"phone_team:{agent.name}", at=clock.now(tx))

    await run_in_threadpool(end)
    return go(f"calls/{task_id}")


async def _card(asked: Asked, *, trouble: str | None = None, code: int = status.HTTP_200_OK) -> Response:
    task_id = asked.request.path_params["task"]

    def read() -> dict[str, Any]:
        with connection() as tx:
            agent, task, callee = _held(tx, asked, task_id)
            asked.note(tx, task.party_id, VIEW)
            at = clock.now(tx)
            today = local_day(at, callee.zone)
            debts = page_reads.debts(tx, task.party_id, on=today)
            currencies = {debt.currency for debt in debts}
            values = {
                "agent": agent,
                "task": task,
                "callee": callee,
                "person": page_reads.person(tx, task.party_id),
                "name": call_words.names(tx, [task.party_id]).get(task.party_id),
                "debts": debts,
                "standing": page_reads.standing(tx, task.party_id, at=at),
                "needs": needs.of_party(tx, task.party_id),
                "heard": agent_reads.heard(tx, task.party_id),
                "promises": agent_reads.promises(tx, task.party_id),
                "cases": agent_reads.open_cases(tx, task.party_id),
                "contacts": page_reads.contacts(tx, task.party_id, at_most=8),
                "her_zone": callee.zone,
                "own_zone": _own_zone(agent),
                "at": at,
                "today": today.isoformat(),
                "dialling": None,
            }
            if task.state == "taken":
                values["dialling"] = _dialling(tx, agent, task, callee)
        currency = currencies.pop() if len(currencies) == 1 else None
        past_due = sum(debt.past_due_minor for debt in debts)
        values |= {
            "currency": currency,
            "proposed_amount": written(past_due, currency, asked.words) if currency and past_due else "",
            "proposed_day": (today + timedelta(days=PROMISE_DAYS)).isoformat(),
            "tomorrow": (today + timedelta(days=1)).isoformat(),
            "all_needs": list(needs_in_force()),
            "takes_words": TAKES_WORDS,
            "typed": asked.fields,
            "trouble": trouble,
        }
        return values

    return show(asked, "desk/agent_card", code=code, **await run_in_threadpool(read))


def _held(tx: Connection, asked: Asked, task_id: int) -> tuple[Agent, CallTask, Callee]:
    """Who asks, and the person whose card she has.

    Raises:
        NotFound: She calls nobody, or this card is not hers: she is told as little as of one that is none.
    """
    agent, task = agents.find_of_staff(tx, asked.staff.id), call_queue.read(tx, task_id)
    if agent is None or task is None:
        raise NotFound
    own = task.taken_by == agent.name if task.state == "taken" else task.state == "waiting" and call_cards.held_by(tx, agent.id) == task_id
    # Whoever asked to be forgotten is shown to no desk but compliance's; what a call in progress came to may still be told.
    if not own or (task.state == "waiting" and erasures.is_restricted(tx, task.party_id)):
        raise NotFound
    return agent, task, call_queue.callee(tx, task, at=asked.at)


def _dialling(tx: Connection, agent: Agent, task: CallTask, callee: Callee) -> dict[str, Any] | None:
    """What she sees while she dials: the number, what has to be said, whether it is recorded; None where the gate has not said yes."""
    standing, number, call = call_queue.dialled(tx, task), call_queue.number_of(tx, task), agent_calls.read(tx, task)
    if standing is None or number is None or call is None:
        return None
    creditor = call_queue.creditor_name(tx, task.party_id)
    return {
        "number": vault.decrypt(number[0], number[1]),
        # What the gate judged, written again; not shown where it cannot be.
        "first": explained(tx, task.attempt_id).body if task.attempt_id is not None else None,
        "required": spoken(call.required, callee.locale, agent=agent.name, creditor=creditor),
        "locale": callee.locale,
        "recording": call.recording,
        "line": None if call.line is None else call.line if call.line in LINES else "other",
        # Where a phone rings for her, or may, she dials nobody a second time.
        "by_hand": call.line in {None, agent_calls.REFUSED},
    }


def _told(asked: Asked, callee: Callee) -> Told:
    """What a form says came of a call.

    Raises:
        _Unfit: A day, an amount, a window or a need that cannot be.
    """
    fields = asked.fields
    if fields.get("outcome") not in OUTCOMES:
        raise _Unfit("no_outcome")
    chosen = fields["outcome"]
    result, said = OUTCOMES[chosen]
    is_talk = result == "conversation"
    try:
        on, amount = _promise(asked, callee) if chosen == "promise" else (None, None)
        again = _window(fields, callee, asked.at) if chosen == "call_back" else None
    except UnclearError as error:
        raise _Unfit(f"bad_{error.field}") from None
    wanted = [name for name in needs_in_force() if f"need_{name}" in fields] if chosen == "vulnerable" else []
    if chosen == "vulnerable" and not wanted:
        raise _Unfit("no_need")
    return Told(
        result=result,
        said=said,
        on=on,
        amount_minor=amount,
        again=again,
        needs=wanted,
        words=fields.get("words", "").strip()[:WORDS_MAX] if chosen in TAKES_WORDS else "",
        disclosed=[name.removeprefix("said_") for name in fields if name.startswith("said_")] if is_talk else (),
        undisclosed_because=fields.get("why", "").strip()[:WORDS_MAX] if is_talk else "",
        hung_up=chosen == "hung_up",
        looks_at_plans=chosen == agent_plan.PLAN,
    )


def _promise(asked: Asked, callee: Callee) -> tuple[date, int | None]:
    """The day and the amount that she named.

    Raises:
        UnclearError: One of them is none.
    """
    on = day_of(asked.fields.get("promise_day", ""), first=callee.business_date)
    typed = asked.fields.get("promise_amount", "").strip()
    if not typed:
        return on, None
    with connection(read_only=True) as tx:
        currencies = {debt.currency for debt in page_reads.debts(tx, callee.party_id, on=callee.business_date)}
    if len(currencies) != 1:
        raise UnclearError("amount")
    return on, minor_of(typed, currencies.pop(), asked.words)


def _window(fields: Mapping[str, str], callee: Callee, at: datetime) -> CallWindow:
    """When she wants to be called again, in her own zone.

    Raises:
        UnclearError: It is no window, or is over.
    """
    on = day_of(fields.get("back_day", ""), first=callee.business_date)
    try:
        opens, closes = (
            datetime.combine(on, time.fromisoformat(fields.get(name, "")), ZoneInfo(callee.zone)) for name in ("back_from", "back_until")
        )
    except ValueError:
        raise UnclearError("window") from None
    if closes <= opens or closes <= at:
        raise UnclearError("window")
    return CallWindow(opens, closes)


def _in_words(reasons: tuple[str, ...]) -> list[Why]:
    """Reasons as an agent reads them."""
    with connection(read_only=True) as tx:
        packs = law_in_force(tx).packs
    found = []
    for reason in reasons or ("paused",):
        if reason in OWN_WORDS:
            found.append(Why(text=f"why_{reason}", rule=None, says=None))
            continue
        try:
            _, rule = packs.rule(reason)
        except KeyError:
            found.append(Why(text="why_other", rule=reason, says=None))
            continue
        group = WHY.get(rule.reason)
        found.append(Why(text=None if group is None else f"why_{group}", rule=reason, says=rule.says))
    return found


def _own_zone(agent: Agent) -> str:
    """Where an agent's hours are counted."""
    return agent.shifts[0].zone if agent.shifts else settings().business_zone


ROOM: Final = Room(
    name="calls",
    path="calls",
    right="calls.work",
    routes=(
        Route(f"{BASE}/calls", desk_page(calls, shows_person=False, right="calls.work"), methods=["GET"]),
        Route(f"{BASE}/calls/take", desk_page(take, shows_person=False, right="calls.work"), methods=["POST"]),
        Route(f"{BASE}/calls/back", desk_page(give_back, shows_person=False, right="calls.work"), methods=["POST"]),
        Route(f"{BASE}/calls/{{task:int}}", desk_page(card, shows_person=True, right="calls.work"), methods=["GET"]),
        Route(f"{BASE}/calls/{{task:int}}/call", desk_page(call, shows_person=True, right="calls.work"), methods=["POST"]),
        Route(f"{BASE}/calls/{{task:int}}/outcome", desk_page(outcome, shows_person=True, right="calls.work"), methods=["POST"]),
        Route(f"{BASE}/calls/{{task:int}}/done", desk_page(done, shows_person=True, right="calls.work"), methods=["GET"]),
        Route(f"{BASE}/calls/{{task:int}}/need", desk_page(end_need, shows_person=False, right="calls.work"), methods=["POST"]),
        *agent_plan.routes,
    ),
)

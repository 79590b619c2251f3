"""A person dials: the gate is asked before the number is shown, and a colleague says what came of it.

The number of a borrower is nobody's to see until the rules, read again under her lock, say that she may be called now. Then the
attempt is `submitting`, counted and marked like any other call, with time for a talk; what is never written down becomes unknown, and
parked: it is not dialled again by itself. What the colleague says afterwards goes through the inbox, as a provider's word and a
borrower's reply do.

Who dials is an agent of the roster who may call this person: her language, her jurisdiction, with the certificates that are wanted
there, in a shift (decisions/agents.py). What has to be said in the talk is ticked, or she says why not, before a talk is written down.

In:   a task of the queue (ledger/call_queue.py), who dials; afterwards a result, and what the person said.
Out:  a `Dial` with the number; attempts, results, outcomes.
Pure: no.
Source: docs/adr/0031, 0056, 0057; DOMAIN.md "What the borrower's answer does".
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import polars as pl
from sqlalchemy import Connection

from channels import ChannelError, FateUnknown, Receipt, TryLater, codes
from channels.bridge import Bridge
from config.affordability import plan_policy_in_force
from config.agents import needs_in_force, recording_in_force, wanted_in_force
from config.call_queue import CallPolicy, call_policy_in_force
from config.call_scripts import Spoken, disclosures_in_force, required, spoken
from config.message_files import message_texts
from config.policies import service_policies
from config.replies import reply_policy_in_force
from config.settings import settings
from config.strategy_files import strategy
from decisions.agents import Agent, may_not_call, minutes_worked
from decisions.business_days import day_ends_at
from decisions.choose import DECISIONS
from decisions.personal import looks_personal
from decisions.recording import NOT_RECORDED, Recording, recording_of
from gate.claim import Door, take_chunk
from gate.marks import LEARNED_SINCE, marked
from gate.permit import Letter, Rulebook
from gate.receipts import REST_SECONDS_MAX, Result, write_results
from ledger import (
    agent_calls,
    agents,
    call_cards,
    call_queue,
    call_words,
    campaigns,
    cases,
    clock,
    inbox,
    needs,
    outbox,
    plan_offers,
    vault,
)
from ledger.call_queue import Callee, CallTask, CallWindow
from ledger.cases import Statement
from ledger.engine import connection
from ledger.inbox import Said, Vocabulary
from ledger.law import law_in_force, texts_in_force
from ledger.locks import lock_borrowers, lock_with_liable
from ledger.replies import PRESSED, Pressed
from ledger.service_runs import write_service_run
from ledger.tables import STAGES

_log = logging.getLogger(__name__)

CALL: Final = "call"
PROVIDER: Final = "phone_team"
# Kind of run by reason; what a strategy planned is of its own stage's run.
RUNS: Final = {"callback": "callback", "unreached": "call"}
PURPOSES: Final = {"callback": "callback", "unreached": "collection"}
# What a colleague may say came of a call, in the words of CASES.md. A talk is one with the person herself; with anybody else nothing
# is said, and the call was dropped.
RESULTS: Final = (
    "conversation",
    "no_answer",
    "busy",
    "voicemail",
    "limited_content_voicemail",
    "dropped",
    "not_in_service",
    "wrong_number",
)
NOBODY_THERE: Final = frozenset({"no_answer", "busy", "voicemail", "limited_content_voicemail", "dropped"})
# What a person may have said to a colleague; the date and the amount belong to the promise.
SAID: Final = ("paid", "promise", "cannot_pay", "dispute", "complaint", "stop", "call_me", "danger")
NO_NUMBER: Final = "no_number"
NO_TEXT: Final = "no_text"
CALLED_TODAY: Final = "called_today"
# Tasks that are looked at for the first whom an agent may call.
LOOKED_AT_MAX: Final = 500
# So far ahead the team's shifts are counted, for whom no promise of a call was made.
CAPACITY_OF: Final = timedelta(days=1)
# Refused for the hour, a call that is owed waits for the next window, so far ahead at least.
WAITS_FOR_WINDOW: Final = timedelta(hours=26)
AWAITS_OUTCOME: Final = frozenset({"submitting", "unknown", "parked"})


class DialRefused(RuntimeError):
    """It cannot be done like this; the message says why, without anything personal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dial:
    """Leave to dial, now.

    Attributes:
        task: Of the queue.
        attempt_id: That is counted.
        number: To be dialled; for the eyes of whoever dials.
        name: Whom to ask for; as above. None = it is not known.
        says: What the colleague says first.
        until: The outcome is written down by then, or somebody is asked about it.
        required: What else is to be said, and ticked, in the person's language.
        recording: Whether the talk may be recorded, and how.
        line: How she is put through, of ledger/agent_calls.py; None = she dials by herself.
    """

    task: CallTask
    attempt_id: int
    required: tuple[Spoken, ...]
    recording: Recording
    line: str | None
    number: str = field(repr=False)
    name: str | None = field(repr=False)
    says: str = field(repr=False)
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NotNow:
    """The gate said no.

    Attributes:
        task: Of the queue.
        reasons: Rule ids, and what it lacks.
        at: From when on it waits again; None = it waits no more.
    """

    task: CallTask
    reasons: tuple[str, ...]
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotYou:
    """She may not call this person; somebody else may, and the task waits for her.

    Attributes:
        task: Of the queue.
        reasons: Of `decisions.agents.REASONS`.
    """

    task: CallTask
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What came of a dial, as the colleague has it.

    Attributes:
        result: One of `RESULTS`.
        said: What the person said, of `SAID`; only in a conversation.
        on: Date that she named, local.
        amount_minor: Amount that she named, in minor units of the debt's currency.
        again: When she wants to be called again.
        needs: What is to be done differently for her from now on (config/needs.yaml); a person looks at her case.
        words: Hers, where they say more; kept encrypted.
        disclosed: What was said of what has to be said.
        undisclosed_because: Why the rest was not.
        hung_up: She did not want to talk: nobody tries again of their own accord.
        looks_at_plans: She is shown now what she could pay: she is left in peace while she chooses.
    """

    result: str
    said: Sequence[str] = ()
    on: date | None = None
    amount_minor: int | None = None
    again: CallWindow | None = None
    needs: Sequence[str] = ()
    words: str = field(default="", repr=False)
    disclosed: Sequence[str] = ()
    undisclosed_because: str = field(default="", repr=False)
    hung_up: bool = False
    looks_at_plans: bool = False


def refresh() -> list[CallTask]:
    """Put in the queue who belongs there, as far as the team can call them within a day, and take out what is over.

    Returns:
        Call-backs that are missed since the last time: whoever owns them has to be told.
    """
    policy = call_policy_in_force()
    with connection() as tx:
        at = clock.now(tx)
        call_queue.give_back_left(tx, at=at, seconds=policy.dial_within.total_seconds())
        left = max(0, calls_possible(tx, at=at) - call_queue.counts_open(tx))
        left -= call_queue.enqueue_planned(tx, at=at, at_most=left)
        call_queue.enqueue_unreached(
            tx,
            at=at,
            window=policy.waits,
            tries_min=policy.tries_failed_min,
            within_days=policy.within_days,
            stages=policy.stages,
            at_most=left,
        )
        return call_queue.note_missed(tx, at=at)


def calls_possible(tx: Connection, *, at: datetime) -> int:
    """How many calls the team's shifts can make within a day."""
    shifts = [shift for agent in agents.everybody(tx) for shift in agent.shifts]
    return minutes_worked(shifts, since=at, until=at + CAPACITY_OF) * call_policy_in_force().calls_per_hour // 60


def first_for(tx: Connection, agent: Agent, *, at: datetime, besides: Sequence[int] = ()) -> list[CallTask]:
    """What is due and an agent may call, in the order in which it is called, without what others have."""
    due = [task for task in call_queue.due(tx, at=at, at_most=LOOKED_AT_MAX) if task.id not in besides]
    taken = call_cards.others(tx, agent_id=agent.id)
    people = call_queue.callees(tx, due, at=at)
    wanted = wanted_in_force()
    return [task for task in due if task.id not in taken and not may_not_call(agent, people[task.id].person, wanted, at=at)]


def take_call(task_id: int | None, *, by: str) -> Dial | NotNow | NotYou | None:
    """Ask the gate whether a person may be called now, and if so show her number.

    Args:
        task_id: Which task; None = the first that is due and that she may call.
        by: Who dials.

    Returns:
        Leave to dial; or that the gate, or who she is, says no; None where she is to call nobody.

    Raises:
        DialRefused: No such task, somebody else has it, or no agent of that name.
        ConfigError: Texts or rule packs cannot be read.
    """
    name = _who(by)
    policy = call_policy_in_force()
    with connection() as tx:
        at = clock.now(tx)
        agent = known_agent(tx, name)
        task = next(iter(first_for(tx, agent, at=at)), None) if task_id is None else call_queue.read(tx, task_id)
        if task is None and task_id is None:
            return None
        if task is None or task.state != "waiting":
            raise DialRefused(f"task {task_id} does not wait: `tideover calls queue` lists what does")
        locked = lock_borrowers(tx, [task.party_id])
        assert locked, "a task has a borrower"  # noqa: S101  # a foreign key
        callee = call_queue.callee(tx, task, at=at)
        if reasons := may_not_call(agent, callee.person, wanted_in_force(), at=at):
            return NotYou(task=task, reasons=reasons)
        if call_cards.is_anothers(tx, task.id, agent_id=agent.id):
            raise DialRefused(f"task {task.id}: somebody else has this person's card just now")
        planned = _plan(tx, task, callee, policy, at)
        if planned == CALLED_TODAY and task.reason in RUNS:
            # A message was left with a machine, or she was talked to: not again on the same day.
            tomorrow = day_ends_at(callee.business_date, zones=(callee.zone,))
            call_queue.postpone(tx, task.id, opens_at=tomorrow)
            return NotNow(task=task, reasons=(CALLED_TODAY,), at=tomorrow)
        if isinstance(planned, str):
            call_queue.close(tx, task.id, state="withdrawn", result=None, at=at)
            return NotNow(task=task, reasons=(planned,), at=None)
        run, attempt = planned
        if not call_queue.take(tx, task.id, attempt=attempt, by=name, at=at):
            raise DialRefused(f"task {task.id} was taken by somebody else just now")
    letter, reasons, later = _through_the_gate(run, task.party_id)
    return _refused(task, reasons, later) if letter is None else _shown(task, letter, policy, agent, callee)


def take_card(agent: Agent) -> int | None:
    """Give an agent the card of the first person whom she may call, or the one that she has.

    Returns:
        The task; None where she is to call nobody now.
    """
    policy = call_policy_in_force()
    with connection() as tx:
        at = clock.now(tx)
        held = call_cards.held_by(tx, agent.id)
        if held is not None:
            return held
        due = [task.id for task in first_for(tx, agent, at=at)]
        return call_cards.take_first(tx, due, agent_id=agent.id, lease=policy.card_for)


def known_agent(tx: Connection, name: str) -> Agent:
    """The agent of a name.

    Raises:
        DialRefused: Nobody who calls people is known by it.
    """
    agent = agents.find(tx, name)
    if agent is None:
        raise DialRefused("nobody of that name calls people: `tideover agents list` names who does, `tideover agents import` adds them")
    return agent


def record_outcome(task_id: int, told: Told, *, by: str) -> str:
    """Write down what came of a dial: its result, what the person said, and when to call again.

    Writing the same twice changes nothing.

    Args:
        task_id: That was taken.
        told: What came of it.
        by: Who dialled.

    Returns:
        What the task is now: `done`, or `waiting` for another try.

    Raises:
        DialRefused: It was not dialled, what is told does not fit together, or something that has to be said was neither said nor
            is it told why not.
    """
    name = _who(by)
    _fits(told)
    with connection() as tx:
        at = clock.now(tx)
        task = call_queue.read(tx, task_id)
        standing = None if task is None else call_queue.dialled(tx, task)
        if task is None or task.state != "taken" or standing is None:
            raise DialRefused(f"task {task_id} is not being dialled: `tideover calls take` comes first")
        _disclosed(tx, task, told, at)
        number = call_queue.number_of(tx, task)
    state, token = standing
    if state in AWAITS_OUTCOME:
        _tell(task, token, number, told, name)
    with connection() as tx:
        lock_with_liable(tx, [task.party_id])
        if told.result == "not_in_service" and number is not None:
            outbox.retire_contact_points(tx, [number[2]], at=at, source=f"phone_team:{name}")
        if told.needs:
            _care(tx, task, told, name, at)
        if told.looks_at_plans:
            plan_offers.leave_in_peace(tx, task.party_id, plan_policy_in_force(), at=at)
        return _close(tx, task, told, at)


def _disclosed(tx: Connection, task: CallTask, told: Told, at: datetime) -> None:
    """Keep what was said of what has to be said.

    Raises:
        DialRefused: A talk is to be written down in which something was neither said nor is it told why not.
    """
    asked = agent_calls.required_of(tx, task)
    if asked is None:
        # The house fell over between the gate and the colleague's screen: what has to be said is worked out again.
        assert task.attempt_business_date is not None and task.attempt_id is not None and task.taken_by is not None  # noqa: S101, PT018  # it was taken
        agent, callee = known_agent(tx, task.taken_by), call_queue.callee(tx, task, at=at)
        asked, _ = _begin(tx, task, (task.attempt_business_date, task.attempt_id), agent, callee, at)
    if unknown := sorted(set(told.disclosed) - set(asked)):
        raise DialRefused(f"nothing that has to be said in this call is {unknown[0]!r}; there are {', '.join(asked)}")
    missing = [one for one in asked if one not in told.disclosed]
    if told.result == "conversation" and missing and not told.undisclosed_because.strip():
        raise DialRefused(f"a talk is written down when all was said that has to be, or why not: {', '.join(missing)}")
    agent_calls.tell(tx, task, said=[one for one in asked if one in told.disclosed], because=told.undisclosed_because.strip(), at=at)


def _care(tx: Connection, task: CallTask, told: Told, by: str, at: datetime) -> None:
    """Do differently from now on what she needs, and let a person look: nobody presses her meanwhile."""
    needs.write(tx, task.party_id, told.needs, by=f"phone_team:{by}", at=at)
    said = Statement(party_id=task.party_id, kind="hardship", at=at, channel=CALL, said_by=by, reference=f"call {task.id}")
    cases.open_case(tx, said, reply_policy_in_force().cases)


def _plan(tx: Connection, task: CallTask, callee: Callee, policy: CallPolicy, at: datetime) -> tuple[int, tuple[date, int]] | str:
    """The planned attempt of a task: (run, attempt); or a word for why there can be none."""
    if task.reason not in RUNS:
        still = None if task.attempt_id is None else call_queue.planned_attempt(tx, task)
        return CALLED_TODAY if still is None else still
    stage, day = RUNS[task.reason], callee.business_date
    message = policy.says[task.reason]
    locale = texts_in_force(tx, message_texts()).as_of(at).locale_for(callee.locale, message, CALL, callee.creditor_role)
    if callee.contact_point_id is None or locale is None:
        return NO_NUMBER if callee.contact_point_id is None else NO_TEXT
    known_at, until = outbox.wall_clock(tx), max(task.closes_at, at + WAITS_FOR_WINDOW)
    waits = call_queue.planned_of_day(tx, task.party_id, stage=stage, business_date=day, at=at)
    if waits is not None:
        # The gate said "later" to it before: it is asked again about the same attempt.
        return waits[0], (day, waits[1])
    row = {
        "party_id": task.party_id,
        "action": "contact",
        "channel": CALL,
        "contact_point_id": callee.contact_point_id,
        "purpose": PURPOSES[task.reason],
        "message": message,
        "locale": locale,
        "offer": None,
        "send_after": at,
        "expires_at": until,
        "step": 1,
        "score": 0,
        "probability": 1.0,
        "propensities": None,
        "reasons": [],
    }
    write_service_run(
        tx,
        pl.DataFrame([row], schema=DECISIONS, orient="row"),
        stage=stage,
        business_date=day,
        scope=f"task-{task.id}",
        parties=[task.party_id],
        policies=service_policies(message, rules=law_in_force(tx).bodies),
        at=at,
        facts_known_at=known_at,
    )
    found = call_queue.planned_of_day(tx, task.party_id, stage=stage, business_date=day, at=at)
    if found is None and call_queue.plan_another_try(tx, task.party_id, stage=stage, business_date=day, after=at, until=until):
        found = call_queue.planned_of_day(tx, task.party_id, stage=stage, business_date=day, at=at)
    return CALLED_TODAY if found is None else (found[0], (day, found[1]))


def _through_the_gate(run_id: int, party_id: int) -> tuple[Letter | None, tuple[str, ...], datetime | None]:
    """The marked letter of one person's planned call; or the reasons why there is none, and from when on there may be."""
    with connection() as tx:
        run, law, texts = campaigns.read_run(tx, run_id), law_in_force(tx), texts_in_force(tx, message_texts())
    treatment = strategy(run.strategy, run.stage) if run.stage in STAGES else None
    door = Door(run=run, parties=(party_id, party_id), book=Rulebook(law.packs), texts=texts, treatment=treatment)
    chunk = take_chunk(door, at_most={CALL: 1}, after={CALL: -1})
    if not chunk.letters:
        with connection() as tx:
            # Also while contact is paused: what is owed stays owed.
            return None, *call_queue.held_back(tx, run_id, party_id)
    (letter,) = chunk.letters
    leave = marked(letter)
    if leave is None:
        # Something was learned since it was judged: nobody dials, and it is judged again.
        error = TryLater(code=LEARNED_SINCE, retry_after_seconds=REST_SECONDS_MAX, attempt_id=letter.attempt_id)
        write_results([Result(letter=letter, provider=PROVIDER, outcome=error)], campaign_run_id=run_id)
        return None, (LEARNED_SINCE,), letter.at
    return leave, (), None


def _refused(task: CallTask, reasons: tuple[str, ...], later: datetime | None) -> NotNow:
    with connection() as tx:
        if later is None:
            call_queue.close(tx, task.id, state="withdrawn", result=None, at=clock.now(tx))
        else:
            call_queue.give_back(tx, task.id, opens_at=later)
    return NotNow(task=task, reasons=reasons, at=later)


def _shown(task: CallTask, letter: Letter, policy: CallPolicy, agent: Agent, callee: Callee) -> Dial:
    attempt = (letter.business_date, letter.attempt_id)
    with connection() as tx:
        at = clock.now(tx)
        call_queue.give_time(tx, attempt, seconds=policy.dial_within.total_seconds())
        phone = _phone(tx, agent)
        names, recording = _begin(tx, task, attempt, agent, callee, at)
        name = call_words.names(tx, [letter.party_id]).get(letter.party_id)
        creditor = call_queue.creditor_name(tx, letter.party_id)
    line = None if phone is None else _put_through(letter, phone, attempt)
    return Dial(
        task=task,
        attempt_id=letter.attempt_id,
        number=letter.message.to,
        name=name,
        says=letter.message.body,
        until=at + policy.dial_within,
        required=tuple(spoken(names, callee.locale, agent=agent.name, creditor=creditor)),
        recording=recording,
        line=line,
    )


def _phone(tx: Connection, agent: Agent) -> str | None:
    """Which phone rings for an agent first; None = she dials by herself."""
    return agents.phone_of(tx, agent.id) if settings().twilio_account_sid else None


def _put_through(letter: Letter, phone: str, attempt: tuple[date, int]) -> str:
    """Ask Twilio to put her through; what became of that, which is kept.

    What was surely not taken on she dials by herself. Of what may have been taken on nobody knows: nobody dials it a second time.
    """

    async def ask() -> Receipt:
        bridge = Bridge(settings())
        try:
            return await bridge.put_through(letter.message, letter.permit, phone=phone)
        finally:
            await bridge.close()

    provider_id = None
    try:
        provider_id, line = asyncio.run(ask()).provider_id, agent_calls.RINGING
    except FateUnknown:
        line = agent_calls.UNKNOWN
    except ChannelError as error:
        line = agent_calls.REFUSED
        _log.warning("a colleague was not put through (%s %s)", type(error).__name__, error.code)
    with connection() as tx:
        agent_calls.note_line(tx, attempt, line=line, provider_id=provider_id)
    return line


def _begin(
    tx: Connection, task: CallTask, attempt: tuple[date, int], agent: Agent, callee: Callee, at: datetime
) -> tuple[tuple[str, ...], Recording]:
    """Write down what has to be said in a dial, and whether it is recorded: only a call that we put through can be."""
    recording = NOT_RECORDED if _phone(tx, agent) is None else recording_of(callee.jurisdictions, recording_in_force())
    names = required(
        disclosures_in_force(),
        purpose=agent_calls.purpose_of(tx, attempt),
        jurisdictions=callee.jurisdictions,
        role=callee.creditor_role,
        is_recorded=recording.way == "announce",
    )
    agent_calls.begin(tx, task, attempt, agent_id=agent.id, required=names, recording=recording, at=at)
    return names, recording


def _said(task: CallTask, told: Told) -> list[Pressed]:
    intents = ["wrong_person"] if told.result == "wrong_number" else list(told.said)
    return [
        Pressed(
            intent=intent,
            scope=("voice", "call") if intent == "stop" else (),
            on=told.on if intent == "promise" else None,
            amount_minor=told.amount_minor if intent == "promise" else None,
            party_id=task.party_id,
        )
        for intent in intents
    ]


def _tell(task: CallTask, token: UUID, number: tuple[bytes, str, int] | None, told: Told, by: str) -> None:
    """Hand a colleague's words to the inbox, as a provider's and a borrower's are."""
    call = f"call-{task.attempt_id}"
    rows = [_inbox_row(call, "status", told.result, token, {"by": by})]
    if number is not None:
        fields = {"by": by, "From": f"{CALL}:{vault.decrypt(number[0], number[1])}", "Body": told.words}
        rows += [
            _inbox_row(f"{call}/{one.intent}", "inbound", "received", token, {**fields, PRESSED: one.field}) for one in _said(task, told)
        ]
    vocabulary = Vocabulary(
        state_of=codes.state_of,
        meaning_of=codes.meaning_of_callback,
        intent_of=codes.intent_of,
        replies=reply_policy_in_force(),
        result_of=codes.result_of,
    )
    inbox.receive(rows, vocabulary)


def _inbox_row(provider_id: str, kind: str, status: str, token: UUID, fields: dict[str, Any]) -> Said:
    return Said(provider=PROVIDER, provider_id=provider_id, kind=kind, status=status, token=token, error_code=None, fields=fields)


def _close(tx: Connection, task: CallTask, told: Told, at: datetime) -> str:
    """End a task, or let it wait for another try."""
    policy, result = call_policy_in_force(), told.result
    if told.again is not None:
        call_queue.close(tx, task.id, state="done", result=result, at=at)
        call_queue.enqueue_callback(tx, party_id=task.party_id, because="call: call_me", window=told.again, at=at, owner=task.owner)
        return "waiting"
    if result in NOBODY_THERE and not told.hung_up and task.tries < policy.tries_max:
        window = CallWindow(at + policy.rest, at + max(policy.again_within, policy.rest + timedelta(hours=1)))
        return "waiting" if call_queue.try_again(tx, task, result=result, window=window, at=at) else "done"
    call_queue.close(tx, task.id, state="done", result=result, at=at)
    if result == "conversation":
        call_queue.handled(tx, task.party_id, by=task.taken_by or task.owner, at=at)
    return "done"


def _fits(told: Told) -> None:
    """Refuse what does not fit together.

    Raises:
        DialRefused: It does not.
    """
    if told.result not in RESULTS:
        raise DialRefused(f"no result {told.result!r}; there are {', '.join(RESULTS)}")
    if unknown := sorted(set(told.said) - set(SAID)):
        raise DialRefused(f"nothing that a person says is {unknown[0]!r}; there are {', '.join(SAID)}")
    if odd := sorted(set(told.needs) - set(needs_in_force())):
        raise DialRefused(f"no need {odd[0]!r}; there are {', '.join(needs_in_force())}")
    if told.result != "conversation" and (told.said or told.needs or told.looks_at_plans or told.again is not None):
        raise DialRefused("only in a conversation does the person herself say something")
    if ("promise" in told.said) != (told.on is not None) or (told.amount_minor is not None and "promise" not in told.said):
        raise DialRefused("a promise names its day (--on), and may name an amount; nothing else does")
    if told.amount_minor is not None and told.amount_minor <= 0:
        raise DialRefused("an amount is above zero, in minor units")
    if told.again is not None and told.again.closes_at <= told.again.opens_at:
        raise DialRefused("a window ends after it begins")
    if told.hung_up and told.result != "dropped":
        raise DialRefused("whoever hung up was not talked to: the result is `dropped`")


def _who(by: str) -> str:
    name = " ".join(by.split())
    if not name or looks_personal(name):
        raise DialRefused("say who dials (--by): a colleague's name, no number and no address")
    return name

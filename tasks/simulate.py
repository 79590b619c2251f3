"""Play strategies in simulated worlds: the real choice, the real rules, the gate's own judgement, on people who do not exist.

Nothing is shortened about the law: whoever is contacted was chosen by decisions/choose.py, and judged again at the instant of
sending by gate/judgement.py, as every attempt of a ledger is; an auditor of its own (simulated_audit.py) then counts what should
not have been. Worlds that are played by one strategy stand side by side in the same books, so that a day of all of them costs
about as much as a day of one.

In:   worlds at their beginning (simulated_world.py), a strategy's name, a number of days.
Out:  what became of everybody, world by world.
Pure: but for the files of config, which are read once.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

import polars as pl

from config.message_files import message_texts
from config.rule_files import rule_packs
from config.strategy_files import stages_of, strategy_in_force
from config.voice_files import voice_prompts_in_force
from decisions.choose import decide
from decisions.facts import Facts
from decisions.gate_verdict import LATER, SEND
from decisions.messages import Texts
from decisions.offered import NEVER_ARRIVED
from decisions.packs import Packs
from decisions.planned import Planned
from decisions.segments import SEGMENTED, measure
from decisions.strategy import STAGE_ORDER, Strategy
from decisions.voice import Voice
from gate.judgement import Judged, judge_again
from tasks.simulated_audit import violations
from tasks.simulated_books import CREDITOR_NAME, POINTS_EACH, STRIDE, Books
from tasks.simulated_world import Payments, World

FIRST_DAY: Final = date(2026, 3, 2)
# Before the hours open, so that every hour of the day can be chosen.
PLANNED_AT: Final = time(7, 30)
SUNDAY: Final = 6
SENDER: Final = "+886300000000"
PUBLIC_URL: Final = "https://pay.example"
SPOKEN: Final = frozenset({"call", "voice"})
BY_PERSON: Final = "call"
# What makes a page show instalments.
ASKS_FOR_TIME: Final = "more_time"
# Talk prices stand beside a try's.
TALK: Final = "talk"
# Nobody noticed these (decisions/offered.py), nor a line that was busy.
UNNOTICED: Final = (*NEVER_ARRIVED, "busy")
# What stands behind a strategy's name for the leak test.
SHUFFLED: Final = "shuffled"
_KINDS: Final = ("mobile", "push", "email")
_SEED: Final = b"simulated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What became of one borrower; `contacts` are the `tries` that may have been noticed: not those that surely never arrived."""

    owed_minor: int
    paid_minor: int
    contacts: int
    tries: int
    complaints: int
    borrowed_minor: int
    on_plan: bool

    @property
    def cured(self) -> bool:
        """Whether all of it was paid."""
        return self.paid_minor >= self.owed_minor


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """One world, played by one strategy.

    Attributes:
        id: Of the world.
        strategy: Its name.
        plans: Whether instalments were offered.
        people: In the world's order, so that strategies can be compared person by person.
        cost_minor: Of all contacts, by the world's prices.
        violations: What the auditor found.
        stops: Channels that were stopped.
        plans_taken: Agreed to.
        plans_broken: Late beyond what may be left out.
        by_channel: Contacts.
    """

    id: str
    strategy: str
    plans: bool
    people: tuple[Person, ...]
    cost_minor: float
    violations: tuple[str, ...]
    stops: int
    plans_taken: int
    plans_broken: int
    by_channel: Counter[str]


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was decided on a morning; for whoever learns of it afterwards."""

    on: date
    at: datetime
    stage: str
    facts: Facts
    decisions: pl.DataFrame


class NoShippedModelError(LookupError):
    """A strategy asks a model, and none ships; the message says what to do."""


Decides: TypeAlias = Callable[[Books, Facts, Strategy, Packs, Texts, datetime, date], pl.DataFrame]


@dataclass
class _Game:
    """A strategy's worlds while they are played."""

    worlds: Sequence[World]
    name: str
    plans: bool
    books: Books
    packs: Packs
    texts: Texts
    voice: Voice
    decides: Decides
    told: Callable[[Chosen], None] | None
    waiting: list[tuple[datetime, int, str, Planned]] = field(default_factory=list)
    contacts: Counter[int] = field(default_factory=Counter)
    cost_minor: dict[int, float] = field(default_factory=lambda: defaultdict(float))
    by_channel: Counter[tuple[int, str]] = field(default_factory=Counter)
    serial: int = 0


def by_strategy(books: Books, facts: Facts, treatment: Strategy, packs: Packs, texts: Texts, at: datetime, on: date) -> pl.DataFrame:
    """The choice as a run makes it, by what a ladder says."""
    del books
    return decide(facts, treatment, packs, texts, at=at, business_date=on, seed=_SEED)


def play(
    worlds: Sequence[World],
    name: str,
    *,
    days: int,
    plans: bool,
    first_day: date = FIRST_DAY,
    decides: Decides = by_strategy,
    told: Callable[[Chosen], None] | None = None,
) -> list[Played]:
    """Play worlds side by side, by one strategy.

    Args:
        worlds: At their beginning; they are used up.
        name: Folder of config/strategies.
        days: How many.
        plans: Whether pages offer instalments.
        first_day: On which the worlds begin.
        decides: How a morning's contacts are chosen; the rules and the gate stand behind it whatever it says.
        told: Is told of every morning's choices.

    Raises:
        ConfigError: The strategy, a pack or a text cannot be used.
    """
    books = Books(worlds, first_day=first_day)
    game = _Game(
        worlds=worlds,
        name=name,
        plans=plans,
        books=books,
        packs=rule_packs(),
        texts=message_texts(),
        voice=Voice(prompts=voice_prompts_in_force()),
        decides=decides,
        told=told,
    )
    treatments: dict[str, Strategy] = {stage: strategy_in_force(name, stage) for stage in STAGE_ORDER if stage in stages_of(name)}
    zone = ZoneInfo(next(iter(books.people.values())).zone)
    for number in range(days):
        on = first_day + timedelta(days=number)
        morning = datetime.combine(on, PLANNED_AT, zone).astimezone(UTC)
        _live(game, morning)
        books.look_at_plans(on)
        if on.weekday() != SUNDAY:
            _plan_day(game, treatments, morning, on)
        _send_day(game, treatments)
        _live(game, datetime.combine(on + timedelta(days=1), time(), zone).astimezone(UTC))
    return _ended(game)


def _live(game: _Game, to: datetime) -> None:
    """Let time pass in every world, and enter what is heard."""
    for number, world in enumerate(game.worlds):
        for heard in world.advance(to):
            game.books.hear(number, heard)
            if heard.kind == "conversation" and game.books.channel_of(heard.message_id) == BY_PERSON:
                game.cost_minor[number] += world.prices_minor[TALK]


def _plan_day(game: _Game, treatments: dict[str, Strategy], at: datetime, on: date) -> None:
    """Choose for everybody who is in a stage that the strategy treats."""
    stages = game.books.aged(on)
    for stage, treatment in treatments.items():
        parties = stages.filter(pl.col("stage") == stage)["party_id"].to_list()
        if not parties:
            continue
        facts = game.books.known(at, on, parties=parties, looks_at=treatment.looks_at)
        decisions = game.decides(game.books, facts, treatment, game.packs, game.texts, at, on)
        if game.told is not None:
            game.told(Chosen(on, at, stage, facts, decisions))
        for row in decisions.filter(pl.col("action") == "contact").iter_rows(named=True):
            game.serial += 1
            planned = _planned(row, game.serial, on)
            offers = row["offer"] == ASKS_FOR_TIME or row["channel"] in SPOKEN
            heapq.heappush(game.waiting, (planned.send_after, game.serial, f"{stage}{'+' if offers else ''}", planned))


def _planned(row: dict[str, Any], serial: int, on: date) -> Planned:
    return Planned(
        business_date=on,
        id=serial,
        party_id=row["party_id"],
        contact_point_id=row["contact_point_id"],
        channel=row["channel"],
        purpose=row["purpose"],
        message=row["message"],
        locale=row["locale"],
        token=UUID(int=serial),
        send_after=row["send_after"],
        expires_at=row["expires_at"],
        creditor_name=CREDITOR_NAME,
        creditor_role="first_party",
        sender=SENDER,
        value_encrypted=b"",
        key_id=None,
    )


def _send_day(game: _Game, treatments: dict[str, Strategy]) -> None:
    """Let whatever is due through the gate, instant by instant, until nothing waits for this day any more."""
    while game.waiting:
        at = game.waiting[0][0]
        due: dict[str, list[tuple[Planned, bool]]] = {}
        while game.waiting and game.waiting[0][0] == at:
            _, _, marked, planned = heapq.heappop(game.waiting)
            due.setdefault(marked.removesuffix("+"), []).append((planned, marked.endswith("+")))
        _live(game, at)
        for stage, attempts in due.items():
            _through_the_gate(game, treatments[stage], attempts, at)


def _through_the_gate(game: _Game, treatment: Strategy, attempts: Sequence[tuple[Planned, bool]], at: datetime) -> None:
    planned = [one for one, _ in attempts]
    facts = game.books.known(at, planned[0].business_date, parties=[one.party_id for one in planned], looks_at=treatment.looks_at)
    judged = judge_again(
        facts,
        planned,
        stage=treatment.stage,
        packs=game.packs,
        texts=game.texts,
        at=at,
        public_url=PUBLIC_URL,
        treatment=treatment,
        voice=game.voice,
    )
    for verdict, (_, offers) in zip(judged, attempts, strict=True):
        if verdict.action == SEND:
            _send(game, treatment.stage, verdict, at, game.books.plan_for(verdict.planned.party_id, at) if game.plans and offers else ())
        elif verdict.action == LATER and verdict.send_after is not None:
            game.serial += 1
            heapq.heappush(game.waiting, (verdict.send_after, game.serial, treatment.stage + ("+" if offers else ""), verdict.planned))


def _send(game: _Game, stage: str, verdict: Judged, at: datetime, plan: Payments) -> None:
    attempt, words = verdict.planned, verdict.words
    party, channel, number = attempt.party_id, attempt.channel, attempt.party_id // STRIDE
    world, one = game.worlds[number], game.books.people[attempt.party_id]
    message_id = game.books.contact(
        party, at=at, channel=channel, point=attempt.contact_point_id, purpose=attempt.purpose, stage=stage, message=attempt.message
    )
    kind = _KINDS[attempt.contact_point_id % POINTS_EACH]
    address = {"mobile": one.phone, "push": one.push_token, "email": one.email or ""}[kind]
    if channel in SPOKEN:
        world.call(message_id, address=address, sender=SENDER, by_person=channel == BY_PERSON, plan=plan)
    else:
        text = "" if words is None else f"{words.title}\n{words.body}"
        world.hand_over(message_id, channel=channel, address=address, sender=SENDER, text=text, expires_at=verdict.ends_at, plan=plan)
    segments = measure(words.body).segments if words is not None and channel in SEGMENTED else 1
    game.cost_minor[number] += world.prices_minor[channel] * segments
    game.contacts[party] += 1
    game.by_channel[number, channel] += 1


def _ended(game: _Game) -> list[Played]:
    books = game.books
    wrong: dict[int, list[str]] = {}
    for number, what in violations(books, books.results()):
        wrong.setdefault(number, []).append(what)
    unnoticed = Counter(one.party_id for one in books.made if books.results()[one.event_id - 1] in UNNOTICED)
    played = []
    for number, world in enumerate(game.worlds):
        people = []
        for place, (one, truth) in enumerate(zip(world.borrowers, world.truth(), strict=True)):
            party = number * STRIDE + place + 1
            plan = books.plans.get(party)
            people.append(
                Person(
                    owed_minor=one.owed_minor,
                    paid_minor=truth.paid_minor,
                    contacts=game.contacts[party] - unnoticed[party],
                    tries=game.contacts[party],
                    complaints=truth.complaints,
                    borrowed_minor=truth.borrowed_minor,
                    on_plan=plan is not None and plan.state == "active",
                )
            )
        played.append(
            Played(
                id=world.id,
                strategy=game.name,
                plans=game.plans,
                people=tuple(people),
                cost_minor=game.cost_minor[number],
                violations=tuple(wrong.get(number, ())),
                stops=sum(party // STRIDE == number for party, _, _ in books.stops),
                plans_taken=books.taken[number],
                plans_broken=books.broken[number],
                by_channel=Counter({channel: count for (whose, channel), count in game.by_channel.items() if whose == number}),
            )
        )
    return played

"""Reads config/strategies/<strategy>/<stage>.yaml: the ladder of a stage, its budget, what is left to chance.

In:   the file.
Out:  `decisions.strategy.Strategy`, whose version is the hash of the file's text.
Pure: no; reads one file.
"""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from config.learned_form import LearnedForm, learned
from config.load import ConfigError, Day, Document, Strict, Whole, checked, decimal, parse
from config.prices import prices
from decisions.strategy import (
    APPROVAL_ROLES,
    APPROVAL_WAIT_HOURS,
    ONBOARDING,
    PRE_DUE,
    REACHABLE,
    SPOKEN,
    OfferedFirst,
    Rests,
    Step,
    Strategy,
    milder_stage,
)

STRATEGIES: Final = Path(__file__).with_name("strategies")
NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]*", re.ASCII)
# Longer than that, and "left in peace for now" would be a hold that nobody recorded.
REST_DAYS_MAX: Final = 14
Word = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


Share = Annotated[Decimal, decimal("a share like 0.05", r"(0|1)(\.[0-9]+)?"), Field(ge=0, le=1)]


class DaysForm(Strict):
    """First and last delinquent day, both included."""

    first: Annotated[Whole, Field(alias="from")]
    last: Annotated[Whole, Field(alias="to")]


class BudgetForm(Strict):
    """At most so many contacts in so many local days."""

    contacts_per_borrower: Annotated[Whole, Field(ge=1)]
    span_days: Annotated[Whole, Field(ge=1)]


class RungForm(Strict):
    """What every rung has: one channel, or several in order of preference."""

    channel: str | None = None
    channels: Annotated[tuple[str, ...] | None, Field(min_length=2)] = None
    cheapest_of: Annotated[tuple[str, ...], Field(min_length=2)] | None = None
    offers: tuple[Word, ...] = ()

    @model_validator(mode="after")
    def _names_its_channels(self) -> Self:
        if (self.channel is None) == (self.channels is None):
            raise ValueError("give either channel, or channels in order of preference")
        if len(set(self.ways)) != len(self.ways):
            raise ValueError("channels: one is named twice")
        alike = self.cheapest_of or ()
        places = [number for number, channel in enumerate(self.ways) if channel in alike]
        if len(places) != len(alike) or (places and places[-1] - places[0] != len(places) - 1):
            raise ValueError("cheapest_of: must be channels that stand side by side in channels, each once")
        return self

    @property
    def ways(self) -> tuple[str, ...]:
        """Its channels."""
        return self.channels or ((self.channel,) if self.channel else ())


class StepForm(RungForm):
    """One rung."""

    from_day: Whole
    message: Word
    after_written: Annotated[Whole, Field(ge=1)] | None = None


class OnboardingForm(RungForm):
    """One way to make the first, mild contact; its message is `onboarding`."""


class OfferedFirstForm(Strict):
    """When the milder stage counts as offered though nothing was delivered, and what is done until it is."""

    failed_tries: Annotated[Whole, Field(ge=3)]  # DOMAIN.md, "Offered": a file may ask for more, never for less
    span_days: Annotated[Whole, Field(ge=7)]
    contact_points: Annotated[Whole, Field(ge=2)]
    onboarding: Annotated[tuple[OnboardingForm, ...], Field(min_length=1)]


class RestsForm(Strict):
    """For how many local days somebody is left in peace, and why; left out = not for that reason."""

    after_answer_days: Annotated[Whole, Field(ge=0, le=REST_DAYS_MAX)] = 0
    after_payment_days: Annotated[Whole, Field(ge=0, le=REST_DAYS_MAX)] = 0
    before_next_step_days: Annotated[Whole, Field(ge=0, le=REST_DAYS_MAX)] = 0


class ApprovalForm(Strict):
    """When a run asks people first, whom, and how long it waits for them."""

    required_above_contacts: Annotated[Whole, Field(ge=0)]
    roles: Annotated[tuple[Word, ...], Field(min_length=1)] = APPROVAL_ROLES
    wait_hours: Annotated[Whole, Field(ge=1, le=72)] = APPROVAL_WAIT_HOURS


class StrategyForm(Strict):
    """The file, as written."""

    stage: Literal["pre_due", "early", "mid", "late", "recovery"]
    says: Annotated[str, Field(min_length=1)]
    owner: Annotated[str, Field(min_length=1)]
    reviewed_on: Day
    purpose: Word
    days_past_due: DaysForm
    budget: BudgetForm
    gap_days: Annotated[Whole, Field(ge=1)]
    offered_first: OfferedFirstForm | None = None
    steps: Annotated[tuple[StepForm, ...], Field(min_length=1)]
    exploration: Share
    temperature: Annotated[Whole, Field(ge=0)]
    approval: ApprovalForm | None = None
    rests: RestsForm | None = None
    # The law's own holidays are rules of their own; this is the house's courtesy on top.
    on_holidays: Literal["rest", "contact"] = "rest"
    learned: LearnedForm | None = None
    # A straw man to compare with: house limits do not bind it, the law does, and real people never meet it.
    only_simulated: bool = False

    @model_validator(mode="after")
    def _ladder_climbs(self) -> Self:
        """Days ascend and lie in the stage, channels exist, offers differ."""
        if self.days_past_due.first > self.days_past_due.last:
            raise ValueError("days_past_due: `from` lies after `to`")
        days = [step.from_day for step in self.steps]
        if days != sorted(days):
            raise ValueError("steps: from_day must ascend")
        if not self.days_past_due.first <= days[0] <= days[-1] <= self.days_past_due.last:
            raise ValueError("steps: from_day lies outside days_past_due")
        if unreachable := sorted({channel for step in self._all_steps() for channel in step.ways} - set(REACHABLE)):
            raise ValueError(f"steps: no kind of contact point is reached through {unreachable}")
        if any(len(set(step.offers)) != len(step.offers) for step in self._all_steps()):
            raise ValueError("steps: an offer is named twice")
        return self

    @model_validator(mode="after")
    def _no_stage_is_skipped(self) -> Self:
        """What I12 asks for cannot be left out of a file, and what is still to come is only reminded of."""
        if (milder_stage(self.stage) is None) != (self.offered_first is None):
            wants = "asks for no milder stage" if self.offered_first else "must say when the milder stage counts as offered"
            raise ValueError(f"offered_first: the stage {self.stage} {wants}")
        if any(step.message == ONBOARDING for step in self.steps):
            raise ValueError(f"steps: the message {ONBOARDING} belongs to offered_first")
        if (self.stage == PRE_DUE) != (self.purpose == "reminder"):
            raise ValueError(f"purpose: a reminder is what {PRE_DUE} sends, and all that it sends")
        return self

    @model_validator(mode="after")
    def _writing_comes_before_calling(self) -> Self:
        """Nobody's phone rings by a ladder of which nothing has arrived in writing; a straw man's rings in the simulation."""
        if self.only_simulated:
            return self
        if any(not SPOKEN.isdisjoint(step.ways) for step in self.steps if step.after_written is None):
            raise ValueError("steps: a call says after how many written messages it comes (after_written)")
        if self.offered_first is None and any(step.after_written for step in self.steps):
            raise ValueError(f"after_written: the stage {self.stage} keeps no account of what was tried before; it has no offered_first")
        if self.offered_first and any(not SPOKEN.isdisjoint(way.ways) for way in self.offered_first.onboarding):
            raise ValueError("onboarding: the first, mild contact is written")
        return self

    @model_validator(mode="after")
    def _a_model_weighs_alone(self) -> Self:
        """Two ways to prefer one arm to another would be one too many."""
        if self.learned and (self.temperature or self.stage == PRE_DUE or any(step.cheapest_of for step in self._all_steps())):
            raise ValueError(
                "learned: its money has the temperature and weighs costs, so `temperature: 0` and no cheapest_of; "
                f"and in {PRE_DUE} nothing is owed yet that it could weigh"
            )
        return self

    def _all_steps(self) -> tuple[OnboardingForm | StepForm, ...]:
        return (*(self.offered_first.onboarding if self.offered_first else ()), *self.steps)


def strategy(name: str, stage: str, folder: Path = STRATEGIES) -> Strategy:
    """Read a stage's strategy.

    Raises:
        ConfigError: There is no such file, it is not of that form, or it is for another stage.
    """
    if not NAME.fullmatch(name) or not NAME.fullmatch(stage):
        raise ConfigError(folder, None, "", "a strategy and a stage are named by small letters, digits, - and _")
    path = folder / name / f"{stage}.yaml"
    document = parse(path)
    form = _form(document, stage)
    champion = champion_of(form)
    held_out = None if champion is None else strategy(champion, stage, folder)
    read = _strategy(document, form, name, stage, version=sha256(path.read_bytes()).hexdigest(), champion=held_out)
    return replace(read, prices=prices()) if read.weighs_cost else read


@lru_cache(maxsize=64)
def strategy_in_force(name: str, stage: str) -> Strategy:
    """A shipped strategy, read once a process: for pages, which say by which ways may be written.

    Raises:
        ConfigError: As `strategy`.
    """
    return strategy(name, stage)


def champion_named(name: str, stage: str, body: str, where: Path) -> str | None:
    """Name of the strategy by which a text's held-out borrowers are treated; None = it holds nobody out.

    Raises:
        ConfigError: As `strategy`.
    """
    return champion_of(_form(parse(_place(where, name, stage), body), stage))


def strategy_of(name: str, stage: str, body: str, where: Path, *, champion: Strategy | None = None) -> Strategy:
    """Read a stage's strategy whose text is kept elsewhere; without the prices that it weighs, which the caller knows.

    Args:
        name: Of the strategy.
        stage: Of the stage.
        body: The file's text.
        where: What errors call the place where it is kept: a folder of strategies, or the file.
        champion: The strategy of `champion_named`, which is kept elsewhere too.

    Raises:
        ConfigError: As `strategy`.
    """
    document = parse(_place(where, name, stage), body)
    return _strategy(document, _form(document, stage), name, stage, version=sha256(body.encode()).hexdigest(), champion=champion)


def tried_strategy(name: str, stage: str, body: str, where: Path) -> Strategy:
    """Read a strategy that is tried: whom it holds out the files' strategy treats. Likewise without prices.

    Args:
        name: As for `strategy_of`; likewise `stage`, `body` and `where`.
        stage: See there.
        body: See there.
        where: See there.

    Raises:
        ConfigError: As `strategy`, of the text or of its champion's file.
    """
    champion = champion_named(name, stage, body, where)
    return strategy_of(name, stage, body, where, champion=None if champion is None else strategy(champion, stage))


def _place(where: Path, name: str, stage: str) -> Path:
    return where if where.suffix == ".yaml" else where / name / f"{stage}.yaml"


def champion_of(form: StrategyForm) -> str | None:
    """Name of the strategy that a file's held-out borrowers stay on."""
    return None if form.learned is None or form.learned.hold_outs is None else form.learned.hold_outs.champion.strategy


def _form(document: Document, stage: str) -> StrategyForm:
    form = checked(document, document.plain, StrategyForm)
    if form.stage != stage:
        raise document.error(["stage"], f"this file stands for the stage {stage}")
    return form


def _strategy(document: Document, form: StrategyForm, name: str, stage: str, *, version: str, champion: Strategy | None) -> Strategy:
    read = _read(form, name, stage, version=version)
    if form.learned is None:
        return read
    if champion is not None:
        _stands_beside(document, read, champion)
    return replace(read, learned=learned(form.learned, champion))


def _stands_beside(document: Document, read: Strategy, champion: Strategy) -> None:
    """The gate judges a run's contacts by one strategy: what it looks at there must not differ for whom the champion treats."""
    where = ["learned", "hold_outs", "champion"]
    if champion.learned is not None:
        raise document.error(where, "the champion is a ladder, not learned itself")
    alike = ("purpose", "first_day", "last_day", "offered_first", "rests", "rests_on_holidays")
    if differing := [name for name in alike if getattr(read, name) != getattr(champion, name)]:
        raise document.error(where, f"{champion.name} says otherwise of {', '.join(differing)}: the gate judges by this file alone")
    if champion.falls_back:
        raise document.error(where, f"{champion.name} falls back within the day, which a strategy with a model does not")


def _read(form: StrategyForm, name: str, stage: str, *, version: str) -> Strategy:
    return Strategy(
        name=name,
        stage=stage,
        purpose=form.purpose,
        version=version,
        first_day=form.days_past_due.first,
        last_day=form.days_past_due.last,
        contacts_max=form.budget.contacts_per_borrower,
        span_days=form.budget.span_days,
        gap_days_min=form.gap_days,
        steps=_steps(form),
        offered_first=_offered_first(form),
        exploration=float(form.exploration),
        temperature=form.temperature,
        approval_above=None if form.approval is None else form.approval.required_above_contacts,
        rests=Rests() if form.rests is None else Rests(**form.rests.model_dump()),
        rests_on_holidays=form.on_holidays == "rest",
        approval_roles=APPROVAL_ROLES if form.approval is None else form.approval.roles,
        approval_wait_hours=APPROVAL_WAIT_HOURS if form.approval is None else form.approval.wait_hours,
        only_simulated=form.only_simulated,
    )


def _steps(form: StrategyForm) -> tuple[Step, ...]:
    first_day = form.days_past_due.first
    onboarding = form.offered_first.onboarding if form.offered_first else ()
    rungs: list[tuple[int, str, RungForm]] = [(first_day, ONBOARDING, way) for way in onboarding]
    rungs += [(step.from_day, step.message, step) for step in form.steps]
    return tuple(
        Step(
            number=number,
            from_day=from_day,
            channels=form.ways,
            message=message,
            offers=form.offers,
            cheapest_of=form.cheapest_of or (),
            after_written=form.after_written or 0 if isinstance(form, StepForm) else 0,
        )
        for number, (from_day, message, form) in enumerate(rungs, start=1)
    )


def _offered_first(form: StrategyForm) -> OfferedFirst | None:
    milder = milder_stage(form.stage)
    if milder is None or form.offered_first is None:
        return None
    asked = form.offered_first
    return OfferedFirst(
        stage=milder,
        failed_tries_min=asked.failed_tries,
        span_days_min=asked.span_days,
        contact_points_min=asked.contact_points,
    )


def stages_of(name: str, folder: Path = STRATEGIES) -> tuple[str, ...]:
    """Stages for which a strategy has a file, by name."""
    return tuple(sorted(path.stem for path in (folder / name).glob("*.yaml")))


def strategy_names(folder: Path = STRATEGIES) -> tuple[str, ...]:
    """Strategies that there are, by name."""
    return tuple(sorted(path.name for path in folder.iterdir() if path.is_dir() and stages_of(path.name, folder)))


def strategy_body(name: str, stage: str, folder: Path = STRATEGIES) -> str:
    """The file's own text, which the ledger keeps under its hash."""
    return (folder / name / f"{stage}.yaml").read_text("utf-8")

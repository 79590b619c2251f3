"""Reads config/strategies/<strategy>/<stage>.yaml: the ladder of a stage, its budget, what is left to chance.

In:   the file.
Out:  `decisions.strategy.Strategy`, whose version is the hash of the file's text.
Pure: no; reads one file.
"""

from __future__ import annotations

import re
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from config.load import ConfigError, Day, Strict, Whole, read
from decisions.strategy import CHANNEL_OF_KIND, Step, Strategy

STRATEGIES: Final = Path(__file__).with_name("strategies")
NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]*", re.ASCII)
Word = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


def _share(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(r"(0|1)(\.[0-9]+)?", value, re.ASCII):
        raise ValueError("not a share like 0.05")
    return Decimal(value) if isinstance(value, str) else value


Share = Annotated[Decimal, BeforeValidator(_share), Field(ge=0, le=1)]


class DaysForm(Strict):
    """First and last delinquent day, both included."""

    first: Annotated[Whole, Field(alias="from")]
    last: Annotated[Whole, Field(alias="to")]


class BudgetForm(Strict):
    """At most so many contacts in so many local days."""

    contacts_per_borrower: Annotated[Whole, Field(ge=1)]
    span_days: Annotated[Whole, Field(ge=1)]


class StepForm(Strict):
    """One rung."""

    from_day: Whole
    channel: str
    message: Word
    offers: tuple[Word, ...] = ()


class ApprovalForm(Strict):
    """When a run asks a person first."""

    required_above_contacts: Annotated[Whole, Field(ge=0)]


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
    steps: Annotated[tuple[StepForm, ...], Field(min_length=1)]
    exploration: Share
    temperature: Annotated[Whole, Field(ge=0)]
    approval: ApprovalForm | None = None

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
        if unreachable := sorted({step.channel for step in self.steps} - set(CHANNEL_OF_KIND.values())):
            raise ValueError(f"steps: no kind of contact point is reached through {unreachable}")
        if any(len(set(step.offers)) != len(step.offers) for step in self.steps):
            raise ValueError("steps: an offer is named twice")
        return self


def strategy(name: str, stage: str, folder: Path = STRATEGIES) -> Strategy:
    """Read a stage's strategy.

    Raises:
        ConfigError: There is no such file, it is not of that form, or it is for another stage.
    """
    if not NAME.fullmatch(name) or not NAME.fullmatch(stage):
        raise ConfigError(folder, None, "", "a strategy and a stage are named by small letters, digits, - and _")
    path = folder / name / f"{stage}.yaml"
    form = read(path, StrategyForm)
    if form.stage != stage:
        raise ConfigError(path, None, "stage", f"this file stands for the stage {stage}")
    return Strategy(
        name=name,
        stage=stage,
        purpose=form.purpose,
        version=sha256(path.read_bytes()).hexdigest(),
        first_day=form.days_past_due.first,
        last_day=form.days_past_due.last,
        contacts_max=form.budget.contacts_per_borrower,
        span_days=form.budget.span_days,
        gap_days_min=form.gap_days,
        steps=tuple(Step(number=number, **step.model_dump()) for number, step in enumerate(form.steps, start=1)),
        exploration=float(form.exploration),
        temperature=form.temperature,
        approval_above=None if form.approval is None else form.approval.required_above_contacts,
    )


def stages_of(name: str, folder: Path = STRATEGIES) -> tuple[str, ...]:
    """Stages for which a strategy has a file, by name."""
    return tuple(sorted(path.stem for path in (folder / name).glob("*.yaml")))


def strategy_body(name: str, stage: str, folder: Path = STRATEGIES) -> str:
    """The file's own text, which the ledger keeps under its hash."""
    return (folder / name / f"{stage}.yaml").read_text("utf-8")

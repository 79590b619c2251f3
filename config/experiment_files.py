"""Reads config/experiments/<name>.yaml: what is written down before an experiment begins.

In:   the file.
Out:  `decisions.experiments.Experiment`; `decisions.assignment.Trial` of a stage, with the arms' strategies.
Pure: no; reads files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from config.learned_form import Fraction, Named, Positive, Word
from config.load import ConfigError, Day, Document, Strict, Whole, checked, parse
from decisions.assignment import Trial
from decisions.experiments import Arm, Experiment, Margin
from decisions.parts import PARTS
from decisions.strategy import PRE_DUE, STAGE_ORDER, Strategy

EXPERIMENTS: Final = Path(__file__).with_name("experiments")
# What harm is counted in (ledger/experiments.py).
ALIKE: Final = ("purpose", "first_day", "last_day", "offered_first", "rests")
HARMS: Final = ("complaints", "opt_outs", "contacts")


class PartForm(Strict):
    """Between two points of the line on which every borrower has her place."""

    first: Annotated[Fraction, Field(alias="from")]
    last: Annotated[Fraction, Field(alias="to")]


class ArmForm(Strict):
    """One arm."""

    arm: Named
    share: Fraction
    strategy: Named


class MarginForm(Strict):
    """How much worse than the champion an arm may be."""

    margin: Positive
    most: Positive


class ExperimentForm(Strict):
    """The file, as written."""

    experiment: Named
    question: Annotated[str, Field(min_length=1)]
    owner: Annotated[str, Field(min_length=1)]
    stages: Annotated[tuple[Word, ...], Field(min_length=1)]
    starts_on: Day
    ends_on: Day
    borrowers: PartForm
    arms: Annotated[tuple[ArmForm, ...], Field(min_length=2)]
    borrowers_per_arm: Annotated[Whole, Field(ge=2)]
    horizon_days: Annotated[Whole, Field(ge=1, le=90)]
    looks_on: tuple[Day, ...] = ()
    alpha: Annotated[Fraction, Field(gt=0, le=0.2)]
    harms: Mapping[str, MarginForm]
    group_gap: Positive | None = None

    @model_validator(mode="after")
    def _can_be_kept(self) -> Self:
        if self.starts_on > self.ends_on:
            raise ValueError("ends_on lies before starts_on")
        if self.borrowers.first >= self.borrowers.last:
            raise ValueError("borrowers: `to` must lie behind `from`")
        if sum(arm.share for arm in self.arms) != 1:
            raise ValueError("arms: the shares add up to 1")
        if len({arm.arm for arm in self.arms}) != len(self.arms):
            raise ValueError("arms: a name is given twice")
        if unknown := sorted(set(self.stages) - (set(STAGE_ORDER) - {PRE_DUE})):
            raise ValueError(f"stages: no experiment is made in {unknown}")
        if set(self.harms) != set(HARMS):
            raise ValueError(f"harms: says how much is too much of each of {', '.join(HARMS)}")
        if any(before >= after for before, after in pairwise(self.looks_on)):
            raise ValueError("looks_on: dates ascend")
        if self.looks_on and not self.starts_on < self.looks_on[0] <= self.looks_on[-1]:
            raise ValueError("looks_on: the first look comes after starts_on")
        return self


def experiment(name: str, folder: Path = EXPERIMENTS) -> Experiment:
    """Read one.

    Raises:
        ConfigError: There is no such file, or it is not of that form.
    """
    path = folder / f"{name}.yaml"
    return _experiment(parse(path), name)


def experiment_of(name: str, body: str, where: Path) -> Experiment:
    """Read one whose text is kept elsewhere.

    Raises:
        ConfigError: It is not of that form.
    """
    return _experiment(parse(where / f"{name}.yaml", body), name)


def _experiment(document: Document, name: str) -> Experiment:
    form = checked(document, document.plain, ExperimentForm)
    if form.experiment != name:
        raise document.error(["experiment"], f"this file stands for {name}")
    return Experiment(
        name=name,
        question=form.question,
        stages=form.stages,
        first=form.starts_on,
        last=form.ends_on,
        line_first=round(form.borrowers.first * PARTS),
        line_last=round(form.borrowers.last * PARTS),
        arms=tuple(Arm(name=arm.arm, parts=round(arm.share * PARTS), strategy=arm.strategy) for arm in form.arms),
        borrowers_min=form.borrowers_per_arm,
        horizon_days=form.horizon_days,
        looks=form.looks_on,
        alpha=float(form.alpha),
        money_most=1.0,
        margins=tuple(Margin(name=harm, margin=float(one.margin), most=float(one.most)) for harm, one in sorted(form.harms.items())),
        gap_max=None if form.group_gap is None else float(form.group_gap),
    )


def experiment_names(folder: Path = EXPERIMENTS) -> tuple[str, ...]:
    """Those that are written down, by name."""
    return tuple(sorted(path.stem for path in folder.glob("*.yaml")))


def experiment_body(name: str, folder: Path = EXPERIMENTS) -> str:
    """The file's own text, which the ledger keeps under its hash."""
    return (folder / f"{name}.yaml").read_text("utf-8")


def running(stage: str, day: date, folder: Path = EXPERIMENTS) -> list[Experiment]:
    """Those that treat borrowers of a stage on a date, by name.

    Raises:
        ConfigError: A file cannot be read, or two that run at once want the same borrowers.
    """
    found = [one for name in experiment_names(folder) if (one := experiment(name, folder)).runs_on(day, stage)]
    for before, after in pairwise(sorted(found, key=lambda one: one.line_first)):
        if after.line_first < before.line_last:
            raise parse(folder / f"{after.name}.yaml").error(
                ["borrowers"], f"{before.name} runs on some of them until {before.last.isoformat()}"
            )
    return found


def trial_of(one: Experiment, strategies: Callable[[str], Strategy], stopped: frozenset[str]) -> Trial:
    """An experiment in one stage: its arms with the strategies that treat them."""
    arms = tuple((arm.name, arm.parts, strategies(arm.strategy)) for arm in one.arms)
    first = arms[0][2]
    for name, _, treated in arms[1:]:
        # The gate judges a run's contacts by one strategy: what it looks at must not differ between arms.
        if differing := [what for what in ALIKE if getattr(treated, what) != getattr(first, what)]:
            raise ConfigError(EXPERIMENTS / f"{one.name}.yaml", None, f"arms.{name}", f"is unlike the champion in {', '.join(differing)}")
    return Trial(name=one.name, first=one.line_first, last=one.line_last, arms=arms, stopped=stopped)

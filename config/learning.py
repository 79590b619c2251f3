"""Reads config/learning.yaml: how models are learned, and from how little they are not.

In:   the file.
Out:  `decisions.learning.Terms`, `Looked`.
Pure: no; reads one file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from config.load import Day, Strict, Whole, read
from config.report import report_policy
from decisions.learning import Terms
from decisions.trees import LEAVES_MAX

LEARNING_FILE: Final = Path(__file__).with_name("learning.yaml")
Count = Annotated[Whole, Field(ge=1)]
Percent = Annotated[Whole, Field(ge=1, le=99)]


class AtLeastForm(Strict):
    """Below which there is no model, as written."""

    rows: Count
    people: Count
    of_each: Annotated[Whole, Field(ge=20)]
    group_people: Annotated[Whole, Field(ge=50)]


class MeasuredForm(Strict):
    """Who and when is measured, as written."""

    people_percent: Percent
    later_percent: Percent


class TreesForm(Strict):
    """Boosting, as written."""

    rounds: Annotated[Whole, Field(ge=1, le=1000)]
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    leaves: Annotated[Whole, Field(ge=2, le=LEAVES_MAX)]
    rows_a_leaf: Count


class LineForm(Strict):
    """The line, as written."""

    ridge: Annotated[float, Field(gt=0)]
    ridge_between: Annotated[float, Field(gt=0)]


class GroupsForm(Strict):
    """How far a model may err for a group, as written."""

    gap_points_max: Annotated[float, Field(gt=0, le=100)]


class LearningForm(Strict):
    """The file, as written."""

    owner: str
    reviewed_on: Day
    at_least: AtLeastForm
    groups: GroupsForm
    measured_on: MeasuredForm
    weight_max: Annotated[float, Field(ge=1)]
    folds: Annotated[Whole, Field(ge=2, le=20)]
    trees: TreesForm
    line: LineForm
    isotonic_from: Count
    paid_percent_min: Annotated[Whole, Field(ge=1, le=100)]
    rows_max: Count
    days: Annotated[Whole, Field(ge=30)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What is looked at.

    Attributes:
        paid_percent_min: Of what was past due: so much counts as paid.
        rows_max: Decisions that are read at most.
        days: How far back.
    """

    paid_percent_min: int
    rows_max: int
    days: int


def learning_terms(path: Path = LEARNING_FILE) -> Terms:
    """Read how models are learned.

    Raises:
        ConfigError: The file is not of that form.
    """
    form = read(path, LearningForm)
    return Terms(
        rows_min=form.at_least.rows,
        people_min=form.at_least.people,
        of_each_min=form.at_least.of_each,
        held_out_percent=form.measured_on.people_percent,
        later_percent=form.measured_on.later_percent,
        folds=form.folds,
        weight_max=form.weight_max,
        rounds=form.trees.rounds,
        learning_rate=form.trees.learning_rate,
        leaves=form.trees.leaves,
        rows_a_leaf=form.trees.rows_a_leaf,
        ridge=form.line.ridge,
        ridge_between=form.line.ridge_between,
        isotonic_min=form.isotonic_from,
        group_min=form.at_least.group_people,
        cell_min=report_policy().cell_min,
    )


def learning_looks_at(path: Path = LEARNING_FILE) -> Looked:
    """Which decisions are looked at, and what counts as paid.

    Raises:
        ConfigError: The file is not of that form.
    """
    form = read(path, LearningForm)
    return Looked(paid_percent_min=form.paid_percent_min, rows_max=form.rows_max, days=form.days)


def paid_percent_min(path: Path = LEARNING_FILE) -> int:
    """Which part of what was past due counts as paid.

    Raises:
        ConfigError: The file is not of that form.
    """
    return learning_looks_at(path).paid_percent_min


def group_gap_max(path: Path = LEARNING_FILE) -> float:
    """By how much a model may err for a group: of observed and predicted shares, in [0, 1].

    Raises:
        ConfigError: The file is not of that form.
    """
    return read(path, LearningForm).groups.gap_points_max / 100

"""Models: how likely something is, from named inputs, as numbers that can be read, kept and counted again.

A model is a sum on the scale of log odds: trees, a line, or one on top of the other; then a calibration, so that of all to whom it gives
30 % about 30 % do it. It is written as JSON, byte for byte the same each time, and known by that text's hash: what was decided by it can be
decided again (I8), on another machine and without scikit-learn. Nothing is ever unpickled.

In:   a frame with the model's inputs; null = not known.
Out:  probabilities, Float64, in the frame's order.
Pure: no I/O, no clock, no randomness.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Self

import numpy as np
import polars as pl
from scipy.special import expit

from decisions.facts import Schema
from decisions.features import FEATURES, SLOTS
from decisions.trees import Floats, Tree, add_up
from decisions.words import CHANNELS

FORMAT: Final = 1
# Doing nothing, as the channel or the offer of an arm.
NONE: Final = "none"
CALIBRATIONS: Final = ("none", "sigmoid", "isotonic")

# What might be done with a person: columns of an arm, beside her features.
ARMS: Final[Schema] = {
    "channel": pl.String,  # `none` = no contact
    "hour_slot": pl.Int32,  # 0 to 5, of four hours by her clock; null for no contact
    "offer": pl.String,  # `none` = nothing but the text, or no contact
}
ARM_CHANNELS: Final = (NONE, *CHANNELS)


class UnreadableModelError(ValueError):
    """A text that is no model of ours; says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One column that a model looks at.

    Attributes:
        name: Of the column.
        words: Where it is a word, the ones it was trained on: each a column of 0 and 1, any other word all 0. Empty = a number.
    """

    name: str
    words: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of what it becomes."""
        return tuple(f"{self.name}={word}" for word in self.words) if self.words else (self.name,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trees:
    """Boosted trees over the encoded columns."""

    baseline: float
    trees: tuple[Tree, ...]

    def log_odds(self, matrix: Floats) -> Floats:
        """For each row."""
        return add_up(self.trees, matrix, self.baseline)


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One summand of a line: a weight times the product of one or two columns, each held within bounds and centred; unknown = 0.

    Attributes:
        columns: Of the encoded matrix, each with its lowest and highest value, what is subtracted and what it is divided by.
        weight: On the scale of log odds.
    """

    columns: tuple[tuple[int, float, float, float, float], ...]
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A weighted sum over the encoded columns."""

    intercept: float
    terms: tuple[Term, ...]

    def log_odds(self, matrix: Floats) -> Floats:
        """For each row."""
        total = np.full(matrix.shape[0], self.intercept)
        for term in self.terms:
            total += term.weight * product(matrix, term.columns)
        return total


def product(matrix: Floats, columns: Sequence[tuple[int, float, float, float, float]]) -> Floats:
    """One or more columns, each held within its bounds, centred and scaled, multiplied; unknown counts as 0."""
    found = np.ones(matrix.shape[0])
    for column, lowest, highest, middle, scale in columns:
        found *= np.nan_to_num((np.clip(matrix[:, column], lowest, highest) - middle) / scale)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """From log odds to a probability that means what it says.

    Attributes:
        kind: `none`; `sigmoid`: log odds are multiplied and shifted by `numbers`; `isotonic`: `numbers` are log odds, ascending, then as
            many probabilities, between which a straight line is drawn.
        numbers: See `kind`.
    """

    kind: str = "none"
    numbers: tuple[float, ...] = ()

    def __call__(self, log_odds: Floats) -> Floats:
        """Probabilities."""
        if self.kind == "sigmoid":
            slope, shift = self.numbers
            return np.asarray(expit(slope * log_odds + shift))
        if self.kind == "isotonic":
            half = len(self.numbers) // 2
            return np.interp(log_odds, self.numbers[:half], self.numbers[half:])
        return np.asarray(expit(log_odds))


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A named model. Two with the same text are the same.

    Attributes:
        name: What it says the probability of: a kind of decisions/learning.py.
        inputs: What it looks at, in order.
        parts: Summed.
        calibration: Of the sum.
        typical: Input → its value in the middle, or its most frequent word; where an explanation starts from.
    """

    name: str
    inputs: tuple[Input, ...]
    parts: tuple[Trees | Line, ...]
    calibration: Calibration
    typical: Mapping[str, float | str | None]

    def predict(self, rows: pl.DataFrame) -> Floats:
        """Probability for each row, between 0 and 1.

        Args:
            rows: A column for each input (for models of arms: `FEATURES` and `ARMS`), null = not known.

        Raises:
            ValueError: An input is missing; the message names it.
        """
        return self.calibration(self.log_odds(rows))

    def log_odds(self, rows: pl.DataFrame) -> Floats:
        """Before calibration."""
        matrix = encode(rows, self.inputs)
        total = np.zeros(rows.height)
        for part in self.parts:
            total += part.log_odds(matrix)
        return total

    @property
    def version(self) -> str:
        """Hash of the model's text, SHA-256 in hexadecimal."""
        return sha256(self.as_json().encode()).hexdigest()

    def as_json(self) -> str:
        """The model's text: the same bytes each time."""
        said = {
            "format": FORMAT,
            "name": self.name,
            "inputs": [[one.name, list(one.words)] for one in self.inputs],
            "parts": [_part_as_json(part) for part in self.parts],
            "calibration": [self.calibration.kind, list(self.calibration.numbers)],
            "typical": dict(self.typical),
        }
        return json.dumps(said, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, said: str) -> Self:
        """Read a model's text.

        Raises:
            UnreadableModelError: It is none, or of another format.
        """
        try:
            read = json.loads(said)
            kind, numbers = read["calibration"]
            model = cls(
                name=str(read["name"]),
                inputs=tuple(Input(name=str(name), words=tuple(words)) for name, words in read["inputs"]),
                parts=tuple(_part_from_json(part) for part in read["parts"]),
                calibration=Calibration(kind=kind, numbers=tuple(float(one) for one in numbers)),
                typical=read["typical"],
            )
        except (KeyError, TypeError, ValueError, IndexError) as fault:
            raise UnreadableModelError(f"not the text of a model: {type(fault).__name__} {fault}") from None
        if read["format"] != FORMAT or kind not in CALIBRATIONS:
            raise UnreadableModelError(f"format {read['format']!r}, calibration {kind!r}: not known here, train it again")
        return model


def encode(rows: pl.DataFrame, inputs: Sequence[Input]) -> Floats:
    """The inputs as a matrix of numbers, NaN = not known; one column a number, one a word.

    Raises:
        ValueError: An input is missing.
    """
    missing = [one.name for one in inputs if one.name not in rows.columns]
    if missing:
        raise ValueError(f"the model looks at {', '.join(missing)}, and the rows have no such column")
    columns = [
        column
        for one in inputs
        for column in (
            [(pl.col(one.name).cast(pl.String) == word).fill_null(False).cast(pl.Float64).alias(f"{one.name}={word}") for word in one.words]
            or [pl.col(one.name).cast(pl.Float64).fill_null(float("nan")).alias(one.name)]
        )
    ]
    if not columns:
        return np.zeros((rows.height, 0))
    return np.asarray(rows.select(columns).to_numpy(order="fortran"), dtype=np.float64)


def arm_inputs(offers: Sequence[str], channels: Sequence[str] = ARM_CHANNELS) -> tuple[Input, ...]:
    """Features and arms as inputs of a model.

    Args:
        offers: Words that occur, `none` among them.
        channels: Likewise.
    """
    return (
        *(Input(name=name) for name in FEATURES),
        Input(name="channel", words=tuple(channels)),
        Input(name="hour_slot", words=tuple(str(slot) for slot in range(SLOTS))),
        Input(name="offer", words=tuple(offers)),
    )


def _part_as_json(part: Trees | Line) -> list[Any]:
    if isinstance(part, Trees):
        return ["trees", part.baseline, [tree.as_list() for tree in part.trees]]
    return ["line", part.intercept, [[term.weight, *(list(one) for one in term.columns)] for term in part.terms]]


def _part_from_json(said: Sequence[Any]) -> Trees | Line:
    kind, start, rows = said
    if kind == "trees":
        return Trees(baseline=float(start), trees=tuple(Tree.from_list(one) for one in rows))
    if kind == "line":
        terms = tuple(
            Term(
                weight=float(weight),
                columns=tuple(
                    (int(column), float(lowest), float(highest), float(middle), float(scale))
                    for column, lowest, highest, middle, scale in columns
                ),
            )
            for weight, *columns in rows
        )
        return Line(intercept=float(start), terms=terms)
    raise ValueError(f"a part of the kind {kind!r} is not known")

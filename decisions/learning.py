"""Learning: a model from rows of what was known, what was done and what came of it, measured on people and days that it has not seen.

The rows that a model is measured on are of other people, and where they carry an instant, of later days: those of the people who are held
out, from the cut on; it is trained on the other people's rows that were frozen before the cut. Log odds are calibrated on predictions
for people whom the fold's trees had not seen (cross-fit). Rows weigh 1/p where a choice was drawn with probability p, so that what was
rarely tried counts for what it stands for. Where the data are too thin there is no model, and the reasons say what is missing.

In:   a frame of rows (`TRAINING`, or any with a kind's inputs), a kind, terms (config/learning.yaml), a seed.
Out:  `Trained`: the model, its metrics, its calibration table, its fairness table. The same rows and seed give the same text.
Pure: no I/O, no clock; chance comes from the seed only.
Source: SCIENCE.md B (anchors), C2 (frozen labels, weights), C3 (groups apart). AUC: Hanley & McNeil 1982. Sigmoid: Platt 1999.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b, sha256
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score
from threadpoolctl import threadpool_limits

from decisions.facts import Schema, type_instant
from decisions.fairness_parts import parted
from decisions.features import FEATURES, SLOTS
from decisions.models import ARM_CHANNELS, ARMS, NONE, Calibration, Input, Line, Model, Term, Trees, arm_inputs, encode, product
from decisions.trees import LEAVES_MAX, Floats, Tree

Flags = npt.NDArray[np.bool_]
# A column of a line: which, its lowest and highest value, its middle, its scale.
Held = tuple[int, float, float, float, float]

# What a decision came to, frozen that many days after it: null = not yet known, or nothing to be known of.
LABELS: Final[Schema] = {
    "paid_7d": pl.Boolean,  # posted and not taken back, at least the part that config/learning.yaml says
    "paid_30d": pl.Boolean,
    "harm_7d": pl.Boolean,  # complained, or stopped a channel or all
    "answered": pl.Boolean,  # of a contact: read, replied to, or talked
    "self_cured_30d": pl.Boolean,  # of whom was not contacted in that time: paid what was past due
    "promise_kept": pl.Boolean,  # of an open promise
    "plan_kept": pl.Boolean,  # of a plan under way: neither late nor broken 30 days later
}
TRAINING: Final[Schema] = {
    "party_id": pl.Int64,
    "at": type_instant,  # of the decision
    "probability": pl.Float64,  # with which the arm was drawn; null = not drawn: weighs 1
    **{name: pl.Float64() for name in FEATURES},
    **ARMS,
    **LABELS,
}
# Of rows: whether they are kept for measuring, where the caller says so himself.
HELD_OUT: Final = "held_out"
BINS: Final = 10
# Features that may move what a contact is worth to somebody (SCIENCE.md A: liquidity, timing, fatigue, how late, how reached before).
MOVES: Final = (
    "days_past_due", "past_due_instalments", "past_due_to_income", "days_to_income", "days_since_income", "balance_to_past_due",
    "spare_share", "contacts_7d", "contacts_30d", "days_since_contact", "on_time_share", "payments_90d", "days_since_payment",
    "replies_30d", "cannot_pay_90d", "promises_broken", "promise_open",
)  # fmt: skip
# Newton's method: at most so many steps, until none moves a weight by more.
NEWTON_STEPS: Final = 50
STILL: Final = 1e-9
METHODS: Final = ("boosting", "logistic", "boosting_then_arms")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A thing that is learned.

    Attributes:
        name: Of the model.
        label: Column of the rows, Boolean; rows where it is null do not count.
        horizon_days: After which it is frozen.
        inputs: What the model looks at; None = features and arms, with the words that occur.
        arms: Whether it looks at what was done.
    """

    name: str
    label: str
    horizon_days: int
    inputs: tuple[Input, ...] | None = None
    arms: bool = True


KINDS: Final[Mapping[str, Kind]] = {
    one.name: one
    for one in (
        Kind(name="paid_7d", label="paid_7d", horizon_days=7),
        Kind(name="paid_30d", label="paid_30d", horizon_days=30),
        Kind(name="harm_7d", label="harm_7d", horizon_days=7),
        Kind(name="answered", label="answered", horizon_days=7),
        Kind(name="self_cured_30d", label="self_cured_30d", horizon_days=30, arms=False),
        Kind(name="promise_kept", label="promise_kept", horizon_days=30, arms=False),
        Kind(name="plan_kept", label="plan_kept", horizon_days=30, arms=False),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How one learns, and from how little one does not.

    Attributes:
        rows_min: Rows with a label, in all.
        people_min: Different people among them.
        of_each_min: Rows with yes, and rows with no, among those trained on; and a quarter of it among those held out.
        held_out_percent: Of the people.
        later_percent: Of the rows by time, from which on those held out are measured.
        folds: For cross-fitting.
        weight_max: Of a row, in multiples of the mean.
        rounds: Trees.
        learning_rate: Of each.
        leaves: Of each; at most 16.
        rows_a_leaf: At least.
        ridge: Strength of what holds weights of lines near 0.
        ridge_between: The same for products: what makes a contact worth more to one person than to another has to show.
        isotonic_min: Rows of the rarer answer from which on a calibration may bend freely.
        group_min: People below whom a group's figures are not shown.
        cell_min: People below whom a group is not shown, nor another by which it could be worked out (config/report.yaml).
    """

    rows_min: int
    people_min: int
    of_each_min: int
    held_out_percent: int
    later_percent: int
    folds: int
    weight_max: float
    rounds: int
    learning_rate: float
    leaves: int
    rows_a_leaf: int
    ridge: float
    ridge_between: float
    isotonic_min: int
    group_min: int
    cell_min: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A model and how good it is, on people and days that it has not seen.

    Attributes:
        model: To predict with.
        data_hash: SHA-256 of the rows that were used, in their order.
        method: One of `METHODS`.
        metrics: `auc`, `brier`, `log_loss`, `calibration_error` (10 bins of equal width, weighed by rows), `base_rate`, of the model;
            `baseline_auc` and `baseline_log_loss` of the line; counts of rows and people.
        calibration: One row a bin that has rows: `bin`, `rows`, `predicted`, `observed`.
        fairness: `FAIRNESS`, one row a group that is large enough; empty where no groups were given.
    """

    model: Model
    data_hash: str
    method: str
    metrics: Mapping[str, float | int | None]
    calibration: pl.DataFrame
    fairness: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=FAIRNESS))


CALIBRATION: Final[Schema] = {"bin": pl.Int32, "rows": pl.Int64, "predicted": pl.Float64, "observed": pl.Float64}
FAIRNESS: Final[Schema] = {
    "attribute": pl.String,
    "value": pl.String,
    "people": pl.Int64,
    "rows": pl.Int64,
    "predicted": pl.Float64,  # on average
    "observed": pl.Float64,  # the share of rows in which it came about
    "gap": pl.Float64,  # observed less predicted
    "calibration_error": pl.Float64,
    "selected": pl.Float64,  # the share of its rows among as many of the highest predictions of all as rows in which it came about
    "auc": pl.Float64,
}


class TooThinError(ValueError):
    """There is too little to learn from; `reasons` says what is missing."""

    def __init__(self, name: str, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__(f"no model of {name}: " + "; ".join(reasons))


def train(
    rows: pl.DataFrame,
    *,
    kind: str | Kind,
    seed: int,
    terms: Terms,
    method: str | None = None,
    groups: pl.DataFrame | None = None,
) -> Trained:
    """Learn from rows and measure on those held out.

    Args:
        rows: `TRAINING`, or a kind's own inputs and label beside `party_id`; `at`, `probability` and `held_out` may be left out.
        kind: Which.
        seed: For whom is held out, for folds and for trees.
        terms: config/learning.py has those of the house.
        method: One of `METHODS`; None = whichever has the smaller log loss across the folds.
        groups: `party_id`, `attribute`, `value`: attributes held apart from the model, for the fairness table alone.

    Raises:
        TooThinError: There is too little of something.
        ValueError: A column is missing, or there is no such kind or method.
    """
    wanted = KINDS[kind] if isinstance(kind, str) else kind
    how = terms
    known = _known(rows, wanted)
    split = _split(known, wanted, how, seed)
    _refuse_what_is_thin(wanted, how, known, split)
    inputs = wanted.inputs or _inputs_of(known.filter(pl.Series(split.fit)), wanted)
    data = _Data(known, inputs, wanted.label, how)
    choice = method or _best_method(data, split.fit, wanted, how, seed)
    if choice not in METHODS:
        raise ValueError(f"no method {choice!r}: one of {', '.join(METHODS)}")
    fitted = _Fitted.of(data, split.fit, choice, how, seed)
    line = fitted if choice == "logistic" else _Fitted.of(data, split.fit, "logistic", how, seed)
    model = Model(name=wanted.name, inputs=inputs, parts=fitted.parts, calibration=fitted.calibration, typical=data.typical(split.fit))
    said = data.label[split.measure]
    predicted = model.predict(known.filter(pl.Series(split.measure)))
    beside = line.predict(data.matrix[split.measure])
    return Trained(
        model=model,
        data_hash=_hash_of(known, inputs, wanted),
        method=choice,
        metrics={
            "auc": float(roc_auc_score(said, predicted)),
            "brier": float(brier_score_loss(said, predicted)),
            "log_loss": float(log_loss(said, predicted)),
            "calibration_error": calibration_error(said, predicted),
            "base_rate": float(said.mean()),
            "baseline_auc": float(roc_auc_score(said, beside)),
            "baseline_log_loss": float(log_loss(said, beside)),
            "rows_trained": int(split.fit.sum()),
            "rows_measured": int(split.measure.sum()),
            "people_trained": known.filter(pl.Series(split.fit))["party_id"].n_unique(),
            "people_measured": known.filter(pl.Series(split.measure))["party_id"].n_unique(),
        },
        calibration=calibration_table(said, predicted),
        fairness=fairness_table(known.filter(pl.Series(split.measure))["party_id"], said, predicted, groups, how),
    )


def calibration_table(said: Flags, predicted: Floats) -> pl.DataFrame:
    """Ten bins of equal width: how many rows, what was predicted on average, what share it was. Columns `CALIBRATION`."""
    return (
        pl.DataFrame({"bin": _bins(predicted), "said": said.astype(np.float64), "predicted": predicted})
        .group_by("bin")
        .agg(rows=pl.len(), predicted=pl.col("predicted").mean(), observed=pl.col("said").mean())
        .sort("bin")
        .select(pl.col(name).cast(kind) for name, kind in CALIBRATION.items())
    )


def calibration_error(said: Flags, predicted: Floats) -> float:
    """Mean distance between predicted and observed over the ten bins, weighed by rows."""
    table = calibration_table(said, predicted)
    gaps = (table["predicted"] - table["observed"]).abs() * table["rows"]
    return float(gaps.sum()) / max(len(said), 1)


def fairness_table(people: pl.Series, said: Flags, predicted: Floats, groups: pl.DataFrame | None, terms: Terms) -> pl.DataFrame:
    """How a model errs for each group; groups of fewer people than `group_min` are left out.

    Args:
        people: Party of each row.
        said: What came of it.
        predicted: By the model.
        groups: `party_id`, `attribute`, `value`.
        terms: For `group_min` and `cell_min`.

    Returns:
        `FAIRNESS`, by attribute and value.
    """
    if groups is None or groups.is_empty():
        return pl.DataFrame(schema=FAIRNESS)
    rows = pl.DataFrame({"party_id": people, "said": said, "predicted": predicted, "chosen": _highest(predicted, int(said.sum()))})
    found = [
        {"attribute": attribute, "value": value, "people": count, **_of_group(part)}
        for attribute, value, part, count in parted(rows, groups, cell_min=terms.cell_min)
        if count is not None and count >= terms.group_min
    ]
    return pl.DataFrame(found, schema=FAIRNESS)


def _of_group(part: pl.DataFrame) -> dict[str, float | int | None]:
    yes, likely = part["said"].to_numpy(), part["predicted"].to_numpy()
    return {
        "rows": part.height,
        "predicted": float(likely.mean()),
        "observed": float(yes.mean()),
        "gap": float(yes.mean() - likely.mean()),
        "calibration_error": calibration_error(yes, likely),
        "selected": float(part["chosen"].to_numpy().mean()),
        "auc": float(roc_auc_score(yes, likely)) if 0 < yes.sum() < len(yes) else None,
    }


def _highest(predicted: Floats, count: int) -> Flags:
    """Which predictions are among so many of the highest; those that are equal to the last one too."""
    if not count:
        return np.zeros(len(predicted), dtype=np.bool_)
    place = len(predicted) - count
    chosen: Flags = predicted >= np.partition(predicted, place)[place]
    return chosen


def errs_for(fairness: Iterable[Mapping[str, Any]], *, gap_max: float) -> list[str]:
    """Groups for which a model errs by more than it may, in words; none = it passes.

    Args:
        fairness: Rows of `FAIRNESS`.
        gap_max: Of observed and predicted shares, in [0, 1].
    """
    return [f"{row['attribute']} {row['value']} ({100 * row['gap']:+.1f} points)" for row in fairness if abs(row["gap"]) > gap_max]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Split:
    """Which rows are trained on, which are measured on; the rest is neither."""

    fit: Flags
    measure: Flags


class _Data:
    """Rows as numbers."""

    def __init__(self, rows: pl.DataFrame, inputs: Sequence[Input], label: str, terms: Terms) -> None:
        self.rows, self.inputs = rows, inputs
        self.matrix = encode(rows, inputs)
        self.label = rows[label].to_numpy().astype(bool)
        self.weight = _weights(rows, terms)
        self.columns = [name for one in inputs for name in one.columns]
        self.is_arm = np.array([name.split("=")[0] in ARMS for name in self.columns], dtype=bool)
        self.has_arms = bool(self.is_arm.any())

    def typical(self, chosen: Flags) -> dict[str, float | str | None]:
        """The middle of each number, the commonest of the words."""
        part = self.rows.filter(pl.Series(chosen))
        found: dict[str, float | str | None] = {}
        for one in self.inputs:
            column = part[one.name].drop_nulls()
            if column.is_empty():
                found[one.name] = None
            elif one.words:
                found[one.name] = str(
                    column.cast(pl.String).value_counts(sort=True).sort("count", one.name, descending=[True, False])[0, 0]
                )
            else:
                found[one.name] = float(column.cast(pl.Float64).median())  # type: ignore[arg-type]
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fitted:
    """Parts and calibration, as they were fitted."""

    parts: tuple[Trees | Line, ...]
    calibration: Calibration

    def log_odds(self, matrix: Floats) -> Floats:
        total = np.zeros(matrix.shape[0])
        for part in self.parts:
            total += part.log_odds(matrix)
        return total

    def predict(self, matrix: Floats) -> Floats:
        return self.calibration(self.log_odds(matrix))

    @classmethod
    def of(cls, data: _Data, chosen: Flags, method: str, terms: Terms, seed: int) -> _Fitted:
        """Fit on the chosen rows; calibrate on what folds predict for people whom they have not seen."""
        beyond = _across_folds(data, chosen, method, terms, seed)
        calibration = _calibrate(beyond, data.label[chosen], data.weight[chosen], terms, straight=data.has_arms)
        return cls(parts=_fit(data, chosen, method, terms, seed), calibration=calibration)


def _known(rows: pl.DataFrame, kind: Kind) -> pl.DataFrame:
    """Rows with a label, in one order whatever order they came in."""
    if kind.label not in rows.columns:
        raise ValueError(f"the rows have no column {kind.label!r}, which {kind.name} is learned from")
    found = rows.filter(pl.col(kind.label).is_not_null()).with_columns(pl.col(kind.label).cast(pl.Boolean))
    by = ["party_id", *(name for name in ("at", "channel", "hour_slot", "offer") if name in rows.columns)]
    return found.sort(by, maintain_order=True)


def _split(rows: pl.DataFrame, kind: Kind, terms: Terms, seed: int) -> _Split:
    if HELD_OUT in rows.columns:
        held = rows[HELD_OUT].to_numpy().astype(bool)
        return _Split(fit=~held, measure=held)
    held = _drawn(rows["party_id"], f"held out {seed}", 100) < terms.held_out_percent
    if "at" not in rows.columns or rows["at"].n_unique() <= 1:
        return _Split(fit=~held, measure=held)
    cut = rows["at"].quantile(terms.later_percent / 100, interpolation="lower")
    frozen = (rows["at"].dt.offset_by(f"{kind.horizon_days}d") <= cut).to_numpy()
    return _Split(fit=~held & frozen, measure=held & (rows["at"] >= cut).to_numpy())


def _refuse_what_is_thin(kind: Kind, terms: Terms, rows: pl.DataFrame, split: _Split) -> None:
    label = rows[kind.label].to_numpy().astype(bool) if rows.height else np.zeros(0, dtype=bool)
    counts = [
        (rows.height, terms.rows_min, "rows whose end is known"),
        (rows["party_id"].n_unique(), terms.people_min, "people"),
        (int((label & split.fit).sum()), terms.of_each_min, "rows to train on where it came about"),
        (int((~label & split.fit).sum()), terms.of_each_min, "rows to train on where it did not"),
        (int((label & split.measure).sum()), terms.of_each_min // 4, "later rows of other people to measure on where it came about"),
        (int((~label & split.measure).sum()), terms.of_each_min // 4, "later rows of other people to measure on where it did not"),
    ]
    if reasons := [f"{count:,} {what}, at least {least:,} are needed" for count, least, what in counts if count < least]:
        # Where there is nothing at all, that says it.
        raise TooThinError(kind.name, reasons if rows.height else reasons[:1])


def _inputs_of(rows: pl.DataFrame, kind: Kind) -> tuple[Input, ...]:
    if not kind.arms:
        return tuple(Input(name=name) for name in FEATURES)
    offers = sorted(set(rows["offer"].drop_nulls().unique()) - {NONE})
    occur = set(rows["channel"].drop_nulls().unique())
    return arm_inputs([NONE, *offers], [channel for channel in ARM_CHANNELS if channel in {NONE, *occur}])


def _drawn(people: pl.Series, what: str, below: int) -> npt.NDArray[np.int64]:
    """A number from 0 on for each row, the same for all rows of a person: a keyed hash."""
    ids = people.unique().sort()
    key = blake2b(what.encode(), digest_size=16).digest()
    numbers = [int.from_bytes(blake2b(f"{one}".encode(), key=key, digest_size=8).digest(), "big") % below for one in ids]
    places = pl.DataFrame({"party_id": people}).join(
        pl.DataFrame({"party_id": ids, "number": numbers}), on="party_id", how="left", maintain_order="left"
    )
    return places["number"].to_numpy().astype(np.int64)


def _weights(rows: pl.DataFrame, terms: Terms) -> Floats:
    """1/p beside its mean over the rows in which as much was done, none above `weight_max`; mean 1.

    With 1/p alone a dozen ways of making a contact weigh a dozen times as much as leaving somebody alone, however many were: and what a
    contact brings is told by both.
    """
    if "probability" not in rows.columns or rows.is_empty():
        return np.ones(rows.height)
    told = rows.select(pl.col("channel") if "channel" in rows.columns else pl.lit(NONE).alias("channel"), "probability")
    stands_for = told.with_columns(probability=1.0 / pl.col("probability").cast(pl.Float64).fill_null(1.0))
    weights = stands_for.select(pl.col("probability") / pl.col("probability").mean().over("channel")).to_series().to_numpy()
    capped = np.minimum(weights, terms.weight_max)
    return np.asarray(capped / capped.mean())


def _across_folds(data: _Data, chosen: Flags, method: str, terms: Terms, seed: int) -> Floats:
    """Log odds of each chosen row, by a fit that has not seen its person."""
    fold = _drawn(data.rows["party_id"], f"fold {seed}", terms.folds)
    beyond = np.zeros(len(chosen))
    for number in range(terms.folds):
        apart = chosen & (fold == number)
        parts = _fit(data, chosen & (fold != number), method, terms, seed)
        for part in parts:
            beyond[apart] += part.log_odds(data.matrix[apart])
    return beyond[chosen]


def _best_method(data: _Data, chosen: Flags, kind: Kind, terms: Terms, seed: int) -> str:
    methods = METHODS if kind.arms and data.has_arms else METHODS[:2]
    label, weight = data.label[chosen], data.weight[chosen]
    losses = {}
    for method in methods:
        beyond = _across_folds(data, chosen, method, terms, seed)
        calibrated = _calibrate(beyond, label, weight, terms, straight=data.has_arms)(beyond)
        losses[method] = float(log_loss(label, calibrated, sample_weight=weight))
    return min(losses, key=lambda method: (losses[method], METHODS.index(method)))


def _fit(data: _Data, chosen: Flags, method: str, terms: Terms, seed: int) -> tuple[Trees | Line, ...]:
    if method == "logistic":
        return (_fit_line(data, chosen, terms, range(len(data.columns)), pairs=_pairs(data.columns)),)
    if method == "boosting":
        return (_fit_trees(data, chosen, terms, seed, np.ones(len(data.columns), dtype=bool)),)
    trees = _fit_trees(data, chosen, terms, seed, ~data.is_arm)
    pairs = _pairs(data.columns)
    # What may move a contact's worth stands by itself too: else products would take what the trees have left of it for a contact's doing.
    alone = sorted({*np.flatnonzero(data.is_arm).tolist(), *(other for _, other in pairs)})
    return (trees, _fit_line(data, chosen, terms, alone, beside=trees, pairs=pairs))


def _fit_trees(data: _Data, chosen: Flags, terms: Terms, seed: int, seen: Flags) -> Trees:
    whole = data.matrix[chosen]
    # scikit-learn cannot do with a column of which nothing is known, and one that is always the same splits nothing.
    useful = [int(column) for column in np.flatnonzero(seen) if _varies(whole[:, column])]
    if not useful:
        return Trees(baseline=_log_odds_of(data.label[chosen], data.weight[chosen]), trees=())
    matrix = whole[:, useful]
    # One thread: it is asked for from several processes at once, whose threads would wait for each other spinning.
    with threadpool_limits(1):
        boosted = HistGradientBoostingClassifier(
            max_iter=terms.rounds,
            learning_rate=terms.learning_rate,
            max_leaf_nodes=min(terms.leaves, LEAVES_MAX),
            min_samples_leaf=terms.rows_a_leaf,
            early_stopping=False,
            random_state=seed,
        ).fit(matrix, data.label[chosen], sample_weight=data.weight[chosen])
    return trees_of(boosted, useful)


def trees_of(boosted: HistGradientBoostingClassifier, columns: Sequence[int] | None = None) -> Trees:
    """What scikit-learn has fitted, as numbers of ours; its `decision_function` is `log_odds`, to the last digit.

    Args:
        boosted: Fitted, of two classes.
        columns: Of the model's matrix, which it was given; None = all, in order.
    """
    kept: Any = boosted
    return Trees(
        baseline=float(kept._baseline_prediction.ravel()[0]),  # noqa: SLF001  # the only way to its numbers
        trees=tuple(Tree.of_nodes(predictors[0].nodes, columns) for predictors in kept._predictors),  # noqa: SLF001
    )


def _varies(column: Floats) -> bool:
    known = column[~np.isnan(column)]
    return bool(known.size) and (known.size < column.size or bool(known.min() < known.max()))


def _log_odds_of(label: Flags, weight: Floats) -> float:
    share = float(np.average(label, weights=weight))
    return float(np.log(share / (1 - share)))


def _fit_line(
    data: _Data,
    chosen: Flags,
    terms: Terms,
    columns: Sequence[int],
    beside: Trees | None = None,
    pairs: Sequence[tuple[int, int]] = (),
) -> Line:
    """Weights of columns held within the 1st and 99th hundredth, centred and scaled, and of products of two; `beside` is taken as given."""
    matrix, label, weight = data.matrix[chosen], data.label[chosen], data.weight[chosen]
    single = {
        int(column): held
        for column in {*columns, *(one for pair in pairs for one in pair)}
        if (held := _held(data, matrix, weight, column))
    }
    between = [(single[one], single[other]) for one, other in pairs if one in single and other in single]
    # Trees bend by themselves, and a line with no products is what they are measured against.
    bends = beside is None and bool(between)
    pieces = {column: _bent(matrix, weight, held) if bends else [held] for column, held in single.items()}
    scaled: list[tuple[Held, ...]] = [(held,) for column in columns for held in pieces.get(int(column), ())]
    penalties = np.array([*([terms.ridge] * len(scaled)), *([terms.ridge_between] * len(between))])
    scaled += between
    design = np.column_stack([product(matrix, one) for one in scaled]) if scaled else np.zeros((matrix.shape[0], 0))
    if beside is not None or between:
        given = np.zeros(matrix.shape[0]) if beside is None else beside.log_odds(matrix)
        weights, intercept = _newton(design, label, weight, penalties, given)
    elif scaled:
        fitted = LogisticRegression(C=1 / terms.ridge, max_iter=1_000).fit(design, label, sample_weight=weight)
        weights, intercept = np.asarray(fitted.coef_[0]), float(fitted.intercept_[0])
    else:
        weights, intercept = np.zeros(0), _log_odds_of(label, weight)
    return Line(
        intercept=intercept, terms=tuple(Term(columns=one, weight=float(weight)) for one, weight in zip(scaled, weights, strict=True))
    )


def _held(data: _Data, matrix: Floats, weight: Floats, column: int) -> Held | None:
    """Bounds of a column, its middle and its scale as the rows weigh; None where it does not vary."""
    known = ~np.isnan(matrix[:, column])
    values = matrix[known, column]
    if not values.size:
        return None
    is_word = "=" in data.columns[column]
    lowest, highest = (float(values.min()), float(values.max())) if is_word else (float(one) for one in np.quantile(values, (0.01, 0.99)))
    return _between(matrix, weight, column, lowest, highest)


def _bent(matrix: Floats, weight: Floats, whole: Held) -> list[Held]:
    """The column in pieces that follow each other, so that its line may bend where a third and two thirds of the rows lie below."""
    column, lowest, highest, *_ = whole
    values = matrix[~np.isnan(matrix[:, column]), column]
    bends = sorted({lowest, highest, *(float(one) for one in np.quantile(values, (1 / 3, 2 / 3)) if lowest < one < highest)})
    pieces = [_between(matrix, weight, column, *ends) for ends in pairwise(bends)]
    return [piece for piece in pieces if piece]


def _between(matrix: Floats, weight: Floats, column: int, lowest: float, highest: float) -> Held | None:
    """A column held within bounds, with its middle and scale there; None where it does not vary."""
    known = ~np.isnan(matrix[:, column])
    held = np.clip(matrix[known, column], lowest, highest)
    middle = float(np.average(held, weights=weight[known]))
    scale = float(np.sqrt(np.average((held - middle) ** 2, weights=weight[known])))
    return (int(column), lowest, highest, middle, scale) if scale > 0 else None


def _pairs(columns: Sequence[str]) -> list[tuple[int, int]]:
    """What may make a contact worth more: that there is one beside what may move it, each channel and hour beside how it went."""
    place = {name: number for number, name in enumerate(columns)}
    found = [(f"channel={NONE}", name) for name in MOVES]
    for channel in ARM_CHANNELS:
        found += [(f"channel={channel}", name) for name in (f"days_since_{channel}", "read_share", "answered_share", "days_past_due")]
    found += [(f"hour_slot={slot}", f"paid_slot_{slot}_share") for slot in range(SLOTS)]
    found += [(f"hour_slot={slot}", "weekend") for slot in range(SLOTS)]
    return [(place[one], place[other]) for one, other in dict.fromkeys(found) if one in place and other in place]


def _newton(design: Floats, label: Flags, weight: Floats, penalties: Floats, given: Floats) -> tuple[Floats, float]:
    """Ridge logistic regression with an offset, which scikit-learn has not: Newton's steps until nothing moves."""
    wide = np.column_stack([design, np.ones(design.shape[0])])
    penalty = np.diag([*penalties, 0.0])
    found = np.zeros(wide.shape[1])
    for _ in range(NEWTON_STEPS):
        likely = 1 / (1 + np.exp(-(given + wide @ found)))
        slope = wide.T @ (weight * (label - likely)) - penalty @ found
        curve = (wide * (weight * likely * (1 - likely))[:, None]).T @ wide + penalty + STILL * np.eye(wide.shape[1])
        step = np.linalg.solve(curve, slope)
        found += step
        if float(np.abs(step).max()) < STILL:
            break
    return found[:-1], float(found[-1])


def _calibrate(log_odds: Floats, label: Flags, weight: Floats, terms: Terms, *, straight: bool) -> Calibration:
    """A straight line of the log odds; where there is plenty, a free ascending curve, unless it has to be `straight`.

    A free curve is flat between its steps. Where two predictions for one person are compared, with a contact and without, it would say
    that the contact brings nothing, or all of a step.
    """
    if not straight and min(int(label.sum()), int((~label).sum())) >= terms.isotonic_min:
        curve = IsotonicRegression(y_min=1e-6, y_max=1 - 1e-6, out_of_bounds="clip").fit(log_odds, label, sample_weight=weight)
        return Calibration(
            kind="isotonic", numbers=(*(float(one) for one in curve.X_thresholds_), *(float(one) for one in curve.y_thresholds_))
        )
    fitted = LogisticRegression(C=1e6, max_iter=1_000).fit(log_odds[:, None], label, sample_weight=weight)
    return Calibration(kind="sigmoid", numbers=(float(fitted.coef_[0][0]), float(fitted.intercept_[0])))


def _bins(predicted: Floats) -> npt.NDArray[np.int32]:
    return np.minimum((predicted * BINS).astype(np.int32), BINS - 1)


def _hash_of(rows: pl.DataFrame, inputs: Sequence[Input], kind: Kind) -> str:
    names = ["party_id", *(name for name in ("at", "probability", HELD_OUT) if name in rows.columns)]
    columns = [*names, *(one.name for one in inputs), kind.label]
    return sha256(rows.select(columns).write_csv(float_precision=None).encode()).hexdigest()

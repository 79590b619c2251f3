"""Off-policy evaluation: what another strategy would have brought, by a log whose choices were drawn with known probabilities.

Four estimators of the mean reward a decision: IPW (weights alone), SNIPW (weights that add up), DM (a model of the outcome alone), DR
(the model, put right by the weights). The outcome model is fitted on other borrowers than those it speaks of. Intervals know that a
borrower's decisions hang together: whole borrowers are drawn again. Where the log cannot tell, it says so in words in place of a number.

In:   a `Log`: decisions, their arms with both strategies' probabilities, one reward a decision; `Limits`.
Out:  `Evaluation`: estimates with intervals, what the weights look like, and why not, if not.
Pure: no I/O, no clock; the only chance comes from the seed.
Source: SCIENCE.md C2. Horvitz & Thompson 1952 (IPW); Hájek 1971 (SNIPW); Dudík, Langford & Li 2011 (DR); Kish 1965 (effective sample
        size); Efron & Tibshirani 1993 (percentile bootstrap); Chernozhukov et al. 2018 (cross-fitting). The same as obp's estimators.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from math import sqrt
from typing import Final

import numpy as np
import numpy.typing as npt
from numpy.random import PCG64, Generator

Floats = npt.NDArray[np.floating]
Integers = npt.NDArray[np.int64]

ESTIMATORS: Final = ("IPW", "SNIPW", "DM", "DR")
GAIN: Final = "gain"
Z_95: Final = 1.959964
PERCENTILES_95: Final = (2.5, 97.5)
# A sum of probabilities written with nine digits.
SUM_TOLERANCE: Final = 1e-6
# So little keeps the outcome model's equations solvable and moves no coefficient that data speak for.
RIDGE: Final = 1.0


class MalformedLogError(ValueError):
    """The log contradicts itself; the message says how, and about how many decisions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When the log cannot tell (config/evaluation.yaml).

    Attributes:
        ess_min: Effective decisions, at least.
        ess_share_min: Of all decisions, at least.
        one_borrower_max: Share of all weight that one borrower may carry.
        unsupported_max: Share of what the strategy would do that was never tried in that place.
        mean_weight_off_max: How far the mean weight may be from what it must be, beyond
        mean_weight_errors_max: so many of its standard errors.
        folds: Of borrowers, for the outcome model.
        bootstraps: How often borrowers are drawn again.
    """

    ess_min: float
    ess_share_min: float
    one_borrower_max: float
    unsupported_max: float
    mean_weight_off_max: float
    mean_weight_errors_max: float
    folds: int
    bootstraps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """n decisions with m arms in all; a decision's arms stand together, in the order of the decisions.

    Attributes:
        borrower: (n) whose decision.
        context: (n, k) what was known before it, for the outcome model; NaN = unknown.
        decision: (m) which decision an arm belongs to, ascending.
        kind: (m) what sort of arm, 0 … , for the outcome model.
        logged: (m) probability with which the log's strategy takes it, 0 where it does not.
        target: (m) likewise, of the strategy that is judged.
        chosen: (n) the arm that was taken.
    """

    borrower: Integers
    context: Floats
    decision: Integers
    kind: Integers
    logged: Floats
    target: Floats
    chosen: Integers

    def __post_init__(self) -> None:
        count = len(self.borrower)
        for name, probabilities in (("log", self.logged), ("strategy", self.target)):
            off = np.abs(np.bincount(self.decision, probabilities, minlength=count) - 1) > SUM_TOLERANCE
            if off.any():
                raise MalformedLogError(f"the {name}'s probabilities of {off.sum()} of {count} decisions do not add up to 1")
        if count and (np.diff(self.decision) < 0).any():
            raise MalformedLogError("arms do not stand in the order of their decisions")
        if (self.decision[self.chosen] != np.arange(count)).any() or (self.logged[self.chosen] <= 0).any():
            raise MalformedLogError("an arm was taken that is none of the decision's, or has no probability in the log")

    @property
    def weight(self) -> Floats:
        """(n) how much oftener the strategy would have done what was done."""
        return self.target[self.chosen] / self.logged[self.chosen]

    def only(self, keep: npt.NDArray[np.bool_]) -> Log:
        """These decisions alone."""
        arms = keep[self.decision]
        return Log(
            borrower=self.borrower[keep],
            context=self.context[keep],
            decision=(np.cumsum(keep) - 1)[self.decision[arms]],
            kind=self.kind[arms],
            logged=self.logged[arms],
            target=self.target[arms],
            chosen=(np.cumsum(arms) - 1)[self.chosen[keep]],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What one estimator says, a decision.

    Attributes:
        estimator: IPW, SNIPW, DM, DR; or `GAIN`.
        value: The mean reward.
        low: Of the 95 % interval, borrowers drawn again.
        high: Likewise.
        low_normal: Of the 95 % interval by the normal distribution, borrowers as clusters.
        high_normal: Likewise.
    """

    estimator: str
    value: float
    low: float
    high: float
    low_normal: float
    high_normal: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostics:
    """What the weights look like.

    Attributes:
        decisions: n.
        borrowers: Whose.
        mean_weight: Must be about 1 less `unsupported`.
        mean_weight_error: Its standard error.
        ess: Effective decisions (Kish): so many even weights say as much.
        max_weight: Of one decision.
        max_borrower_share: Of all weight, with one borrower.
        unsupported: Mean share of what the strategy would do that had no probability in the log.
        agreeing: Share of decisions in which both strategies take the same arms with the same probabilities.
    """

    decisions: int
    borrowers: int
    mean_weight: float
    mean_weight_error: float
    ess: float
    max_weight: float
    max_borrower_share: float
    unsupported: float
    agreeing: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What the log says about a reward under another strategy.

    Attributes:
        estimates: One an estimator; none where it is refused.
        gain: What it would have brought more than the log's own strategy, by DR, of the same decisions; None where it is refused.
        logged: The mean reward under the log's own strategy.
        diagnostics: Of the weights.
        refused: Why there is no estimate, in words; None = there is.
    """

    estimates: tuple[Estimate, ...]
    gain: Estimate | None
    logged: float | None
    diagnostics: Diagnostics
    refused: str | None


def evaluate(log: Log, reward: Floats, limits: Limits, *, seed: bytes) -> Evaluation:
    """Estimate the mean reward of a decision under the target strategy, or say why the log cannot tell.

    Args:
        log: Decisions.
        reward: (n) of each; finite.
        limits: Thresholds, folds, how often borrowers are drawn again.
        seed: Of folds and draws: the same seed and log give the same numbers.

    Raises:
        MalformedLogError: A reward is not finite.
    """
    if not np.isfinite(reward).all():
        raise MalformedLogError(f"{(~np.isfinite(reward)).sum()} rewards are not known")
    found = diagnose(log)
    reasons = refusals(found, limits)
    mean = float(reward.mean()) if found.decisions else None
    if reasons:
        return Evaluation(estimates=(), gain=None, logged=mean, diagnostics=found, refused="; ".join(reasons))
    expected = cross_fitted(log, reward, folds=limits.folds, seed=seed)
    *estimates, gain = intervals(log, reward, expected, bootstraps=limits.bootstraps, seed=seed)
    return Evaluation(estimates=tuple(estimates), gain=gain, logged=mean, diagnostics=found, refused=None)


def diagnose(log: Log) -> Diagnostics:
    """Look at the weights before they are believed."""
    count, weight = len(log.borrower), log.weight
    whose, place = np.unique(log.borrower, return_inverse=True)
    if not count:
        return Diagnostics(
            decisions=0,
            borrowers=0,
            mean_weight=0,
            mean_weight_error=0,
            ess=0,
            max_weight=0,
            max_borrower_share=0,
            unsupported=0,
            agreeing=0,
        )
    of_borrower = _sums(place, weight, len(whose))
    total = weight.sum()
    differing = np.bincount(log.decision, np.abs(log.logged - log.target) > SUM_TOLERANCE, minlength=count) > 0
    return Diagnostics(
        decisions=count,
        borrowers=len(whose),
        mean_weight=float(weight.mean()),
        mean_weight_error=_ratio_error(of_borrower, np.bincount(place, minlength=len(whose)).astype(np.float64)),
        ess=float(total**2 / (weight**2).sum()) if total else 0.0,
        max_weight=float(weight.max()),
        max_borrower_share=float(of_borrower.max() / total) if total else 0.0,
        unsupported=float(log.target[log.logged == 0].sum() / count),
        agreeing=float(1 - differing.mean()),
    )


def refusals(found: Diagnostics, limits: Limits) -> tuple[str, ...]:
    """Why the log cannot tell, in words; empty = it can."""
    if not found.decisions:
        return ("no decision of that time and kind is in the log",)
    reasons = []
    if found.unsupported > limits.unsupported_max:
        reasons.append(
            f"{100 * found.unsupported:.1f} % of what this strategy would do was never tried in that place (at most"
            f" {100 * limits.unsupported_max:g} %): the log's strategy left nothing to chance there (`exploration` and `temperature`"
            " in its file), so nothing is known of it"
        )
    if found.ess < limits.ess_min:
        reasons.append(f"the log says as much as {found.ess:,.0f} decisions (at least {limits.ess_min:,.0f}): more of it is needed")
    if found.ess < limits.ess_share_min * found.decisions:
        share = 100 * found.ess / found.decisions
        reasons.append(
            f"of {found.decisions:,} decisions {share:.1f} % count (at least {100 * limits.ess_share_min:g} %):"
            " the strategies are too far apart"
        )
    if found.max_borrower_share > limits.one_borrower_max:
        reasons.append(
            f"one borrower carries {100 * found.max_borrower_share:.1f} % of the weight (at most {100 * limits.one_borrower_max:g} %)"
        )
    off = abs(found.mean_weight + found.unsupported - 1)
    if off > limits.mean_weight_off_max and off > limits.mean_weight_errors_max * found.mean_weight_error:
        reasons.append(
            f"the mean weight is {found.mean_weight:.2f} where it must be {1 - found.unsupported:.2f}: logged probabilities are not those"
            " by which was chosen"
        )
    return tuple(reasons)


def cross_fitted(log: Log, reward: Floats, *, folds: int, seed: bytes) -> Floats:
    """(m) what each arm is expected to bring, by a ridge regression that has not seen the arm's borrower.

    Args:
        log: Decisions.
        reward: (n) of each.
        folds: Of borrowers, at least 2.
        seed: Of the folds.
    """
    fold = _fold_of(log.borrower, folds, seed)
    design = _Design(log)
    expected = np.zeros(len(log.decision))
    taken = design.rows(log.chosen)
    for number in range(folds):
        seen, unseen = fold != number, fold[log.decision] == number
        weights = _ridge(taken[seen], reward[seen])
        expected[unseen] = design.rows(np.flatnonzero(unseen)) @ weights
    return expected


class _Design:
    """The outcome model's columns: what sort of arm, what was known, and what was known where somebody is contacted."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._kinds = int(log.kind.max(initial=0)) + 1
        known = np.where(np.isfinite(log.context), log.context, np.nan)
        with np.errstate(invalid="ignore"):
            count = np.maximum(np.isfinite(known).sum(axis=0), 1)
            middle = np.nansum(known, axis=0) / count
            spread = np.sqrt(np.nansum((known - middle) ** 2, axis=0) / count)
        scaled = (known - middle) / np.where(spread > 0, spread, 1)
        self._context = np.nan_to_num(scaled, nan=0.0)

    def rows(self, arms: Integers) -> Floats:
        """One row an arm."""
        kind = self._log.kind[arms]
        one_of_kinds = np.zeros((len(arms), self._kinds))
        one_of_kinds[np.arange(len(arms)), kind] = 1
        context = self._context[self._log.decision[arms]]
        return np.hstack([np.ones((len(arms), 1)), one_of_kinds, context, context * (kind > 0)[:, None]])


def _ridge(rows: Floats, reward: Floats) -> Floats:
    """Least squares, every coefficient but the first held back a little."""
    penalty = np.full(rows.shape[1], RIDGE)
    penalty[0] = 1e-9
    solved: Floats = np.linalg.solve(rows.T @ rows + np.diag(penalty), rows.T @ reward)
    return solved


def _fold_of(borrower: Integers, folds: int, seed: bytes) -> Integers:
    """A borrower's fold: even parts of a keyed order, the same in every run."""
    whose, place = np.unique(borrower, return_inverse=True)
    order = _generator(seed, "folds").permutation(len(whose))
    return (order % folds)[place].astype(np.int64)


def intervals(log: Log, reward: Floats, expected: Floats, *, bootstraps: int, seed: bytes) -> tuple[Estimate, ...]:
    """Every estimator's value with both intervals; at last `GAIN`, which is DR less what the log's own strategy brought.

    Args:
        log: Decisions.
        reward: (n) of each.
        expected: (m) what each arm is expected to bring, by whatever model.
        bootstraps: How often borrowers are drawn again.
        seed: Of the draws.
    """
    whose, place = np.unique(log.borrower, return_inverse=True)
    parts = _parts(log, reward, expected)
    sums = np.column_stack([_sums(place, part, len(whose)) for part in parts.values()])
    names = list(parts)
    drawn = np.empty((bootstraps, len(names)))
    generator = _generator(seed, "bootstrap")
    for number in range(bootstraps):
        times = np.bincount(generator.integers(0, len(whose), len(whose)), minlength=len(whose))
        drawn[number] = times @ sums
    totals = sums.sum(axis=0)
    return tuple(_estimate(name, names, totals, sums, drawn) for name in (*ESTIMATORS, GAIN))


def _parts(log: Log, reward: Floats, expected: Floats) -> Mapping[str, Floats]:
    """(n) what each decision adds to the numerators and denominators."""
    weight, count = log.weight, len(reward)
    modelled = _sums(log.decision, log.target * expected, count)
    robust = modelled + weight * (reward - expected[log.chosen])
    return {
        "decisions": np.ones(count),
        "weight": weight,
        "IPW": weight * reward,
        "DM": modelled,
        "DR": robust,
        GAIN: robust - reward,
    }


def _estimate(name: str, names: list[str], totals: Floats, sums: Floats, drawn: Floats) -> Estimate:
    above = names.index("IPW" if name == "SNIPW" else name)
    below = names.index("weight" if name == "SNIPW" else "decisions")
    value = float(totals[above] / totals[below])
    kept = drawn[:, below] > 0
    low, high = np.percentile(drawn[kept, above] / drawn[kept, below], PERCENTILES_95)
    reach = Z_95 * _ratio_error(sums[:, above], sums[:, below])
    return Estimate(estimator=name, value=value, low=float(low), high=float(high), low_normal=value - reach, high_normal=value + reach)


def _ratio_error(above: Floats, below: Floats) -> float:
    """Standard error of a ratio of sums over clusters, by its linear part."""
    count, total = len(above), below.sum()
    if count < 2 or not total:  # noqa: PLR2004  # one borrower has no spread
        return 0.0
    beyond = above - above.sum() / total * below
    return float(sqrt(count / (count - 1) * (beyond**2).sum()) / total)


def _sums(place: Integers, values: Floats, places: int) -> Floats:
    """Sum of the values at each place."""
    return np.bincount(place, values, minlength=places).astype(np.float64)


def _generator(seed: bytes, what: str) -> Generator:
    """Draws that depend on the seed and their use alone."""
    digest = blake2b(what.encode(), key=blake2b(seed).digest(), digest_size=16, person=b"tideover-ope").digest()
    return Generator(PCG64(int.from_bytes(digest, "big")))

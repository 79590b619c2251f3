"""Whether a log can be believed: what the estimators say of a strategy by a log of tries, and what that strategy brings in the same worlds.

What is compared is one decision with a week of peace behind it, as a log of tries has them (simulated_learning.py), and not a ladder of
sixty days. On the first morning everybody is tried with; a week later everybody is decided for again, and then left alone for a week, in
which what is posted is the reward. The log decides that second time by trying. For the truth the same worlds are played once more, alike up
to that morning, on which the judged strategy decides, for the same people.

In:   worlds that can be opened again and again, all with the same parameters; strategies and how they choose.
Out:  one row a world, outcome and estimator: the estimate with its intervals, and the truth over all worlds.
Pure: but for the files of config, which are read once.
Source: SCIENCE.md D1.8: the estimate must match the true value inside its interval in about 95 % of worlds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final, TypeAlias

import numpy as np
import polars as pl

from config.learning import learning_looks_at
from config.strategy_files import strategy_in_force
from decisions.candidates import candidates, standing
from decisions.choose import DECISIONS, NO_CONTACT, consider, decide
from decisions.facts import Facts, empty
from decisions.logged_arms import arms_of_log, as_log, context, message_of_ways, side_by_side, slots_of_ways
from decisions.messages import Texts
from decisions.off_policy import Floats, Limits, cross_fitted, diagnose, intervals
from decisions.packs import Packs
from decisions.strategy import Strategy
from tasks.simulate import FIRST_DAY, Decides, play
from tasks.simulated_books import STRIDE, Books
from tasks.simulated_learning import HORIZON, LEARNED, LEFT_ALONE, Knows, Log, as_simulated
from tasks.simulated_world import World

SEED: Final = b"simulated truth"
PAID: Final = "paid"
MONEY: Final = "money"
# The week between the tries and the decisions that are judged.
DECIDED_ON: Final = FIRST_DAY + HORIZON
Opened: TypeAlias = Callable[[], Sequence[World]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A strategy that a log is asked about.

    Attributes:
        name: What it is called.
        decides: How it chooses.
        folder: Of config/strategies, whose steps it takes.
    """

    name: str
    decides: Decides
    folder: str = LEARNED

    def choice(
        self, books: Books, facts: Facts, treatment: Strategy, packs: Packs, texts: Texts, at: datetime, on: date
    ) -> tuple[Strategy, pl.DataFrame]:
        """Its strategy of the stage, and what it chooses."""
        own = strategy_in_force(self.folder, treatment.stage)
        return own, self.decides(books, facts, own, packs, texts, at, on)


def nobody(books: Books, facts: Facts, treatment: Strategy, packs: Packs, texts: Texts, at: datetime, on: date) -> pl.DataFrame:
    """The choice to leave everybody alone; a `Decides`."""
    del books, treatment, packs, texts, at, on
    alone: dict[str, Any] = {name: pl.lit(None, kind) for name, kind in DECISIONS.items() if name != "party_id"}
    return facts.borrowers.select("party_id", **{**alone, "action": pl.lit("no_contact"), "probability": pl.lit(1.0)})


def evenly(books: Books, facts: Facts, treatment: Strategy, packs: Packs, texts: Texts, at: datetime, on: date) -> pl.DataFrame:
    """Whatever is open, drawn evenly, as the tries do where they leave nobody alone; a `Decides`."""
    del books
    return decide(facts, as_simulated(treatment, exploration=1.0), packs, texts, at=at, business_date=on, seed=SEED, predicts=Knows())


@dataclass
class _Mornings:
    """Tries on the first morning and chooses on the one that counts; on all others nobody is contacted."""

    second: Decides
    tried: Log = field(default_factory=Log)
    books: Books | None = None

    def decides(self, books: Books, facts: Facts, treatment: Strategy, packs: Packs, texts: Texts, at: datetime, on: date) -> pl.DataFrame:
        """A `Decides`."""
        self.books = books
        if on == FIRST_DAY:
            return self.tried.tries(books, facts, treatment, packs, texts, at, on)
        if on == DECIDED_ON:
            return self.second(books, facts, treatment, packs, texts, at, on)
        return empty(DECISIONS)


@dataclass(frozen=True, slots=True)
class _Logged:
    """What the log knows: of each decision, of its arms beside each judged strategy's, and what came of it."""

    known: pl.DataFrame
    arms: Mapping[str, pl.DataFrame]
    rewards: pl.DataFrame


def errors(opened: Opened, judged: Sequence[Judged], *, limits: Limits) -> pl.DataFrame:
    """Ask the log of each world about each strategy, and play that strategy.

    Args:
        opened: Opens the same worlds anew each time; they differ in their people and luck alone, so that one truth is true of all.
        judged: Strategies.
        limits: Folds and draws; nothing is refused here.

    Returns:
        `judged`, `outcome` (`paid`: share of those who paid as much as config/learning.yaml asks; `money`: minor units), `world`,
        `decisions`, `ess`, `unsupported`, `estimator`, `value`, `low`, `high`, `low_normal`, `high_normal`, `logged` (what the log's own
        strategy brought in that world), `truth` (the mean over all worlds) and `truth_error` (its standard error).
    """
    log = _log(opened(), judged)
    rows = []
    for one in judged:
        truth = _played(opened(), one, log.known["party_id"].to_list())
        for outcome in (PAID, MONEY):
            true = truth[outcome].to_numpy()
            told = {
                "judged": one.name,
                "outcome": outcome,
                "truth": true.mean(),
                "truth_error": true.std() / np.sqrt(len(true)),
            }
            rows += [told | row for row in _estimates(log, one, outcome, limits)]
    return pl.DataFrame(rows)


def _estimates(log: _Logged, one: Judged, outcome: str, limits: Limits) -> list[dict[str, Any]]:
    """What each world's log says by each estimator."""
    rows = []
    for world in (log.known["party_id"] // STRIDE).unique(maintain_order=True):
        known, arms = (frame.filter(pl.col("party_id") // STRIDE == world) for frame in (log.known, log.arms[one.name]))
        numbers = known.select("party_id").with_row_index("decision")
        as_arrays = as_log(arms.join(numbers, on="party_id", maintain_order="left"), known)
        reward: Floats = known.join(log.rewards, on="party_id", maintain_order="left")[outcome].to_numpy()
        found, expected = diagnose(as_arrays), cross_fitted(as_arrays, reward, folds=limits.folds, seed=SEED)
        for estimate in intervals(as_arrays, reward, expected, bootstraps=limits.bootstraps, seed=SEED):
            values = {name: getattr(estimate, name) for name in ("estimator", "value", "low", "high", "low_normal", "high_normal")}
            about = {"world": world, "decisions": found.decisions, "ess": found.ess, "unsupported": found.unsupported}
            rows.append(about | values | {"logged": reward.mean()})
    return rows


def _log(worlds: Sequence[World], judged: Sequence[Judged]) -> _Logged:
    known: list[pl.DataFrame] = []
    arms: dict[str, list[pl.DataFrame]] = {one.name: [] for one in judged}

    def second(books: Books, facts: Facts, treatment: Strategy, packs: Packs, texts: Texts, at: datetime, on: date) -> pl.DataFrame:
        chosen = mornings.tried.tries(books, facts, treatment, packs, texts, at, on)
        # Of whom nothing was open nothing can be learned.
        tried = chosen.filter(pl.col("probability") < 1).sort("party_id")
        tries = _arms(tried, facts, treatment, texts, at, on)
        # Half of the time nothing was done whatever else was drawn (simulated_learning.left_alone).
        alone = pl.when(pl.col("arm") == NO_CONTACT).then(LEFT_ALONE).otherwise(0.0)
        logged = tries.with_columns(logged=(1 - LEFT_ALONE) * pl.col("logged") + alone)
        known.append(
            tried.select("party_id", stage=pl.lit(treatment.stage), weekday=pl.lit(on.isoweekday())).join(
                context(facts, at), on="party_id", how="left", maintain_order="left"
            )
        )
        for one in judged:
            own, theirs = one.choice(books, facts, treatment, packs, texts, at, on)
            theirs = theirs.join(tried, on="party_id", how="semi")
            weighs_hours = own.learned is not None
            slots = None if weighs_hours else slots_of_ways(consider(facts, own, packs, texts, at=at, business_date=on))
            target = _arms(theirs, facts, own, texts, at, on, slots=slots).select("party_id", "arm", "message", target="logged")
            arms[one.name].append(side_by_side(logged, target).with_columns(stage=pl.lit(treatment.stage)))
        return chosen

    mornings = _Mornings(second)
    books = _play(worlds, mornings)
    return _Logged(
        known=pl.concat(known).sort("party_id"),
        arms={name: pl.concat(frames).sort("party_id", maintain_order=True) for name, frames in arms.items()},
        rewards=_rewards(books, pl.concat(known)["party_id"].to_list()),
    )


def _arms(
    decided: pl.DataFrame, facts: Facts, own: Strategy, texts: Texts, at: datetime, on: date, *, slots: pl.DataFrame | None = None
) -> pl.DataFrame:
    """`arms_of_log` of decisions that were made just now."""
    ways = message_of_ways(candidates(facts, standing(facts, own, at=at, business_date=on), own, texts))
    return arms_of_log(decided, ways, slots)


def _played(worlds: Sequence[World], one: Judged, people: Sequence[int]) -> pl.DataFrame:
    """The rewards of these people when the strategy decides for them."""

    def second(books: Books, facts: Facts, treatment: Strategy, packs: Packs, texts: Texts, at: datetime, on: date) -> pl.DataFrame:
        _, chosen = one.choice(books, facts, treatment, packs, texts, at, on)
        return chosen.filter(pl.col("party_id").is_in(people))

    return _rewards(_play(worlds, _Mornings(second)), people)


def _play(worlds: Sequence[World], mornings: _Mornings) -> Books:
    play(worlds, LEARNED, days=2 * HORIZON.days, plans=False, decides=mornings.decides)
    if mornings.books is None:
        raise ValueError("nobody is in any stage of the strategy: nothing was decided")
    return mornings.books


def _rewards(books: Books, people: Sequence[int]) -> pl.DataFrame:
    """`party_id`, `paid`, `money` (minor units): what was posted within the week after the decision."""
    percent = learning_looks_at().paid_percent_min
    rows = []
    for party in people:
        owed = books.people[party].owed_minor
        before, posted = (sum(minor for at, minor in books.posted[party] if first <= at.date() < first + HORIZON) for first in _WEEKS)
        rows.append((party, float(posted * 100 >= max(1, owed - before) * percent), float(posted)))
    return pl.DataFrame(rows, schema={"party_id": pl.Int64, PAID: pl.Float64, MONEY: pl.Float64}, orient="row")


_WEEKS: Final = (FIRST_DAY, DECIDED_ON)


def summary(found: pl.DataFrame) -> pl.DataFrame:
    """By strategy, outcome and estimator: the truth, the mean estimate, the root mean square error, how many intervals of both kinds cover.

    Args:
        found: From `errors`. Of `GAIN` the truth is that of the strategy less the mean of what the logs' own strategy brought.
    """
    off = pl.col("value") - pl.col("true")
    gained = pl.col("truth") - pl.col("logged").mean().over("judged", "outcome")
    return (
        found.with_columns(true=pl.when(pl.col("estimator") == "gain").then(gained).otherwise("truth"))
        .group_by("judged", "outcome", "estimator", maintain_order=True)
        .agg(
            pl.col("true").first(),
            estimate=pl.col("value").mean(),
            error=(off**2).mean().sqrt(),
            covered=(pl.col("low") <= pl.col("true")).and_(pl.col("true") <= pl.col("high")).mean(),
            covered_normal=(pl.col("low_normal") <= pl.col("true")).and_(pl.col("true") <= pl.col("high_normal")).mean(),
            worlds=pl.len(),
            decisions=pl.col("decisions").sum(),
            ess=pl.col("ess").mean(),
            unsupported=pl.col("unsupported").mean(),
        )
    )

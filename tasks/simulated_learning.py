"""Learning in simulated worlds: what a lender's log would have held, and a model's say in the choice.

A log is made by trying: everything that rules and ladder leave open, evenly, and nothing half of the time, with the chance of each
choice written down; then a week of peace, so that what comes in a week comes of that one choice, as the lender's feed shows it. The
model is trained by the same `decisions.learning.train` as a ledger's (flows/learn.py), and asked as in a run.

In:   the books of worlds while they are played; models.
Out:  rows of decisions/learning.TRAINING; choices.
Pure: but for the files of config, which are read once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from config.learning import learning_looks_at
from config.model_files import MODELS, shipped_model
from config.strategy_files import stages_of, strategy
from decisions.assignment import kinds_asked
from decisions.choose import decide
from decisions.draws import draw_key, keyed_numbers
from decisions.facts import Facts
from decisions.features import FEATURES, features
from decisions.learning import LABELS, TRAINING, Trained
from decisions.messages import Texts
from decisions.models import ARMS, NONE, Model
from decisions.packs import Packs
from decisions.parts import PARTS
from decisions.predicting import ByModels
from decisions.strategy import Strategy
from tasks.simulate import FIRST_DAY, SHUFFLED, Decides, NoShippedModelError, by_strategy, play
from tasks.simulated_books import Books
from tasks.simulated_world import World

LEARNED: Final = "learned"
HORIZON: Final = timedelta(days=7)
# Of choices, so many are nothing whatever else is open, so that nothing is known as well as something.
LEFT_ALONE: Final = 0.5
# Keys of draws that have nothing to do with each other.
TRIES: Final = b"simulated tries"
COINS: Final = b"simulated coins"


@dataclass(frozen=True, slots=True)
class Knows:
    """Who says nothing of anybody: whatever is open is worth the same, and what is tried is tried evenly."""

    def version(self, kind: str) -> str:
        """See decisions/policy.Predicts."""
        return f"nothing of {kind}"

    def says(self, kind: str, arms: pl.DataFrame) -> npt.NDArray[np.float64]:
        """Nobody pays, nobody is harmed."""
        del kind
        return np.zeros(arms.height)


def as_simulated(treatment: Strategy, *, exploration: float | None = None) -> Strategy:
    """The strategy without its hold-outs, which only serve to measure what a simulation knows anyhow, and without its caps on a day.

    Args:
        treatment: With a model's say, or a ladder, which stays as it is.
        exploration: In place of its own; None = its own.
    """
    if treatment.learned is None:
        return treatment
    tried = treatment.exploration if exploration is None else exploration
    return replace(treatment, exploration=tried, learned=replace(treatment.learned, hold_outs=None, caps=()))


def by_models(*models: Model, shuffled: bool = False) -> Decides:
    """Choose as a run with these models does.

    Args:
        models: One of each kind that the strategy asks.
        shuffled: Everybody is given somebody else's features: whatever a model gained by them has to vanish.
    """

    def decides(books: Books, facts: Facts, treatment: Strategy, packs: Packs, texts: Texts, at: datetime, on: date) -> pl.DataFrame:
        if treatment.learned is None:
            return decide(facts, treatment, packs, texts, at=at, business_date=on, seed=TRIES)
        known = features(books.past(facts, at), as_of=at)
        if shuffled:
            known = _shuffled(known, on)
        predicts = ByModels(models={one.name: one for one in models}, features=known)
        return decide(facts, as_simulated(treatment), packs, texts, at=at, business_date=on, seed=TRIES, predicts=predicts)

    return decides


def _shuffled(known: pl.DataFrame, on: date) -> pl.DataFrame:
    order = np.argsort(keyed_numbers(known["party_id"].to_numpy(), draw_key(COINS, "shuffled", on)), kind="stable")
    return known.with_columns(known.drop("party_id")[order])


@dataclass
class Log:
    """What was chosen by trying, and known when it was chosen."""

    rows: list[pl.DataFrame] = field(default_factory=list)
    # Party → from which day on she may be tried with again.
    rests_until: dict[int, date] = field(default_factory=dict)

    def tries(self, books: Books, facts: Facts, treatment: Strategy, packs: Packs, texts: Texts, at: datetime, on: date) -> pl.DataFrame:
        """Choose by trying; a `Decides`.

        Whoever was tried with, or left alone for the trial's sake, is then left alone until the trial is over: what comes of it comes of it
        alone, and not of what was done on the next day.
        """
        trying = as_simulated(treatment, exploration=1.0)
        chosen = decide(facts, trying, packs, texts, at=at, business_date=on, seed=TRIES, predicts=Knows())
        resting = [party for party in chosen["party_id"] if self.rests_until.get(party, on) > on]
        chosen = left_alone(chosen, draw_key(COINS, treatment.stage, on), resting)
        tried = chosen.filter(pl.col("probability") < 1.0)
        self.rests_until.update(dict.fromkeys(tried["party_id"], on + HORIZON))
        known = features(books.past(facts, at), as_of=at)
        self.rows.append(
            tried.select(
                "party_id",
                "probability",
                at=pl.lit(at),
                channel=pl.col("channel").fill_null(NONE),
                hour_slot=pl.col("hour_slot"),
                offer=pl.when(pl.col("action") == "contact").then("offer").fill_null(NONE),
            )
            .join(known, on="party_id", how="left")
            .join(_asked(facts), on="party_id", how="left")
        )
        return chosen

    def training(self, books: Books, last: datetime) -> pl.DataFrame:
        """The rows with what came of them: columns `TRAINING`.

        Args:
            books: When all is over.
            last: Instant up to which everything is known.
        """
        rows = pl.concat(self.rows)
        percent = learning_looks_at().paid_percent_min
        paid: list[bool | None] = []
        harmed: list[bool | None] = []
        stops = books.harms()
        for party, at, asked in rows.select("party_id", "at", "asked_minor").iter_rows():
            until = at + HORIZON
            if until > last:
                paid.append(None)
                harmed.append(None)
                continue
            posted = sum(minor for when, minor in books.posted[party] if at < when <= until)
            paid.append(bool(asked) and posted * 100 >= asked * percent)
            harmed.append(any(at < when <= until for when in stops.get(party, ())))
        other = {name: pl.lit(None, kind) for name, kind in LABELS.items() if name not in {"paid_7d", "harm_7d"}}
        return rows.with_columns(
            pl.Series("paid_7d", paid, dtype=pl.Boolean), pl.Series("harm_7d", harmed, dtype=pl.Boolean), **other
        ).select(pl.col(name).cast(kind) for name, kind in TRAINING.items())


def left_alone(chosen: pl.DataFrame, key: bytes, resting: Sequence[int]) -> pl.DataFrame:
    """Leave some alone who would be contacted, with the chance of it in what is written down; and whoever rests, whatever was drawn."""
    spared = pl.Series(keyed_numbers(chosen["party_id"].to_numpy(), key) < LEFT_ALONE * PARTS)
    contact, rests = pl.col("action") == "contact", pl.col("party_id").is_in(list(resting))
    gone = ("channel", "contact_point_id", "purpose", "message", "offer", "locale", "send_after", "expires_at", "hour_slot")
    choice = pl.col("propensities").is_not_null() & ~rests
    none = pl.col("propensities").str.json_path_match("$.no_contact").cast(pl.Float64).fill_null(0.0)
    taken = contact & ~spared & ~rests
    tried = pl.when(taken).then((1 - LEFT_ALONE) * pl.col("probability")).otherwise(LEFT_ALONE + (1 - LEFT_ALONE) * none)
    return chosen.with_columns(
        *(pl.when(taken).then(pl.col(name)).otherwise(None).alias(name) for name in gone),
        action=pl.when(taken).then(pl.lit("contact")).otherwise(pl.lit("no_contact")),
        probability=pl.when(choice).then(tried).otherwise(1.0),
    )


def _asked(facts: Facts) -> pl.DataFrame:
    return facts.loans.group_by("party_id").agg(asked_minor=pl.col("past_due_minor").sum())


def chooses(name: str) -> Decides:
    """How a strategy chooses in a simulation: a ladder by itself, one with a model by the one that ships.

    Args:
        name: Of the strategy; with `:shuffled` behind it everybody is given somebody else's features.

    Raises:
        NoShippedModelError: It asks a kind of model of which none ships.
    """
    base, _, how = name.partition(":")
    kinds = sorted({kind for stage in stages_of(base) for kind in kinds_asked(strategy(base, stage))})
    if not kinds:
        return by_strategy
    models = {kind: shipped_model(kind) for kind in kinds}
    if lacking := ", ".join(kind for kind, model in models.items() if model is None):
        raise NoShippedModelError(f"no model of {lacking} in {MODELS.name}/; `tideover simulate --train config/models` makes what ships")
    return by_models(*(model for model in models.values() if model), shuffled=how == SHUFFLED)


def log_of(worlds: Sequence[World], *, days: int) -> pl.DataFrame:
    """Play by trying; what a lender's log would have held in the end.

    Args:
        worlds: At their beginning.
        days: How many.

    Returns:
        Columns `TRAINING`; parties as the books number them.
    """
    log = Log()
    seen: list[Books] = []

    def decides(books: Books, *asked: Any) -> pl.DataFrame:
        if not seen:
            seen.append(books)
        return log.tries(books, *asked)

    play(worlds, LEARNED, days=days, plans=False, decides=decides)
    return log.training(seen[0], datetime.combine(FIRST_DAY + timedelta(days=days), time(), UTC))


def note_of(trained: Trained, *, made_of: Mapping[str, str], days: int, borrowers: int) -> dict[str, Any]:
    """What stands beside a model that ships: what it was made of, how good it is, and by what one sees that it is stale.

    Args:
        trained: The model.
        made_of: Name → SHA-256 of whatever it was made of.
        days: Of each world.
        borrowers: Of each world.
    """
    return {
        "kind": trained.model.name,
        "version": trained.model.version,
        "data_hash": trained.data_hash,
        "method": trained.method,
        "metrics": {name: round(value, 6) if isinstance(value, float) else value for name, value in trained.metrics.items()},
        "simulated": "made of simulated people; no evidence about anybody",
        "days": days,
        "borrowers": borrowers,
        "made_of": {**made_of, "inputs": inputs_hash()},
    }


def inputs_hash() -> str:
    """Of the names that a model may look at, in any order: a model that was made of others is stale."""
    return sha256("\n".join(sorted((*FEATURES, *ARMS))).encode()).hexdigest()

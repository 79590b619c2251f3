"""What is logged by trying, what a model makes of a choice, and whether the model that ships is still the one of these worlds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256

import polars as pl
import pytest

from config.model_files import MODELS, shipped_model
from config.strategy_files import STRATEGIES
from decisions.features import FEATURES
from decisions.models import ARM_CHANNELS, ARMS, Calibration, Line, Model, Term, arm_inputs
from sandbox.parameters import fingerprint
from sandbox.simulation import TownWorld, open_world
from tasks.simulate import FIRST_DAY, play
from tasks.simulated_learning import by_models, chooses, inputs_hash, log_of

WORLDS = STRATEGIES.parents[1] / "sandbox" / "worlds"
EVERYONE = {"sms_delivered": 1.0, "sms_read": 1.0, "wrong_number_share": 0.0, "landline_share": 0.0, "balance_median_usd": 200.0}


def _world(settings: Mapping[str, float] | None = None, *, name: str = "w", borrowers: int = 60) -> TownWorld:
    return open_world(name, f"learning-{name}", settings or {}, borrowers=borrowers, first_day=FIRST_DAY)


def _model(weights: Mapping[str, float], *, intercept: float = -3.0) -> Model:
    """A line over single columns, as they are."""
    inputs = arm_inputs(("none", "pay_link", "more_time"))
    columns = [column for one in inputs for column in one.columns]
    terms = tuple(Term(columns=((columns.index(name), -1e9, 1e9, 0.0, 1.0),), weight=weight) for name, weight in weights.items())
    return Model(name="paid_7d", inputs=inputs, parts=(Line(intercept=intercept, terms=terms),), calibration=Calibration(), typical={})


@pytest.fixture(scope="module")
def log() -> pl.DataFrame:
    """What was tried in two worlds in sixteen days."""
    return log_of([_world(EVERYONE, name="a"), _world(name="b")], days=16)


def test_what_was_tried_has_the_chance_that_it_had(log: pl.DataFrame) -> None:
    """Weighed by one over its chance, doing nothing stands for everybody who was tried with."""
    assert log["probability"].is_between(0, 1, closed="none").all()
    weighed = log.filter(pl.col("channel") == "none").select((1 / pl.col("probability")).sum()).item()
    assert weighed == pytest.approx(log.height, rel=0.15)
    assert log.filter(pl.col("channel") == "none").height == pytest.approx(log.height * 0.55, rel=0.2)
    assert set(log["channel"]) >= {"none", "push", "sms", "email"}


def test_nobody_is_tried_with_twice_in_a_week_and_what_came_of_it_is_known_after_one(log: pl.DataFrame) -> None:
    days = log.sort("party_id", "at").with_columns(gap=pl.col("at").diff().over("party_id"))
    assert days["gap"].drop_nulls().min() >= timedelta(days=7)  # type: ignore[operator]  # durations compare
    last = log["at"].max()
    assert log.filter(pl.col("at") == last)["paid_7d"].null_count() > 0
    assert log.filter(pl.col("at") == log["at"].min())["paid_7d"].null_count() == 0
    assert 0 < log["paid_7d"].mean() < 0.5  # type: ignore[operator]  # a mean of Booleans is a number


def test_a_model_contacts_where_it_expects_something_and_nobody_where_it_expects_nothing() -> None:
    hopeful, hopeless = _model({"channel=sms": 2.0}), _model({})
    tries = {}
    for name, model in (("hopeful", hopeful), ("hopeless", hopeless)):
        (played,) = play([_world(EVERYONE)], "learned", days=10, plans=False, decides=by_models(model))
        assert played.violations == ()
        tries[name] = played.by_channel
    # One choice in twenty is made evenly, so that the log can teach.
    assert tries["hopeful"]["sms"] > 60
    assert sum(tries["hopeless"].values()) < 0.1 * 60 * 10


def test_with_somebody_elses_features_a_model_does_not_know_whom_to_contact() -> None:
    """The leak test: what a model gains by features has to vanish where they are shuffled."""
    wanted = _model({"channel=sms": 4.0, "reach_email": 9.0}, intercept=-14.0)
    told = {}
    for shuffled in (False, True):
        world = _world(EVERYONE, borrowers=100)
        (played,) = play([world], "learned", days=8, plans=False, decides=by_models(wanted, shuffled=shuffled))
        with_email = [person.contacts for person, one in zip(played.people, world.borrowers, strict=True) if one.email]
        told[shuffled] = sum(with_email) / max(1, sum(person.contacts for person in played.people))
    assert told[False] > told[True] + 0.1


def test_the_model_that_ships_is_the_one_of_these_worlds_and_features() -> None:
    """Fails when worlds, parameters or features have changed since; the message has the command that makes it again."""
    model = shipped_model("paid_7d")
    assert model is not None
    note = json.loads((MODELS / "paid_7d.note.json").read_text())
    again = (
        f"tideover simulate --train config/models --worlds sandbox/worlds/train.yaml --days {note['days']} --borrowers {note['borrowers']}"
    )
    assert note["version"] == model.version, again
    assert note["made_of"] == {
        "worlds": sha256((WORLDS / "train.yaml").read_bytes()).hexdigest(),
        "parameters": fingerprint(),
        "inputs": inputs_hash(),
    }, again
    assert {one.name for one in model.inputs} <= {*FEATURES, *ARMS}
    assert set(ARM_CHANNELS) >= {"none", "sms"}
    assert (MODELS / "paid_7d.json").stat().st_size < 300_000


def test_the_shipped_strategies_play_with_the_model_that_ships() -> None:
    (played,) = play([_world(borrowers=30)], "learned", days=5, plans=False, decides=chooses("learned"))
    assert played.violations == ()

"""Learning: from rows to a model that is measured on people and days it has not seen, or a refusal that says why."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from config.learning import learning_terms
from decisions.learning import (
    TRAINING,
    Kind,
    Terms,
    TooThinError,
    calibration_error,
    calibration_table,
    errs_for,
    fairness_table,
    train,
)
from decisions.models import Input, Model

TERMS: Terms = replace(learning_terms(), rows_min=200, people_min=50, of_each_min=40, rounds=20, folds=3, rows_a_leaf=10)
START = datetime(2026, 1, 1, tzinfo=UTC)


def logged(people: int = 300, days: int = 12, *, effect: float = 1.0, seed: int = 1) -> pl.DataFrame:
    """A log in which text messages help by `effect` on the scale of log odds, and lateness hurts."""
    chance = np.random.default_rng(seed)
    size = people * days
    party = np.repeat(np.arange(people), days)
    late = chance.integers(1, 60, people)[party]
    sms = chance.random(size) < 0.25
    odds = -0.5 - late / 30 + effect * sms
    paid = chance.random(size) < 1 / (1 + np.exp(-odds))
    known = pl.DataFrame(
        {
            "party_id": party,
            "at": [START + timedelta(days=int(day)) for day in np.tile(np.arange(days) * 4, people)],
            "probability": np.where(sms, 0.25, 0.75),
            "days_past_due": late.astype(float),
            "channel": np.where(sms, "sms", "none"),
            "hour_slot": [3 if one else None for one in sms],
            "offer": np.where(sms, "pay_link", "none"),
            "paid_7d": paid,
        },
        strict=False,
    )
    return known.select((pl.col(name) if name in known.columns else pl.lit(None)).cast(kind).alias(name) for name, kind in TRAINING.items())


def test_an_effect_is_learned_with_every_method_and_told_apart_from_none() -> None:
    rows = logged()
    for method in ("logistic", "boosting_then_arms"):
        trained = train(rows, kind="paid_7d", seed=3, terms=TERMS, method=method)
        asked = rows.head(50).with_columns(days_past_due=pl.lit(20.0))
        sms = trained.model.predict(asked.with_columns(channel=pl.lit("sms"), hour_slot=pl.lit(3), offer=pl.lit("pay_link")))
        nothing = trained.model.predict(asked.with_columns(channel=pl.lit("none"), hour_slot=pl.lit(None), offer=pl.lit("none")))
        difference = np.log(sms / (1 - sms)) - np.log(nothing / (1 - nothing))
        assert 0.5 < difference.mean() < 1.5, method
        assert trained.metrics["auc"] is not None
        assert trained.metrics["auc"] > 0.55


def test_the_same_rows_in_any_order_give_the_same_text() -> None:
    rows = logged(100)
    one, other = (train(given, kind="paid_7d", seed=3, terms=TERMS) for given in (rows, rows.sample(fraction=1.0, shuffle=True, seed=1)))
    assert one.model.as_json() == other.model.as_json()
    assert (one.data_hash, one.method, one.metrics) == (other.data_hash, other.method, other.metrics)
    assert Model.from_json(one.model.as_json()).version == one.model.version
    changed = train(rows.with_columns(days_past_due=pl.col("days_past_due") + 1), kind="paid_7d", seed=3, terms=TERMS)
    assert changed.data_hash != one.data_hash


def test_it_is_measured_on_other_people_and_later_days() -> None:
    """What came after the cut, or of those held out, cannot be remembered: it says the opposite there."""
    rows = logged(effect=0.0)
    cut = rows["at"].quantile(0.7, interpolation="lower")
    told = rows.with_columns(paid_7d=(pl.col("days_past_due") < 30) ^ (pl.col("at") >= cut))
    auc = train(told, kind="paid_7d", seed=3, terms=TERMS, method="logistic").metrics["auc"]
    assert auc is not None
    assert auc < 0.1


def test_what_was_not_frozen_before_the_cut_is_not_trained_on() -> None:
    """Labels of the last days before the cut say what happened after it: they are left out."""
    rows = logged(effect=0.0)
    cut = rows["at"].quantile(0.7, interpolation="lower")
    near = (pl.col("at") < cut) & (pl.col("at") + timedelta(days=7) > cut)
    spoilt = rows.with_columns(paid_7d=pl.when(near).then(~pl.col("paid_7d")).otherwise("paid_7d"))
    assert not spoilt.equals(rows)
    one, other = (train(given, kind="paid_7d", seed=3, terms=TERMS, method="logistic") for given in (rows, spoilt))
    assert one.model.parts == other.model.parts


def test_rare_choices_count_for_what_they_stand_for() -> None:
    """Of the few who were drawn with a small probability each stands for many."""
    rows = logged(200, effect=0.0).with_columns(paid_7d=pl.col("channel") == "sms", channel=pl.lit("none"), offer=pl.lit("none"))
    even = rows.with_columns(hour_slot=None, probability=1.0, days_past_due=10.0)
    weighed = even.with_columns(probability=pl.when("paid_7d").then(0.1).otherwise(1.0))
    plain, heavy = (
        train(given, kind="paid_7d", seed=3, terms=TERMS, method="logistic").model.predict(even.head(1))[0] for given in (even, weighed)
    )
    assert heavy > plain * 2


def test_thin_data_are_refused_with_every_reason() -> None:
    with pytest.raises(TooThinError) as refused:
        train(logged(10, 3), kind="paid_7d", seed=3, terms=TERMS)
    assert any("people" in reason for reason in refused.value.reasons)
    assert len(refused.value.reasons) >= 3
    with pytest.raises(TooThinError):
        train(logged(0), kind="paid_7d", seed=3, terms=TERMS)
    with pytest.raises(TooThinError, match="0 rows whose end is known"):
        train(logged(100), kind="plan_kept", seed=3, terms=TERMS)


def test_shuffled_features_teach_nothing() -> None:
    rows = logged(1_500, 8)
    shuffled = rows.with_columns(rows["days_past_due"].sample(fraction=1.0, shuffle=True, seed=5))
    told = train(rows, kind="paid_7d", seed=3, terms=TERMS, method="logistic").metrics["auc"]
    lost = train(
        shuffled.with_columns(channel=pl.lit("none"), offer=pl.lit("none"), hour_slot=None),
        kind="paid_7d",
        seed=3,
        terms=TERMS,
        method="logistic",
    ).metrics["auc"]
    assert told is not None
    assert lost is not None
    assert abs(lost - 0.5) < 0.04 < told - 0.5


def test_bins_add_up_and_their_error_is_weighed_by_rows() -> None:
    said = np.array([True, False, True, True])
    predicted = np.array([0.1, 0.15, 0.95, 1.0])
    table = calibration_table(said, predicted)
    assert table.rows() == [(1, 2, 0.125, 0.5), (9, 2, 0.975, 1.0)]
    assert calibration_error(said, predicted) == pytest.approx((0.375 * 2 + 0.025 * 2) / 4)


def test_a_kind_of_ones_own_needs_its_inputs_only() -> None:
    rows = logged(100).select("party_id", "days_past_due", came="paid_7d")
    kind = Kind(name="mine", label="came", horizon_days=1, inputs=(Input(name="days_past_due"),), arms=False)
    assert train(rows, kind=kind, seed=1, terms=TERMS).model.name == "mine"


def test_leaving_alone_weighs_what_it_was_however_many_ways_of_a_contact_there_were() -> None:
    """Of a dozen ways each was drawn with a twelfth of the chance of none at all: none of them may count for a dozen."""
    rows = logged(600, 8, effect=0.0)
    chance = np.random.default_rng(4)
    contact = (rows["channel"] == "sms").to_numpy()
    told = rows.with_columns(
        probability=pl.Series(np.where(contact, 0.25 / 12, 0.75)),
        days_past_due=pl.lit(20.0),
        paid_7d=pl.Series(chance.random(rows.height) < np.where(contact, 0.3, 0.1)),
    )
    model = train(told, kind="paid_7d", seed=3, terms=replace(TERMS, ridge=200.0), method="logistic").model
    nothing = told.head(1).with_columns(channel=pl.lit("none"), hour_slot=pl.lit(None, pl.Int32), offer=pl.lit("none"))
    # A strong ridge draws each side to the middle of the rows: most of them were left alone, so that side hardly moves.
    assert abs(model.predict(nothing)[0] - 0.1) < 0.02


def test_what_a_contact_brings_has_no_steps() -> None:
    """A free calibration is flat between its steps: of two who differ by a hair, one would be helped and the other not."""
    rows = logged(900, 8, effect=0.8)
    model = train(rows, kind="paid_7d", seed=3, terms=replace(TERMS, isotonic_min=20), method="logistic").model
    asked = pl.concat([rows.head(1)] * 50).with_columns(days_past_due=pl.Series(np.linspace(1, 59, 50)))
    gains = model.predict(asked.with_columns(channel=pl.lit("sms"), hour_slot=pl.lit(3), offer=pl.lit("pay_link"))) - model.predict(
        asked.with_columns(channel=pl.lit("none"), hour_slot=pl.lit(None, pl.Int32), offer=pl.lit("none"))
    )
    assert gains.min() > 0
    assert np.abs(np.diff(gains)).max() < 0.1 * gains.max()


@pytest.mark.parametrize("method", ["logistic", "boosting_then_arms"])
@pytest.mark.parametrize("effect", [1.5, 0.0])
def test_what_a_contact_is_worth_to_whom_is_learned_where_it_shows_and_not_made_up(effect: float, method: str) -> None:
    """Messages help only near pay day; where they help nobody, nobody is said to be helped."""
    rows = logged(2_500, 8, effect=0.0)
    chance = np.random.default_rng(9)
    away = chance.integers(0, 28, rows.height).astype(float)
    odds = -1.0 - rows["days_past_due"].to_numpy() / 30 + effect * ((rows["channel"] == "sms").to_numpy() & (away < 7))
    told = rows.with_columns(days_to_income=pl.Series(away), paid_7d=pl.Series(chance.random(rows.height) < 1 / (1 + np.exp(-odds))))
    model = train(told, kind="paid_7d", seed=3, terms=TERMS, method=method).model
    asked = told.head(300)
    gains = model.predict(asked.with_columns(channel=pl.lit("sms"), hour_slot=pl.lit(3), offer=pl.lit("pay_link"))) - model.predict(
        asked.with_columns(channel=pl.lit("none"), hour_slot=None, offer=pl.lit("none"))
    )
    near = (asked["days_to_income"] < 7).to_numpy()
    if effect:
        assert gains[near].mean() > gains[~near].mean() + 0.03
    else:
        # The mean is as far from nothing as chance takes a quarter of a few thousand rows; to whom it helps more does not show.
        assert abs(gains.mean()) < 0.04
        assert gains.std() < 0.025


def test_small_groups_are_left_out_and_none_can_be_worked_out() -> None:
    """Eight of sex `other` are few; were all others shown, they would be what is missing, so the smallest of those is hidden too."""
    sexes = ["female"] * 600 + ["male"] * 500 + ["other"] * 8
    groups = pl.DataFrame({"party_id": range(len(sexes)), "attribute": "sex", "value": sexes})
    people = pl.Series("party_id", [*range(len(sexes)), *range(600)])
    said, predicted = np.arange(len(people)) % 4 == 0, np.full(len(people), 0.2)
    terms = replace(TERMS, group_min=50, cell_min=10)
    shown = fairness_table(people, said, predicted, groups, terms)
    assert shown["value"].to_list() == ["female"]
    assert shown.row(0, named=True) == {
        "attribute": "sex",
        "value": "female",
        "people": 600,
        "rows": 1200,
        "predicted": pytest.approx(0.2),
        "observed": pytest.approx(0.25, abs=0.002),
        "gap": pytest.approx(0.05, abs=0.002),
        "calibration_error": pytest.approx(0.05, abs=0.002),
        "selected": 1.0,  # all predictions are equal: none of them is higher
        "auc": 0.5,
    }
    # Of one more the sex is not known: what is missing is two groups then, and tells of neither.
    known = fairness_table(people, said, predicted, groups.filter(pl.col("party_id") != 0), terms)
    assert known["value"].to_list() == ["female", "male"]
    assert errs_for(shown.to_dicts(), gap_max=0.03) == ["sex female (+5.0 points)"]
    assert errs_for(shown.to_dicts(), gap_max=0.06) == []
    assert fairness_table(people, said, predicted, None, terms).is_empty()

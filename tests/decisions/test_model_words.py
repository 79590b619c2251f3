"""What a model's say rests on: its own arithmetic, the few things that counted most, and what would turn it."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from decisions.features import FEATURES
from decisions.model_words import WORDS, model_part, model_words
from decisions.models import Calibration, Input, Line, Model, Term

# A message helps; the more, the nearer the next income; contacts in the week wear it out.
COLUMNS = ("days_to_income", "contacts_7d", "on_time_share")
MODEL = Model(
    name="paid_7d",
    inputs=(*(Input(name=name) for name in COLUMNS), Input(name="channel", words=("none", "sms"))),
    parts=(
        Line(
            intercept=-1.0,
            terms=(
                Term(columns=((4, 0.0, 1.0, 0.0, 1.0),), weight=0.4),
                Term(columns=((4, 0.0, 1.0, 0.0, 1.0), (0, 0.0, 30.0, 15.0, 10.0)), weight=-0.3),
                Term(columns=((4, 0.0, 1.0, 0.0, 1.0), (1, 0.0, 7.0, 1.0, 2.0)), weight=-0.2),
            ),
        ),
    ),
    calibration=Calibration(),
    typical={"days_to_income": 15.0, "contacts_7d": 1.0, "on_time_share": 0.8, "channel": "none"},
)


def person(**known: float | None) -> pl.DataFrame:
    return pl.DataFrame({name: [known.get(name)] for name in FEATURES}, schema=dict.fromkeys(FEATURES, pl.Float64))


def arm(gain: int, against: int) -> dict[str, Any]:
    return {"channel": "sms", "hour_slot": 3, "offer": None, "gain": gain, "spent": against, "harm": 0, "price": 0}


def test_every_feature_has_words() -> None:
    assert set(WORDS) == set(FEATURES)


def test_what_counted_is_told_by_how_much_the_model_itself_moves() -> None:
    known = person(days_to_income=2.0, contacts_7d=4.0, on_time_share=0.1)
    told = model_part(MODEL, known, arm(1_000, 400))
    assert [one["input"] for one in told["counted"]] == ["days_to_income", "contacts_7d"]
    near, worn = told["counted"]
    assert near["points"] > 0 > worn["points"]
    assert (near["value"], near["usual"]) == (2.0, 15.0)
    asked = known.with_columns(channel=pl.lit("sms")), known.with_columns(channel=pl.lit("none"))
    with_contact, without = (float(MODEL.predict(one)[0]) for one in asked)
    as_usual = float(MODEL.predict(person(days_to_income=15.0, contacts_7d=4.0).with_columns(channel=pl.lit("sms")))[0])
    assert near["points"] == pytest.approx(100 * (with_contact - as_usual), abs=0.01)
    assert (told["probability"], told["without"]) == pytest.approx((with_contact, without), abs=1e-6)


def test_what_would_change_it_is_what_alone_turns_it() -> None:
    known = person(days_to_income=2.0, contacts_7d=4.0)
    brings = model_part(MODEL, known, arm(1_000, 0))
    full = brings["probability"] - brings["without"]
    lost = brings["counted"][0]["points"] / 100 / full
    against = round(1_000 * (1 - lost) + 20)
    assert model_part(MODEL, known, arm(1_000, against))["would_change"] == ["days_to_income"]
    assert model_part(MODEL, known, arm(1_000, 10))["would_change"] == []
    # Not worth it now, but for the contacts of the week.
    assert "contacts_7d" in model_part(MODEL, known, arm(1_000, 1_050))["would_change"]


def test_words_say_it_and_nothing_of_nobody() -> None:
    known = person(days_to_income=2.0, contacts_7d=4.0)
    said = list(model_words(model_part(MODEL, known, arm(1_000, 1_050))))
    assert said[0].startswith("The model expects that she pays with a chance of ")
    assert any("for the contact: days until money usually comes in, 2 (usual: 15)" in line for line in said)
    assert any("against it: contacts in 7 days, 4 (usual: 1)" in line for line in said)
    assert any("the other way, were contacts in 7 days as usual" in line for line in said)
    usual = list(model_words(model_part(MODEL, person(days_to_income=15.0, contacts_7d=1.0, on_time_share=0.8), arm(1_000, 10))))
    assert "would say the same of anybody" in usual[1]
    assert list(model_words(None)) == []

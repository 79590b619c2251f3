"""Models: the same numbers as scikit-learn's, from a text that is the same each time."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from decisions.learning import trees_of
from decisions.models import Calibration, Input, Line, Model, Term, Trees, UnreadableModelError, encode
from decisions.trees import Tree

COLUMNS = 4


def drawn(seed: int, rows: int, *, unknown: float) -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(seed)
    matrix = chance.normal(size=(rows, COLUMNS)).round(1)
    matrix[:, 3] = chance.integers(0, 2, rows)
    said = (matrix[:, 0] + matrix[:, 1] * matrix[:, 3] + chance.normal(size=rows)) > 0
    matrix[chance.random(matrix.shape) < unknown] = np.nan
    return matrix, said


def model(trees: Trees) -> Model:
    return Model(
        name="tried",
        inputs=(Input(name="a"), Input(name="b"), Input(name="word", words=("x", "y"))),
        parts=(trees, Line(intercept=-0.25, terms=(Term(columns=((0, -1.0, 1.0, 0.125, 2.0), (2, 0.0, 1.0, 0.0, 1.0)), weight=0.5),))),
        calibration=Calibration(kind="sigmoid", numbers=(0.9, -0.1)),
        typical={"a": 0.0, "b": None, "word": "x"},
    )


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 1_000), leaves=st.sampled_from([2, 5, 16]), unknown=st.sampled_from([0.0, 0.2]))
def test_trees_add_up_to_what_scikit_learn_says(seed: int, leaves: int, unknown: float) -> None:
    matrix, said = drawn(seed, 400, unknown=unknown)
    boosted = HistGradientBoostingClassifier(max_iter=8, max_leaf_nodes=leaves, min_samples_leaf=5, early_stopping=False, random_state=seed)
    with threadpool_limits(1):
        boosted.fit(matrix, said)
    others, _ = drawn(seed + 1, 200, unknown=0.3)
    ours = trees_of(boosted).log_odds(others)
    assert np.abs(ours - boosted.decision_function(others)).max() <= 1e-12
    assert len(np.unique(ours)) > 1


def test_a_tree_of_too_many_leaves_is_refused() -> None:
    matrix, said = drawn(1, 2_000, unknown=0.0)
    boosted = HistGradientBoostingClassifier(max_iter=1, max_leaf_nodes=31, early_stopping=False).fit(matrix, said)
    with pytest.raises(ValueError, match="more than 16 leaves"):
        trees_of(boosted)


def test_a_model_comes_back_from_its_text_byte_for_byte() -> None:
    matrix, said = drawn(7, 300, unknown=0.1)
    trees = trees_of(HistGradientBoostingClassifier(max_iter=5, max_leaf_nodes=8, early_stopping=False).fit(matrix, said))
    one = model(trees)
    back = Model.from_json(one.as_json())
    assert back == one
    assert (back.as_json(), back.version) == (one.as_json(), one.version)
    rows = pl.DataFrame({"a": [0.1, None, 3.0], "b": [1.0, 2.0, None], "word": ["x", "z", None]})
    assert back.predict(rows).tolist() == one.predict(rows).tolist()
    assert ((one.predict(rows) > 0) & (one.predict(rows) < 1)).all()


def test_a_line_multiplies_what_is_held_within_bounds() -> None:
    line = Model(
        name="line",
        inputs=(Input(name="a"), Input(name="word", words=("x",))),
        parts=(Line(intercept=1.0, terms=(Term(columns=((0, -1.0, 1.0, 0.5, 2.0), (1, 0.0, 1.0, 0.0, 1.0)), weight=4.0),)),),
        calibration=Calibration(),
        typical={},
    )
    rows = pl.DataFrame({"a": [9.0, 9.0, None], "word": ["x", "y", "x"]})
    assert line.log_odds(rows).tolist() == [1.0 + 4.0 * (1.0 - 0.5) / 2.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("calibration", "wanted"),
    [
        (Calibration(), [0.5, 1 / (1 + np.exp(-1.0))]),
        (Calibration(kind="sigmoid", numbers=(2.0, 0.0)), [0.5, 1 / (1 + np.exp(-2.0))]),
        (Calibration(kind="isotonic", numbers=(-1.0, 1.0, 0.1, 0.3)), [0.2, 0.3]),
    ],
)
def test_each_calibration(calibration: Calibration, wanted: list[float]) -> None:
    assert calibration(np.array([0.0, 1.0])).tolist() == pytest.approx(wanted)


def test_words_become_columns_and_an_unknown_one_is_none_of_them() -> None:
    rows = pl.DataFrame({"n": [1, None], "slot": [3, None], "word": ["x", "other"]})
    matrix = encode(rows, (Input(name="n"), Input(name="slot", words=("2", "3")), Input(name="word", words=("x",))))
    assert np.array_equal(matrix, np.array([[1, 0, 1, 1], [np.nan, 0, 0, 0]]), equal_nan=True)
    with pytest.raises(ValueError, match="looks at gone"):
        encode(rows, (Input(name="gone"),))


@pytest.mark.parametrize("spoilt", ["", "[]", "{}", '{"format":1}', "format", "calibration", "parts"])
def test_what_is_no_model_is_refused(spoilt: str) -> None:
    text = spoilt
    if spoilt.isalpha():
        said = json.loads(model(Trees(baseline=0.0, trees=(Tree(splits=(), leaves=(1.0,)),))).as_json())
        said |= {"format": {"format": 9}, "calibration": {"calibration": ["magic", []]}, "parts": {"parts": [["pickle", 0, []]]}}[spoilt]
        text = json.dumps(said)
    with pytest.raises(UnreadableModelError):
        Model.from_json(text)

"""Real accounts: the Taiwan panel, by our own training, on the split of SCIENCE.md B; and its groups, checked with fairlearn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from fairlearn.metrics import MetricFrame, count, mean_prediction, selection_rate
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from config.learning import learning_terms
from decisions.learning import HELD_OUT, Kind, Trained, train
from tests.decisions.card_panel_rows import CURE, DEFAULT, PROTECTED, cure_rows, default_rows, groups

FILE = Path(__file__).parents[2] / "config" / "imports" / "data" / "uci_credit_card_taiwan.csv.gz"


@pytest.fixture(scope="module")
def panel() -> pl.DataFrame:
    return pl.read_csv(FILE)


def learned(rows: pl.DataFrame, kind: Kind, panel: pl.DataFrame) -> tuple[pl.DataFrame, Trained]:
    """Thirty of a hundred held out, each answer in its share: the split whose line SCIENCE.md B gives, 0.713 and 0.061."""
    _, held = train_test_split(np.arange(rows.height), test_size=0.3, random_state=0, stratify=rows[kind.label].to_numpy())
    split = rows.with_columns(pl.Series(HELD_OUT, np.isin(np.arange(rows.height), held)))
    return split, train(split, kind=kind, seed=0, terms=learning_terms(), method="boosting", groups=groups(panel))


def test_no_protected_column_is_an_input() -> None:
    for kind in (DEFAULT, CURE):
        assert not set(PROTECTED) & {one.name for one in kind.inputs or ()}


def test_default_is_told_apart_and_means_what_it_says(panel: pl.DataFrame) -> None:
    rows, found = learned(default_rows(panel), DEFAULT, panel)
    auc, error = found.metrics["auc"], found.metrics["calibration_error"]
    assert auc is not None
    assert error is not None
    assert (rows.height, found.metrics["rows_measured"]) == (30_000, 9_000)
    assert auc >= 0.765
    assert error <= 0.015
    assert abs(found.metrics["baseline_auc"] or 0) < auc - 0.04
    # The groups are others' arithmetic too.
    held = rows.filter(HELD_OUT)
    likely = found.model.predict(held)
    for attribute in ("sex", "age"):
        named = held.select("party_id").join(
            groups(panel).filter(pl.col("attribute") == attribute), on="party_id", maintain_order="left", how="left"
        )
        said, values = held["defaulted"].to_numpy(), named["value"].to_numpy()
        theirs = MetricFrame(
            metrics={"auc": roc_auc_score, "predicted": mean_prediction, "people": count},
            y_true=said,
            y_pred=likely,
            sensitive_features=values,
        ).by_group
        # Who is selected: as many of the highest as came about; the share of those whose answer is yes is a selection rate too.
        chosen = likely >= np.sort(likely)[-int(said.sum())]
        selected = MetricFrame(metrics=selection_rate, y_true=said, y_pred=chosen, sensitive_features=values).by_group
        observed = MetricFrame(metrics=selection_rate, y_true=said, y_pred=said, sensitive_features=values).by_group
        ours = found.fairness.filter(pl.col("attribute") == attribute)
        assert ours["value"].to_list() == sorted(theirs.index)
        for row in ours.to_dicts():
            of = row["value"]
            assert [row[name] for name in ("auc", "predicted", "people")] == pytest.approx(list(theirs.loc[of]))
            assert (row["selected"], row["observed"]) == pytest.approx((selected[of], observed[of]))
            assert row["gap"] == pytest.approx(observed[of] - theirs.loc[of, "predicted"])


def test_cure_is_told_apart(panel: pl.DataFrame) -> None:
    rows, found = learned(cure_rows(panel), CURE, panel)
    assert rows.height == 4_209
    assert rows["cured"].mean() == pytest.approx(0.303, abs=0.0005)
    assert (found.metrics["auc"] or 0) >= 0.80

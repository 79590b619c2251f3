"""config/evaluation.yaml: when a log cannot tell; a file may ask for more, never for less."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.evaluation import EVALUATION, evaluation
from config.load import ConfigError


def test_the_shipped_file_asks_for_what_the_science_page_proposes() -> None:
    found = evaluation()
    assert (found.money_days, found.cured_days) == (7, (7, 30))
    limits = found.limits
    assert (limits.ess_min, limits.ess_share_min, limits.one_borrower_max, limits.unsupported_max) == (2000, 0.05, 0.02, 0.01)


@pytest.mark.parametrize(
    ("was", "written"),
    [
        ("ess_min: 2000 ", "ess_min: 100 "),
        ("ess_share_min: 0.05", "ess_share_min: 0.01"),
        ("one_borrower_max: 0.02", "one_borrower_max: 0.5"),
        ("unsupported_max: 0.01", "unsupported_max: 0.3"),
        ("folds: 5 ", "folds: 1 "),
        ("posting_days: 2\n", ""),
    ],
)
def test_a_looser_file_is_refused(tmp_path: Path, was: str, written: str) -> None:
    text = EVALUATION.read_text()
    assert was in text
    file = tmp_path / "evaluation.yaml"
    file.write_text(text.replace(was, written))
    with pytest.raises(ConfigError):
        evaluation(file)

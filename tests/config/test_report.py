"""config/report.yaml: a file may hide more, never fewer than ten people."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.load import ConfigError
from config.report import REPORT, report_policy


def test_the_shipped_file_hides_fewer_than_ten() -> None:
    found = report_policy()
    assert (found.cell_min, found.enough, found.ratio_low, found.ratio_high) == (10, 30, 0.8, 1.25)


@pytest.mark.parametrize(
    ("was", "written"), [("cell_min: 10 ", "cell_min: 3 "), ("enough: 30 ", "enough: 5 "), ("ratio_low: 0.8 ", "ratio_low: x ")]
)
def test_a_file_that_shows_few_people_is_refused(tmp_path: Path, was: str, written: str) -> None:
    text = REPORT.read_text()
    assert was in text
    file = tmp_path / "report.yaml"
    file.write_text(text.replace(was, written))
    with pytest.raises(ConfigError):
        report_policy(file)

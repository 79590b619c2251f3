"""The shipped policy of ageing, and what a changed one may not say."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.aging import AGING_FILE, aging_policy
from config.load import ConfigError


def test_the_shipped_buckets_are_those_of_the_glossary() -> None:
    buckets = {name: dict(scheme.buckets) for name, scheme in aging_policy().schemes.items()}
    assert buckets == {
        "standard": {"M1": 1, "M2": 31, "M3": 61, "M4+": 91},
        "nano": {"B1": 1, "B4": 4, "B8": 8, "B16": 16, "B31": 31, "B61": 61},
    }


def test_the_default_days_keep_their_names_and_others_are_named_by_their_first_day() -> None:
    policy = aging_policy()
    assert policy.with_buckets([1, 31, 61, 91]) == ("standard", policy)
    name, own = policy.with_buckets([2, 10])
    assert own.schemes[name].buckets == (("B2", 2), ("B10", 10))
    assert own.schemes[name].stages == policy.schemes["standard"].stages


@pytest.mark.parametrize(
    ("line", "changed", "reason"),
    [
        ("mid: 31", "mid: 1", "stages: first days must be positive and ascend"),
        ("default_scheme: standard", "default_scheme: weekly", "default_scheme weekly is not one of"),
        ("[penalty, fee, interest, principal]", "[penalty, fee]", "allocation must name each"),
        ("pre_due_days: 3", "pre_due_days: soon", "not a whole number"),
        ("nano:", "standard:", "given twice"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused_by_name_of_the_file(tmp_path: Path, line: str, changed: str, reason: str) -> None:
    file = tmp_path / "aging.yaml"
    file.write_text(AGING_FILE.read_text("utf-8").replace(line, changed, 1), "utf-8")
    with pytest.raises(ConfigError, match=reason) as refused:
        aging_policy(file)
    assert refused.value.file == str(file)

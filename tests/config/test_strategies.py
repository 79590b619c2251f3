"""The strategies that ship, and what a strategy file may not say."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from config.load import ConfigError
from config.strategy_files import STRATEGIES, strategy

SHIPPED = (STRATEGIES / "static-ladder" / "early.yaml").read_text()


def _written(folder: Path, text: str, stage: str = "early") -> Path:
    (folder / "mine").mkdir()
    (folder / "mine" / f"{stage}.yaml").write_text(text)
    return folder


def test_the_early_ladder_begins_mildly_and_leaves_days_between_contacts() -> None:
    early = strategy("static-ladder", "early")
    assert early.steps[0].channel == "push"
    assert (early.first_day, early.last_day) == (1, 30)
    assert early.gap_days_min >= 3
    assert early.contacts_max == 2
    assert (early.exploration, early.temperature) == (0.0, 0)


def test_a_strategys_version_is_the_hash_of_its_file() -> None:
    assert strategy("static-ladder", "early").version == sha256(SHIPPED.encode()).hexdigest()


def test_a_step_is_reached_on_its_day_and_stays_reached() -> None:
    early = strategy("static-ladder", "early")
    reached = {day: {channel: step.number for channel, step in early.reached(day).items()} for day in (0, 1, 3, 4, 13, 14, 30, 31)}
    assert reached == {
        0: {},
        1: {"push": 1},
        3: {"push": 1},
        4: {"push": 1, "sms": 2},
        13: {"push": 3, "sms": 2},
        14: {"push": 3, "sms": 4},
        30: {"push": 3, "sms": 4},
        31: {},
    }


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("from_day: 4,", "from_day: 11,", "must ascend"),
        ("from_day: 14,", "from_day: 31,", "outside days_past_due"),
        ("from_day: 1,", "from_day: 0,", "outside days_past_due"),
        ("{from: 1, to: 30}", "{from: 31, to: 30}", "lies after"),
        ("channel: sms,  message: early_reminder", "channel: fax, message: early_reminder", "no kind of contact point"),
        ("[pay_link]", "[pay_link, pay_link]", "named twice"),
        ("exploration: 0.0", "exploration: 1.5", "less than or equal to 1"),
        ("exploration: 0.0", "exploration: lots", "not a share"),
        ("contacts_per_borrower: 2", "contacts_per_borrower: 0", "greater than or equal to 1"),
        ("gap_days: 3", "gap_days: 0", "greater than or equal to 1"),
        ("gap_days: 3", "gap_day: 3", "unknown field"),
        ("stage: early", "stage: late", "stands for the stage early"),
    ],
)
def test_a_strategy_that_makes_no_sense_is_refused(tmp_path: Path, old: str, new: str, reason: str) -> None:
    assert old in SHIPPED
    with pytest.raises(ConfigError, match=reason):
        strategy("mine", "early", _written(tmp_path, SHIPPED.replace(old, new, 1)))


@pytest.mark.parametrize("name", ["../static-ladder", "no-such", ""])
def test_a_strategy_that_does_not_exist_is_refused(name: str) -> None:
    with pytest.raises(ConfigError):
        strategy(name, "early")

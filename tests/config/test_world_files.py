"""World files: what is wrong is said with file, line and reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.load import ConfigError
from config.world_files import read_worlds
from sandbox.parameters import default_world

WORLDS = Path(__file__).resolve().parents[2] / "sandbox" / "worlds"


def _written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "worlds.yaml"
    file.write_text(text)
    return file


def test_worlds_come_in_the_files_order_with_what_is_set(tmp_path: Path) -> None:
    file = _written(tmp_path, "worlds:\n  - {id: b, seed: 7, set: {sms_read: 0.5}}\n  - {id: a, seed: x}\n")
    assert [(one.id, one.seed, dict(one.settings)) for one in read_worlds(file, default_world)] == [
        ("b", "7", {"sms_read": 0.5}),
        ("a", "x", {}),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "worlds:\n  - {id: a, seed: 1}\n  - id: b\n    seed: 2\n    set:\n      sms_raed: 0.5\n",
            "worlds.yaml:6: .*no parameter 'sms_raed'",
        ),
        ("worlds:\n  - id: a\n    seed: 1\n    set:\n      sms_read: 1.5\n", "worlds.yaml:5: .*at most 1"),
        ("worlds:\n  - id: a\n    seed: 1\n    set: {sms_read: much}\n", "worlds.yaml:4: .*number"),
        ("worlds:\n  - {id: a, seed: 1}\n  - {id: a, seed: 2}\n", "worlds.yaml:3: .*two worlds have this id"),
        ("worlds:\n  - {id: a, seed: 1, sets: {}}\n", "worlds.yaml:2: .*"),
        ("worlds: []\n", "worlds.yaml"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_worlds(_written(tmp_path, text), default_world)


@pytest.mark.parametrize("file", sorted(WORLDS.glob("*.yaml")), ids=lambda file: file.stem)
def test_the_shipped_worlds_can_be_opened_and_share_no_seed(file: Path) -> None:
    mine = {one.seed for one in read_worlds(file, default_world)}
    others = {one.seed for other in WORLDS.glob("*.yaml") if other != file for one in read_worlds(other, default_world)}
    assert mine
    assert not mine & others

"""config/canary.yaml: how few go first; a file may be more careful, never less."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from config.canary import CANARY, canary
from config.load import ConfigError
from decisions.canary import MEASURES


def test_the_shipped_file_holds_in_live_mode_and_limits_every_measure() -> None:
    found = canary()
    assert (found.modes, found.allowlist_first, found.share, found.contacts_max) == (("live",), True, 0.01, 200)
    assert found.wait == timedelta(hours=2)
    assert tuple(found.stops_at) == MEASURES


@pytest.mark.parametrize(
    ("was", "written"),
    [
        ("share: 0.01 ", "share: 0.02 "),
        ("contacts_max: 200", "contacts_max: 201"),
        ("wait_minutes: 120", "wait_minutes: 0"),
        ("  dispute: {share: 0.02, people: 2}\n", ""),
        ("modes: [live]", "modes: [production]"),
    ],
)
def test_more_than_one_percent_or_two_hundred_no_wait_or_a_measure_left_out_is_refused(tmp_path: Path, was: str, written: str) -> None:
    text = CANARY.read_text()
    assert was in text
    file = tmp_path / "canary.yaml"
    file.write_text(text.replace(was, written))
    with pytest.raises(ConfigError):
        canary(file)

"""Free help: each entry has its source and its day, and can be called or looked at."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from config.free_help import HELP_FILE, free_help
from config.load import ConfigError


def test_each_service_says_where_that_was_read_and_when() -> None:
    found = free_help()
    assert len(found) >= 8
    for country, services in found.items():
        for one in services:
            assert one.source.startswith("http"), country
            assert one.read_on >= date(2026, 11, 29), country
            assert one.phone or one.address, country


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('phone: "1800 007 007", address: "https://ndh.org.au"', "phone: null, address: null"), "neither a phone nor an address"),
        (('source: "https://ndh.org.au/privacy/"', 'source: "I know it"'), "source"),
        ((", read_on: 2026-11-29}", "}"), "read_on"),
        (("country: AU", "country: Australia"), "country"),
        (('phone: "1800 007 007"', 'phone: "call us; now"'), "phone"),
    ],
)
def test_an_entry_without_its_source_is_refused(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    file = tmp_path / "free_help.yaml"
    file.write_text(HELP_FILE.read_text("utf-8").replace(*change, 1), "utf-8")
    with pytest.raises(ConfigError, match=says):
        free_help(file)

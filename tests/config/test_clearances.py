"""Clearances: providers' words on file, or an error with file, line and reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.clearances import clearances
from config.load import ConfigError
from config.rule_files import RULES, Beside, rule_packs

ONE = "- {provider: twilio, channel: sms, country: US, role: third_party, reference: Ticket 4711, until: 2027-06-30, mode: live}\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "clearances.yaml"


def test_what_ships_clears_the_sandbox_alone() -> None:
    assert rule_packs().clearances == clearances()
    assert {one.mode for one in clearances()} == {"sandbox"}


def test_a_clearance_is_read_as_it_stands(path: Path) -> None:
    path.write_text(ONE, "utf-8")
    [one] = rule_packs(RULES, beside=Beside(clearances=path)).clearances
    assert (one.provider, one.channel, one.country, one.role, one.until.isoformat(), one.mode) == (
        "twilio", "sms", "US", "third_party", "2027-06-30", "live",
    )  # fmt: skip


def test_no_clearances_are_a_list_of_none(path: Path) -> None:
    path.write_text("[]\n", "utf-8")
    assert clearances(path) == ()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("mode: live", "mode: live, by: me", "unknown field"),
        (", until: 2027-06-30", "", "required field is missing"),
        ("2027-06-30", "2027-06-31", "until"),
        ("country: US", "country: ZZ", "is no country"),
        ("country: US", "country: US-NY", "is no country"),
        ("channel: sms", "channel: pigeon", "channel"),
        ("role: third_party", "role: anybody", "role"),
        ("mode: live", "mode: test", "mode"),
        ("Ticket 4711", '" "', "is empty"),
        ("role: third_party", "role: first_party", "given twice"),
    ],
)
def test_a_file_that_is_not_whole_is_refused_with_file_line_and_reason(path: Path, old: str, new: str, says: str) -> None:
    assert ONE.count(old) == 1
    path.write_text(ONE.replace("third_party", "first_party") + ONE.replace(old, new), "utf-8")
    with pytest.raises(ConfigError, match=says) as refused:
        rule_packs(RULES, beside=Beside(clearances=path))
    assert (refused.value.file, refused.value.line) == (str(path), 2)


@pytest.mark.parametrize("text", ["", "provider: twilio\n", ONE[:-3]])
def test_what_is_no_list_of_clearances_is_refused(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=r"clearances\.yaml"):
        clearances(path)


def test_a_file_that_was_not_copied_along_is_refused(path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        clearances(path)

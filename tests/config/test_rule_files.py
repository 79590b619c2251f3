"""Rule packs: what ships is whole, and a pack that is not is refused with file, line and reason."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from config.load import ConfigError
from config.rule_files import RULES, pack_bodies, rule_packs
from decisions.packs import DutyRule

Edit = Callable[[str, str, str], Path]


@pytest.fixture
def edited(tmp_path: Path) -> Edit:
    """A copy of the packs in which a text of one file is replaced; the folder."""
    folder = tmp_path / "rules"
    shutil.copytree(RULES, folder)

    def edit(name: str, old: str, new: str) -> Path:
        text = (folder / name).read_text("utf-8")
        assert text.count(old) >= 1, f"{old!r} is not in {name}"
        (folder / name).write_text(text.replace(old, new, 1), "utf-8")
        return folder

    return edit


def test_a_pack_is_versioned_by_its_bytes() -> None:
    for pack in rule_packs().packs:
        file = RULES / f"{pack.jurisdiction.lower()}.yaml"
        assert pack.version == sha256(file.read_bytes()).hexdigest()
        assert pack_bodies()[pack.jurisdiction] == file.read_text("utf-8")


def test_the_countries_and_the_house_have_packs_the_house_last() -> None:
    assert list(rule_packs().versions) == ["CN", "MX", "TW", "US", "house"]


def test_rule_ids_begin_with_their_jurisdiction() -> None:
    for pack in rule_packs().packs:
        assert [rule.id for rule in pack.rules if not rule.id.startswith(f"{pack.jurisdiction.upper()}-")] == []


def test_sources_were_read_before_the_pack_was_reviewed_and_no_review_is_older_than_half_a_year() -> None:
    newest = max(pack.reviewed_on for pack in rule_packs().packs)
    for pack in rule_packs().packs:
        assert all(source.read_on <= pack.reviewed_on for rule in pack.rules for source in rule.reference)
        assert newest - pack.reviewed_on <= timedelta(days=180)


def test_what_is_recalled_says_what_is_not_verified() -> None:
    assert [rule.id for pack in rule_packs().packs for rule in pack.rules if rule.confidence == "R" and not rule.unverified] == []


def test_the_house_rules_are_the_houses() -> None:
    house = rule_packs().packs[-1]
    assert {rule.basis for rule in house.rules} == {"house"}


def test_a_duty_gates_nothing() -> None:
    gating = {rule.id for _, rule in rule_packs().gating()}
    duties = {rule.id for pack in rule_packs().packs for rule in pack.rules if isinstance(rule, DutyRule)}
    assert duties
    assert gating & duties == set()


def test_a_rule_is_found_by_its_id() -> None:
    pack, rule = rule_packs().rule("US-REGF-HOURS")
    assert (pack.jurisdiction, rule.kind, next(iter(rule.values))) == ("US", "window", date(2021, 11, 30))
    with pytest.raises(KeyError):
        rule_packs().rule("US-REGF-NONE")


@pytest.mark.parametrize(
    ("name", "old", "new", "line", "says"),
    [
        ("tw.yaml", "    reason: outside_contact_hours", "    reasn: outside_contact_hours", None, "unknown field"),
        ("tw.yaml", "    kind: window", "    kind: windows", 8, "TW-HOURS"),
        ("tw.yaml", '{opens: "07:00", closes: "22:00"}', '{opens: "7:00", closes: "22:00"}', 18, "not a time of day"),
        ("tw.yaml", '{opens: "07:00", closes: "22:00"}', '{opens: "22:00", closes: "07:00"}', 18, "must be before"),
        ("tw.yaml", "      2000-01-01: {opens", "      2000-13-01: {opens", None, "2000-13-01"),
        ("tw.yaml", "    clock: every_plausible_zone", "    clock: Asia/Taipeh", 8, "IANA"),
        ("tw.yaml", "    reviewed_by: null\n", "", 8, "required field is missing"),
        ("tw.yaml", "  - id: TW-PERSONS", "  - id: TW-HOURS", None, "given twice"),
        ("tw.yaml", "  - id: TW-PERSONS", "  - id: US-REGF-HOURS", None, "given twice"),
        ("tw.yaml", "jurisdiction: TW", "jurisdiction: MX", None, "belongs into mx.yaml"),
        ("mx.yaml", "    calendar: MX", "    calendar: QQ", 8, "calendar"),
        ("mx.yaml", "    calendar: MX\n", "", 8, "go together"),
        ("mx.yaml", "        holiday: closed\n", "", 8, "go together"),
        ("house.yaml", "    conditions: [paused]", "    conditions: [paused]\n    holds: all", None, "stand alone"),
        ("house.yaml", "    conditions: [paused]", "    conditions: []", None, "neither holds nor conditions"),
        (
            "us.yaml",
            "    values:\n      2021-11-30: {at_most: 7}",
            "    values:\n      2021-11-30: {at_most: 7}\n      2021-11-29: {at_most: 8}",
            None,
            "ascend",
        ),
        ("us.yaml", "      span: P7D ", "      span: 7 days ", None, "not a number of days"),
        ("cn.yaml", "    reference: &gbt\n", "    reference: []\n    x: &gbt\n", None, "at least 1"),
    ],
)
def test_a_pack_that_is_not_whole_is_refused_with_file_line_and_reason(
    edited: Edit, name: str, old: str, new: str, line: int | None, says: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        rule_packs(edited(name, old, new))
    assert says in str(refused.value)
    if line is not None:
        assert (Path(refused.value.file).name, refused.value.line) == (name, line)


def test_no_law_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no rule pack is here"):
        rule_packs(tmp_path)


def test_a_law_without_the_house_is_refused(tmp_path: Path) -> None:
    shutil.copy(RULES / "tw.yaml", tmp_path)
    with pytest.raises(ConfigError, match="no pack of the house"):
        rule_packs(tmp_path)

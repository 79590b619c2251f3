"""The mutation check catches a pack that its cases do not pin down, and a case that fails already."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from config.rule_files import RULES, rule_packs
from tests.mutate import case_files, main, unnoticed

PACK = """\
jurisdiction: ZZ
title: The law of a country that does not exist
owner: compliance@example
reviewed_on: 2026-11-24
status: draft
rules:
  - id: ZZ-HOURS
    says: No call before 9:00 or from 17:00 on.
    kind: window
    applies_to: {channels: [call]}
    clock: Etc/UTC
    values:
      2000-01-01: {opens: "09:00", closes: "17:00"}
    reason: outside_contact_hours
    basis: law
    reference: [{title: Debt Act of Zedland, read_on: 2026-11-20}]
    confidence: V1
    reviewed_by: null
"""
CASE = """\
- id: at-{0}
  jurisdictions: [ZZ]
  creditor_role: third_party
  borrower: {{known_zone: Etc/UTC}}
  proposed: {{at: "2026-03-18T{0}:00Z", channel: call}}
  expect: {{verdict: {1}}}
"""
BORDERS = (("08:59", "blocked"), ("09:00", "allowed"), ("16:59", "allowed"), ("17:00", "blocked"))


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A folder with a made-up law and the house's own."""
    folder = tmp_path / "rules"
    folder.mkdir()
    shutil.copy(RULES / "house.yaml", folder)
    (folder / "zz.yaml").write_text(PACK, "utf-8")
    return folder


def cases(folder: Path, *borders: tuple[str, str], name: str = "ZZ-HOURS") -> Path:
    (folder / "zz").mkdir(exist_ok=True)
    (folder / "zz" / f"{name}.yaml").write_text("".join(CASE.format(*border) for border in borders), "utf-8")
    return folder


def survivors(rules: Path, folder: Path) -> tuple[str, ...]:
    return unnoticed(rule_packs(rules), "ZZ", "ZZ-HOURS", case_files("ZZ", folder)).survivors


def test_cases_on_both_sides_of_each_border_leave_no_survivor(rules: Path, tmp_path: Path) -> None:
    assert survivors(rules, cases(tmp_path, *BORDERS)) == ()


@pytest.mark.parametrize(
    ("gone", "survives"),
    [
        (0, "opens: 09:00 → 08:59"),
        (1, "opens: 09:00 → 09:01"),
        (2, "closes: 17:00 → 16:59"),
        (3, "closes: 17:00 → 17:01"),
    ],
)
def test_a_border_without_its_case_is_found(rules: Path, tmp_path: Path, gone: int, survives: str) -> None:
    found = survivors(rules, cases(tmp_path, *(border for number, border in enumerate(BORDERS) if number != gone)))
    assert found == (f"ZZ-HOURS: values.2000-01-01.{survives}",)


def test_cases_in_another_file_of_the_jurisdiction_notice_too(rules: Path, tmp_path: Path) -> None:
    cases(tmp_path, *BORDERS[:2])
    assert survivors(rules, cases(tmp_path, *BORDERS[2:], name="ZZ-OTHER")) == ()


def test_a_rule_without_cases_is_all_survivors(rules: Path, tmp_path: Path) -> None:
    assert len(survivors(rules, tmp_path)) == 4


def test_a_case_that_fails_already_notices_nothing(rules: Path, tmp_path: Path) -> None:
    folder = cases(tmp_path, *BORDERS[:3], ("17:00", "allowed"))
    outcome = unnoticed(rule_packs(rules), "ZZ", "ZZ-HOURS", case_files("ZZ", folder))
    assert outcome.failing == {"ZZ-HOURS: at-17:00"}
    assert outcome.survivors == ("ZZ-HOURS: values.2000-01-01.closes: 17:00 → 17:01",)


def test_the_command_names_the_file_the_rule_and_the_number(rules: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    asked = ["--rules", str(rules), "--cases", str(cases(tmp_path, *BORDERS[:3])), "--jurisdiction", "ZZ"]
    assert main(asked) == 1
    assert capfd.readouterr().out.splitlines() == [
        "survived: zz.yaml: ZZ-HOURS: values.2000-01-01.closes: 17:00 → 17:01",
        "ZZ: 4 numbers changed, 3 noticed, 1 survived",
    ]


def test_the_command_refuses_a_jurisdiction_that_has_no_pack(rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rules", str(rules), "--jurisdiction", "QQ"]) == 2
    assert "there are ZZ, house" in capsys.readouterr().err

"""Case files: where a person of a case may be, and whose law attaches."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.load import ConfigError
from config.rule_cases import read_rule_cases, rule_cases_of

CASE = "- {id: c, %s proposed: {at: 2026-03-18T12:00:00-04:00, channel: call}}\n"


def borrower(tmp_path: Path, who: str, more: str = "") -> dict[str, list[str]]:
    path = tmp_path / "case.yaml"
    path.write_text(CASE % f"{more} borrower: {who},", "utf-8")
    return read_rule_cases(path).facts.borrowers.row(0, named=True)


@pytest.mark.parametrize(
    ("who", "attached"),
    [
        ('{country: US, region: NY, postal_code: "10001"}', ["US", "US-NY", "US-NY-NYC"]),
        ('{country: US, region: NJ, postal_code: "10001"}', ["US", "US-NJ", "US-NY", "US-NY-NYC"]),
        ("{country: FR}", ["EU", "FR"]),
        ("{country: US, region: US-MA, known_zone: Asia/Tokyo}", ["US", "US-MA", "JP"]),
        ("{known_zone: Asia/Tokyo}", []),
        ("{country: ZW}", ["ZW"]),
        ("{}", []),
    ],
)
def test_the_law_of_residence_postal_code_and_location_attaches(tmp_path: Path, who: str, attached: list[str]) -> None:
    assert borrower(tmp_path, who)["jurisdictions"] == attached


def test_stated_jurisdictions_stand_alone_with_what_they_bring_along(tmp_path: Path) -> None:
    read = borrower(tmp_path, '{country: MX, postal_code: "22000", known_zone: Asia/Tokyo}', "jurisdictions: [US-NY-NYC, DE],")
    assert read["jurisdictions"] == ["US", "US-NY", "US-NY-NYC", "EU", "DE"]


def test_a_postal_code_says_where_a_person_may_be(tmp_path: Path) -> None:
    alone = borrower(tmp_path, '{country: US, postal_code: "90210"}')
    assert alone["zones"] == alone["home_zones"] == ["America/Los_Angeles"]
    torn = borrower(tmp_path, '{country: US, region: NY, postal_code: "90210", phones: ["+13125550100"]}')
    assert torn["zones"] == ["America/Chicago", "America/Los_Angeles", "America/New_York"]
    assert torn["home_zones"] == ["America/Los_Angeles", "America/New_York"]


def test_a_case_that_is_typed_is_read_as_one_of_a_file(tmp_path: Path) -> None:
    typed = CASE % "borrower: {country: FR},"
    (tmp_path / "case.yaml").write_text(typed, "utf-8")
    alone = typed.removeprefix("- ")
    for text in (typed, alone):
        read = rule_cases_of(text, "form")
        assert read.ids == ["c"]
        assert read.facts.borrowers.equals(read_rule_cases(tmp_path / "case.yaml").facts.borrowers)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "form"),
        ("hello", "form"),
        ("{id: c}", "proposed"),
        ("{id: c,\n proposed: {at: yesterday, channel: call}}", "form:2"),
        ("{id: c, unknown: 1, proposed: {at: 2026-03-18T12:00:00-04:00, channel: call}}", "unknown"),
        ("a: &a [1]\nb: *a", "alias"),
        ("[" * 5_000, "form"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_place_and_repeats_are_refused(typed: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        rule_cases_of(typed, "form")

"""The law's own examples: every case of tests/cases/<jurisdiction>/*.yaml, in the format of CASES.md."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from config.rule_cases import RuleCases, read_rule_cases
from config.rule_files import rule_packs
from decisions.rule_answers import answers, differences

FILES = sorted(path for path in Path(__file__).parent.glob("*/*.yaml") if path.parent.name not in {"aging", "replies"})


@cache
def read(path: Path) -> RuleCases:
    return read_rule_cases(path)


@cache
def answered(path: Path) -> dict[str, dict[str, Any]]:
    cases = read(path)
    return {answer["id"]: answer for answer in answers(cases.ids, cases.facts, cases.candidates, rule_packs())}


@pytest.mark.parametrize(
    ("path", "case_id"),
    [pytest.param(path, case_id, id=f"{path.parent.name}/{path.stem}/{case_id}") for path in FILES for case_id in read(path).ids],
)
def test_case_is_answered_as_expected(path: Path, case_id: str) -> None:
    expected = dict(zip(read(path).ids, read(path).expected, strict=True))[case_id]
    assert expected, "a case that expects nothing cannot fail"
    assert differences(answered(path)[case_id], expected) == []


def test_each_gating_rule_has_a_case_that_it_refuses_and_one_that_it_allows() -> None:
    refused: Counter[str] = Counter()
    allowed: Counter[str] = Counter()
    for path in FILES:
        for expected in read(path).expected:
            refused.update(expected.get("rules", ()))
            if expected.get("verdict") == "allowed":
                allowed[path.stem] += 1
    gating = {rule.id for _, rule in rule_packs().gating()}
    # Three rules of the house speak of feeds, pauses and approvals, of which cases know nothing; their own tests are elsewhere.
    without_cases = {"HOUSE-PAUSED", "HOUSE-STALE-PAYMENTS", "HOUSE-UNAPPROVED"}
    assert gating - set(refused) - without_cases == set()
    assert gating - set(allowed) - without_cases == set()


def test_cases_stand_in_files_named_by_the_rule() -> None:
    ids = {rule.id for _, rule in rule_packs().gating()}
    assert {path.stem for path in FILES} <= ids

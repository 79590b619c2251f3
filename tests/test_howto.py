"""docs/howto-add-a-jurisdiction.md is true: its pack is read, its cases hold, and what it says survives does."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from config.rule_cases import read_rule_cases
from config.rule_files import RULES, rule_packs
from decisions.packs import Packs
from decisions.rule_answers import answers, differences
from tests.mutate import case_files, unnoticed

HOWTO = (Path(__file__).parents[1] / "docs" / "howto-add-a-jurisdiction.md").read_text("utf-8")
FILES = re.findall(r"```yaml\n# (add to )?(\S+/\S+\.yaml)\n(.*?)```", HOWTO, re.DOTALL)


def folder(where: Path, *, whole: bool) -> Path:
    """A checkout's files as the page has them written, with or without what is to be added."""
    (where / "config" / "rules").mkdir(parents=True)
    shutil.copy(RULES / "house.yaml", where / "config" / "rules")
    for more, name, text in FILES:
        file = where / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if not more:
            file.write_text(text, "utf-8")
        elif whole:
            file.write_text(file.read_text("utf-8") + "\n" + text, "utf-8")
    return where


def law(where: Path) -> Packs:
    return rule_packs(where / "config" / "rules")


def survivors(where: Path) -> list[str]:
    packs = law(where)
    files = case_files("ZZ", where / "tests" / "cases")
    return [
        f"survived: zz.yaml: {survivor}"
        for rule in next(pack for pack in packs.packs if pack.jurisdiction == "ZZ").rules
        for survivor in unnoticed(packs, "ZZ", rule.id, files).survivors
    ]


@pytest.mark.parametrize("whole", [False, True])
def test_every_case_of_the_page_is_answered_as_it_expects(tmp_path: Path, whole: bool) -> None:
    where = folder(tmp_path, whole=whole)
    files = case_files("ZZ", where / "tests" / "cases")
    assert len(files) == 3
    for file in files:
        cases = read_rule_cases(file)
        for answer, expected in zip(answers(cases.ids, cases.facts, cases.candidates, law(where)), cases.expected, strict=True):
            assert differences(answer, expected) == []


def test_what_the_page_says_survives_does_and_what_it_adds_notices_it(tmp_path: Path) -> None:
    said = re.findall(r"^survived: .*$", HOWTO, re.MULTILINE)
    assert len(said) == 2
    assert survivors(folder(tmp_path / "first", whole=False)) == said
    assert survivors(folder(tmp_path / "whole", whole=True)) == []


def test_every_kind_of_rule_is_named() -> None:
    kinds = {rule.kind for pack in rule_packs().packs for rule in pack.rules}
    assert {kind for kind in kinds if f"`{kind}`" not in HOWTO} == set()

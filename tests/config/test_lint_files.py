"""The word lists as files: what is wrong in one is said with its place, and nothing is half read."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from config.lint_files import EXAMPLES, EXCEPTIONS, LINT, longest_values, word_lists
from config.load import ConfigError
from config.message_files import message_texts
from decisions.lint_sizes import currencies


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("en.yaml", EXAMPLES, EXCEPTIONS):
        shutil.copy(LINT / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("  words: [\n    asham*", "  words: [\n    '...', asham*", "shame: can never be found"),
        ("  words: [\n    asham*", "  words: [\n    a ~, asham*", "shame: can never be found"),
        ("serves: [US,", "serves: [XX, US,", "is no country"),
        ("spaces: words", "spaces: often", "spaces"),
        ("shame:\n", "shames:\n", "unknown field"),
        ("measure: flesch_kincaid", "measure: guess", "measure"),
    ],
)
def test_a_list_that_could_guard_nobody_is_refused(folder: Path, before: str, after: str, reason: str) -> None:
    file = folder / "en.yaml"
    assert before in file.read_text()
    file.write_text(file.read_text().replace(before, after, 1))
    with pytest.raises(ConfigError, match=reason) as refused:
        word_lists(folder)
    assert refused.value.file.endswith("en.yaml")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{text: m/en, version: abc, rule: threat, reason: it must be so, approved_by: a, approved_on: 2026-11-29}", "version"),
        (
            f"{{text: m/en, version: {'0' * 64}, rule: rudeness, reason: it must be so, approved_by: a, approved_on: 2026-11-29}}",
            "is no rule",
        ),
        (f"{{text: m/en, version: {'0' * 64}, rule: threat, approved_by: a, approved_on: 2026-11-29}}", "required field is missing"),
    ],
)
def test_an_exception_names_a_version_a_rule_and_a_reason(folder: Path, line: str, reason: str) -> None:
    (folder / EXCEPTIONS).write_text(f"- {line}\n")
    with pytest.raises(ConfigError, match=reason):
        word_lists(folder)


def test_a_list_may_count_in_another_language_that_there_is(folder: Path) -> None:
    with (folder / "en.yaml").open("a") as file:
        file.write("with_lists_of: [fr]\n")
    with pytest.raises(ConfigError, match="there is no list for fr"):
        word_lists(folder)


def test_every_language_of_a_text_has_its_list_and_money_of_its_countries() -> None:
    lists, longest = word_lists(), longest_values()
    locales = {text.locale for text in message_texts().by_key.values()}
    assert locales <= set(lists.languages)
    assert [locale for locale, language in lists.languages.items() if not currencies(language, longest)] == []


def test_a_currency_that_does_not_exist_is_refused(folder: Path) -> None:
    file = folder / EXAMPLES
    file.write_text(file.read_text().replace("  USD:", "  XXQ:", 1))
    with pytest.raises(ConfigError, match="no currency"):
        longest_values(folder)

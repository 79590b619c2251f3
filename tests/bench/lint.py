"""Lint: all messages of all locales through the linter, from the files to the findings, in a process of its own.

The floor is what any linter would have to do that reads these files at all: the YAML of texts and word lists, and one plain
search for each listed phrase in each text of its language.

In:   the shipped texts; `--quick` changes nothing, there are few of them.
Out:  one result; its target is in seconds, and counts what a fresh process reads: lists, packs, the reply reader's words.
Pure: no; measures. No database is involved.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import yaml

from config.lint_files import LINT
from config.message_files import MESSAGES, message_texts
from tests.bench.harness import Result, by_turns

SECONDS_TARGET: Final = 5.0
ROUNDS: Final = 5
SECONDS_MAX: Final = 90.0
COMMAND: Final = (sys.executable, "-m", "tideover", "message", "lint", "--json")
FLOOR: Final = (sys.executable, "-m", "tests.bench.lint")


def run(*, scale: int) -> Iterator[Result | dict[str, object]]:
    """Measure the command as its users give it.

    Args:
        scale: Not used: all texts are linted, always.
    """
    del scale
    sides = by_turns(lambda: _run(COMMAND), lambda: _run(FLOOR), rounds=ROUNDS, seconds_max=SECONDS_MAX)
    report = sides.report()
    yield Result(
        name="lint",
        size=len(message_texts().by_key),
        unit="texts",
        ratio=report["seconds"] / report["floor_seconds"],
        ratio_means="the command's seconds, start of the process included, over those of reading the same files and searching plainly",
        target=f"{SECONDS_TARGET:g} s",
        met=report["seconds"] <= SECONDS_TARGET,
        more=sides.spread(),
        **report,
    )


def _run(command: tuple[str, ...]) -> None:
    # One is the answer where a text has an error; two would be that nothing was linted.
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    assert done.returncode in {0, 1}, "the linter could not read its files"


def floor() -> int:
    """The least that a linter does: how many phrases it found."""
    phrases = {path.stem: [phrase for phrase in _leaves(_plain(path)) if len(phrase) > 1] for path in LINT.glob("*.yaml")}
    texts = [(path.stem, "\n".join(_leaves(_plain(path))).casefold()) for path in MESSAGES.glob("*/*.yaml")]
    return sum(phrase in words for locale, words in texts for phrase in phrases.get(locale, ()))


def _plain(path: Path) -> object:
    return yaml.load(path.read_text("utf-8"), Loader=yaml.CBaseLoader)  # noqa: S506  # a base loader makes nothing but text


def _leaves(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _leaves(one)
    elif isinstance(value, str):
        yield value


if __name__ == "__main__":
    floor()

"""The one reader: text stays text, keys stay unique, and an error says where."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from config.load import ConfigError, Day, Strict, Whole, read


class Rule(Strict):
    """A small form, to read."""

    id: str
    opens: str
    values: Annotated[dict[str, Whole], Field(default_factory=dict)]
    until: Day | None = None


class Pack(Strict):
    """A form with a list inside."""

    rules: list[Rule]


def written(folder: Path, text: str) -> Path:
    file = folder / "pack.yaml"
    file.write_text(text, "utf-8")
    return file


def test_scalars_stay_the_text_that_was_written(tmp_path: Path) -> None:
    """YAML 1.1 alone would read 1260, false and an octal number."""
    texts = read(
        written(tmp_path, "{opens: 21:00, country: NO, code: 010, quoted: 'null', nothing: null, tilde: ~, empty: }"), dict[str, str | None]
    )
    assert texts == {"opens": "21:00", "country": "NO", "code": "010", "quoted": "null", "nothing": None, "tilde": None, "empty": None}


def test_an_item_of_a_list_is_named_by_its_id_with_its_line(tmp_path: Path) -> None:
    file = written(tmp_path, 'rules:\n  - {id: R1, opens: "08:00"}\n  - id: R2\n    opens: "08:00"\n    values:\n      2021-11-30: many\n')
    with pytest.raises(ConfigError) as refused:
        read(file, Pack)
    assert (refused.value.line, refused.value.where, refused.value.reason) == (6, "rules[R2].values.2021-11-30", "not a whole number")
    assert str(refused.value) == f"{file}:6: rules[R2].values.2021-11-30: not a whole number"


def test_a_repeated_key_is_an_error_with_its_line_and_not_the_last_word(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="given twice") as refused:
        read(written(tmp_path, "rules:\n  - id: R1\n    opens: a\n    opens: b\n"), Pack)
    assert refused.value.line == 4


def test_a_process_hands_an_error_to_another_one_whole(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        read(written(tmp_path, "rules:\n  - id: R1\n    opens: a\n    opens: b\n"), Pack)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool, pytest.raises(ConfigError) as handed_on:
        pool.submit(raised, refused.value).result()
    assert (str(handed_on.value), handed_on.value.line) == (str(refused.value), refused.value.line)


def raised(error: ConfigError) -> None:
    raise error


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    assert read(written(tmp_path, "\ufeffrules: []"), Pack) == Pack(rules=[])


def test_a_file_nested_without_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not YAML"):
        read(written(tmp_path, "[" * 50_000), Pack)


def test_a_literal_backslash_in_json_is_not_read_as_an_escape(tmp_path: Path) -> None:
    assert read(written(tmp_path, r'{"text": "\\ud83d\\ude42 \ud83d\ude42 \/ \u00e9"}'), dict[str, str]) == {"text": r"\ud83d\ude42 🙂 / é"}

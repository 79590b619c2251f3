"""`tideover message measure`, as CASES.md describes it."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from tideover import app


def measured(*lines: str, smart: bool = False) -> list[dict[str, object]]:
    answer = CliRunner().invoke(app, ["message", "measure", *(["--smart"] if smart else [])], input="".join(f"{line}\n" for line in lines))
    assert answer.exit_code == 0
    return [json.loads(line) for line in answer.stdout.splitlines()]


def test_each_text_is_answered_on_a_line_of_its_own() -> None:
    assert measured('{"text": "Hi"}', "", '{"text": "m\\u00e1s"}', json.dumps({"text": "a" * 161})) == [
        {"encoding": "GSM-7", "units": 2, "segments": 1},
        {"encoding": "UCS-2", "units": 3, "segments": 1},
        {"encoding": "GSM-7", "units": 161, "segments": 2},
    ]


def test_smart_encoding_is_counted_only_when_asked_for() -> None:
    quoted = json.dumps({"text": "“" + "a" * 100 + "”"})
    assert [answer[0]["segments"] for answer in (measured(quoted), measured(quoted, smart=True))] == [2, 1]


@pytest.mark.parametrize("line", ["text", "[]", '{"text": 3}', '{"words": "x"}', '{"text": "x"'])
def test_a_line_that_is_not_a_text_is_named_and_not_repeated(line: str) -> None:
    refused = CliRunner().invoke(app, ["message", "measure"], input=f'{{"text": "fine"}}\n{line}\n')
    assert refused.exit_code == 2
    assert refused.stderr.startswith("standard input:2: ")


def test_bytes_that_are_no_text_are_refused() -> None:
    refused = CliRunner().invoke(app, ["message", "measure"], input=b'{"text": "\xff"}\n')
    assert refused.exit_code == 2

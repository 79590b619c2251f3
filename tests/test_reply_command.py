"""`tideover reply read`: one question a line, one answer a line, as CASES.md says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tideover import app

FIELDS = {"intent", "date", "amount_minor", "also", "scope", "because"}


def read(*questions: Any) -> Result:
    lines = "\n".join(one if isinstance(one, str) else json.dumps(one, ensure_ascii=False) for one in questions)
    return CliRunner().invoke(app, ["reply", "read"], input=lines)


def answers(*questions: dict[str, Any]) -> list[dict[str, Any]]:
    result = read(*questions)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_each_line_has_its_answer_in_the_same_order() -> None:
    told = answers(
        {"text": "I'll pay $50 Friday, stop calling", "locale": "en", "received_at": "2026-03-17T10:00:00-04:00", "currency": "USD"},
        {"text": "please stop texting me"},
        {"text": "STOP"},
        {"text": ""},
    )
    assert told[0] == {
        "intent": "stop",
        "date": "2026-03-20",
        "amount_minor": 5000,
        "also": ["promise"],
        "scope": ["voice", "call"],
        "because": "stop",
    }
    assert [one["scope"] for one in told] == [["voice", "call"], ["sms"], "all", []]
    assert told[3]["intent"] == "unclear"
    assert all(one.keys() == FIELDS for one in told)


def test_the_day_is_that_of_the_instants_own_offset() -> None:
    question = {"text": "tomorrow"}
    told = answers(question | {"received_at": "2026-03-17T23:30:00-04:00"}, question | {"received_at": "2026-03-18T03:30:00Z"}, question)
    assert [one["date"] for one in told] == ["2026-03-18", "2026-03-19", None]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "not a JSON object"),
        ("[]", "not a JSON object"),
        ({"texts": "x"}, "not a JSON object"),
        ({"text": 5}, "not a JSON object"),
        ({"text": "x", "lang": "en"}, "unknown fields: lang"),
        ({"text": "x", "received_at": "yesterday"}, "not an instant"),
        ({"text": "x", "received_at": "2026-03-17T10:00:00"}, "offset"),
        ({"text": "x", "currency": 5}, "currency: not a text"),
    ],
)
def test_a_line_that_is_no_question_ends_it_with_its_number(line: Any, says: str) -> None:
    result = read({"text": "STOP"}, line)
    assert result.exit_code == 2
    assert f"standard input:2: {says}" in result.stderr or says in result.stderr
    assert "standard input:2" in result.stderr
    assert len(result.stdout.splitlines()) == 1

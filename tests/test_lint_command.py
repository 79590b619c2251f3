"""`tideover message lint`, as its users give it: on the shipped texts, and on texts with planted faults."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tideover import app

HEAD = "purpose: collection\ncreditor_roles: [first_party]\napproved: true\n"
GOOD = "{creditor}: {amount} that was due on {due_on} is still open. Pay or ask for more time: {link} Reply {stop} to stop texts."


def folder_with(tmp_path: Path, *lines: str, locale: str = "en", writes_like: str = "en-US", stop: str = "STOP") -> Path:
    (tmp_path / "m").mkdir()
    (tmp_path / "locales.yaml").write_text(f"{locale}: {{writes_like: {writes_like}, stop: {stop}}}\n")
    (tmp_path / "m" / f"{locale}.yaml").write_text(HEAD + "".join(f"{line}\n" for line in lines))
    return tmp_path


def linted(*arguments: str, code: int = 0) -> dict[str, Any]:
    answer = CliRunner().invoke(app, ["message", "lint", "--json", *arguments])
    assert answer.exit_code == code, answer.output
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def rules(found: dict[str, Any]) -> set[str]:
    return {one["rule"] for one in found["findings"]}


def test_a_good_text_has_no_finding(tmp_path: Path) -> None:
    found = linted("--folder", str(folder_with(tmp_path, f'sms: "{GOOD}"')))
    assert (found["messages"], found["locales"], found["findings"]) == (1, 1, [])


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        ("We will take legal action.", "threat"),
        ("Shame on you.", "shame"),
        ("Act now.", "false_urgency"),
        ("Our lawyers know.", "imitation"),
        ("We will call your employer.", "third_party"),
        ("Apply for a new loan.", "other_purpose"),
        ("Your debt.", "trade_word"),
        ("Pay!", "shouting"),
        ("TODO", "placeholder"),
        ("See www.x.com.", "link"),
        ("Call +1 555 010 0199.", "phone_number"),
        ("Рay.", "mixed_script"),
        ("Pay (now.", "brackets"),
    ],
)
def test_a_planted_fault_is_named_with_its_place_and_ends_with_one(tmp_path: Path, words: str, rule: str) -> None:
    found = linted("--folder", str(folder_with(tmp_path, f'sms: "{GOOD} {words}"')), code=1)
    (one,) = [one for one in found["findings"] if one["rule"] == rule]
    assert (one["message"], one["locale"], one["channel"], one["severity"], one["line"]) == ("m", "en", "sms", "error", 4)
    assert one["file"].endswith("m/en.yaml")
    assert one["words"]
    assert one["because"]
    assert one["instead"]


def test_a_notification_may_tell_no_debt_and_says_how_to_turn_it_off(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, f'sms: "{GOOD}"', 'push_title: "{creditor}"', 'push_body: "A payment was due on {due_on}."')
    assert {"reveals_debt", "opt_out"} <= rules(linted("--folder", str(folder), code=1))


def test_words_for_people_name_file_line_rule_reason_and_what_to_write(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, f'sms: "{GOOD} This is your final notice."')
    answer = CliRunner().invoke(app, ["message", "lint", "--folder", str(folder)])
    assert answer.exit_code == 1
    first, last = answer.stdout.splitlines()[0], answer.stdout.splitlines()[-1]
    assert "m/en.yaml:4: error: false_urgency: sms.body “final notice”: it presses" in first
    assert last.startswith("1 messages in 1 locales: 1 errors, 0 warnings.")


def test_a_curly_quote_that_costs_twice_is_a_warning(tmp_path: Path) -> None:
    found = linted("--folder", str(folder_with(tmp_path, f'sms: "{GOOD} That’s all."')))
    (one,) = [one for one in found["findings"] if one["rule"] != "too_long"]
    assert (one["rule"], one["severity"], one["words"], one["instead"]) == ("encoding", "warning", "’", "write '")


def test_a_stop_word_that_nobody_reads_is_an_error(tmp_path: Path) -> None:
    found = linted("--folder", str(folder_with(tmp_path, f'sms: "{GOOD}"', stop="BANANA")), code=1)
    assert rules(found) == {"stop_word"}
    assert found["findings"][0]["file"].endswith("locales.yaml")


def test_the_law_of_the_places_where_a_text_is_read_is_asked(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, f'sms: "{GOOD}"')
    file = folder / "m" / "en.yaml"
    file.write_text(file.read_text().replace("first_party", "third_party"))
    found = [one for one in linted("--folder", str(folder), code=1)["findings"] if one["rule"] == "lacks"]
    assert [one["words"] for one in found] == ["attempt_to_collect_a_debt, information_used_for_that_purpose, from_a_debt_collector"]
    assert found[0]["because"].startswith("US-REGF-MINIMIRANDA (US), third_party:")


def test_what_the_law_makes_a_collector_say_is_not_held_against_it(tmp_path: Path) -> None:
    said = "This is an attempt to collect a debt and any information obtained will be used for that purpose. This is from a debt collector."
    folder = folder_with(tmp_path, f'sms: "{GOOD} {said}"')
    file = folder / "m" / "en.yaml"
    file.write_text(file.read_text().replace("first_party", "third_party"))
    assert rules(linted("--folder", str(folder))) <= {"too_long", "hard_to_read", "long_sentence"}


def test_a_file_that_cannot_be_read_ends_with_two(tmp_path: Path) -> None:
    broken = CliRunner().invoke(app, ["message", "lint", "--folder", str(folder_with(tmp_path, "smss: x"))])
    assert broken.exit_code == 2
    assert "m/en.yaml" in broken.stderr


def test_a_locale_that_is_not_there_is_refused() -> None:
    refused = CliRunner().invoke(app, ["message", "lint", "--locale", "xx"])
    assert (refused.exit_code, refused.stdout) == (2, "")


def test_what_automated_calls_say_is_linted_with_the_messages() -> None:
    assert linted()["findings"] == [], "no warning either"
    spoken = linted("--message", "voice", "--locale", "en")
    assert spoken["findings"] == []
    unknown = CliRunner().invoke(app, ["message", "lint", "--message", "voices"])
    assert (unknown.exit_code, ", voice" in unknown.stderr) == (2, True)

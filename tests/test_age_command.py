"""`tideover age FILE`: what a compliance officer writes, reads, and is told when her file is wrong (CASES.md)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tideover import app

HOUSE = Path(__file__).parents[1]
CASE_FILES = sorted((HOUSE / "tests" / "cases" / "aging").glob("*.yaml"))
LATE = "{currency: USD, instalments: [{due_on: 2026-03-01, principal: 100}]}"


def tideover_age(file: Path) -> Result:
    return CliRunner().invoke(app, ["age", str(file)])


def age_text(folder: Path, text: str, name: str = "cases.yaml") -> Result:
    file = folder / name
    file.write_text(text, "utf-8")
    return tideover_age(file)


def one_case(loan: str = LATE, more: str = "") -> str:
    return f"- id: one\n  as_of: 2026-03-21\n  loan: {loan}\n{more}"


@pytest.mark.parametrize("file", CASE_FILES, ids=lambda file: file.stem)
def test_every_expectation_of_the_case_files_holds(file: Path) -> None:
    result = tideover_age(file)
    assert (result.exit_code, result.stderr) == (0, "")


def test_the_answers_come_in_the_order_of_the_file_with_every_field(tmp_path: Path) -> None:
    result = age_text(tmp_path, one_case() + one_case().replace("one", "two"))
    first, second = (json.loads(line) for line in result.stdout.splitlines())
    assert (result.exit_code, first["id"], second["id"]) == (0, "one", "two")
    assert first == {
        "id": "one",
        "days_past_due": 20,
        "delinquent_days": 20,
        "past_due": 100,
        "outstanding": 100,
        "credit": 0,
        "oldest_unpaid_due_on": "2026-03-01",
        "next_due_on": None,
        "bucket": "M1",
        "stage": "early",
        "by_instalment": [{"due_on": "2026-03-01", "days_past_due": 20, "delinquent_days": 20, "unpaid": 100, "bucket": "M1"}],
        "treatment": "early",
    }


def test_what_does_not_hold_is_told_field_by_field_and_exits_with_1(tmp_path: Path) -> None:
    expect = "  expect: {days_past_due: 20, bucket: M2, stage: null, next_due_on: 2026-04-01, by_instalment: [{unpaid: 99}]}\n"
    result = age_text(tmp_path, one_case(more=expect))
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 1
    assert result.stderr.splitlines() == [
        'one: next_due_on: expected "2026-04-01", got null',
        'one: bucket: expected "M2", got "M1"',
        'one: stage: expected null, got "early"',
        "one: by_instalment[0].unpaid: expected 99, got 100",
    ]


def test_a_row_too_many_or_too_few_does_not_hold(tmp_path: Path) -> None:
    result = age_text(tmp_path, one_case(more="  expect: {by_instalment: []}\n"))
    assert (result.exit_code, result.stderr) == (1, "one: by_instalment: expected 0 rows, got 1\n")


def test_an_empty_list_of_cases_holds(tmp_path: Path) -> None:
    assert (age_text(tmp_path, "[]").exit_code, age_text(tmp_path, "[]").stdout) == (0, "")


def test_json_is_read_as_it_is_written_by_programs(tmp_path: Path) -> None:
    case = {
        "id": "émoji 🙂 / tab",
        "as_of": "2026-03-21",
        "loan": {
            "currency": "USD",
            "instalments": [{"due_on": "2026-03-01", "principal": 100}],
            "payments": [{"paid_on": "2026-03-02", "amount": -5}],
            "plan": None,
        },
        "expect": {"days_past_due": 20, "next_due_on": None},
    }
    for name in ("cases.json", "cases.yaml"):
        result = age_text(tmp_path, json.dumps([case], indent="\t"), name)
        assert (result.exit_code, result.stderr, json.loads(result.stdout)["id"]) == (0, "", case["id"])


WRONG = {
    "an unknown field of the case": (one_case(more="  note: x\n"), ":4: one: note: unknown field"),
    "an unknown field of the loan": (one_case("{currency: USD, instalments: [], colour: red}"), "one: loan.colour: unknown field"),
    "an unknown field of an instalment": (
        one_case("{currency: USD, instalments: [{due_on: 2026-03-01, tax: 1}]}"),
        "one: loan.instalments[0].tax: unknown field",
    ),
    "an unknown field of expect": (one_case(more="  expect: {dpd: 3}\n"), "one: expect.dpd: unknown field"),
    "no id": ("- as_of: 2026-03-21\n  loan: " + LATE, ":1: 0: id: required field is missing"),
    "an empty id": (one_case().replace("one", '""'), "id: String should have at least 1 character"),
    "no as_of": ("- id: one\n  loan: " + LATE, "one: as_of: required field is missing"),
    "no loan": ("- id: one\n  as_of: 2026-03-21\n", "one: loan: required field is missing"),
    "no currency": (one_case("{instalments: []}"), "one: loan.currency: required field is missing"),
    "no instalments": (one_case("{currency: USD}"), "one: loan.instalments: required field is missing"),
    "a currency that is null": (one_case("{currency: null, instalments: []}"), "one: loan.currency: required field is missing"),
    "no due date": (
        one_case("{currency: USD, instalments: [{principal: 1}]}"),
        "one: loan.instalments[0].due_on: required field is missing",
    ),
    "no payment date": (
        one_case("{currency: USD, instalments: [], payments: [{amount: 1}]}"),
        "one: loan.payments[0].paid_on: required field is missing",
    ),
    "a day that is not in the calendar": (one_case().replace("2026-03-21", "2026-02-30"), ":2: one: as_of: no such day in the calendar"),
    "a date with a time": (one_case().replace("2026-03-21", "2026-03-21T00:00:00"), "one: as_of: not a date like 2026-03-31"),
    "a date as a number": (one_case().replace("2026-03-21", "1700000000"), "one: as_of: not a date like 2026-03-31"),
    "a date in other words": (one_case().replace("2026-03-21", "21/03/2026"), "one: as_of: not a date like 2026-03-31"),
    "an amount with decimals": (one_case(LATE.replace("100", "100.0")), "one: loan.instalments[0].principal: not a whole number"),
    "an amount in words": (one_case(LATE.replace("100", "many")), "one: loan.instalments[0].principal: not a whole number"),
    "an amount that is true": (one_case(LATE.replace("100", "true")), "one: loan.instalments[0].principal: not a whole number"),
    "an amount with separators": (one_case(LATE.replace("100", "1_000")), "one: loan.instalments[0].principal: not a whole number"),
    "an amount below nothing": (
        one_case(LATE.replace("100", "-1")),
        "one: loan.instalments[0].principal: Input should be greater than or equal to 0",
    ),
    "an amount beyond all sums": (one_case(LATE.replace("100", "9" * 19)), "one: loan.instalments[0].principal: Input should be less than"),
    "grace below nothing": (
        one_case(LATE.replace("{cur", "{grace_days: -1, cur")),
        "one: loan.grace_days: Input should be greater than or equal to 0",
    ),
    "a pause that ends before it starts": (
        one_case(LATE.replace("{cur", "{pauses: [{from: 2026-03-09, to: 2026-03-08}], cur")),
        "one: loan.pauses[0]: a pause cannot end (to) before it starts (from)",
    ),
    "a currency that is none": (one_case(LATE.replace("USD", "XXX")), "one: loan.currency: 'XXX' is not a currency of ISO 4217"),
    "an unknown component": (
        one_case(LATE.replace("{cur", "{allocation: [principal, costs], cur")),
        "one: loan.allocation[1]: Input should be 'penalty', 'fee', 'interest' or 'principal'",
    ),
    "a component named twice": (
        one_case(LATE.replace("{cur", "{allocation: [principal, fee, fee], cur")),
        "one: loan: allocation names a component twice",
    ),
    "a component left out that is owed": (
        one_case(LATE.replace("{cur", "{allocation: [fee], cur")),
        "one: loan: allocation leaves out principal",
    ),
    "an unknown status": (
        one_case(LATE.replace("{cur", "{status: late, cur")),
        "one: loan.status: Input should be 'active', 'written_off'",
    ),
    "an unknown status of a plan": (
        one_case(LATE.replace("{cur", "{plan: {agreed_on: 2026-03-01, instalments: [{due_on: 2026-03-02, amount: 1}], status: kept}, cur")),
        "one: loan.plan.status: Input should be 'active' or 'broken'",
    ),
    "a plan of nothing": (
        one_case(LATE.replace("{cur", "{plan: {agreed_on: 2026-03-01, instalments: []}, cur")),
        "one: loan.plan.instalments: Tuple should have at least 1 item",
    ),
    "buckets that do not ascend": (one_case(more="  buckets: [1, 31, 31]\n"), "one: buckets: first days must be positive and ascend"),
    "a bucket of day 0": (one_case(more="  buckets: [0, 31]\n"), "one: buckets: first days must be positive and ascend"),
    "no bucket": (one_case(more="  buckets: []\n"), "one: buckets: first days must be positive and ascend"),
    "a bucket in words": (one_case(more="  buckets: [1, M2]\n"), "one: buckets[1]: not a whole number"),
    "a list where one value belongs": (one_case().replace("2026-03-21", "[2026-03-21]"), "one: as_of: Input should be a valid date"),
    "one value where a list belongs": (one_case("{currency: USD, instalments: 5}"), "one: loan.instalments: Input should be a valid"),
    "an id given twice": (one_case() + one_case(), "one: id: given to 2 cases"),
    "a field given twice": (one_case(more="  as_of: 2026-03-22\n"), ":4: not YAML: this key is given twice"),
    "a file that is no list": ("id: one\n", ":1: Input should be a valid list"),
    "a file of nothing": ("", "Input should be a valid list"),
    "a case that is no mapping": ("- one\n", ":1: 0: Input should be a valid dictionary"),
    "a file that is no YAML": ("- id: [\n", "not YAML: "),
    "two files in one": ("[]\n---\n[]\n", "not YAML: "),
    "an alias that leads to itself": ("- &a [*a]\n", "not YAML: "),
    "a control character": ("- id: \x01\n", "not YAML: "),
}


@pytest.mark.parametrize(("text", "reason"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_file_is_refused_whole_with_file_case_field_and_reason(tmp_path: Path, text: str, reason: str) -> None:
    result = age_text(tmp_path, text)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(str(tmp_path / "cases.yaml"))
    assert reason in result.stderr


def test_everything_that_is_wrong_is_told_at_once_and_no_value_is_repeated(tmp_path: Path) -> None:
    result = age_text(tmp_path, one_case(LATE.replace("100", "secret")).replace("2026-03-21", "secret"))
    assert len(result.stderr.splitlines()) == 2
    assert "secret" not in result.stderr


def test_a_file_that_is_missing_a_folder_or_of_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes("- id: ñ".encode("latin-1"))
    for name, reason in (("nowhere.yaml", "No such file"), ("", "Is a directory"), ("latin.yaml", "not UTF-8")):
        result = tideover_age(tmp_path / name)
        assert (result.exit_code, result.stdout) == (2, "")
        assert reason in result.stderr


def test_it_needs_neither_server_nor_database_nor_provider() -> None:
    """What is not imported cannot be needed; also the reason why the command starts at once."""
    program = (
        "import sys, tideover; tideover.app(['age', sys.argv[1]], standalone_mode=False);"
        "print(sorted({'prefect', 'sqlalchemy', 'psycopg', 'twilio', 'firebase_admin', 'fastapi', 'pandas'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(CASE_FILES[0])], cwd=HOUSE, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"

"""`tideover calls`: the queue says nothing personal; the number is shown to whoever takes the call, and to nobody else."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from ledger import call_queue
from ledger.call_queue import CallWindow
from ledger.engine import connection
from tests.plugins.portfolio import Portfolio, made_up_number, noon
from tideover import app

pytestmark = pytest.mark.usefixtures("team")
NUMBER = made_up_number("US", 81)
NOON = noon("US")


@pytest.fixture
def task(portfolio: Portfolio) -> int:
    portfolio.clock(NOON)
    borrower = portfolio.borrower(number=NUMBER)
    with connection() as tx:
        tx.execute(text("""UPDATE creditor SET senders = senders || '{"call": "+15005550006"}'"""))
        window = CallWindow(NOON, NOON + timedelta(hours=2))
        return call_queue.enqueue_callback(tx, party_id=borrower.party_id, because="sms: call_me", window=window, at=NOON)


def disclosed(taken: dict[str, Any]) -> list[str]:
    return [part for name in taken["say_too"] for part in ("--disclosed", name)]


def tideover(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["calls", *arguments])
    return done.exit_code, done.output


def test_a_call_from_the_queue_to_its_outcome(task: int) -> None:
    code, said = tideover("queue")
    assert (code, said.splitlines()[-1]) == (0, "1 to call")
    assert "5550" not in said
    assert "Nobody" not in said
    (listed,) = [json.loads(line) for line in tideover("queue", "--json")[1].splitlines()]
    assert (listed["task"], listed["reason"], listed["due"], listed["owner"]) == (task, "callback", True, "phone-team")
    code, said = tideover("take", "--by", "anna", "--json")
    taken = json.loads(said)
    assert (code, taken["number"], taken["ask_for"], taken["may_call"]) == (0, NUMBER, "Nobody Atall 1", True)
    code, said = tideover("outcome", str(task), "--by", "anna", "--result", "conversation", "--said", "paid", *disclosed(taken), "--json")
    assert (code, json.loads(said)) == (0, {"task": task, "state": "done", "result": "conversation"})
    assert tideover("queue") == (0, "nobody is to be called\n")


def test_in_words_the_number_stands_once_and_the_next_step_is_named(task: int) -> None:
    code, said = tideover("take", str(task), "--by", "anna")
    assert code == 0
    assert said.count(NUMBER) == 1
    assert f"tideover calls outcome {task}" in said


def test_nobody_to_call_is_said(task: int) -> None:
    tideover("take", str(task), "--by", "anna")
    assert tideover("take", "--by", "ben") == (3, "nobody is to be called now\n")
    assert json.loads(tideover("take", "--by", "ben", "--json")[1]) == {"task": None}


def test_a_refusal_names_the_rules_and_no_number(task: int, portfolio: Portfolio) -> None:
    portfolio.opt_out(1)
    code, said = tideover("take", str(task), "--by", "anna", "--json")
    told = json.loads(said)
    assert (code, told["may_call"]) == (3, False)
    assert "HOUSE-OPTOUT" in told["reasons"]
    assert NUMBER not in said


@pytest.mark.parametrize(
    "arguments",
    [
        ["take", "99", "--by", "anna"],
        ["take", "--by", " "],
        ["outcome", "1", "--by", "anna", "--result", "busy"],
        ["outcome", "1", "--by", "anna", "--result", "conversation", "--again-from", "2026-03-18T16:00+0000"],
    ],
)
def test_what_cannot_be_done_is_said(task: int, arguments: list[str]) -> None:
    del task
    code, said = tideover(*arguments)
    assert code == 2
    assert said

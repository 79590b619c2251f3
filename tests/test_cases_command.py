"""`tideover cases`: a colleague writes a case down, works it and ends it; lists say nothing personal."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gate.lane import run_lane
from ledger import person_files
from ledger.engine import connection
from ledger.person_files import Upload
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, noon
from tests.plugins.sending import Outbox, RecordingChannel
from tests.plugins.sent import Known
from tideover import app

NUMBER = "+12125550142"
WORDS = f"I never signed this. Call me at {NUMBER}."


def run(*words: str, given: str | None = None) -> Result:
    return CliRunner().invoke(app, ["cases", *words], input=given)


@pytest.fixture
def borrower(portfolio: Portfolio, monkeypatch: pytest.MonkeyPatch) -> BorrowerIds:
    monkeypatch.setenv("TIDEOVER_BUSINESS_ZONE", "America/New_York")
    portfolio.clock(noon("US"))
    return portfolio.borrower(number=NUMBER)


def test_a_case_is_worked_from_a_letter_to_its_end_and_contact_waits_meanwhile(
    borrower: BorrowerIds, portfolio: Portfolio, outbox: Outbox, known: Known, tmp_path: Path
) -> None:
    campaign = outbox.run()
    outbox.plan(campaign, borrower)
    opened = run(
        "open", "party-1", "--kind", "dispute", "--loan", f"#{borrower.loan_id}", "--by", "anna", "--words", "-", "--json", given=WORDS
    )
    case = json.loads(opened.stdout)
    assert (opened.exit_code, case["kind"], case["due"]) == (0, "dispute", {"what": "acknowledge", "by": "2026-03-19"})
    again = run("open", "#1", "--kind", "dispute", "--loan", f"#{borrower.loan_id}", "--by", "ben")
    assert "open already, said again" in again.stdout

    channel = RecordingChannel()
    run_lane(campaign, shard=None, channels={"sms": lambda: channel})
    (attempt,) = outbox.rows("SELECT state, permit FROM attempt")
    assert (channel.sent, attempt.state, "HOUSE-HOLD" in attempt.permit["blocked_by"]) == ([], "withheld", True)

    number = str(case["id"])
    assert "ben's" in run("take", number, "--by", "ben").stdout
    assert "ben's already" in run("take", number, "--by", "ben").stdout
    assert "is acknowledged" in run("acknowledge", number, "--by", "ben", "--reference", "letter 8").stdout
    assert "written down" in run("note", number, "-", "--by", "ben", given="asked the core team").stdout
    early = run("close", number, "--by", "ben", "--result", "not_upheld")
    assert (early.exit_code, "was not answered yet" in early.stderr) == (2, True)
    assert "is answered" in run("answer", number, "--by", "ben", "--reference", "letter 9", "--words", "the contract is yours").stdout
    assert "answered already" in run("answer", number, "--by", "ben", "--reference", "letter 9").stdout

    shown = run("show", number).stdout
    assert "stated by borrower, by person" in shown
    assert "answer by 2026-04-07 (the house's own)" in shown
    assert "no legal deadline is known" in shown
    assert WORDS in shown
    assert "the contract is yours" in shown
    history = json.loads(run("show", number, "--json").stdout)["history"]
    kinds = ["opened", "said_again", "taken", "acknowledged", "note", "answered"]
    assert [(one["kind"], one["said_by"]) for one in history] == [(kind, "anna" if kind == "opened" else "ben") for kind in kinds]

    with connection() as tx:
        sent = [Upload(kind="text", content=b"paid on 3 March")]
        person_files.keep(tx, borrower.party_id, sent, at=noon("US"), a_day_max=9, case_id=int(number))
    assert "file 1: text, 15 bytes" in run("show", number).stdout
    saved = tmp_path / "file"
    assert "is saved: text, 15 bytes" in run("file", number, "1", "--out", str(saved)).stdout
    assert (saved.read_bytes(), saved.stat().st_mode & 0o777) == (b"paid on 3 March", 0o600)
    assert run("file", number, "1", "--out", str(saved)).exit_code == 2, "nothing is written over"
    assert "has no file 2" in run("file", number, "2", "--out", str(tmp_path / "other")).stderr

    assert "1 holds ended with it" in run("close", number, "--by", "ben", "--result", "not_upheld", "--because", "-", given="it is").stdout
    assert known.holds(borrower) == [("dispute", noon("US"))]
    assert "no open case" in run("list").stdout
    assert "closed (not_upheld)" in run("list", "--all").stdout
    del portfolio


def test_lists_show_what_is_due_first_and_nothing_personal(borrower: BorrowerIds, portfolio: Portfolio) -> None:
    del borrower
    other = portfolio.borrower()
    for party, kind in ((f"#{other.party_id}", "complaint"), ("#1", "hardship")):
        assert run("open", party, "--kind", kind, "--by", "anna", "--words", WORDS).exit_code == 0
    assert "no case is due" in run("list", "--due").stdout
    portfolio.clock(noon("US", TODAY + timedelta(days=2)))
    assert run("list", "--due").stdout.count("acknowledge by 2026-03-19") == 2
    portfolio.clock(noon("US", TODAY + timedelta(days=3)))
    assert run("list", "--due").stdout.count(", late") == 2
    for words in (("list",), ("list", "--json"), ("list", "--due", "--kind", "hardship")):
        told = run(*words).stdout
        assert "borrower #1" in told or '"party_id": 1' in told
        assert not any(secret in told for secret in (NUMBER[1:], "signed", "Nobody Atall", "party-1"))
    assert [json.loads(line)["kind"] for line in run("list", "--json").stdout.splitlines()] == ["complaint", "hardship"]


REFUSED = (
    (("open", "#99", "--kind", "dispute", "--by", "anna"), "no borrower"),
    (("open", "#1", "--kind", "sadness", "--by", "anna"), "there are dispute"),
    (("open", "#1", "--kind", "dispute", "--by", "anna", "--stated-by", "cat"), "there are borrower"),
    (("open", "#1", "--kind", "dispute", "--loan", "none", "--by", "anna"), "no loan with that id"),
    (("open", "#1", "--kind", "dispute", "--by", NUMBER), "--words"),
    (("open", "#1", "--kind", "dispute", "--by", "anna", "--reference", NUMBER), "--words"),
    (("show", "99"), "no case 99"),
    (("take", "99", "--by", "anna"), "no case 99"),
    (("take", "99", "--by", " "), "say who"),
    (("close", "99", "--by", "anna", "--result", "upheld"), "no case 99"),
)


def test_what_cannot_be_is_refused_in_words(borrower: BorrowerIds, outbox: Outbox) -> None:
    del borrower
    for words, says in REFUSED:
        answer = run(*words)
        assert (answer.exit_code, says in answer.stderr, "Traceback" in answer.output) == (2, True, False), words
        assert NUMBER not in answer.output
    assert outbox.rows("SELECT 1 FROM borrower_case UNION ALL SELECT 1 FROM hold") == []

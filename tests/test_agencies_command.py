"""`tideover agencies`: what people type, and what they read."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from typer.testing import CliRunner, Result

from tests.plugins.portfolio import TODAY, Portfolio
from tests.plugins.with_agency import NOON, Harbour, later
from tideover import app

BY = ("--by", "anna")


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["agencies", *words])


def told(*words: str) -> list[dict[str, Any]]:
    answer = run(*words, "--json")
    assert answer.exit_code == 0, answer.output
    found: list[dict[str, Any]] = [json.loads(line) for line in answer.stdout.splitlines()]
    return found


def test_a_placement_from_its_agency_to_its_recall(harbour: Harbour, portfolio: Portfolio) -> None:
    quay = ("quay", "--name", "Quay", "--contact", "help@quay.example", *BY)
    assert "nothing can be sent to it" in run("add", *quay, "--licence", "US-NY:N-1:2026-01-01:2027-01-01").stdout
    assert run("add", *quay, "--licence", "US-NY:N-1:2026-01-01").exit_code == 2
    assert run("add", *quay, "--licence", "US-NY:N-1:soon:2027-01-01").exit_code == 2
    assert run("add", *quay, "--certificate", str(harbour.key)).exit_code == 2
    assert run("add", "Quay Ltd", "--name", "Quay", "--contact", "x", *BY).exit_code == 2
    assert "quay (Quay): US-NY until 2027-01-01" in run("list").stdout
    loan = f"#{portfolio.borrower(days_past_due=95).loan_id}"
    refused = run("place", loan, "harbour", *BY)
    assert (refused.exit_code, "no notice of the agency" in refused.stderr) == (2, True)
    sent = (NOON - timedelta(days=20)).strftime("%Y-%m-%dT%H:%M%z")
    assert "1 people had notice" in run("notice", loan, "--reference", "letter 12", "--sent-at", sent, *BY).stdout
    assert "already" in run("notice", loan, "--reference", "letter 12", "--sent-at", sent, *BY).stdout
    assert "it may be placed" in run("place", loan, "harbour", *BY, "--dry-run").stdout
    (placed,) = told("place", loan, "harbour", *BY, "--until", (TODAY + timedelta(days=60)).isoformat())
    assert run("placements").stdout.count("with harbour") == 1
    assert told("feed", "harbour", "--dry-run") == [{"agency": "harbour", "number": None, "counts": {"placed": 1}, "file": None}]
    assert run("feed", "harbour").stdout.startswith("feed 1 (1 placed): ")
    assert "nothing new" in run("feed", "harbour").stdout
    assert "not acknowledged" in run("feeds", "harbour", "--open").stdout
    later(portfolio, timedelta(hours=12))
    line = {**contact_of(placed), "at": (NOON + timedelta(hours=11)).isoformat()}
    file = harbour.says({"kind": "acknowledged", "feed": 1}, line, "nonsense")
    answer = run("import", "harbour", str(file))
    assert (answer.exit_code, answer.stderr) == (1, "told.jsonl:3: no JSON object\n")
    assert "2 lines" not in answer.stdout
    assert "against US-REGF-HOURS: 1" in answer.stdout
    assert "US-REGF-HOURS" in run("findings", "harbour").stdout
    assert "no finding" in run("findings", "quay").stdout
    assert "would be recalled" in run("recall", loan, "--because", "the borrower asked", *BY, "--dry-run").stdout
    assert "recalled: loan" in run("recall", loan, "--because", "the borrower asked", *BY).stdout
    assert "no loan is placed" in run("placements", "harbour").stdout
    assert "the borrower asked" in run("placements", "--all").stdout
    for words in (
        ("feed", "nobody"),
        ("recall", loan, "--because", "x", *BY),
        ("place", "#999", "harbour", *BY),
        ("import", "harbour", "/no"),
    ):
        assert run(*words).exit_code == 2


def contact_of(placed: dict[str, Any]) -> dict[str, str]:
    """A line about a call."""
    return {"kind": "contact", "id": "A-1", "placement": placed["reference"], "channel": "call", "result": "no_answer"}

"""`tideover withdraw`: after a wrong import is taken back the ledger knows what it knew before, and nothing is lost."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import SQLModel
from typer.testing import CliRunner, Result

from config.import_mapping import FOLDER
from config.settings import settings
from ledger import clock
from ledger.engine import connection
from ledger.facts import read_facts
from ledger.withdrawals import _KEYS
from tasks.import_portfolio import ImportReport, import_files
from tasks.pause import Scope, pause_contact
from tideover import app

WALLET = FOLDER / "wallet.yaml"
NOW = datetime(2026, 3, 17, 16, tzinfo=UTC)
RIGHT = {
    "parties": "external_id,locale,country,region\nA,en,US,NY\nB,en,US,NY\n",
    "contact_points": "party,kind,value\nA,mobile,+12125550100\nB,mobile,+12125550101\n",
    "loans": "external_id,party,product,currency,principal\nL1,A,nano,USD,100\nL2,B,nano,USD,100\n",
    "instalments": "loan,number,due_on,principal\nL1,1,2026-03-10,100\nL2,1,2026-03-10,100\n",
    "consents": "party,channel,given_to\nA,sms,creditor\nB,sms,creditor\n",
    "payments": "loan,external_id,amount,paid_on\nL2,P1,40,2026-03-12\n",
}
# A's debt is ten times what it was, B's number is also that of a third person, a payment of B is gone, and C says stop.
WRONG = {
    "parties": "external_id,locale,country,region\nA,es,US,TX\nC,en,US,NY\n",
    "contact_points": "party,kind,value\nC,mobile,+12125550101\n",
    "loans": "external_id,party,product,currency,principal\nL1,A,nano,USD,1000\nL3,C,nano,USD,50\n",
    "instalments": "loan,number,due_on,principal\nL1,1,2026-03-10,1000\nL3,1,2026-03-10,50\n",
    "consents": "party,channel,given_to\nC,sms,creditor\n",
    "payments": "loan,external_id,amount,paid_on\nL2,P1,4,2026-03-12\nL1,P2,500,2026-03-12\n",
    "opt_outs": "party,channel\nC,sms\n",
}


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["withdraw", *words])


def bring(folder: Path, texts: dict[str, str]) -> ImportReport:
    files = [folder / f"{name}.csv" for name in texts]
    for path, content in zip(files, texts.values(), strict=True):
        path.write_text(content)
    return import_files(WALLET, files)


def in_force() -> dict[str, set[str]]:
    """Every fact that stands, as text, without what the ledger itself gives it."""
    found: dict[str, set[str]] = {}
    with connection() as tx:
        for table in _KEYS:
            columns = [c.name for c in SQLModel.metadata.tables[table].columns if c.name not in {"id", "recorded_at", "superseded_at"}]
            rows = tx.execute(text(f"SELECT ROW({', '.join(columns)})::text FROM {table} WHERE superseded_at IS NULL")).scalars()  # noqa: S608  # names of columns
            found[table] = set(rows)
    return found


def owed() -> dict[int, int]:
    with connection() as tx:
        facts = read_facts(tx, parties=range(1, 10), at=NOW, business_date=date(2026, 3, 17), loans="now")
    return dict(facts.loans.select("party_id", "past_due_minor").iter_rows())


@pytest.fixture
def imported(ledger_url: str, tmp_path: Path) -> tuple[Path, dict[str, set[str]], int]:
    """The right portfolio, what it said, and the number of the wrong import that followed."""
    del ledger_url
    settings.cache_clear()
    with connection() as tx:
        clock.step(tx, NOW)
    bring(tmp_path, RIGHT)
    before = in_force()
    assert owed() == {1: 10_000, 2: 6_000}
    wrong = bring(tmp_path, WRONG)
    assert owed() == {1: 50_000, 2: 9_600, 3: 5_000}
    assert wrong.batch_id is not None
    return tmp_path, before, wrong.batch_id


def take_back(batch: int) -> dict[str, Any]:
    pause_contact(Scope(), because="the wrong file", by="anna")
    answer = run(str(batch), "--by", "anna", "--because", "the file of another lender", "--json")
    assert answer.exit_code == 0, answer.output
    told: dict[str, Any] = json.loads(answer.stdout)
    return told


def test_what_was_known_before_is_in_force_again_and_nothing_is_deleted(imported: tuple[Path, dict[str, set[str]], int]) -> None:
    _, before, batch = imported
    with connection() as tx:
        versions = tx.execute(text("SELECT count(*) FROM loan_version")).scalar_one()
    told = take_back(batch)
    assert in_force() == before
    assert owed() == {1: 10_000, 2: 6_000}
    assert (told["people"], told["stays"]) == (3, 1)
    assert (told["rows"]["loan_version"], told["restored"]["loan_version"]) == (2, 1)
    with connection() as tx:
        assert tx.execute(text("SELECT count(*) FROM loan_version")).scalar_one() == versions + 1
        assert tx.execute(text("SELECT count(*) FROM opt_out WHERE superseded_at IS NULL")).scalar_one() == 1


def test_whoever_only_the_wrong_file_knew_is_owed_nothing_and_the_right_file_is_read_afterwards(
    imported: tuple[Path, dict[str, set[str]], int],
) -> None:
    folder, before, batch = imported
    take_back(batch)
    again = bring(folder, RIGHT)
    assert sum(counts["new"] + counts["changed"] for counts in again.rows.values()) == 0
    assert in_force() == before
    # Was it right after all? Then the same file says so once more, and is heard.
    bring(folder, WRONG)
    assert owed() == {1: 50_000, 2: 9_600, 3: 5_000}


def test_what_a_later_import_said_stays(imported: tuple[Path, dict[str, set[str]], int]) -> None:
    folder, _, batch = imported
    later = bring(folder, {"payments": "loan,external_id,amount,paid_on\nL2,P1,60,2026-03-12\n"})
    take_back(batch)
    assert owed() == {1: 10_000, 2: 4_000}
    assert later.batch_id is not None
    told = json.loads(run(str(later.batch_id), "--by", "anna", "--because", "that one too", "--json").stdout)
    assert (told["rows"], told["restored"]) == ({"payment": 1}, {"payment": 1})
    assert owed() == {1: 10_000, 2: 6_000}


def test_it_asks_for_a_pause_a_name_and_an_import_and_is_done_once(imported: tuple[Path, dict[str, set[str]], int]) -> None:
    _, _, batch = imported
    unchanged = in_force()
    dry = run(str(batch), "--dry-run")
    assert (dry.exit_code, "would be taken back; it speaks of 3 people" in dry.stdout) == (0, True)
    for words, says in (
        ((str(batch), "--by", "anna", "--because", "x"), "contact goes on"),
        ((str(batch), "--because", "x"), "--by"),
        (("99", "--dry-run"), "no import 99"),
        ((str(batch), "--by", "anna", "--because", "of +12125550100"), "without"),
    ):
        answer = run(*words)
        assert (answer.exit_code, says in answer.stderr, "Traceback" in answer.output) == (2, True, False)
    assert in_force() == unchanged
    take_back(batch)
    assert "taken back already, by anna" in run(str(batch), "--by", "ben", "--because", "x").stderr

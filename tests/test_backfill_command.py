"""`tideover backfill`: the same three, on a terminal."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from prefect.logging import disable_run_logger
from typer.testing import CliRunner

from config.policies import policies
from config.settings import settings
from ledger.campaigns import open_run
from ledger.engine import connection
from tasks.choose import choose
from tasks.pick import pick
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, noon
from tideover import app

YESTERDAY = TODAY - timedelta(days=1)


@pytest.fixture
def who(portfolio: Portfolio, monkeypatch: pytest.MonkeyPatch) -> BorrowerIds:
    """One who was decided for today, and of whom a payment was learned afterwards."""
    monkeypatch.setenv("TIDEOVER_BUSINESS_ZONE", "America/New_York")
    settings.cache_clear()
    who = portfolio.borrower(days_past_due=5, number="+12125550100")
    portfolio.clock(noon("US"))
    with connection() as tx:
        run = open_run(tx, stage="early", business_date=TODAY, preview=False, borrowers_max=None, policies=policies("early"), at=noon("US"))
    with disable_run_logger():
        for shard in pick.fn(run):
            choose.fn(shard, run)
    portfolio.payment(who.loan_id, 10_500, paid_on=YESTERDAY)
    return who


def asked(*words: str, first: str = TODAY.isoformat(), last: str = TODAY.isoformat()) -> list[str]:
    return ["backfill", words[0], "--from", first, "--to", last, *words[1:]]


def test_re_decide_says_it_in_words_in_json_and_in_a_file_of_ids(who: BorrowerIds, tmp_path: Path) -> None:
    words = CliRunner().invoke(app, asked("re-decide", "--stage", "early", "--facts", "now"))
    assert words.exit_code == 0
    assert "| early | 1 → 0 |" in words.stdout
    plain = CliRunner().invoke(app, asked("re-decide", "--stage", "early", "--facts", "now", "--json"))
    told = json.loads(plain.stdout)
    assert told["total"]["early"]["left_in_peace"] == 1
    out = tmp_path / "rows.jsonl"
    written = CliRunner().invoke(app, ["backfill", "rows", str(told["backfill_id"]), "--out", str(out)])
    assert written.stdout == f"1 rows: {out}\n"
    (row,) = (json.loads(line) for line in out.read_text().splitlines())
    assert (row["what"], row["subject_id"], row["after"]["action"]) == ("decision/early", who.party_id, "no_contact")
    again = CliRunner().invoke(app, ["backfill", "rows", str(told["backfill_id"]), "--out", str(out)])
    assert (again.exit_code, "never overwritten" in again.stderr) == (2, True)
    assert "5550100" not in words.output + plain.output + out.read_text()


def test_re_record_counts_first_and_then_writes(who: BorrowerIds) -> None:
    del who
    dry = CliRunner().invoke(app, asked("re-record", "--dry-run"))
    assert (dry.exit_code, "nothing is kept" in dry.stdout) == (0, True)
    done = CliRunner().invoke(app, asked("re-record", "--json"))
    assert json.loads(done.stdout)["total"]["late"] == [1, 0]
    page = CliRunner().invoke(app, asked("re-record"))
    assert "| loans late that day | 0 → 0 |" in page.stdout


def test_the_dry_runs_of_the_others_keep_and_send_nothing(who: BorrowerIds) -> None:
    del who
    first = (YESTERDAY - timedelta(days=1)).isoformat()
    told = CliRunner().invoke(app, asked("catch-up", "--dry-run", first=first, last=YESTERDAY.isoformat()))
    assert told.exit_code == 0
    assert f"{YESTERDAY.isoformat()}: pre_due missed, early missed" in told.stdout
    assert "today, mid: not run yet, would contact nobody" in told.stdout
    plain = CliRunner().invoke(app, asked("catch-up", "--dry-run", "--json", first=first, last=YESTERDAY.isoformat()))
    assert json.loads(plain.stdout)["missed"][first]["early"] == "day of rest"
    dry = CliRunner().invoke(app, asked("re-decide", "--policies", "then", "--dry-run", "--json"))
    assert json.loads(dry.stdout)[TODAY.isoformat()]["early"]["contacted"] == [1, 1]
    with connection() as tx:
        assert tx.exec_driver_sql("SELECT count(*) FROM backfill").scalar_one() == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (asked("re-decide", first="2026-03-18"), "`last` lies before `first`"),
        (asked("re-decide", first="2024-01-01"), "more than 400 dates"),
        (asked("re-decide", "--stage", "tomorrow"), "stages"),
        (asked("re-decide", "--instead", "abcdef"), "keeps no policy that begins with abcdef"),
        (asked("re-record", last="2027-01-01"), "has not been yet"),
        (["backfill", "rows", "99", "--out", "rows.jsonl"], "no backfill 99"),
    ],
)
def test_what_cannot_be_is_said_in_words(who: BorrowerIds, words: list[str], says: str) -> None:
    del who
    refused = CliRunner().invoke(app, words)
    assert refused.exit_code == 2
    assert says in refused.stderr

"""The audit's step: which days, which lists, which decisions are made again; and what the command says."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from prefect.logging import disable_run_logger
from sqlalchemy import text
from typer.testing import CliRunner, Result

from config.policies import policies
from config.settings import settings
from ledger.audit_results import last_kept
from ledger.campaigns import open_run
from ledger.engine import connection
from ledger.evidence_heads import read_heads
from tasks.audit import InvariantsBroken, audit_period, business_period
from tasks.choose import choose
from tasks.pick import pick
from tests.plugins.portfolio import TODAY, Portfolio, noon
from tideover import app


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["audit", *words])


@pytest.fixture
def planned(portfolio: Portfolio, ledger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Portfolio:
    """A day that was planned, and of which nothing was sent."""
    del ledger_url
    monkeypatch.setenv("TIDEOVER_EVIDENCE_DIR", str(tmp_path / "heads"))
    settings.cache_clear()
    portfolio.clock(noon("US"))
    for _ in range(3):
        portfolio.borrower()
    with connection() as tx:
        run_id = open_run(
            tx, stage="early", business_date=TODAY, preview=False, borrowers_max=None, policies=policies("early"), at=noon("US")
        )
    with disable_run_logger():
        for shard in pick.fn(run_id):
            choose.fn(shard, run_id)
    return portfolio


def test_without_dates_yesterday_and_today_are_audited_on_the_one_clock(planned: Portfolio) -> None:
    del planned
    # Noon in New York on the 17th is midnight in Taipei, the portfolio's zone.
    assert business_period(None, None) == (date(2026, 3, 17), date(2026, 3, 18))
    assert business_period(None, date(2026, 3, 1)) == (date(2026, 2, 28), date(2026, 3, 1))
    assert business_period(date(2026, 3, 1), date(2026, 3, 1)) == (date(2026, 3, 1), date(2026, 3, 1))


def test_a_period_that_ends_before_it_begins_is_refused(planned: Portfolio) -> None:
    del planned
    with pytest.raises(ValueError, match="behind its end"):
        business_period(date(2026, 3, 2), date(2026, 3, 1))


def test_an_audit_links_what_was_written_and_keeps_the_head(planned: Portfolio, tmp_path: Path) -> None:
    del planned
    audited = audit_period(TODAY, TODAY)
    assert audited.violations == ()
    (head,) = read_heads(TODAY.isoformat(), tmp_path / "heads")
    with connection() as tx:
        assert tx.execute(text("SELECT evidence_root FROM campaign_run")).scalar_one().hex() == head.link


def test_what_an_audit_found_is_kept_for_whoever_asks_later(planned: Portfolio) -> None:
    del planned
    with connection() as tx:
        assert last_kept(tx) is None
    audit_period(TODAY, TODAY)
    submitted()
    broken = audit_period(TODAY - timedelta(days=1), TODAY)
    with connection() as tx:
        kept = last_kept(tx)
        assert tx.execute(text("SELECT count(*) FROM audit_result")).scalar_one() == 2
    assert kept is not None
    assert (kept.first, kept.last, kept.violations) == (TODAY - timedelta(days=1), TODAY, len(broken.violations))
    assert kept.violations > 0
    assert kept.broken == tuple(name for name, state in broken.invariants.items() if state == "broken")
    assert kept.found == broken.as_json()["found"]


def submitted() -> None:
    with connection() as tx:
        tx.execute(
            text(
                "INSERT INTO attempt_transition (business_date, attempt_id, from_state, to_state, cause, at)"
                " SELECT business_date, id, 'planned', 'submitting', 'test', now() FROM attempt"
            )
        )
        tx.execute(text("UPDATE attempt SET channel = 'sms'"))


def test_a_provider_that_is_not_configured_is_told_and_accuses_nobody(planned: Portfolio) -> None:
    del planned
    assert audit_period(TODAY, TODAY).warnings == ()
    submitted()
    audited = audit_period(TODAY, TODAY)
    assert "sms" not in audited.listed
    assert any("TIDEOVER_TWILIO_ACCOUNT_SID is not set" in warning for warning in audited.warnings)


def test_a_list_that_cannot_be_read_is_told_and_accuses_nobody(planned: Portfolio, monkeypatch: pytest.MonkeyPatch) -> None:
    del planned
    # Port 1 of loopback: nobody answers there.
    monkeypatch.setenv("TIDEOVER_TWILIO_BASE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("TIDEOVER_TWILIO_ACCOUNT_SID", "AC" + "0" * 32)
    monkeypatch.setenv("TIDEOVER_TWILIO_AUTH_TOKEN", "made up")
    settings.cache_clear()
    audited = audit_period(TODAY, TODAY)
    assert audited.violations == ()
    assert ["could not be read" in warning for warning in audited.warnings] == [True]


def test_a_decision_that_does_not_come_out_again_breaks_I8(planned: Portfolio) -> None:
    """Even where whoever changed it wrote the evidence anew."""
    del planned
    with connection() as tx:
        tx.execute(text("UPDATE decision SET score = score + 1"))
        tx.execute(text("DELETE FROM evidence_batch"))
    audited = audit_period(TODAY, TODAY)
    found = [violation for violation in audited.violations if violation.check == "a_decision_that_does_not_replay"]
    assert len(found) == 3
    assert "score" in str(found[0].detail)
    assert audited.invariants["I8"] == "broken"
    assert "I8 broken" in str(InvariantsBroken(audited))


def test_the_command_answers_what_is_promised_as_one_object(planned: Portfolio) -> None:
    del planned
    result = run("--from", TODAY.isoformat(), "--to", TODAY.isoformat(), "--json")
    told = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (told["violations"], told["unknown"], told["parked"]) == (0, 0, 0)
    assert told["invariants"] == {f"I{number}": "held" for number in range(1, 13)}


def test_the_command_says_that_it_could_not_look_at_everything(planned: Portfolio, tmp_path: Path) -> None:
    del planned
    (tmp_path / "heads").write_text("a file where the folder should be")
    result = run("--from", TODAY.isoformat(), "--to", TODAY.isoformat())
    assert result.exit_code == 3
    assert "NOT LOOKED AT: " in result.stdout


def test_the_command_names_what_is_broken_in_words(planned: Portfolio) -> None:
    del planned
    with connection() as tx:
        tx.execute(text("UPDATE attempt SET state = 'accepted'"))
    result = run("--from", TODAY.isoformat(), "--to", TODAY.isoformat())
    assert result.exit_code == 1
    assert "I1 broken" in result.stdout
    assert "I2 state_is_not_the_last_move (accepted) party" in result.stdout
    told = json.loads(run("--from", TODAY.isoformat(), "--to", TODAY.isoformat(), "--json").stdout)
    assert len(told["named"]) == told["violations"] == sum(told["found"].values())
    assert {"check", "invariant", "attempt_id", "party_id", "provider_id", "detail"} == told["named"][0].keys()


def test_dates_that_are_none_are_refused(planned: Portfolio) -> None:
    del planned
    assert run("--from", "yesterday").exit_code == 2
    assert run("--from", "2026-03-02", "--to", "2026-03-01").exit_code == 2

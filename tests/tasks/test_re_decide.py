"""Re-decide: past dates decided again, by what was in force then or by other versions; nothing can be sent from it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from prefect.logging import disable_run_logger
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from config.load import ConfigError
from config.policies import policies
from config.rule_files import RULES
from config.settings import settings
from config.strategy_files import STRATEGIES
from ledger.backfills import read_differences
from ledger.campaigns import open_run
from ledger.engine import connection
from ledger.policies import UnknownVersionError
from tasks.backfill_requests import ReDecide
from tasks.choose import choose
from tasks.pick import pick
from tasks.re_decide import BackfillRefused, open_re_decide, re_decide_date
from tests.plugins.portfolio import TODAY, Portfolio, noon
from tests.tasks.test_choose_learned import kept, model

HOUSE = Path(__file__).parent.parent.parent
YESTERDAY = TODAY - timedelta(days=1)
WRITTEN = ("decision", "attempt", "attempt_transition", "contact_event", "campaign_run", "campaign_shard", "loan_aging", "evidence_batch")


@pytest.fixture(autouse=True)
def _quietly(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TIDEOVER_BUSINESS_ZONE", "America/New_York")
    settings.cache_clear()
    with disable_run_logger():
        yield


def decided(portfolio: Portfolio, *stages: str, on: date = TODAY) -> None:
    """The date's runs, decided at noon."""
    portfolio.clock(noon("US", on))
    for stage in stages or ("early",):
        with connection() as tx:
            run = open_run(
                tx, stage=stage, business_date=on, preview=False, borrowers_max=None, policies=policies(stage), at=noon("US", on)
            )
        for shard in pick.fn(run):
            choose.fn(shard, run)


def re_decided(first: date = TODAY, last: date | None = None, **choices: Any) -> tuple[dict[date, Any], list[dict[str, Any]]]:
    """Counts a date, and the differences."""
    asked = ReDecide(what="re-decide", first=first, last=last or first, **choices)
    backfill = open_re_decide(asked)
    counts = {day: dict(re_decide_date(backfill, day)) for day in backfill.dates}
    with connection() as tx:
        return counts, read_differences(tx, backfill.id)


def everything() -> dict[str, list[Any]]:
    """All rows of the tables that planning and sending write."""
    with connection() as tx:
        return {table: [tuple(row) for row in tx.execute(text(f"SELECT * FROM {table} ORDER BY 1, 2"))] for table in WRITTEN}  # noqa: S608  # words of this file


def test_by_what_was_in_force_and_known_then_every_decision_comes_out_again(portfolio: Portfolio) -> None:
    free, held, paying, late = (portfolio.borrower(days_past_due=days) for days in (5, 5, 6, 45))
    portfolio.hold(held.party_id, "hardship")
    decided(portfolio, "early", "mid")
    # What is learned afterwards changes nothing about what was known.
    portfolio.payment(paying.loan_id, 10_500, paid_on=YESTERDAY)
    portfolio.opt_out(free.party_id)
    counts, differences = re_decided(policies="then in force")
    assert differences == []
    assert counts[TODAY]["early"]["decided"] == [3, 3]
    assert counts[TODAY]["early"]["contacted"] == [2, 2]
    assert counts[TODAY]["mid"]["decided"] == [1, 1]
    assert late.party_id not in {row["subject_id"] for row in differences}


def test_with_what_is_known_now_it_shows_who_had_paid_and_who_had_said_stop(portfolio: Portfolio) -> None:
    free, stopped, paid = (portfolio.borrower(days_past_due=5) for _ in range(3))
    decided(portfolio)
    portfolio.payment(paid.loan_id, 10_500, paid_on=YESTERDAY)
    portfolio.opt_out(stopped.party_id)
    counts, differences = re_decided(facts="as known now", stages=("early",))
    assert counts[TODAY]["early"]["contacted"] == [3, 1]
    assert counts[TODAY]["early"]["left_in_peace"] == 2
    assert [(row["what"], row["subject_id"]) for row in differences] == [("decision/early", who.party_id) for who in (stopped, paid)]
    assert [row["after"]["reasons"] for row in differences][1] == ["not_in_stage"]
    assert all(row["before"]["action"] == "contact" for row in differences)
    assert free.party_id not in {row["subject_id"] for row in differences}


def test_its_own_days_contacts_do_not_stand_against_a_decision_made_again(portfolio: Portfolio) -> None:
    who = portfolio.borrower(days_past_due=5)
    decided(portfolio)
    portfolio.contact(who.party_id, noon("US"))
    portfolio.clock(noon("US") + timedelta(hours=2))
    counts, differences = re_decided(facts="as known now", stages=("early",))
    assert (counts[TODAY]["early"]["contacted"], differences) == ([1, 1], [])


def test_another_strategy_is_tried_from_its_file_and_kept(portfolio: Portfolio, tmp_path: Path) -> None:
    who = portfolio.borrower(days_past_due=5)
    decided(portfolio)
    folder = tmp_path / "gentler"
    folder.mkdir()
    (folder / "early.yaml").write_text((STRATEGIES / "static-ladder" / "early.yaml").read_text().replace("from_day: 4, ", "from_day: 9, "))
    counts, differences = re_decided(instead=(str(folder / "early.yaml"),), stages=("early", "mid"))
    assert counts[TODAY]["early"]["by_channel"] == {"push": [0, 1], "sms": [1, 0]}
    assert counts[TODAY]["early"]["otherwise"] == 1
    ((row),) = differences
    assert (row["subject_id"], row["before"]["channel"], row["after"]["channel"]) == (who.party_id, "sms", "push")
    with connection() as tx:
        kept = tx.execute(text("SELECT hash FROM policy_version WHERE name = 'gentler/early'")).scalar_one()
    # By its hash it is found again, and the same comes out.
    again, _ = re_decided(instead=(kept[:8],), stages=("early", "mid"))
    assert again == counts


def test_a_strategy_with_a_model_is_tried_on_days_of_a_ladder_with_what_it_needs_beside_its_text(
    portfolio: Portfolio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(40):
        portfolio.borrower(days_past_due=5)
    decided(portfolio)
    shipped = (STRATEGIES / "learned" / "early.yaml").read_text()
    assert "champion: {share: 0.05," in shipped
    (folder := tmp_path / "learned-mine").mkdir()
    (folder / "early.yaml").write_text(shipped.replace("champion: {share: 0.05,", "champion: {share: 0.40,"))
    asked: dict[str, Any] = {"instead": (str(folder / "early.yaml"),), "stages": ("early",)}
    monkeypatch.setattr("tasks.weigh.shipped_model", lambda _kind: None)
    with pytest.raises(BackfillRefused, match="there is no model of paid_7d: train one"):
        re_decided(**asked)
    kept(model(sms=-1.5))
    counts, differences = re_decided(**asked)
    assert counts[TODAY]["early"]["decided"] == [40, 40]
    groups = {row["subject_id"]: [one for one in row["after"]["reasons"] if one.startswith("group:")] for row in differences}
    # A text is worth it for nobody; whom it holds out for the ladder is texted as before.
    before, after = counts[TODAY]["early"]["by_channel"]["sms"]
    assert before == len(differences) == 40
    assert sum(one == ["group:champion"] for one in groups.values()) == after > 0


def test_another_law_is_tried_and_its_reasons_are_named(portfolio: Portfolio, tmp_path: Path) -> None:
    who = portfolio.borrower(country="TW", days_past_due=5)
    portfolio.contact(who.party_id, noon("TW") - timedelta(days=2), purpose="statement")
    portfolio.clock(noon("TW"))
    with connection() as tx:
        run = open_run(tx, stage="early", business_date=TODAY, preview=False, borrowers_max=None, policies=policies("early"), at=noon("TW"))
    for shard in pick.fn(run):
        choose.fn(shard, run)
    rule = """
  - id: TW-TEST
    says: One contact a week.
    kind: cap
    reason: stricter
    basis: law
    reference: [{title: An act to come, read_on: 2026-11-20}]
    confidence: V1
    reviewed_by: null
    counts: {per: person, span: P7D}
    values: {2020-01-01: {at_most: 1}}
"""
    stricter = tmp_path / "tw.yaml"
    stricter.write_text((RULES / "tw.yaml").read_text("utf-8").rstrip() + "\n" + rule, "utf-8")
    counts, _ = re_decided(instead=(str(stricter),), stages=("early",))
    assert counts[TODAY]["early"]["contacted"] == [1, 0]
    assert counts[TODAY]["early"]["withheld_by_reason"] == {"TW-TEST": [0, 1]}


def test_a_date_on_which_nothing_was_decided_shows_who_would_have_been_contacted(portfolio: Portfolio) -> None:
    who = portfolio.borrower(days_past_due=5)
    portfolio.clock(noon("US"))
    counts, differences = re_decided(YESTERDAY, TODAY, stages=("early",))
    assert [counts[day]["early"]["newly_contacted"] for day in (YESTERDAY, TODAY)] == [1, 1]
    assert [(row["business_date"], row["subject_id"], row["before"]) for row in differences] == [
        (day, who.party_id, None) for day in (YESTERDAY, TODAY)
    ]


def test_nothing_is_written_but_the_backfills_own_rows(portfolio: Portfolio) -> None:
    portfolio.borrower(days_past_due=5)
    decided(portfolio)
    portfolio.borrower(days_past_due=7)
    before = everything()
    _, differences = re_decided(YESTERDAY, TODAY, facts="as known now")
    assert differences
    assert everything() == before


def test_the_database_itself_refuses_a_write_where_it_reads(ledger_url: str) -> None:
    del ledger_url
    with pytest.raises(DBAPIError, match="read-only transaction"), connection(read_only=True) as tx:
        tx.execute(text("INSERT INTO creditor (external_id, name, role, country) VALUES ('c', 'C', 'first_party', 'TW')"))


def test_no_gate_and_no_channel_is_loaded_with_it() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import tasks.re_decide, sys; print(*sorted(sys.modules))"],
        cwd=HOUSE,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    ways = ("gate", "channels", "twilio", "firebase_admin", "tasks.send")
    assert "tasks.re_decide" in loaded
    assert [name for name in loaded if name.startswith(ways) or name in {"ledger.attempts", "ledger.outbox", "ledger.decisions_log"}] == []


def test_a_date_that_is_done_is_read_back_and_a_finished_backfill_is_a_new_one(portfolio: Portfolio) -> None:
    portfolio.borrower(days_past_due=5)
    portfolio.clock(noon("US"))
    asked = ReDecide(what="re-decide", first=YESTERDAY, last=TODAY, stages=("early",))
    backfill = open_re_decide(asked)
    counts = re_decide_date(backfill, YESTERDAY)
    again = open_re_decide(asked)
    assert (again.id, again.left, again.known_at) == (backfill.id, [TODAY], backfill.known_at)
    assert re_decide_date(again, YESTERDAY) == counts
    # Another process that does not know it yet writes nothing either.
    assert re_decide_date(backfill, YESTERDAY) == counts
    with connection() as tx:
        assert len(read_differences(tx, backfill.id)) == 1


def test_what_cannot_be_is_refused_before_it_begins(portfolio: Portfolio, tmp_path: Path) -> None:
    portfolio.clock(noon("US"))
    with pytest.raises(BackfillRefused, match="has not been yet"):
        re_decided(TODAY, TODAY + timedelta(days=2))
    with pytest.raises(BackfillRefused, match="neither the beginning of a hash"):
        re_decided(instead=("nothing/like/it",))
    with pytest.raises(UnknownVersionError, match="keeps no policy"):
        re_decided(instead=("abcdef",))
    other = tmp_path / "other.yaml"
    other.write_text("says: nothing\n")
    broken = tmp_path / "broken.yaml"
    broken.write_text((STRATEGIES / "static-ladder" / "early.yaml").read_text().replace("gap_days: 3 ", "gap_days: 0 "))
    with pytest.raises(ConfigError, match=r"broken\.yaml:\d+: gap_days"):
        re_decided(instead=(str(broken),))
    broken.write_text((STRATEGIES / "learned" / "early.yaml").read_text().replace("strategy: static-ladder}", "strategy: learned}"))
    with pytest.raises(ConfigError, match=r"broken\.yaml:\d+: learned\.hold_outs\.champion: the champion is a ladder"):
        re_decided(instead=(str(broken),))
    with pytest.raises(BackfillRefused, match="neither a rule pack"):
        re_decided(instead=(str(other),))
    with connection() as tx:
        assert tx.execute(text("SELECT count(*) FROM backfill")).scalar_one() == 0

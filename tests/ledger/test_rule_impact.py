"""Impact of a change of law: each contact is judged again at its own instant, by what was known then."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from config.rule_files import RULES
from gate.lane import run_lane
from ledger.engine import connection
from ledger.pack_versions import UnknownReferenceError, version_of, versions_of
from ledger.rule_impact import Impact, rule_impact
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, noon
from tests.plugins.sending import Outbox, RecordingChannel
from tideover import app

RULE = """
  - id: TW-TEST
    says: What a stricter law would say.
    kind: {kind}
    reason: stricter
    basis: law
    reference: [{{title: An act to come, read_on: 2026-11-20}}]
    confidence: V1
    reviewed_by: null
"""
HOURS = RULE.format(kind="window") + '    clock: Asia/Taipei\n    values: {2020-01-01: {opens: "13:00", closes: "20:00"}}\n'
CAP = RULE.format(kind="cap") + "    counts: {per: person, span: P7D}\n    values: {2020-01-01: {at_most: 1}}\n"


@pytest.fixture
def stricter(tmp_path: Path) -> Path:
    """The pack of Taiwan with one rule more."""
    return changed(tmp_path, HOURS)


def changed(folder: Path, rule: str) -> Path:
    file = folder / "stricter.yaml"
    file.write_text((RULES / "tw.yaml").read_text("utf-8").rstrip() + "\n" + rule, "utf-8")
    return file


def sent(portfolio: Portfolio, outbox: Outbox, *borrowers: BorrowerIds, on: date = TODAY, country: str = "TW") -> list[int]:
    """Send one message to each, at noon; ids of the attempts."""
    at = noon(country, on)
    portfolio.clock(at)
    run = outbox.run(business_date=on, scope=country)
    attempts = [
        outbox.plan(
            run,
            borrower,
            locale="zh-Hant" if country == "TW" else "en",
            send_after=at - timedelta(hours=1),
            expires_at=at + timedelta(hours=6),
        )
        for borrower in borrowers
    ]
    run_lane(run, shard=None, channels={"sms": RecordingChannel})
    assert {outbox.attempt(attempt)["state"] for attempt in attempts} == {"accepted"}
    return attempts


def impact(before: str, after: str, *, days: int = 30) -> Impact:
    return rule_impact(*versions_of(before, after), days=days)


def test_contacts_that_another_law_forbids_are_named_by_rule(portfolio: Portfolio, outbox: Outbox, stricter: Path) -> None:
    here, there = portfolio.borrower(country="TW"), portfolio.borrower(country="US")
    attempts = sent(portfolio, outbox, here)
    sent(portfolio, outbox, there, country="US")
    found = impact("TW@current", f"TW@{stricter}")
    assert (found.attempts, found.concerned) == (2, 1)
    assert found.forbidden == {attempts[0]: ["TW-TEST"]}
    assert found.allowed == {}
    assert found.by_rule(found.forbidden) == {"TW-TEST": 1}


def test_the_way_back_would_allow_them(portfolio: Portfolio, outbox: Outbox, stricter: Path) -> None:
    attempts = sent(portfolio, outbox, portfolio.borrower(country="TW"))
    found = impact(f"TW@{stricter}", "TW@current")
    assert (found.forbidden, found.allowed) == ({}, {attempts[0]: ["TW-TEST"]})


def test_an_attempt_is_not_part_of_its_own_history_but_earlier_ones_are(portfolio: Portfolio, outbox: Outbox, tmp_path: Path) -> None:
    borrower, other = portfolio.borrower(country="TW"), portfolio.borrower(country="TW")
    sent(portfolio, outbox, borrower, other)
    later = sent(portfolio, outbox, borrower, on=TODAY + timedelta(days=2))
    found = impact("current", f"TW@{changed(tmp_path, CAP)}")
    assert found.attempts == 3
    assert found.forbidden == {later[0]: ["TW-TEST"]}


def test_what_was_learned_afterwards_changes_nothing(portfolio: Portfolio, outbox: Outbox, stricter: Path) -> None:
    borrower = portfolio.borrower(country="TW")
    attempts = sent(portfolio, outbox, borrower)
    portfolio.hold(borrower.party_id, "illness", starts_at=noon("TW") - timedelta(days=1))
    assert impact("TW@current", f"TW@{stricter}").forbidden == {attempts[0]: ["TW-TEST"]}


def test_the_same_law_changes_nothing(portfolio: Portfolio, outbox: Outbox) -> None:
    sent(portfolio, outbox, portfolio.borrower(country="TW"))
    found = impact("TW@current", "TW@current")
    assert (found.attempts, found.concerned, found.forbidden, found.allowed) == (1, 1, {}, {})


def test_only_the_last_days_are_looked_at(portfolio: Portfolio, outbox: Outbox, stricter: Path) -> None:
    sent(portfolio, outbox, portfolio.borrower(country="TW"))
    portfolio.clock(noon("TW") + timedelta(days=3))
    assert impact("TW@current", f"TW@{stricter}", days=3).attempts == 1
    assert impact("TW@current", f"TW@{stricter}", days=2).attempts == 0


def test_the_command_speaks_words_and_json(portfolio: Portfolio, outbox: Outbox, stricter: Path) -> None:
    attempts = sent(portfolio, outbox, portfolio.borrower(country="TW", number="+886900000001"))
    asked = ["rules", "impact", "--from", "current", "--to", str(stricter), "--days", "30"]
    spoken, plain = CliRunner().invoke(app, asked), CliRunner().invoke(app, [*asked, "--jurisdiction", "TW", "--json"])
    assert (spoken.exit_code, plain.exit_code) == (0, 0)
    assert "the last 30 days: 1 attempts, 1 under this pack" in spoken.stdout
    assert "would have been forbidden: 1\n  TW-TEST: 1\n" in spoken.stdout
    told = json.loads(plain.stdout)
    assert told["forbidden"] == [{"attempt_id": attempts[0], "rules": ["TW-TEST"]}]
    assert (told["forbidden_by_rule"], told["allowed_by_rule"], told["attempts"]) == ({"TW-TEST": 1}, {}, 1)
    assert "00000001" not in spoken.output + plain.output


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--from", "current", "--to", "current"], "does not say whose"),
        (["--from", "TW@current", "--to", "US@current"], "not a version of TW"),
        (["--from", "TW@current", "--to", "TW@nowhere.yaml"], "neither `current`, the beginning of a hash, nor a file"),
        (["--from", "TW@current", "--to", "TW@abc"], "too short"),
        (["--from", "TW@current", "--to", "TW@abcdef012345"], "the ledger keeps no version of the rule pack TW"),
        (["--from", "QQ@current", "--to", "QQ@current"], "no pack for QQ; there are"),
        (["--from", "TW@", "--to", "TW@current"], "is no version: give PACK@VERSION"),
    ],
)
def test_a_version_that_there_is_none_of_is_said_with_what_could_be(ledger_url: str, words: list[str], says: str) -> None:
    del ledger_url
    refused = CliRunner().invoke(app, ["rules", "impact", *words])
    assert refused.exit_code == 2
    assert says in refused.stderr


def test_a_ledger_that_cannot_be_read_is_said(ledger_url: str) -> None:
    del ledger_url
    with connection() as tx:
        tx.exec_driver_sql("DROP TABLE policy_version CASCADE")
    refused = CliRunner().invoke(app, ["rules", "diff", "TW@current", "TW@abcdef012345"])
    assert refused.exit_code == 2
    assert "the ledger cannot be reached" in refused.stderr


def test_a_version_is_found_wherever_it_is_kept(stricter: Path) -> None:
    current = version_of("TW@current")
    assert version_of("tw@current") == current
    assert version_of(f"TW@{current.pack.version[:8]}") == current
    assert version_of(current.pack.version) == current
    own = version_of(str(stricter))
    assert (own.jurisdiction, own.label) == ("TW", f"TW@{own.pack.version[:12]}")
    assert [rule.id for rule in own.pack.rules if rule not in current.pack.rules] == ["TW-TEST"]
    assert [pack for pack in own.packs.packs if pack.jurisdiction != "TW"] == [
        pack for pack in current.packs.packs if pack.jurisdiction != "TW"
    ]
    with pytest.raises(UnknownReferenceError, match="a pack of TW, not of US"):
        version_of(f"US@{stricter}")

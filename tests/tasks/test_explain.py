"""Explain: what was decided, made again from what was known then; or what would be decided."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta

import pytest
from prefect.logging import disable_run_logger
from sqlalchemy import text
from typer.testing import CliRunner

from config.policies import policies
from decisions.explain import log_words, words
from ledger.campaigns import open_run
from ledger.decisions_log import UnknownBorrowerError
from ledger.engine import connection
from tasks.choose import choose
from tasks.explain import explain_borrower
from tasks.pick import pick
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, noon
from tideover import app

PHONE = "token-of-a-phone"


@pytest.fixture(autouse=True)
def _quietly() -> Iterator[None]:
    with disable_run_logger():
        yield


def decided(portfolio: Portfolio) -> int:
    """The day's run, decided at noon."""
    portfolio.clock(noon("US"))
    with connection() as tx:
        run = open_run(tx, stage="early", business_date=TODAY, preview=False, borrowers_max=None, policies=policies("early"), at=noon("US"))
    for shard in pick.fn(run):
        choose.fn(shard, run)
    return run


def told_words(who: BorrowerIds, on: date | None = TODAY) -> str:
    told = explain_borrower(f"#{who.party_id}", on)
    return "\n".join([*words(told), *log_words(told)])


def test_a_decision_replays_and_its_attempts_are_told(portfolio: Portfolio) -> None:
    who = portfolio.borrower(days_past_due=5)
    run = decided(portfolio)
    told = explain_borrower(f"#{who.party_id}", TODAY)
    assert (told["replays"], told["differences"], told["campaign_run_id"], told["policies_changed"]) == (True, [], run, [])
    assert told["decision"] == told["stored"] | {"propensities": None}
    assert [(attempt["state"], attempt["contact_point_id"]) for attempt in told["attempts"]] == [("planned", who.sms_id)]
    assert "is the same" in told_words(who)


@pytest.mark.parametrize("what", ["payment", "hold", "opt_out", "contact", "contact point retired"])
def test_I8_what_was_learned_later_changes_nothing_about_the_replay(portfolio: Portfolio, what: str) -> None:
    who = portfolio.borrower(days_past_due=5)
    decided(portfolio)
    if what == "payment":
        portfolio.payment(who.loan_id, 10_500)
    elif what == "hold":
        portfolio.hold(who.party_id, "hardship")
    elif what == "opt_out":
        portfolio.opt_out(who.party_id)
    elif what == "contact":
        portfolio.contact(who.party_id, noon("US"))
    else:
        with connection() as tx:
            tx.execute(
                text("UPDATE contact_point_version SET superseded_at = clock_timestamp() WHERE contact_point_id = :id"), {"id": who.sms_id}
            )
    portfolio.clock(noon("US") + timedelta(hours=2))
    told = explain_borrower(f"#{who.party_id}", TODAY)
    assert (told["replays"], told["differences"]) == (True, [])


def test_whoever_is_left_in_peace_is_told_the_rule_and_where_it_comes_from(portfolio: Portfolio) -> None:
    who = portfolio.borrower()
    portfolio.hold(who.party_id, "hardship")
    decided(portfolio)
    told = explain_borrower(f"#{who.party_id}", TODAY)
    forbidding = [verdict for verdict in told["candidates"][0]["verdicts"] if not verdict["allows"]]
    assert forbidding
    assert {verdict["rule"] for verdict in forbidding} == set(told["decision"]["reasons"])
    for verdict in forbidding:
        assert verdict["says"]
        assert verdict["reference"][0]["title"]
        line = next(line for line in told_words(who).splitlines() if verdict["rule"] in line)
        assert line.strip().startswith("FORBIDS")
        assert verdict["reference"][0]["title"] in line


def test_every_rule_that_looks_is_told_also_where_it_allows(portfolio: Portfolio) -> None:
    who = portfolio.borrower()
    portfolio.clock(noon("US"))
    told = explain_borrower(f"#{who.party_id}", TODAY)
    packs = {verdict["pack"] for candidate in told["candidates"] for verdict in candidate["verdicts"]}
    assert packs == {"US", "house"}
    assert told["stored"] is None
    assert told["replays"] is None
    assert "this is what would be decided" in told_words(who)


def test_a_decision_that_was_tampered_with_does_not_pass_for_a_replay(portfolio: Portfolio) -> None:
    who = portfolio.borrower(days_past_due=5)
    decided(portfolio)
    with connection() as tx:
        tx.execute(text("UPDATE decision SET message = 'early_need_time', score = 7"))
    told = explain_borrower(f"#{who.party_id}", TODAY)
    assert (told["replays"], told["differences"]) == (False, ["message", "score"])
    assert "NOT THE SAME" in told_words(who)


def test_a_policy_that_changed_since_is_named(portfolio: Portfolio) -> None:
    who = portfolio.borrower()
    decided(portfolio)
    with connection() as tx:
        tx.execute(text("""UPDATE campaign_run SET policy_hashes = policy_hashes || '{"rules/us": "another"}'"""))
    assert explain_borrower(f"#{who.party_id}", TODAY)["policies_changed"] == ["rules/us"]
    assert "rules/us" in told_words(who)


def test_without_a_date_today_is_told(portfolio: Portfolio) -> None:
    who = portfolio.borrower()
    portfolio.clock(noon("TW"))
    assert explain_borrower(f"#{who.party_id}")["business_date"] == TODAY.isoformat()


def test_nothing_personal_is_told(portfolio: Portfolio) -> None:
    who = portfolio.borrower(number="+12125550100", push_token=PHONE)
    decided(portfolio)
    told = json.dumps(explain_borrower(f"#{who.party_id}", TODAY)) + told_words(who)
    assert not [value for value in ("Atall", "5550100", "token-of-a-phone", "Lantern") if value in told]


def test_a_borrower_who_does_not_exist_is_an_error(portfolio: Portfolio) -> None:
    portfolio.borrower()
    with pytest.raises(UnknownBorrowerError):
        explain_borrower("#999")


def test_the_command_speaks_words_and_json(portfolio: Portfolio) -> None:
    who = portfolio.borrower(days_past_due=5)
    decided(portfolio)
    asked = ["explain", "--borrower", f"#{who.party_id}", "--as-of", TODAY.isoformat()]
    spoken, plain = CliRunner().invoke(app, asked), CliRunner().invoke(app, [*asked, "--json"])
    assert (spoken.exit_code, plain.exit_code) == (0, 0)
    assert "Decision: sms to contact point" in spoken.stdout
    assert json.loads(plain.stdout)["decision"]["action"] == "contact"


def test_the_command_says_that_there_is_no_such_borrower(portfolio: Portfolio) -> None:
    portfolio.borrower()
    refused = CliRunner().invoke(app, ["explain", "--borrower", "nobody-of-that-name"])
    assert refused.exit_code == 2
    assert "no borrower" in refused.stderr
    assert "nobody-of-that-name" not in refused.output

"""Explain: what was decided, made again from what was known then; or what would be decided."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from uuid import uuid4

import pytest
from prefect.logging import disable_run_logger
from sqlalchemy import text
from typer.testing import CliRunner

from config.policies import Policy, policies
from config.settings import settings
from decisions.explain import log_words, words
from ledger.campaigns import note_flow_run, open_run, write_policies
from ledger.decisions_log import UnknownBorrowerError
from ledger.engine import connection
from ledger.in_force import policy_key
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


def test_the_run_that_decided_is_shown_where_people_open_prefect(portfolio: Portfolio, monkeypatch: pytest.MonkeyPatch) -> None:
    who, flow_run = portfolio.borrower(), uuid4()
    run = decided(portfolio)
    with connection() as tx:
        note_flow_run(tx, run, flow_run)
    monkeypatch.setenv("PREFECT_UI_URL", "https://prefect.lender.example/")
    settings.cache_clear()
    assert f"Its run in Prefect: https://prefect.lender.example/runs/flow-run/{flow_run}" in told_words(who)
    assert explain_borrower(f"#{who.party_id}", TODAY)["flow_runs"] == [f"https://prefect.lender.example/runs/flow-run/{flow_run}"]


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
    told = explain_borrower(f"#{who.party_id}", TODAY)
    # Of a hash that nobody kept there is no text: today's stands in, and that is said.
    assert (told["policies_changed"], told["policies_not_kept"], told["replays"]) == (["rules/us"], ["rules/us"], True)
    assert "today's stand in: rules/us" in told_words(who)


THEN = {
    "strategy/static-ladder/early": ("strategy", "static-ladder/early", "channel: sms,", "channel: push,"),
    "message/early_reminder/en": ("message", "early_reminder/en", "approved: true", "approved: false"),
    "ageing/ageing": ("ageing", "ageing", "early: 1", "early: 9"),
}


@pytest.mark.parametrize("kind", THEN)
def test_I8_a_decision_is_made_again_by_what_was_in_force_then(portfolio: Portfolio, kind: str) -> None:
    who = portfolio.borrower(days_past_due=5, push=False)
    decided(portfolio)
    assert explain_borrower(f"#{who.party_id}", TODAY)["decision"]["action"] == "contact"
    name, of, now, then = THEN[kind]
    body = next(policy.body for policy in policies("early") if policy_key(policy) == kind)
    assert now in body
    was_in_force(Policy(name, of, body.replace(now, then)))
    told = explain_borrower(f"#{who.party_id}", TODAY)
    assert (told["policies_changed"], told["policies_not_kept"]) == ([kind], [])
    # What was written down under today's is not what that would have decided.
    assert (told["decision"]["action"], told["replays"]) == ("no_contact", False)


def test_I8_a_holiday_of_then_counts_though_today_it_is_none(portfolio: Portfolio) -> None:
    who = portfolio.borrower(country="MX", push=False)
    decided(portfolio)
    was_in_force(Policy("calendar", "mx", f"calendar: MX\nadds: {{{TODAY.isoformat()}: A decreed day}}\n"))
    told = explain_borrower(f"#{who.party_id}", TODAY)
    assert told["policies_changed"] == ["calendar/mx"]
    assert [rule for rule in told["decision"]["reasons"] if rule.startswith("MX-")]
    assert told["replays"] is False


def test_I8_a_providers_word_that_came_later_cleared_nothing_then(portfolio: Portfolio) -> None:
    who = portfolio.borrower(creditor_role="third_party", consent_to="collector", push=False)
    decided(portfolio)
    assert cleared(who) is True
    body = next(policy.body for policy in policies("early") if policy.kind == "clearance")
    was_in_force(Policy("clearance", "clearances", body.replace("until: 2030-12-31", "until: 2020-12-31")))
    assert cleared(who) is False


def was_in_force(policy: Policy) -> None:
    """Say that the run decided by another version."""
    with connection() as tx:
        hashes = write_policies(tx, [policy])
        tx.execute(text("UPDATE campaign_run SET policy_hashes = policy_hashes || CAST(:one AS jsonb)"), {"one": json.dumps(hashes)})


def cleared(who: BorrowerIds) -> bool:
    (verdict,) = (
        verdict
        for candidate in explain_borrower(f"#{who.party_id}", TODAY)["candidates"]
        for verdict in candidate["verdicts"]
        if verdict["rule"] == "US-PROVIDER-TWILIO"
    )
    return bool(verdict["allows"])


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

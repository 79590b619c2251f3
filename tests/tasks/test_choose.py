"""Choose: facts of the ledger become decisions and planned attempts, with the real rules, once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from prefect.logging import disable_run_logger
from sqlalchemy import text

from config.policies import policies
from ledger.campaigns import open_run, read_run, read_shard
from ledger.engine import connection
from tasks.choose import choose
from tasks.pick import pick
from tests.plugins.portfolio import TODAY, Portfolio, noon

PHONE = "token-of-a-phone"


@pytest.fixture(autouse=True)
def _quietly() -> Iterator[None]:
    with disable_run_logger():
        yield


def run_of_today(country: str = "US") -> int:
    with connection() as tx:
        run = open_run(
            tx, stage="early", business_date=TODAY, preview=False, borrowers_max=None, policies=policies("early"), at=noon(country)
        )
    assert pick.fn(run) == [0]
    return run


def decisions() -> list[dict[str, Any]]:
    with connection() as tx:
        rows = tx.execute(
            text("""
                SELECT d.party_id, d.action, d.channel, d.message, d.locale, d.step, d.probability, r.reasons, a.send_after, a.expires_at
                FROM decision d JOIN reason_set r ON r.id = d.reason_set_id LEFT JOIN attempt a ON a.decision_id = d.id
                ORDER BY d.party_id""")
        )
        return [dict(row) for row in rows.mappings()]


@pytest.mark.parametrize(
    ("country", "locale"), [("US", "en"), ("TW", "zh-Hant"), ("CN", "zh-Hans"), ("MX", "es")], ids=["US", "TW", "CN", "MX"]
)
def test_a_borrower_whom_nothing_protects_is_contacted_in_her_language(portfolio: Portfolio, country: str, locale: str) -> None:
    portfolio.borrower(country=country, days_past_due=5)
    portfolio.clock(noon(country))
    assert choose.fn(0, run_of_today(country)) == 1
    (row,) = decisions()
    assert (row["action"], row["message"], row["locale"], row["probability"]) == ("contact", "early_reminder", locale, 1.0)
    assert row["send_after"] == noon(country)
    assert row["expires_at"] > row["send_after"]


def test_a_hold_an_opt_out_and_a_pause_leave_people_in_peace_and_say_why(portfolio: Portfolio) -> None:
    held, stopped, free = (portfolio.borrower() for _ in range(3))
    portfolio.hold(held.party_id, "hardship")
    portfolio.opt_out(stopped.party_id)
    portfolio.clock(noon("US"))
    assert choose.fn(0, run_of_today()) == 1
    by_party = {row["party_id"]: row for row in decisions()}
    assert [by_party[who.party_id]["action"] for who in (held, stopped, free)] == ["no_contact", "no_contact", "contact"]
    assert all(by_party[who.party_id]["reasons"] for who in (held, stopped))
    with connection() as tx:
        assert tx.execute(text("SELECT party_id FROM attempt")).scalars().all() == [free.party_id]


def test_a_shard_that_is_decided_is_read_back(portfolio: Portfolio) -> None:
    portfolio.borrower()
    portfolio.clock(noon("US"))
    run = run_of_today()
    assert choose.fn(0, run) == 1
    first = decisions()
    portfolio.clock(noon("US") + timedelta(hours=1))
    assert choose.fn(0, run) == 1
    assert decisions() == first


def test_the_shard_says_how_many_were_planned_and_withheld(portfolio: Portfolio) -> None:
    portfolio.borrower()
    held = portfolio.borrower()
    portfolio.hold(held.party_id, "dispute")
    portfolio.clock(noon("US"))
    run = run_of_today()
    choose.fn(0, run)
    with connection() as tx:
        shard = read_shard(tx, run, 0)
    assert (shard.planned, shard.withheld, shard.decided_at) == (1, 1, noon("US"))


def test_before_the_lawful_hour_the_attempt_waits_for_it(portfolio: Portfolio) -> None:
    portfolio.borrower()
    early = noon("US") - timedelta(hours=7)
    portfolio.clock(early)
    assert choose.fn(0, run_of_today()) == 1
    (row,) = decisions()
    assert noon("US") - timedelta(hours=5) <= row["send_after"] < noon("US")


def test_a_stale_payment_feed_leaves_everybody_in_peace(portfolio: Portfolio) -> None:
    portfolio.creditor("US", fresh_until=noon("US") - timedelta(days=3))
    portfolio.borrower()
    portfolio.clock(noon("US"))
    assert choose.fn(0, run_of_today()) == 0


def test_the_run_names_what_it_decided_by(portfolio: Portfolio) -> None:
    portfolio.borrower()
    run = run_of_today()
    with connection() as tx:
        hashes = read_run(tx, run).policy_hashes
        kept = set(tx.execute(text("SELECT hash FROM policy_version")).scalars())
    assert set(hashes.values()) == kept
    assert {"rules/us", "rules/house", "strategy/static-ladder/early", "message/early_reminder/en"} <= hashes.keys()


def test_no_name_number_or_text_is_in_what_is_decided(portfolio: Portfolio) -> None:
    portfolio.borrower(number="+12125550100", push_token=PHONE)
    portfolio.clock(noon("US"))
    choose.fn(0, run_of_today())
    with connection() as tx:
        written = " ".join(
            str(row)
            for table in ("decision", "attempt", "reason_set")
            for row in tx.execute(text(f"SELECT * FROM {table}"))  # noqa: S608  # a word of this file
        )
    assert not [value for value in ("Nobody Atall", "+12125550100", "token-of-a-phone", "10,500") if value in written]

"""Pick: ageing the portfolio in chunks and cutting the stage's borrowers, as often as it is called."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from prefect.logging import disable_run_logger
from sqlalchemy import text

from ledger.aging_facts import age_portfolio
from ledger.campaigns import finish_shard, open_run
from ledger.engine import connection
from tasks.pick import pick
from tests.plugins.portfolio import TODAY, Portfolio, noon


def picked(*, limit: int | None = None) -> tuple[int, list[int]]:
    with connection() as tx:
        run = open_run(tx, stage="early", business_date=TODAY, preview=False, borrowers_max=limit, policies=[], at=noon("US"))
    with disable_run_logger():
        return run, pick.fn(run)


def rows(columns: str = "loan_id", *, of: str = "loan_aging") -> list[tuple[Any, ...]]:
    with connection() as tx:
        return [tuple(row) for row in tx.execute(text(f"SELECT {columns} FROM {of} ORDER BY 1"))]  # noqa: S608  # a test's own words


def test_the_late_are_kept_with_how_late_they_are(portfolio: Portfolio) -> None:
    who = portfolio.borrower(days_past_due=12)
    portfolio.payment(who.loan_id, 500)
    picked()
    assert rows("loan_id, party_id, business_date, days_past_due, delinquent_days, past_due_minor, outstanding_minor, bucket, stage") == [
        (who.loan_id, who.party_id, TODAY, 12, 12, 10_000, 20_500, "M1", "early")
    ]
    assert rows("oldest_unpaid_due_on, next_due_on") == [(TODAY - timedelta(days=12), TODAY + timedelta(days=18))]


def test_who_is_neither_late_nor_nearly_due_is_left_out(portfolio: Portfolio) -> None:
    soon = portfolio.borrower(days_past_due=-3)
    today = portfolio.borrower(days_past_due=0)
    portfolio.borrower(days_past_due=-4)
    paid = portfolio.borrower(days_past_due=10)
    portfolio.payment(paid.loan_id, 21_000)
    within_grace = portfolio.loan(soon.party_id, days_past_due=2, grace_days=5)
    picked()
    assert rows("loan_id, stage") == [(soon.loan_id, "pre_due"), (today.loan_id, "pre_due"), (within_grace, None)]


@pytest.mark.parametrize("status", ["closed", "submitted", "overpaid"])
def test_a_loan_that_does_not_age_is_left_out(portfolio: Portfolio, status: str) -> None:
    who = portfolio.borrower(days_past_due=-20)
    portfolio.loan(who.party_id, status=status)
    run, shards = picked()
    del run
    assert (shards, rows()) == ([], [])


def test_a_loan_for_which_nobody_stands_is_left_out(portfolio: Portfolio) -> None:
    portfolio.borrower()
    with connection() as tx:
        tx.execute(text("UPDATE loan_party SET ends_on = :on"), {"on": TODAY})
    assert picked()[1] == []
    assert rows() == []


def test_a_shared_loan_stands_under_who_borrowed_it(portfolio: Portfolio) -> None:
    guarantor = portfolio.borrower(days_past_due=-20)
    who = portfolio.borrower()
    portfolio.liable(who.loan_id, guarantor.party_id, role="guarantor")
    picked()
    assert rows("loan_id, party_id") == [(who.loan_id, who.party_id)]


@pytest.mark.parametrize("loans_a_chunk", [1, 2, 3, 100])
def test_the_size_of_a_chunk_changes_nothing(portfolio: Portfolio, loans_a_chunk: int) -> None:
    late = [portfolio.borrower(days_past_due=days).loan_id for days in (5, -20, 40, 100, 7)]
    with connection() as tx:
        # Ids have gaps where imports were given up.
        tx.execute(text("ALTER SEQUENCE loan_id_seq RESTART WITH 5000"))
    late.append(portfolio.borrower().loan_id)
    aged = age_portfolio(TODAY, loans_a_chunk=loans_a_chunk)
    assert (aged.loans, aged.kept) == (6, 5)
    assert [loan for (loan,) in rows()] == [loan for loan in late if loan != late[1]]


def test_an_empty_ledger_has_nobody_to_treat(ledger_url: str) -> None:
    del ledger_url
    assert picked()[1] == []


def test_picking_again_replaces_the_day_and_leaves_other_days(portfolio: Portfolio) -> None:
    who, other = portfolio.borrower(), portfolio.borrower(days_past_due=3)
    age_portfolio(TODAY - timedelta(days=1))
    picked()
    portfolio.payment(who.loan_id, 10_500, paid_on=TODAY)
    run, shards = picked()
    del run
    assert shards == [0]
    assert sorted(rows("loan_id, business_date")) == [
        (who.loan_id, TODAY - timedelta(days=1)),
        (other.loan_id, TODAY - timedelta(days=1)),
        (other.loan_id, TODAY),
    ]


def test_once_a_shard_is_decided_the_day_stands(portfolio: Portfolio) -> None:
    who = portfolio.borrower()
    run, shards = picked()
    with connection() as tx:
        finish_shard(tx, run, shards[0], planned=1, withheld=0, at=noon("US"))
    portfolio.payment(who.loan_id, 10_500)
    portfolio.borrower()
    assert picked() == (run, shards)
    assert rows() == [(who.loan_id,)]


def test_a_limit_takes_the_first_borrowers(portfolio: Portfolio) -> None:
    people = [portfolio.borrower() for _ in range(3)]
    picked(limit=2)
    assert rows("first_party_id, last_party_id, borrowers", of="campaign_shard") == [(people[0].party_id, people[1].party_id, 2)]


def test_what_an_interrupted_pick_left_is_replaced(portfolio: Portfolio) -> None:
    """The worker died between ageing and cutting; since then somebody paid."""
    first, second = portfolio.borrower(), portfolio.borrower()
    age_portfolio(TODAY)
    portfolio.payment(first.loan_id, 10_500)
    assert picked()[1] == [0]
    assert rows() == [(second.loan_id,)]


def test_several_stages_may_age_the_same_date_at_once(portfolio: Portfolio) -> None:
    people = [portfolio.borrower() for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        aged = [done.result() for done in [threads.submit(age_portfolio, TODAY, loans_a_chunk=1) for _ in range(4)]]
    assert [found.kept for found in aged] == [4] * 4
    assert rows() == [(who.loan_id,) for who in people]

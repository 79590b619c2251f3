"""Promises judged over the ledger: kept, broken, waiting for the feed, corrected; each as a new version, once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from config.promises import promise_terms
from decisions.promises import StillPromised
from ledger import answers, promises
from ledger.engine import connection
from ledger.locks import lock_borrowers
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, noon
from tests.plugins.sending import Outbox
from tests.plugins.sent import Known

TERMS = promise_terms()
NOON = noon("US")
FRIDAY = TODAY + timedelta(days=3)
# Monday and Tuesday may still bring the payment.
OVER = FRIDAY + timedelta(days=5)
COVERED = datetime.combine(FRIDAY + timedelta(days=60), time(), UTC)


@pytest.fixture
def borrower(portfolio: Portfolio) -> BorrowerIds:
    """Owes 105.00 for five days; the feed reaches far."""
    portfolio.clock(NOON)
    portfolio.creditor(fresh_until=COVERED)
    return portfolio.borrower()


def promise(borrower: BorrowerIds, due_on: date = FRIDAY, amount_minor: int | None = None, *, at: datetime = NOON) -> None:
    with connection() as tx:
        lock_borrowers(tx, [borrower.party_id])
        answers.promise(tx, borrower.party_id, due_on, amount_minor=amount_minor, currency="USD" if amount_minor else None, at=at)
        until = noon("US", due_on + timedelta(days=4)) + timedelta(hours=12)
        answers.hold(tx, borrower.party_id, "promise", starts_at=at, until=until)


def judge(on: date, *borrowers: BorrowerIds) -> dict[str, int]:
    with connection() as tx:
        return dict(promises.judge(tx, [one.party_id for one in borrowers], on=on, at=noon("US", on), terms=TERMS))


def states(outbox: Outbox) -> list[str]:
    return [row.state for row in outbox.rows("SELECT state FROM promise WHERE superseded_at IS NULL ORDER BY due_on, id")]


def test_a_promise_stays_open_until_the_days_of_settlement_are_over_and_is_then_broken_once(
    borrower: BorrowerIds, known: Known, outbox: Outbox
) -> None:
    promise(borrower)
    assert judge(OVER - timedelta(days=1), borrower) == {"open": 1}
    assert judge(OVER, borrower) == {"broken": 1}
    assert judge(OVER, borrower) == {}
    versions = outbox.rows("SELECT state, superseded_at IS NULL AS stands, effective_at FROM promise ORDER BY id")
    assert [tuple(row) for row in versions] == [("open", False, NOON), ("broken", True, noon("US", OVER))]
    assert known.outcomes(borrower) == []


def test_a_payment_keeps_it_and_the_pause_ends_with_the_day_that_was_named(
    borrower: BorrowerIds, portfolio: Portfolio, known: Known, outbox: Outbox
) -> None:
    promise(borrower)
    portfolio.payment(borrower.loan_id, 9_450, paid_on=TODAY + timedelta(days=1))
    assert judge(TODAY + timedelta(days=2), borrower) == {"kept": 1}
    assert known.holds(borrower) == [("promise", noon("US", FRIDAY) + timedelta(hours=12))]
    assert states(outbox) == ["kept"]
    assert judge(OVER, borrower) == {}


def test_a_payment_after_the_days_of_settlement_does_not_keep_it(borrower: BorrowerIds, portfolio: Portfolio) -> None:
    promise(borrower)
    portfolio.payment(borrower.loan_id, 10_500, paid_on=OVER)
    assert judge(OVER, borrower) == {"broken": 1}


def test_what_was_paid_before_it_was_promised_does_not_count(borrower: BorrowerIds, portfolio: Portfolio) -> None:
    promise(borrower, amount_minor=5_000)
    portfolio.payment(borrower.loan_id, 5_000, paid_on=TODAY - timedelta(days=1))
    assert judge(OVER, borrower) == {"broken": 1}


def test_an_amount_that_was_named_is_what_counts(borrower: BorrowerIds, portfolio: Portfolio) -> None:
    promise(borrower, amount_minor=5_000)
    portfolio.payment(borrower.loan_id, 4_500, paid_on=FRIDAY)
    assert judge(FRIDAY, borrower) == {"kept": 1}


def test_without_an_amount_a_part_is_partly_kept(borrower: BorrowerIds, portfolio: Portfolio) -> None:
    promise(borrower)
    portfolio.payment(borrower.loan_id, 6_000, paid_on=FRIDAY)
    assert judge(OVER, borrower) == {"partial": 1}


def test_nothing_is_called_broken_while_the_payment_feed_does_not_reach_that_far(portfolio: Portfolio, outbox: Outbox) -> None:
    portfolio.clock(NOON)
    portfolio.creditor(fresh_until=noon("US", FRIDAY))
    borrower = portfolio.borrower()
    promise(borrower)
    assert judge(OVER, borrower) == {"waiting for the feed": 1}
    portfolio.payment(borrower.loan_id, 10_500, paid_on=FRIDAY)
    assert judge(OVER, borrower) == {"kept": 1}
    assert states(outbox) == ["kept"]


def test_a_payment_that_arrives_late_in_a_file_corrects_the_judgement(borrower: BorrowerIds, portfolio: Portfolio, outbox: Outbox) -> None:
    promise(borrower)
    judge(OVER, borrower)
    name = portfolio.payment(borrower.loan_id, 10_500, paid_on=FRIDAY)
    assert judge(OVER + timedelta(days=7), borrower) == {"kept": 1}
    portfolio.payment(borrower.loan_id, -10_500, paid_on=OVER, reverses=name)
    assert judge(OVER + timedelta(days=8), borrower) == {"broken": 1}
    assert states(outbox) == ["broken"]
    # Weeks later a closed judgement stands.
    portfolio.payment(borrower.loan_id, 10_500, paid_on=FRIDAY)
    with connection() as tx:
        assert promises.waiting(tx, on=FRIDAY + timedelta(days=31), terms=TERMS, after=0, at_most=10) == []


def test_the_second_broken_promise_asks_a_person_to_offer_a_plan_once(borrower: BorrowerIds, known: Known) -> None:
    promise(borrower)
    promise(borrower, FRIDAY + timedelta(days=1))
    assert judge(OVER + timedelta(days=1), borrower) == {"broken": 2, "plan due": 1}
    assert judge(OVER + timedelta(days=2), borrower) == {}
    assert known.outcomes(borrower) == [("promise", True)]
    with connection() as tx:
        assert promises.plan_is_due(tx, borrower.party_id, today=OVER, terms=TERMS)
        assert not promises.plan_is_due(tx, borrower.party_id, today=OVER + timedelta(days=200), terms=TERMS)


def test_a_promise_about_one_loan_is_kept_by_payments_to_it_alone(borrower: BorrowerIds, portfolio: Portfolio) -> None:
    other = portfolio.loan(borrower.party_id)
    promise(borrower)
    with connection() as tx:
        tx.execute(text("UPDATE promise SET loan_id = :loan"), {"loan": other})
    portfolio.payment(borrower.loan_id, 10_500, paid_on=FRIDAY)
    assert judge(FRIDAY, borrower) == {"open": 1}
    portfolio.payment(other, 10_500, paid_on=FRIDAY)
    assert judge(FRIDAY, borrower) == {"kept": 1}


def test_only_people_with_something_to_judge_are_looked_at_page_by_page(borrower: BorrowerIds, portfolio: Portfolio) -> None:
    others: Sequence[Any] = [portfolio.borrower() for _ in range(3)]
    for one in (borrower, *others[:2]):
        promise(one)
    with connection() as tx:
        first = promises.waiting(tx, on=TODAY, terms=TERMS, after=0, at_most=2)
        rest = promises.waiting(tx, on=TODAY, terms=TERMS, after=first[-1], at_most=2)
    assert [*first, *rest] == [borrower.party_id, others[0].party_id, others[1].party_id]


def still_open(borrower: BorrowerIds, *, on: date = TODAY, until: date = FRIDAY, known_at: datetime | None = None) -> StillPromised | None:
    with connection() as tx:
        return promises.still_open(tx, [borrower.party_id], on=on, until=until, known_at=known_at).get(borrower.party_id)


def test_what_is_open_of_a_promise_is_what_was_not_posted_since(borrower: BorrowerIds, portfolio: Portfolio) -> None:
    promise(borrower, amount_minor=5_000)
    assert still_open(borrower) == StillPromised(due_on=FRIDAY, amount_minor=5_000, currency="USD")
    portfolio.payment(borrower.loan_id, 1_000, paid_on=TODAY - timedelta(days=1))
    portfolio.payment(borrower.loan_id, 2_000)
    portfolio.payment(borrower.loan_id, 500, state="pending")
    assert still_open(borrower) == StillPromised(due_on=FRIDAY, amount_minor=3_000, currency="USD")
    with connection() as tx:
        known_at = tx.execute(text("SELECT clock_timestamp()")).scalar_one()
    portfolio.payment(borrower.loan_id, 3_000)
    assert still_open(borrower) is None
    # As it was known then: evidence writes the same words again.
    assert still_open(borrower, known_at=known_at) == StillPromised(due_on=FRIDAY, amount_minor=3_000, currency="USD")


def test_without_an_amount_all_that_is_past_due_is_open_of_it_but_what_is_disputed(borrower: BorrowerIds) -> None:
    promise(borrower)
    assert still_open(borrower) == StillPromised(due_on=FRIDAY, amount_minor=10_500, currency="USD")
    with connection() as tx:
        tx.execute(text("UPDATE loan_version SET disputed_minor = 500"))
    assert still_open(borrower) == StillPromised(due_on=FRIDAY, amount_minor=10_000, currency="USD")


def test_only_a_promise_that_is_near_and_open_is_told_of(borrower: BorrowerIds) -> None:
    promise(borrower)
    assert still_open(borrower, until=FRIDAY - timedelta(days=1)) is None
    assert still_open(borrower, on=FRIDAY + timedelta(days=1), until=OVER) is None
    # She named another day since: what was planned for the old one is not said.
    with connection() as tx:
        lock_borrowers(tx, [borrower.party_id])
        promises.make_room(tx, borrower.party_id, FRIDAY + timedelta(days=2), amount_minor=None, at=NOON)
    assert still_open(borrower) is None

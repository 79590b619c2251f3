"""The phone team's queue: who asked comes first, nobody waits in it twice, and what was missed is told once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Connection

from ledger import call_queue
from ledger.call_queue import CallTask, CallWindow
from ledger.engine import connection
from tests.plugins.portfolio import BorrowerIds, Portfolio, noon
from tests.plugins.sending import Outbox

NOON = noon("US")
HOUR = timedelta(hours=1)
AFTERNOON = CallWindow(NOON + HOUR, NOON + 4 * HOUR)


@pytest.fixture
def borrower(portfolio: Portfolio) -> BorrowerIds:
    portfolio.clock(NOON)
    return portfolio.borrower()


def ask(tx: Connection, party_id: int, window: CallWindow = AFTERNOON) -> int:
    return call_queue.enqueue_callback(tx, party_id=party_id, because="sms: call_me", window=window, at=NOON)


def queue(at: timedelta = timedelta(0)) -> list[CallTask]:
    with connection() as tx:
        return call_queue.waiting(tx, at=NOON + at, at_most=10)


def unreached(tries_min: int = 2, at_most: int = 10) -> int:
    with connection() as tx:
        return call_queue.enqueue_unreached(
            tx, at=NOON, window=timedelta(days=3), tries_min=tries_min, within_days=14, stages=["early", "mid"], at_most=at_most
        )


def end(outbox: Outbox, attempt_id: int, state: str) -> None:
    outbox._do("UPDATE attempt SET state = :state WHERE id = :id", state=state, id=attempt_id)  # noqa: SLF001  # a plain statement


def test_a_call_back_waits_for_its_window_and_has_an_owner(borrower: BorrowerIds) -> None:
    with connection() as tx:
        task = ask(tx, borrower.party_id)
        assert call_queue.due(tx, at=NOON, at_most=5) == []
        (due,) = call_queue.due(tx, at=AFTERNOON.opens_at, at_most=5)
    assert (due.id, due.reason, due.owner, due.closes_at) == (task, "callback", "phone-team", AFTERNOON.closes_at)


def test_what_was_asked_for_last_counts(borrower: BorrowerIds) -> None:
    evening = CallWindow(NOON + 5 * HOUR, NOON + 6 * HOUR)
    with connection() as tx:
        ask(tx, borrower.party_id)
        later = ask(tx, borrower.party_id, evening)
    assert [(task.id, task.opens_at) for task in queue()] == [(later, evening.opens_at)]


def test_a_window_that_ends_before_it_begins_is_refused(borrower: BorrowerIds) -> None:
    with connection() as tx, pytest.raises(ValueError, match="window"):
        ask(tx, borrower.party_id, CallWindow(NOON, NOON))


def test_a_missed_call_back_is_told_once_and_stays_first(borrower: BorrowerIds, portfolio: Portfolio) -> None:
    other = portfolio.borrower()
    with connection() as tx:
        task = ask(tx, borrower.party_id)
        ask(tx, other.party_id, CallWindow(NOON, NOON + 9 * HOUR))
        assert call_queue.note_missed(tx, at=NOON) == []
        assert [missed.id for missed in call_queue.note_missed(tx, at=AFTERNOON.closes_at)] == [task]
        assert call_queue.note_missed(tx, at=AFTERNOON.closes_at + HOUR) == []
    assert next((one.id, one.missed_at is not None) for one in queue(5 * HOUR)) == (task, True)


def test_whom_no_message_reached_is_called_after_who_asked(borrower: BorrowerIds, portfolio: Portfolio, outbox: Outbox) -> None:
    run = outbox.run()
    silent = portfolio.borrower()
    for number in (1, 2):
        end(outbox, outbox.plan(run, silent, try_number=number), "undelivered")
    assert unreached(tries_min=3) == 0
    assert unreached(at_most=0) == 0
    assert unreached() == 1
    assert unreached() == 0
    with connection() as tx:
        ask(tx, borrower.party_id, CallWindow(NOON, NOON + HOUR))
    assert [task.reason for task in queue()] == ["callback", "unreached"]


@pytest.mark.parametrize("arrived", ["delivered", "accepted", "unknown"])
def test_whoever_may_have_been_reached_is_not_called_for_silence(portfolio: Portfolio, outbox: Outbox, arrived: str) -> None:
    run = outbox.run()
    portfolio.clock(NOON)
    reached = portfolio.borrower()
    for number, state in enumerate(("undelivered", "failed", arrived), start=1):
        end(outbox, outbox.plan(run, reached, try_number=number), state)
    assert unreached() == 0


def test_what_a_strategy_plans_waits_until_its_window_is_over(borrower: BorrowerIds, outbox: Outbox) -> None:
    attempt = outbox.plan(outbox.run(), borrower)
    outbox._do("UPDATE attempt SET channel = 'call' WHERE id = :id", id=attempt)  # noqa: SLF001  # a plain statement
    with connection() as tx:
        assert [call_queue.enqueue_planned(tx, at=NOON, at_most=10) for _ in range(2)] == [1, 0]
    assert [(task.reason, task.attempt_id) for task in queue()] == [("strategy", attempt)]
    with connection() as tx:
        assert call_queue.note_missed(tx, at=NOON + timedelta(days=1)) == []
    assert queue() == []


@pytest.mark.parametrize(
    "held", ["preview = true", "state = 'paused'", "approval = 'awaiting'", "canary = 'undecided'", "canary = 'trying'"]
)
def test_what_a_strategy_plans_waits_for_nobody_while_its_run_may_contact_nobody(borrower: BorrowerIds, outbox: Outbox, held: str) -> None:
    attempt = outbox.plan(outbox.run(), borrower)
    outbox._do("UPDATE attempt SET channel = 'call' WHERE id = :id", id=attempt)  # noqa: SLF001  # a plain statement
    with connection() as tx:
        tx.exec_driver_sql(f"UPDATE campaign_run SET {held}, approval_until = now(), approval_subject = 'x', canary_rank = ''")  # noqa: S608  # of the five above
        assert call_queue.enqueue_planned(tx, at=NOON, at_most=10) == 0


def test_only_one_takes_a_task_and_a_try_that_found_nobody_waits_again(borrower: BorrowerIds, outbox: Outbox) -> None:
    attempt = outbox.attempt(outbox.plan(outbox.run(), borrower))
    key = (attempt["business_date"], attempt["id"])
    with connection() as tx:
        task_id = ask(tx, borrower.party_id)
        assert [call_queue.take(tx, task_id, attempt=key, by=who, at=NOON) for who in ("anna", "ben")] == [True, False]
        taken = call_queue.read(tx, task_id)
        assert taken is not None
        assert call_queue.try_again(tx, taken, result="no_answer", window=CallWindow(NOON + HOUR, NOON + 2 * HOUR), at=NOON)
        assert not call_queue.try_again(tx, taken, result="no_answer", window=AFTERNOON, at=NOON)
    assert [(task.tries, task.state, task.asked_at) for task in queue()] == [(1, "waiting", NOON)]


def test_what_she_asked_for_meanwhile_counts_more_than_another_try(borrower: BorrowerIds, outbox: Outbox) -> None:
    attempt = outbox.attempt(outbox.plan(outbox.run(), borrower))
    with connection() as tx:
        first = ask(tx, borrower.party_id)
        call_queue.take(tx, first, attempt=(attempt["business_date"], attempt["id"]), by="anna", at=NOON)
        second = ask(tx, borrower.party_id)
        taken = call_queue.read(tx, first)
        assert taken is not None
        assert not call_queue.try_again(tx, taken, result="busy", window=AFTERNOON, at=NOON)
    assert [task.id for task in queue()] == [second]

"""Rows to learn from: what was known when it was decided, and what came of it within days that are over."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from decisions.features import FEATURES
from decisions.learning import TRAINING
from ledger.engine import connection
from ledger.outbox import wall_clock
from ledger.training import batches, training_rows
from tests.plugins.portfolio import SINCE, TODAY, BorrowerIds, Portfolio, noon
from tests.plugins.sending import Outbox, tried

NOON = noon("US")
LATER = TODAY + timedelta(days=40)


def rows(on: date = LATER, **how: Any) -> list[dict[str, Any]]:
    with connection(read_only=True) as tx:
        parts = batches(tx, since=TODAY, until=TODAY)
        found = training_rows(tx, parts, on=on, **{"paid_percent_min": 10, "rows_max": 1_000, "seed": 1, **how})
        assert dict(found.schema) == dict(TRAINING)
        return found.sort("party_id").to_dicts()


def decided(outbox: Outbox, *people: BorrowerIds) -> list[int]:
    """A text message each, as known at this moment."""
    run = outbox.run()
    attempts = [outbox.plan(run, who, send_after=NOON) for who in people]
    with connection() as tx:
        tx.execute(text("UPDATE decision SET facts_known_at = now(), probability = 0.25"))
    return attempts


def said(who: BorrowerIds, intent: str, at: datetime) -> None:
    with connection() as tx:
        tx.execute(
            text("INSERT INTO outcome (party_id, channel, intent, needs_person, at) VALUES (:party, 'sms', :intent, false, :at)"),
            {"party": who.party_id, "intent": intent, "at": at},
        )


def promise(who: BorrowerIds, state: str) -> None:
    with connection() as tx:
        tx.execute(text("UPDATE promise SET superseded_at = clock_timestamp() WHERE party_id = :party"), {"party": who.party_id})
        tx.execute(
            text("""INSERT INTO promise (party_id, loan_id, due_on, state, effective_at, source)
                    VALUES (:party, :loan, :due, :state, :at, 'test')"""),
            {"party": who.party_id, "loan": who.loan_id, "due": TODAY + timedelta(days=3), "state": state, "at": SINCE},
        )


def test_what_was_done_and_what_came_of_it(portfolio: Portfolio, outbox: Outbox) -> None:
    payer, silent = portfolio.borrower(days_past_due=20), portfolio.borrower(days_past_due=20)
    promise(payer, "open")
    attempts = decided(outbox, payer, silent)
    with connection() as tx:
        tx.execute(text("UPDATE attempt SET submitted_at = send_after"))
    event = tried(attempts[0], payer, at=NOON, result="sent")
    tried(attempts[0], payer, at=NOON + timedelta(minutes=3), result="read", about=event)
    portfolio.payment(payer.loan_id, 2_000, paid_on=TODAY + timedelta(days=6))
    portfolio.payment(silent.loan_id, 10_500, paid_on=TODAY + timedelta(days=7))
    said(silent, "complaint", NOON + timedelta(days=2))
    promise(payer, "kept")
    hers, his = rows()
    assert (hers["channel"], hers["hour_slot"], hers["offer"], hers["contacts_today"], hers["probability"]) == ("sms", 3, "none", 0, 0.25)
    assert (hers["days_past_due"], hers["at"]) == (20, NOON)
    labels = ("paid_7d", "paid_30d", "harm_7d", "answered", "self_cured_30d", "promise_kept", "plan_kept")
    assert tuple(hers[name] for name in labels) == (True, True, False, True, None, True, None)
    assert tuple(his[name] for name in labels) == (False, True, True, False, True, None, None)


def test_a_window_that_is_not_over_says_nothing(portfolio: Portfolio, outbox: Outbox) -> None:
    who = portfolio.borrower(days_past_due=20)
    decided(outbox, who)
    portfolio.payment(who.loan_id, 2_000, paid_on=TODAY + timedelta(days=1))
    (early,) = rows(TODAY + timedelta(days=6))
    assert {early[name] for name in ("paid_7d", "harm_7d", "answered", "paid_30d")} == {None}
    (week,) = rows(TODAY + timedelta(days=7))
    assert (week["paid_7d"], week["harm_7d"], week["paid_30d"]) == (True, False, None)


@pytest.mark.parametrize("percent", [10, 20])
def test_a_part_of_what_was_due_counts_as_paid_from_so_much_on(portfolio: Portfolio, outbox: Outbox, percent: int) -> None:
    who = portfolio.borrower(days_past_due=20)
    decided(outbox, who)
    portfolio.payment(who.loan_id, 1_060, paid_on=TODAY)
    (found,) = rows(paid_percent_min=percent)
    assert found["paid_7d"] is (percent == 10)


def test_nothing_that_was_known_before_is_its_outcome_and_nothing_known_later_its_cause(portfolio: Portfolio, outbox: Outbox) -> None:
    who = portfolio.borrower(days_past_due=20)
    portfolio.payment(who.loan_id, 2_000, paid_on=TODAY)
    decided(outbox, who)
    (before,) = rows()
    assert (before["days_since_payment"], before["paid_7d"]) == (0, False)
    portfolio.payment(who.loan_id, 2_000, paid_on=TODAY - timedelta(days=2))
    portfolio.contact(who.party_id, NOON - timedelta(days=3))
    (after,) = rows()
    assert {name: after[name] for name in FEATURES} == {name: before[name] for name in FEATURES}


def test_what_became_known_after_the_look_is_left_out(portfolio: Portfolio, outbox: Outbox) -> None:
    who = portfolio.borrower(days_past_due=20)
    decided(outbox, who)
    with connection() as tx:
        then = wall_clock(tx)
    portfolio.payment(who.loan_id, 10_500, paid_on=TODAY + timedelta(days=1))
    assert [one["paid_7d"] for one in rows(known_at=then)] == [False]
    assert [one["paid_7d"] for one in rows()] == [True]


def test_of_too_many_some_people_are_left_out_always_the_same(portfolio: Portfolio, outbox: Outbox) -> None:
    decided(outbox, *(portfolio.borrower(days_past_due=20) for _ in range(12)))
    few = [one["party_id"] for one in rows(rows_max=6)]
    assert 0 < len(few) < 12
    assert few == [one["party_id"] for one in rows(rows_max=6)] != [one["party_id"] for one in rows(rows_max=6, seed=2)]


def test_previews_are_not_learned_from(portfolio: Portfolio, outbox: Outbox) -> None:
    outbox.plan(outbox.run(preview=True), portfolio.borrower())
    assert rows() == []

"""What was not done, in counts: near misses that the gate caught, people left alone and why."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import text

from gate.lane import run_lane
from ledger.engine import connection
from ledger.person_contacts import attempts_of, attempts_on, days_of, party_of
from ledger.restraint import by_rule, near_misses, restraint
from ledger.run_narrowing import NOT_APPROVED
from tests.plugins.portfolio import TODAY, Portfolio, noon
from tests.plugins.sending import Outbox, RecordingChannel

NOON = noon("US")


def test_what_the_gate_held_back_is_counted_by_day_and_rule_and_what_left_is_not(portfolio: Portfolio, outbox: Outbox) -> None:
    portfolio.clock(NOON)
    run = outbox.run()
    held, paid, told = portfolio.borrower(), portfolio.borrower(), portfolio.borrower()
    planned = [outbox.plan(run, one) for one in (held, paid, told)]
    portfolio.hold(held.party_id, "dispute")
    portfolio.payment(paid.loan_id, 10_500)
    run_lane(run, shard=None, channels={"sms": RecordingChannel})
    with connection() as tx:
        misses = near_misses(tx, first=TODAY, last=TODAY)
        found = restraint(tx, first=TODAY, last=TODAY)
        days = {one.party_id: days_of(tx, one.party_id) for one in (held, told)}
        assert near_misses(tx, first=TODAY + timedelta(days=1), last=TODAY + timedelta(days=9)) == []
        assert attempts_on(tx, TODAY, at_most=2) == planned[:2]
        assert attempts_of(tx, told.party_id, at_most=9) == [planned[2]]
        assert attempts_of(tx, told.party_id, on=TODAY - timedelta(days=1), at_most=9) == []
        assert party_of(tx, [planned[0], 10**9]) == {planned[0]: held.party_id}
    refused = {rule for number in planned[:2] for rule in outbox.attempt(number)["permit"]["blocked_by"]}
    assert {one.rule for one in misses} == refused
    assert {one.on for one in misses} == {TODAY}
    assert all((one.for_good, one.for_now) == (1, 0) for one in misses)
    assert sum(count for _, count in by_rule(misses)) == len(misses)
    assert (found.looked_at, found.contacted, found.left_alone) == (3, 1, 2)
    assert dict(found.by_reason) == dict.fromkeys(refused, 1)
    assert days[held.party_id][0].attempts[0].blocked_by
    assert days[held.party_id][0].attempts[0].submitted_at is None
    assert days[told.party_id][0].attempts[0].submitted_at == NOON


def test_what_people_refused_is_no_near_miss_of_the_gate(portfolio: Portfolio, outbox: Outbox) -> None:
    run = outbox.run()
    attempt = outbox.plan(run, portfolio.borrower())
    with connection() as tx:
        tx.execute(
            text("""INSERT INTO attempt_transition (business_date, attempt_id, from_state, to_state, cause, at)
                    SELECT business_date, id, 'planned', 'withheld', :cause, now() FROM attempt WHERE id = :id"""),
            {"cause": f"blocked: {NOT_APPROVED}", "id": attempt},
        )
        assert near_misses(tx, first=TODAY, last=TODAY) == []


def test_who_may_have_been_reached_was_not_left_alone(portfolio: Portfolio, outbox: Outbox) -> None:
    attempt = outbox.plan(outbox.run(), portfolio.borrower())
    with connection() as tx:
        tx.execute(text("UPDATE attempt SET state = 'unknown' WHERE id = :id"), {"id": attempt})
        found = restraint(tx, first=TODAY, last=TODAY)
    assert (found.looked_at, found.left_alone, found.by_reason) == (1, 0, ())

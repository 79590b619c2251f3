"""Left in peace at the gate: what a person did after planning stops the ladder that rests for it."""

from __future__ import annotations

from datetime import timedelta

from prefect.logging import disable_run_logger

from config.policies import policies
from decisions.rests import ANSWERED, PAID
from gate.lane import run_lane
from ledger.campaigns import open_run
from ledger.engine import connection
from tasks.choose import choose
from tasks.explain import explain_borrower
from tasks.pick import pick
from tests.plugins.portfolio import TODAY, Portfolio, noon
from tests.plugins.sending import Outbox, RecordingChannel

NOON = noon("US")
PART_MINOR = 500


def test_a_part_payment_or_an_answer_after_planning_leaves_her_in_peace_and_one_that_was_taken_back_does_not(
    portfolio: Portfolio, outbox: Outbox
) -> None:
    portfolio.clock(NOON)
    pays, bounces, writes, paid_before, nothing = (portfolio.borrower(days_past_due=5) for _ in range(5))
    portfolio.payment(paid_before.loan_id, PART_MINOR, paid_on=TODAY - timedelta(days=1))
    with connection() as tx:
        run = open_run(
            tx,
            stage="early",
            business_date=TODAY,
            preview=False,
            borrowers_max=None,
            policies=policies("early", named="every-channel"),
            at=NOON,
        )
    with disable_run_logger():
        (shard,) = pick.fn(run)
        # Whoever paid before is not planned at all.
        assert choose.fn(shard, run) == 4
    portfolio.payment(pays.loan_id, PART_MINOR)
    back = portfolio.payment(bounces.loan_id, PART_MINOR)
    portfolio.payment(bounces.loan_id, -PART_MINOR, reverses=back)
    portfolio.contact(writes.party_id, NOON - timedelta(minutes=5), direction="inbound", result="received")
    sms = RecordingChannel("sms")
    run_lane(run, shard=shard, channels={"sms": lambda: sms, "push": lambda: RecordingChannel("push")})
    stood = dict(outbox.rows("SELECT party_id, coalesce(permit -> 'blocked_by', '[]') FROM attempt WHERE state = 'withheld'"))
    assert stood == {pays.party_id: [PAID], writes.party_id: [ANSWERED]}
    assert len(sms.sent) == 2
    assert explain_borrower(f"#{paid_before.party_id}", TODAY)["decision"]["reasons"] == [PAID]
    assert explain_borrower(f"#{nothing.party_id}", TODAY)["replays"] is True

"""I12, attacked between planning and gate: what was offered is looked at again, about the loans that are asked for now."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from decisions.choose import NOT_OFFERED
from decisions.strategy import ONBOARDING
from gate.lane import run_lane
from ledger.engine import connection
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, noon
from tests.plugins.sending import Outbox, RecordingChannel

NOON = noon("US")
MILDER = {"mid": ("early", 40), "late": ("mid", 75), "recovery": ("late", 120)}
OWN = {"mid": "mid_talk", "late": "late_situation", "recovery": "recovery_open_door"}
FAR = 20


@pytest.fixture
def at_noon(portfolio: Portfolio) -> Portfolio:
    portfolio.clock(NOON)
    return portfolio


def offer(outbox: Outbox, borrower: BorrowerIds, loan_id: int, stage: str, result: str = "delivered") -> None:
    """A message of the milder stage about one loan, twenty days ago, and what became of it."""
    day = TODAY - timedelta(days=FAR)
    attempt = outbox.plan(outbox.run(stage=stage, business_date=day), borrower)
    values = {"id": attempt, "at": NOON - timedelta(days=FAR), "loan": loan_id, "result": result}
    with connection() as tx:
        event = tx.execute(_SENT, values).scalar_one()
        tx.execute(_BECAME, {**values, "event": event})
        tx.execute(text("UPDATE attempt SET state = :result WHERE id = :id"), values)


def send(run: int) -> int:
    channel = RecordingChannel()
    run_lane(run, shard=None, channels={"sms": lambda: channel})
    return len(channel.sent)


@pytest.mark.parametrize("stage", MILDER)
def test_I12_a_plan_of_a_harsher_stage_is_withheld_from_whom_the_milder_was_not_offered(
    at_noon: Portfolio, outbox: Outbox, stage: str
) -> None:
    borrower = at_noon.borrower(days_past_due=MILDER[stage][1])
    attempt = outbox.plan(run := outbox.run(stage=stage), borrower, message=OWN[stage])
    assert send(run) == 0
    row = outbox.attempt(attempt)
    assert (row["state"], NOT_OFFERED in row["permit"]["blocked_by"]) == ("withheld", True)


@pytest.mark.parametrize("stage", MILDER)
def test_I12_a_first_mild_contact_asks_for_nothing_before_it(at_noon: Portfolio, outbox: Outbox, stage: str) -> None:
    outbox.plan(run := outbox.run(stage=stage), at_noon.borrower(days_past_due=MILDER[stage][1]), message=ONBOARDING)
    assert send(run) == 1


@pytest.mark.parametrize(("result", "sent"), [("delivered", 1), ("read", 1), ("undelivered", 0), ("failed", 0)])
def test_I12_what_became_of_the_milder_message_is_read_under_the_lock(at_noon: Portfolio, outbox: Outbox, result: str, sent: int) -> None:
    borrower = at_noon.borrower(days_past_due=40)
    outbox.plan(run := outbox.run(stage="mid"), borrower, message="mid_talk")
    offer(outbox, borrower, borrower.loan_id, "early", result)
    assert send(run) == sent


def test_I12_an_offer_about_a_loan_that_is_paid_since_is_none_about_another(at_noon: Portfolio, outbox: Outbox) -> None:
    """The plan was made for the one that was offered; now only the other is asked for, as late, of which nobody ever spoke."""
    borrower = at_noon.borrower(days_past_due=40)
    offer(outbox, borrower, borrower.loan_id, "early")
    at_noon.loan(borrower.party_id, days_past_due=40)
    attempt = outbox.plan(run := outbox.run(stage="mid"), borrower, message="mid_talk")
    at_noon.payment(borrower.loan_id, 21_000)
    assert send(run) == 0
    assert NOT_OFFERED in outbox.attempt(attempt)["permit"]["blocked_by"]


_SENT = text("""
    INSERT INTO contact_event (business_date, party_id, at, channel, direction, loans, contact_point_id, counterparty, purpose, result,
                               attempt_business_date, attempt_id, counts, source)
    SELECT business_date, party_id, :at, channel, 'outbound', ARRAY[CAST(:loan AS bigint)], contact_point_id, 'borrower', purpose, 'sent',
           business_date, id, true, 'gate'
    FROM attempt WHERE id = :id
    RETURNING id
""")
_BECAME = text("""
    INSERT INTO contact_event (business_date, party_id, at, channel, direction, loans, contact_point_id, counterparty, purpose, result,
                               attempt_business_date, attempt_id, about_event_id, counts, source)
    SELECT business_date, party_id, :at, channel, 'outbound', ARRAY[CAST(:loan AS bigint)], contact_point_id, 'borrower', purpose, :result,
           business_date, id, :event, false, 'provider'
    FROM attempt WHERE id = :id
""")

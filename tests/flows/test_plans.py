"""The flow of plans in Prefect: what was agreed is said through the gate, once, and its payments are kindly remembered."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from config.affordability import plan_policy
from decisions.means import Declared
from flows.plans import plans as plans_flow
from gate.lane import run_lane
from ledger import core_answers, plan_offers, plans
from ledger.engine import connection
from tests.plugins.portfolio import TODAY, Portfolio, noon
from tests.plugins.sending import Outbox, RecordingChannel

POLICY = plan_policy()
OWN = Declared(income_minor=160_000, essential_minor=100_000, debts_minor=0, cycle="weekly", next_income_on=TODAY + timedelta(days=5))


@pytest.mark.usefixtures("prefect_server")
def test_an_agreed_plan_is_told_through_the_gate_once_and_a_payment_is_remembered_the_day_before(
    portfolio: Portfolio, outbox: Outbox
) -> None:
    portfolio.clock(noon("US"))
    her, waits = (portfolio.borrower(push=False) for _ in range(2))
    with connection() as tx:
        for one in (her, waits):
            offer = plan_offers.make(tx, one.party_id, one.loan_id, OWN, POLICY, at=noon("US"), channel="sms")
            assert offer is not None
            plans.choose(tx, one.party_id, offer, 0, POLICY, at=noon("US"))
        token = tx.execute(text("SELECT token FROM core_instruction WHERE party_id = :id"), {"id": her.party_id}).scalar_one()
        core_answers.hear(tx, token, "accepted", at=noon("US"))
        first = plans.standings(tx, her.party_id, POLICY)[her.loan_id].payments[0]

    assert plans_flow(as_of=TODAY) == {"agreed": 1}
    assert plans_flow(as_of=TODAY) == {}
    channel = RecordingChannel()
    send(outbox, channel)
    assert ["the plan that you chose is agreed" in message.body for message in channel.sent] == [True]

    eve = first.due_on - timedelta(days=1)
    portfolio.clock(noon("US", eve))
    with connection() as tx:
        tx.execute(text("UPDATE feed SET covers_until = :at"), {"at": noon("US", eve)})
    assert plans_flow(as_of=eve) == {"reminders": 1}
    send(outbox, channel)
    assert "The next payment of your plan is near" in channel.sent[-1].body
    written = outbox.rows("SELECT party_id, purpose, state FROM attempt ORDER BY id")
    assert [tuple(row) for row in written] == [(her.party_id, "plan_confirmation", "accepted"), (her.party_id, "reminder", "accepted")]


def send(outbox: Outbox, channel: RecordingChannel) -> None:
    """Whatever is planned now."""
    (run,) = outbox.rows("SELECT max(id) AS id FROM campaign_run")
    run_lane(run.id, shard=None, channels={"sms": lambda: channel})

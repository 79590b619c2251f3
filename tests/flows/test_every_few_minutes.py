"""Dispatch and reconcile as Prefect runs them: what came due goes out once, what nobody knows is settled, and a failure is shown."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from config.settings import settings
from flows.dispatch import dispatch
from flows.reconcile import reconcile
from ledger.engine import connection
from tasks import send
from tests.plugins.portfolio import Portfolio, noon
from tests.plugins.sandbox_process import Sandbox
from tests.plugins.sending import Outbox

NOON = noon("US")


@pytest.mark.usefixtures("prefect_server")
def test_what_came_due_goes_out_once_and_what_nobody_knows_is_settled(
    portfolio: Portfolio, outbox: Outbox, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "TWILIO_BASE_URL": sandbox.url,
        "TWILIO_ACCOUNT_SID": sandbox.account_sid,
        "TWILIO_AUTH_TOKEN": sandbox.auth_token,
        "RECONCILE_AFTER_SECONDS": "0",
        "PARK_AFTER_SECONDS": "0",
    }.items():
        monkeypatch.setenv(f"TIDEOVER_{name}", value)
    settings.cache_clear()
    portfolio.clock(NOON)
    sandbox.step(NOON.isoformat())
    early, mid = outbox.run(state="closed"), outbox.run(stage="mid")
    borrowers = [portfolio.borrower() for _ in range(3)]
    outbox.shard(early, 0, borrowers[0].party_id, borrowers[1].party_id)
    outbox.plan(early, borrowers[0])
    outbox.plan(early, borrowers[1], send_after=NOON + timedelta(hours=1))
    outbox.plan(mid, borrowers[2], expires_at=NOON)
    sandbox.faults({"fault": "accept_then_500", "channel": "sms", "count": 1})

    assert dispatch() == 0
    assert outbox.states() == ["unknown", "planned", "expired"]
    with connection() as tx:
        tx.execute(text("UPDATE attempt SET call_deadline = call_deadline - interval '1 minute' WHERE call_deadline IS NOT NULL"))
    assert reconcile() == 0
    assert outbox.states() == ["accepted", "planned", "expired"]

    portfolio.clock(NOON + timedelta(hours=1))
    assert dispatch() == 1
    assert dispatch() == 0
    assert outbox.states() == ["accepted", "accepted", "expired"]
    assert sum(sandbox.summary()["messages"].values()) == 2

    # A provider that is away for a while fails the run, and costs nothing.
    outbox.plan(outbox.run(scope="another"), portfolio.borrower())
    monkeypatch.setattr(send.send, "retries", 0)
    monkeypatch.setenv("TIDEOVER_TWILIO_AUTH_TOKEN", "another")
    settings.cache_clear()
    with pytest.raises(RuntimeError, match="1 of 1 lanes"):
        dispatch()

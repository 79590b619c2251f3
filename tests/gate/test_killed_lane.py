"""kill -9 in the middle of a call: nobody is contacted twice, and nobody is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from sqlalchemy import text

from gate.lane import run_lane
from gate.late import NEVER_CALLED
from ledger.engine import connection
from tests.plugins.portfolio import Portfolio, noon
from tests.plugins.sending import Outbox, RecordingChannel

HOUSE = Path(__file__).parent.parent.parent


def test_I2_a_lane_killed_while_a_provider_has_the_message_contacts_nobody_twice(portfolio: Portfolio, outbox: Outbox) -> None:
    portfolio.clock(noon("US"))
    run = outbox.run()
    attempts = [outbox.plan(run, portfolio.borrower()) for _ in range(3)]
    environment = {**os.environ, "TIDEOVER_SMS_CONCURRENCY": "1", "PYTHONPATH": str(HOUSE)}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.gate.killed_lane", str(run)], cwd=HOUSE, env=environment, stdout=subprocess.PIPE, text=True
    ) as lane:
        assert lane.stdout is not None
        called = lane.stdout.readline().strip()
        lane.kill()
    assert outbox.states() == ["submitting"] * 3

    # At once, nothing of it is touched: its deadline has not passed, and another lane may still be waiting for an answer.
    early = RecordingChannel()
    run_lane(run, shard=None, channels={"sms": lambda: early})
    assert early.sent == []
    assert outbox.states() == ["submitting"] * 3

    with connection() as tx:
        tx.execute(text("UPDATE attempt SET call_deadline = clock_timestamp() - interval '1 millisecond'"))
    late = RecordingChannel()
    report = run_lane(run, shard=None, channels={"sms": lambda: late})
    # The one that the provider has is marked, and nobody knows what becomes of it; the others were surely never called, and are now.
    assert (report.unknown_found, report.never_called_found) == (1, 2)
    tokens = {str(outbox.token(attempt)): attempt for attempt in attempts}
    assert {message.token for message in late.sent} == tokens.keys() - {called}
    assert sorted(outbox.states()) == ["accepted", "accepted", "unknown"]
    for token, attempt in tokens.items():
        once = [("sent", True, False)]
        assert outbox.events(attempt) == (
            once if token == called else [("sent", True, False), ("failed", False, True), ("sent", True, False)]
        )
        planned_again = ("submitting", "planned", NEVER_CALLED) in outbox.causes(attempt)
        assert planned_again == (token != called)

"""kill -9 in the middle of a call: nobody is contacted twice, and nobody is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from sqlalchemy import text

from gate.lane import run_lane
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
    assert report.unknown_found == 3
    assert late.sent == []
    assert outbox.states() == ["unknown"] * 3
    # All of them go on counting: the one that the provider has, and those of which nobody can know.
    assert [outbox.events(attempt) for attempt in attempts] == [[("sent", True, False)]] * 3
    assert called in {str(outbox.token(attempt)) for attempt in attempts}

"""A call-back that nobody made in its window is told to Prefect, once, without anything personal."""

from __future__ import annotations

from datetime import timedelta

import pytest
from prefect.logging import disable_run_logger

from ledger import call_queue
from ledger.call_queue import CallWindow
from ledger.engine import connection
from tasks.calls import watch_calls
from tests.plugins.portfolio import Portfolio, noon

NOON = noon("US")


def test_a_missed_call_back_is_told_once(portfolio: Portfolio, monkeypatch: pytest.MonkeyPatch) -> None:
    portfolio.clock(NOON)
    borrower = portfolio.borrower()
    window = CallWindow(NOON, NOON + timedelta(hours=2))
    with connection() as tx:
        task = call_queue.enqueue_callback(tx, party_id=borrower.party_id, because="sms: call_me", window=window, at=NOON)
    told: list[dict[str, object]] = []
    monkeypatch.setattr("tasks.calls.emit_event", lambda **event: told.append(event))
    with disable_run_logger():
        assert watch_calls() == 0
        portfolio.clock(window.closes_at)
        assert [watch_calls(), watch_calls()] == [1, 0]
    (event,) = told
    assert event["event"] == "tideover.callback.missed"
    assert event["resource"] == {"prefect.resource.id": f"tideover.call-task.{task}", "prefect.resource.name": f"call-back {task}"}
    assert event["payload"] == {"owner": "phone-team", "until": window.closes_at.isoformat()}

"""What has come due is found in whatever run and zone; what is past its window is closed; a lane that failed is not hidden."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from prefect.client.schemas.objects import State, StateType
from prefect.logging import disable_run_logger
from sqlalchemy import text

from gate.lane import run_lane
from ledger.engine import connection
from tasks import dispatch
from tasks.dispatch import LanesUnfinished, add_up, find_due
from tests.plugins.portfolio import TODAY, Portfolio, noon
from tests.plugins.sending import Outbox, RecordingChannel

NOON = noon("US")


def due() -> list[tuple[int | None, int]]:
    with disable_run_logger():
        return find_due.fn()


@pytest.fixture
def at_noon(portfolio: Portfolio) -> Portfolio:
    """A portfolio on whose clock it is noon in New York."""
    portfolio.clock(NOON)
    return portfolio


def test_due_is_what_may_be_sent_now_of_any_stage_and_run(at_noon: Portfolio, outbox: Outbox) -> None:
    early, mid, yesterday = outbox.run(), outbox.run(stage="mid"), outbox.run(business_date=TODAY - timedelta(days=1), state="closed")
    outbox.plan(early, at_noon.borrower(), send_after=NOON)
    outbox.plan(mid, at_noon.borrower(), expires_at=NOON + timedelta(hours=1))
    outbox.plan(yesterday, at_noon.borrower(), expires_at=NOON + timedelta(hours=2))
    assert due() == [(None, mid), (None, yesterday), (None, early)]


def test_what_is_for_later_paused_over_or_a_preview_is_not_due(at_noon: Portfolio, outbox: Outbox) -> None:
    outbox.plan(outbox.run(scope="later"), at_noon.borrower(), send_after=NOON + timedelta(microseconds=1))
    outbox.plan(outbox.run(scope="preview", preview=True), at_noon.borrower())
    outbox.plan(outbox.run(scope="paused", state="paused"), at_noon.borrower())
    outbox.plan(outbox.run(scope="rejected", state="rejected"), at_noon.borrower())
    over = outbox.plan(outbox.run(scope="over"), at_noon.borrower(), expires_at=NOON)
    assert due() == []
    assert outbox.attempt(over)["state"] == "expired"
    assert outbox.causes(over) == [("planned", "expired", "its window passed")]


def test_each_shard_is_a_lane_of_its_own(at_noon: Portfolio, outbox: Outbox) -> None:
    run = outbox.run()
    first, second, third = (at_noon.borrower() for _ in range(3))
    outbox.shard(run, 0, first.party_id, first.party_id)
    outbox.shard(run, 1, second.party_id, third.party_id)
    outbox.plan(run, second)
    outbox.plan(run, third)
    assert due() == [(1, run)]
    outbox.plan(run, first)
    assert due() == [(0, run), (1, run)]


def test_more_than_a_page_past_its_window_is_closed_in_one_go(at_noon: Portfolio, outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "PAGE", 2)
    run = outbox.run()
    for _ in range(5):
        outbox.plan(run, at_noon.borrower(), expires_at=NOON - timedelta(hours=1))
    due()
    assert outbox.states() == ["expired"] * 5


def test_what_was_blocked_for_now_is_due_when_its_hour_comes_and_goes_out_once(portfolio: Portfolio, outbox: Outbox) -> None:
    # Six in the morning in New York: the law says eight.
    portfolio.clock(NOON - timedelta(hours=6))
    run = outbox.run()
    attempt = outbox.plan(run, portfolio.borrower())
    channel = RecordingChannel()
    run_lane(run, shard=None, channels={"sms": lambda: channel})
    assert channel.sent == []
    assert due() == []
    with connection() as tx:
        opens_at = tx.execute(text("SELECT send_after FROM attempt WHERE id = :id"), {"id": attempt}).scalar_one()
    assert NOON - timedelta(hours=4) <= opens_at < NOON
    portfolio.clock(opens_at)
    assert due() == [(None, run)]
    lanes = [threading.Thread(target=run_lane, args=(run,), kwargs={"shard": None, "channels": {"sms": lambda: channel}}) for _ in range(2)]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()
    assert len(channel.sent) == 1
    assert due() == []


def test_a_lane_that_failed_fails_the_run_and_the_others_stand() -> None:
    done: State[int] = State(type=StateType.COMPLETED, data=3)
    failed: State[int] = State(type=StateType.FAILED, data=ValueError())
    assert add_up([done, done]) == 6
    assert add_up([]) == 0
    with pytest.raises(LanesUnfinished, match="1 of 2 lanes"):
        add_up([done, failed])

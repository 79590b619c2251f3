"""The flows around the stages, as Prefect runs them: promises are judged, and a drill proves that a stop stops."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest
from prefect.client.orchestration import get_client
from sqlalchemy import Connection

from config.settings import settings
from flows.drill import drill
from flows.promises import promises
from gate.lane import run_lane
from ledger import answers, clock, drills, pauses
from ledger.engine import connection
from tasks.drill import DrillFailed, DrillRefused
from tasks.send import CHANNELS
from tests.plugins.portfolio import TODAY, Portfolio, noon
from tests.plugins.sandbox_process import Sandbox
from tests.plugins.sending import Outbox, RecordingChannel


@pytest.mark.usefixtures("prefect_server")
def test_promises_are_judged_by_date_and_shown_in_counts(portfolio: Portfolio, outbox: Outbox) -> None:
    portfolio.clock(noon("US"))
    portfolio.creditor(fresh_until=datetime(2026, 6, 1, tzinfo=UTC))
    paid, not_paid = portfolio.borrower(), portfolio.borrower()
    with connection() as tx:
        for one in (paid, not_paid):
            answers.promise(tx, one.party_id, TODAY + timedelta(days=3), amount_minor=None, currency=None, at=noon("US"))
    portfolio.payment(paid.loan_id, 10_500, paid_on=TODAY + timedelta(days=3))
    day = TODAY + timedelta(days=8)

    assert promises(as_of=day) == {"kept": 1, "broken": 1}
    assert promises(as_of=day) == {}

    states = outbox.rows("SELECT party_id, state FROM promise WHERE superseded_at IS NULL ORDER BY party_id")
    assert [tuple(row) for row in states] == [(paid.party_id, "kept"), (not_paid.party_id, "broken")]
    with get_client(sync_client=True) as client:
        assert [run.name for run in client.read_flow_runs()] == [f"promises {day}"] * 2
        (shown,) = {artifact.data for artifact in client.read_artifacts() if '"broken", "promises": 1' in str(artifact.data)}
    assert str(paid.party_id) not in str(shown).replace('"promises": 1', "")


@pytest.mark.usefixtures("prefect_server")
def test_a_promise_that_is_near_is_remembered_once_and_kindly_through_the_gate(portfolio: Portfolio, outbox: Outbox) -> None:
    portfolio.clock(noon("US"))
    near, far, kept, stopped, moved = (portfolio.borrower(days_past_due=days) for days in (5, 5, 40, 5, 5))
    tomorrow = TODAY + timedelta(days=1)
    with connection() as tx:
        for one, due_on in ((near, tomorrow), (far, TODAY + timedelta(days=2)), (kept, tomorrow), (stopped, tomorrow)):
            answers.promise(tx, one.party_id, due_on, amount_minor=None, currency=None, at=noon("US"))
            answers.hold(tx, one.party_id, "promise", starts_at=noon("US"), until=noon("US", TODAY + timedelta(days=9)))
        # Of this one nobody is waited for: it broke others before.
        answers.promise(tx, moved.party_id, tomorrow, amount_minor=None, currency=None, at=noon("US"))
    portfolio.contact(
        near.party_id,
        noon("US") - timedelta(hours=3),
        direction="inbound",
        result="received",
        purpose=None,
        contact_point_id=near.push_id,
        channel="push",
        counts=False,
    )
    portfolio.payment(kept.loan_id, 21_000)
    portfolio.opt_out(stopped.party_id, at=noon("US"))

    assert promises(as_of=TODAY)["reminders"] == 1
    assert "reminders" not in promises(as_of=TODAY)

    (run,) = outbox.rows("SELECT id, stage, scope FROM campaign_run")
    assert (run.stage, run.scope) == ("promise", "due-20260318")
    opened = {name: RecordingChannel(name) for name in ("sms", "push")}
    run_lane(run.id, shard=None, channels={name: lambda name=name: opened[name] for name in opened})  # type: ignore[misc]  # mypy cannot infer a default
    assert [message.body.split(".")[0] for message in opened["push"].sent] == ["A friendly note: the day you chose is near"]
    assert opened["sms"].sent == []
    (attempt,) = outbox.rows("SELECT party_id, purpose, state FROM attempt")
    assert tuple(attempt) == (near.party_id, "reminder", "accepted")


@pytest.fixture
def sending(portfolio: Portfolio, outbox: Outbox, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> int:
    """A run with forty messages to send, ten a second; returns its id."""
    for name, value in {
        "TWILIO_BASE_URL": sandbox.url,
        "TWILIO_ACCOUNT_SID": sandbox.account_sid,
        "TWILIO_AUTH_TOKEN": sandbox.auth_token,
        "SMS_PER_SECOND": "10",
        "CALL_SECONDS_MAX": "3",
    }.items():
        monkeypatch.setenv(f"TIDEOVER_{name}", value)
    settings.cache_clear()
    portfolio.clock(noon("US"))
    sandbox.step(noon("US").isoformat())
    run = outbox.run(state="closed")
    for _ in range(40):
        outbox.plan(run, portfolio.borrower(push=False))
    return run


@pytest.mark.usefixtures("prefect_server")
def test_I4_a_drill_stops_what_is_on_its_way_within_its_bound_and_nobody_is_lost_or_written_to_twice(
    sending: int, outbox: Outbox, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, looking = drills.under_way, Event()

    def look(tx: Connection, channel: str | None) -> int:
        looking.set()
        return looks(tx, channel)

    def send() -> None:
        assert looking.wait(120), "the drill does not look for work"
        run_lane(sending, shard=None, channels=CHANNELS)

    monkeypatch.setattr(drills, "under_way", look)
    with ThreadPoolExecutor(1) as thread:
        lane = thread.submit(send)
        seconds = drill(what="sms", by="anna", wait_minutes=1)
        lane.result(120)
    assert seconds is not None
    (kept,) = outbox.rows("SELECT * FROM drill")
    assert (kept.verdict, kept.what, kept.said_by, kept.bound_seconds) == ("passed", "sms", "anna", 1.0)
    assert kept.under_way > 0
    assert kept.last_send_seconds == seconds <= kept.bound_seconds
    before = sum(sandbox.summary()["messages"].values())
    # It stopped in the middle; what it held up goes out afterwards, once.
    assert kept.sent_after <= before < 40
    with connection() as tx:
        assert pauses.in_force(tx, at=clock.now(tx)) == []
    run_lane(sending, shard=None, channels=CHANNELS)
    assert outbox.states() == ["accepted"] * 40
    assert sum(sandbox.summary()["messages"].values()) == 40
    with get_client(sync_client=True) as client:
        assert {run.name for run in client.read_flow_runs()} >= {f"drill sms {TODAY + timedelta(days=1)}"}


@pytest.mark.usefixtures("prefect_server")
def test_a_drill_without_work_stops_nobody_and_one_that_is_too_slow_fails(
    portfolio: Portfolio, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEOVER_CALL_SECONDS_MAX", "0.5")
    settings.cache_clear()
    portfolio.clock(noon("US"))
    assert drill(what="everything", by="anna", wait_minutes=0) is None
    assert outbox.rows("SELECT 1 FROM pause") == []

    # A message on its way whose call is begun an hour after the stop.
    attempt = outbox.plan(outbox.run(state="closed"), portfolio.borrower())
    outbox.rows(
        "UPDATE attempt SET state = 'submitting', claim_id = gen_random_uuid(), call_deadline = now() + interval '1 day',"
        " called_at = now() + interval '1 hour' WHERE id = :id RETURNING id",
        id=attempt,
    )
    with pytest.raises(DrillFailed, match=r"the last call was begun 3\d\d\d\.\d s after the stop of sms"):
        drill(what="sms", by="anna", wait_minutes=0)
    assert [row.verdict for row in outbox.rows("SELECT verdict FROM drill ORDER BY id")] == ["nothing_under_way", "failed"]
    with connection() as tx:
        assert pauses.in_force(tx, at=clock.now(tx)) == []
        pauses.write_pause(tx, pauses.Scope(), because="operations", by="ben", at=clock.now(tx))
    with pytest.raises(DrillRefused, match="everything is paused already"):
        drill(what="sms", by="anna", wait_minutes=0)
    assert len(outbox.rows("SELECT 1 FROM pause WHERE superseded_at IS NULL AND until IS NULL")) == 1

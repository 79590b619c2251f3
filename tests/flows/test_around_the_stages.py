"""The flows around the stages, as Prefect runs them: promises are judged, disputes are received and told, a drill proves that a stop stops."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest
from prefect.client.orchestration import get_client
from sqlalchemy import Connection

from config.cases import case_terms
from config.settings import settings
from flows.agencies import agencies
from flows.disputes import disputes
from flows.drill import drill
from flows.promises import promises
from gate.lane import run_lane
from ledger import answers, case_lists, cases, clock, drills, pauses, placements
from ledger.cases import Statement
from ledger.engine import connection
from ledger.locks import lock_borrowers
from ledger.promises import make_room
from tasks.drill import DrillFailed, DrillRefused
from tasks.morning_items import find
from tasks.send import CHANNELS
from tests.plugins.portfolio import TODAY, Portfolio, noon
from tests.plugins.sandbox_process import Sandbox
from tests.plugins.sending import Outbox, RecordingChannel
from tests.plugins.with_agency import placeable, placed


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
    near, far, kept, stopped, moved, texted, later = (portfolio.borrower(days_past_due=days) for days in (5, 5, 40, 5, 5, 5, 5))
    tomorrow = TODAY + timedelta(days=1)
    with connection() as tx:
        for one, due_on in (
            (near, tomorrow),
            (far, TODAY + timedelta(days=2)),
            (kept, tomorrow),
            (stopped, tomorrow),
            (texted, tomorrow),
            (later, tomorrow),
        ):
            named = 5_000 if one is texted else None
            answers.promise(tx, one.party_id, due_on, amount_minor=named, currency="USD" if named else None, at=noon("US"))
            answers.hold(tx, one.party_id, "promise", starts_at=noon("US"), until=noon("US", TODAY + timedelta(days=9)))
        # Of this one nobody is waited for: it broke others before.
        answers.promise(tx, moved.party_id, tomorrow, amount_minor=None, currency=None, at=noon("US"))
    for one, point, channel in ((near, near.push_id, "push"), (texted, texted.sms_id, "sms"), (later, later.sms_id, "sms")):
        portfolio.contact(
            one.party_id,
            noon("US") - timedelta(hours=3),
            direction="inbound",
            result="received",
            purpose=None,
            contact_point_id=point,
            channel=channel,
            counts=False,
        )
    portfolio.payment(kept.loan_id, 21_000)
    portfolio.opt_out(stopped.party_id, at=noon("US"))

    assert promises(as_of=TODAY)["reminders"] == 3
    assert "reminders" not in promises(as_of=TODAY)

    (run,) = outbox.rows("SELECT id, stage, scope FROM campaign_run")
    assert (run.stage, run.scope) == ("promise", "due-20260318")
    # A part arrives, and somebody names another day, after it was planned.
    portfolio.payment(texted.loan_id, 2_000)
    with connection() as tx:
        lock_borrowers(tx, [later.party_id])
        make_room(tx, later.party_id, TODAY + timedelta(days=3), amount_minor=None, at=noon("US"))
    opened = {name: RecordingChannel(name) for name in ("sms", "push")}
    run_lane(run.id, shard=None, channels={name: lambda name=name: opened[name] for name in opened})  # type: ignore[misc]  # mypy cannot infer a default
    assert [message.body.split(".")[0] for message in opened["push"].sent] == ["A friendly note: the day you chose is near"]
    (said,) = opened["sms"].sent
    assert "you would pay by Mar 18, 2026; $30.00 of that is still open" in said.body
    attempts = outbox.rows("SELECT party_id, purpose, state, permit -> 'blocked_by' AS blocked_by FROM attempt ORDER BY party_id")
    assert [tuple(row) for row in attempts] == [
        (near.party_id, "reminder", "accepted", None),
        (texted.party_id, "reminder", "accepted", None),
        (later.party_id, "reminder", "withheld", ["nothing_promised"]),
    ]


@pytest.mark.usefixtures("prefect_server")
def test_a_case_is_received_through_the_gate_once_and_told_when_it_is_near_and_each_day_that_it_is_late(
    portfolio: Portfolio, outbox: Outbox
) -> None:
    portfolio.clock(noon("US"))
    disputes_it, cannot_pay, has_stopped, mourns = (portfolio.borrower(push=False) for _ in range(4))
    portfolio.opt_out(has_stopped.party_id, at=noon("US"))
    # Whoever owes nothing any more is owed an answer all the same.
    portfolio.payment(cannot_pay.loan_id, 21_000)
    with connection() as tx:
        for one, kind in ((disputes_it, "dispute"), (cannot_pay, "hardship"), (has_stopped, "complaint"), (mourns, "deceased")):
            cases.open_case(tx, Statement(party_id=one.party_id, kind=kind, at=noon("US"), channel="person"), case_terms())

    assert disputes(as_of=TODAY) == {
        "open": 4,
        "near": 0,
        "late": 0,
        "unlawful": 0,
        "told": 0,
        "acknowledged": 0,
        "received": 2,
        "answered": 0,
    }
    assert disputes(as_of=TODAY)["received"] == 0

    (run,) = outbox.rows("SELECT id, stage, scope FROM campaign_run")
    assert (run.stage, run.scope) == ("case", "received-20260317")
    channel = RecordingChannel()
    run_lane(run.id, shard=None, channels={"sms": lambda: channel})
    assert [message.body.split(".")[0] for message in channel.sent] == [
        "Lantern Wallet US: we have received what you told us about your account"
    ] * 2
    written = outbox.rows("SELECT party_id, purpose FROM attempt ORDER BY party_id")
    assert [tuple(row) for row in written] == [(one.party_id, "dispute_response") for one in (disputes_it, cannot_pay)]

    # The next day but one: who was told is acknowledged; of the others it is the last day.
    portfolio.clock(noon("US", TODAY + timedelta(days=2)))
    found = disputes(as_of=TODAY + timedelta(days=2))
    assert found == {"open": 4, "near": 2, "late": 0, "unlawful": 0, "told": 2, "acknowledged": 2, "received": 0, "answered": 0}
    with connection() as tx:
        for number in (1, 2):
            cases.answer(tx, number, by="ben", at=clock.now(tx), reference="letter 9")
        cases.close(tx, 2, by="ben", result="relief_agreed", at=clock.now(tx))

    # Then those are late, and told each day once. What a person answered is told too, whether the case is closed meanwhile or not.
    found = disputes(as_of=TODAY + timedelta(days=3))
    assert found == {"open": 3, "near": 0, "late": 2, "unlawful": 0, "told": 2, "acknowledged": 0, "received": 0, "answered": 2}
    found = disputes(as_of=TODAY + timedelta(days=3))
    assert (found["told"], found["answered"]) == (0, 0)
    with connection() as tx:
        states = {one.kind: one.state for one in case_lists.listed(tx)}
        (received,) = [one.reference for one in case_lists.history(tx, 1) if one.kind == "acknowledged"]
    assert states == {"dispute": "answered", "complaint": "open", "deceased": "open"}
    assert received is not None
    assert received.startswith("attempt ")


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


@pytest.mark.usefixtures("prefect_server", "harbour")
def test_agencies_are_told_within_the_hour_and_the_silent_ones_by_the_morning_page(portfolio: Portfolio) -> None:
    found = placed(placeable(portfolio))
    assert agencies() == {"ran_out": 0, "recalled": 0, "released": 0, "told": 1, "unacknowledged": 0}
    with connection() as tx:
        recalled = placements.recall(tx, found.id, because="a mistake", by="anna", at=clock.now(tx))
    assert recalled.ended_because == "a mistake"
    portfolio.clock(noon("US") + timedelta(days=1))
    assert agencies() == {"ran_out": 0, "recalled": 0, "released": 0, "told": 1, "unacknowledged": 1}
    assert agencies()["unacknowledged"] == 0
    with connection() as tx:
        told = [one.what for one in find(tx, day=TODAY + timedelta(days=3), at=clock.now(tx))]
    assert [what for what in told if "agency" in what] == [
        f"the agency harbour has not acknowledged feed {number} of 2026-03-{day}" for number, day in ((2, 19), (1, 18))
    ]

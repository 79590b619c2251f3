"""A lane sends what is due, after a last look at the rules, and never more than that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from channels import (
    AccountHalted,
    BadAddress,
    FateUnknown,
    Message,
    NeverWorks,
    OptedOut,
    Permit,
    PermitExpired,
    Receipt,
    TryLater,
    Unreachable,
    WindowClosed,
)
from config.message_files import message_texts
from config.rule_files import rule_packs
from config.settings import STATE_FOLDER, settings
from gate.claim import Door, take_chunk
from gate.lane import LaneHalted, LaneReport, run_lane
from gate.permit import Rulebook
from ledger import evidence, pauses
from ledger.campaigns import read_run
from ledger.engine import connection, engine
from ledger.outbox import EVERY_PARTY
from tests.plugins.portfolio import TODAY, Portfolio, noon
from tests.plugins.sending import Answer, Outbox, RecordingChannel, taken

NOON = noon("US")


def send(run: int, channel: RecordingChannel, *, shard: int | None = None) -> LaneReport:
    return run_lane(run, shard=shard, channels={channel.name: lambda: channel})


def once(error: Callable[[], BaseException]) -> Answer:
    """An answer that is an error the first time and a yes from then on."""
    calls = 0

    def answer(message: Message, permit: Permit) -> Receipt | BaseException:
        nonlocal calls
        del permit
        calls += 1
        return error() if calls == 1 else taken(message)

    return answer


@pytest.fixture
def at_noon(portfolio: Portfolio) -> Portfolio:
    """A portfolio on whose clock it is noon in New York."""
    portfolio.clock(NOON)
    return portfolio


def test_what_is_due_is_sent_once_with_words_permit_and_proof(at_noon: Portfolio, outbox: Outbox) -> None:
    run = outbox.run()
    attempt = outbox.plan(run, at_noon.borrower(number="+12125550100"))
    channel = RecordingChannel()
    report = send(run, channel)

    assert (report.accepted, report.actions["send"], channel.closed) == (1, 1, True)
    (message,), (permit,) = channel.sent, channel.permits
    token = outbox.token(attempt)
    assert message.to == "+12125550100"
    assert message.sender == "+15005550006"
    assert "Lantern Wallet US" in message.body
    assert "$105.00" in message.body
    assert f"/b/{token}" in message.body
    assert message.callback_url is not None
    assert message.callback_url.endswith(f"/webhooks/twilio/status/{token}")
    # The window of the law ends at 21:00, an hour before the attempt's own end.
    assert message.valid_seconds == 9 * 3600
    row = outbox.attempt(attempt)
    assert (row["state"], row["provider_id"], row["segments"], row["submitted_at"]) == ("accepted", f"R{token}", 2, NOON)
    assert row["permit"]["rules"] == list(permit.rules)
    assert permit.rules
    assert row["permit"]["packs"] == dict(permit.packs)
    assert row["permit"]["zones"] == ["America/New_York"]
    assert row["permit"]["clock"] == NOON.isoformat()
    assert outbox.events(attempt) == [("sent", True, False)]
    (event,) = outbox.rows("SELECT * FROM contact_event")
    assert event.commitment == evidence.commitment(token, row["text_hash"], evidence.permit_line(row["permit"]))
    with connection() as tx:
        assert [found.what for found in evidence.mismatches(tx, run)] == []
    assert f'"campaign_run_id": {run}' in (STATE_FOLDER / "evidence" / "heads-2026-03-17.jsonl").read_text().splitlines()[-1]


def test_a_second_lane_of_the_same_run_sends_nothing_twice(at_noon: Portfolio, outbox: Outbox) -> None:
    run = outbox.run()
    outbox.plan(run, at_noon.borrower())
    send(run, RecordingChannel())
    channel = RecordingChannel()
    assert send(run, channel).accepted == 0
    assert channel.sent == []


def test_I1_at_the_instant_of_the_call_the_intention_is_committed(at_noon: Portfolio, outbox: Outbox) -> None:
    run = outbox.run()
    for _ in range(3):
        outbox.plan(run, at_noon.borrower())
    seen = []

    def look(message: Message, permit: Permit) -> Receipt:
        with engine().connect() as elsewhere:
            row = elsewhere.execute(
                text("""SELECT a.state, a.call_deadline, count(c.id) AS contacts FROM attempt a JOIN contact_event c ON c.attempt_id = a.id AND c.counts
                        WHERE a.token = :token GROUP BY a.state, a.call_deadline"""),
                {"token": UUID(message.token)},
            ).one()
        seen.append((row.state, row.contacts, row.call_deadline == permit.call_deadline))
        return taken(message)

    send(run, RecordingChannel(answer=look))
    assert seen == [("submitting", 1, True)] * 3


def test_I2_a_fate_that_is_not_known_is_never_sent_again(at_noon: Portfolio, outbox: Outbox) -> None:
    run = outbox.run()
    attempt = outbox.plan(run, at_noon.borrower())
    report = send(run, RecordingChannel(answer=lambda _, permit: FateUnknown(code="500", attempt_id=permit.attempt_id)))
    assert report.became["unknown"] == 1
    channel = RecordingChannel()
    send(run, channel)
    assert channel.sent == []
    assert outbox.attempt(attempt)["state"] == "unknown"
    # It may have arrived: it goes on counting.
    assert outbox.events(attempt) == [("sent", True, False)]


def test_I2_a_bug_in_a_channel_leaves_the_fate_unknown_and_halts_the_lane(at_noon: Portfolio, outbox: Outbox) -> None:
    run = outbox.run()
    attempt = outbox.plan(run, at_noon.borrower())
    with pytest.raises(LaneHalted, match="ZeroDivisionError"):
        send(run, RecordingChannel(answer=lambda *_: ZeroDivisionError()))
    assert outbox.attempt(attempt)["state"] == "unknown"


def test_what_was_surely_not_processed_is_tried_again_under_the_same_permit_with_a_mark_of_its_own(
    at_noon: Portfolio, outbox: Outbox
) -> None:
    run = outbox.run()
    attempt = outbox.plan(run, at_noon.borrower())
    channel = RecordingChannel(answer=once(lambda: TryLater(code="429", retry_after_seconds=0.05)))
    assert send(run, channel).accepted == 1
    first, second = channel.permits
    assert replace(first, called_at=None) == replace(second, called_at=None)
    assert first.called_at is not None
    assert second.called_at is not None
    assert first.called_at < second.called_at == outbox.attempt(attempt)["called_at"]
    assert outbox.events(attempt) == [("sent", True, False)]


def test_what_is_refused_for_long_goes_back_to_planned_and_does_not_count(at_noon: Portfolio, outbox: Outbox) -> None:
    run = outbox.run()
    attempt = outbox.plan(run, at_noon.borrower())
    report = send(run, RecordingChannel(answer=lambda *_: TryLater(code="63018", retry_after_seconds=3600)))
    row = outbox.attempt(attempt)
    assert (row["state"], row["send_after"], row["claim_id"], row["permit"]) == ("planned", NOON + timedelta(hours=1), None, None)
    assert (report.became["planned"], report.later) == (1, 1)
    assert outbox.events(attempt) == [("sent", True, False), ("failed", False, True)]
    with connection() as tx:
        assert [found.what for found in evidence.mismatches(tx, run)] == []


def test_a_permit_that_was_too_old_takes_the_message_through_the_gate_again(at_noon: Portfolio, outbox: Outbox) -> None:
    run = outbox.run()
    attempt = outbox.plan(run, at_noon.borrower())
    channel = RecordingChannel(answer=once(lambda: PermitExpired(attempt_id=0)))
    assert send(run, channel).accepted == 1
    assert channel.permits[0].issued_at < channel.permits[1].issued_at
    assert outbox.events(attempt) == [("sent", True, False), ("failed", False, True), ("sent", True, False)]


@pytest.mark.parametrize("error", [lambda: NeverWorks(code="21617"), lambda: BadAddress(code="21211"), lambda: OptedOut(code="21610")])
def test_what_the_provider_refuses_is_rejected_and_does_not_count(
    at_noon: Portfolio, outbox: Outbox, error: Callable[[], BaseException]
) -> None:
    run = outbox.run()
    attempt = outbox.plan(run, at_noon.borrower())
    assert send(run, RecordingChannel(answer=lambda *_: error())).became["rejected"] == 1
    row = outbox.attempt(attempt)
    assert (row["state"], row["error_code"]) == ("rejected", getattr(error(), "code", None))
    assert outbox.events(attempt) == [("sent", True, False), ("failed", False, True)]


def test_an_address_that_the_provider_refuses_is_retired(at_noon: Portfolio, outbox: Outbox) -> None:
    run = outbox.run()
    borrower = at_noon.borrower()
    outbox.plan(run, borrower)
    send(run, RecordingChannel(answer=lambda *_: BadAddress(code="21211")))
    versions = outbox.rows(
        "SELECT status, source, superseded_at IS NULL AS current FROM contact_point_version WHERE contact_point_id = :id ORDER BY id",
        id=borrower.sms_id,
    )
    assert [tuple(row) for row in versions] == [("active", "portfolio", False), ("invalid", "provider:recorder", True)]


def test_a_stop_that_the_provider_heard_is_ours_at_once(at_noon: Portfolio, outbox: Outbox) -> None:
    borrower = at_noon.borrower()
    for tomorrow in range(2):
        run = outbox.run(business_date=TODAY + timedelta(days=tomorrow))
        outbox.plan(run, borrower, send_after=NOON)
        channel = RecordingChannel(answer=lambda *_: OptedOut(code="21610"))
        send(run, channel)
        assert len(channel.sent) == (tomorrow == 0)
    assert [tuple(row) for row in outbox.rows("SELECT party_id, channel, source FROM opt_out")] == [
        (borrower.party_id, "sms", "provider:recorder")
    ]


def test_a_halted_account_stops_the_lane_and_leaves_the_rest_planned(
    at_noon: Portfolio, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEOVER_SMS_CONCURRENCY", "1")
    settings.cache_clear()
    run = outbox.run()
    for _ in range(4):
        outbox.plan(run, at_noon.borrower())
    channel = RecordingChannel(answer=lambda *_: AccountHalted(code="20003"))
    with pytest.raises(LaneHalted, match="20003") as halted:
        send(run, channel)
    assert halted.value.for_good
    assert len(channel.sent) == 1
    assert outbox.states() == ["rejected", "planned", "planned", "planned"]
    counting = outbox.rows("SELECT count(*) FILTER (WHERE counts) - count(*) FILTER (WHERE uncounts) FROM contact_event")
    assert counting[0][0] == 0


def test_a_provider_that_is_away_costs_a_few_messages_and_not_the_campaign(
    at_noon: Portfolio, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEOVER_SMS_CONCURRENCY", "4")
    settings.cache_clear()
    run = outbox.run()
    for _ in range(60):
        outbox.plan(run, at_noon.borrower())
    with pytest.raises(LaneHalted) as halted:
        send(run, RecordingChannel(answer=lambda *_: FateUnknown(code="ReadTimeout")))
    assert not halted.value.for_good
    states = outbox.states()
    assert states.count("unknown") < 45
    assert states.count("unknown") + states.count("planned") == 60


def test_a_preview_and_a_paused_run_send_nothing(at_noon: Portfolio, outbox: Outbox) -> None:
    for scope, more in {"preview": {"preview": True}, "paused": {"state": "paused"}, "rejected": {"state": "rejected"}}.items():
        run = outbox.run(scope=scope, **more)  # type: ignore[arg-type]  # one keyword at a time
        outbox.plan(run, at_noon.borrower())
        channel = RecordingChannel()
        assert send(run, channel).stopped
        assert channel.sent == []


def test_a_lane_takes_only_its_shard_and_only_its_channels(at_noon: Portfolio, outbox: Outbox) -> None:
    run = outbox.run()
    first, second, third = (at_noon.borrower() for _ in range(3))
    outbox.shard(run, 1, first.party_id, second.party_id)
    outbox.plan(run, first)
    outbox.plan(run, second, channel="push")
    outbox.plan(run, third)
    send(run, RecordingChannel(), shard=1)
    assert outbox.states() == ["accepted", "planned", "planned"]
    push = RecordingChannel("push")
    send(run, push)
    assert outbox.states() == ["accepted", "accepted", "planned"]
    assert push.sent[0].title == "Lantern Wallet US"
    assert push.sent[0].callback_url is None


def test_a_run_or_shard_that_does_not_exist_is_named(outbox: Outbox) -> None:
    with pytest.raises(LookupError, match="no campaign run 77"):
        send(77, RecordingChannel())
    with pytest.raises(LookupError, match="shard 3"):
        send(outbox.run(), RecordingChannel(), shard=3)


def test_what_is_for_later_or_over_is_not_sent(at_noon: Portfolio, outbox: Outbox) -> None:
    run = outbox.run()
    outbox.plan(run, at_noon.borrower(), send_after=NOON + timedelta(seconds=1))
    outbox.plan(run, at_noon.borrower(), expires_at=NOON)
    # Less than the one second in which a provider could still deliver.
    outbox.plan(run, at_noon.borrower(), expires_at=NOON + timedelta(milliseconds=900))
    channel = RecordingChannel()
    report = send(run, channel)
    assert channel.sent == []
    assert (report.later, report.expired_found) == (1, 1)
    assert outbox.states() == ["planned", "expired", "expired"]


def test_a_cancelled_lane_ends_between_chunks_and_loses_nothing(at_noon: Portfolio, outbox: Outbox) -> None:
    run = outbox.run()
    outbox.plan(run, at_noon.borrower())
    channel = RecordingChannel()
    report = run_lane(run, shard=None, channels={"sms": lambda: channel}, cancelled=lambda: True)
    assert report.stopped
    assert outbox.states() == ["planned"]


def test_more_than_a_chunk_goes_out_whole_and_once(at_noon: Portfolio, outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEOVER_SMS_PER_SECOND", "20")
    settings.cache_clear()
    run = outbox.run()
    for _ in range(50):
        outbox.plan(run, at_noon.borrower())
    channel = RecordingChannel()
    report = send(run, channel)
    assert report.accepted == len({message.token for message in channel.sent}) == len(channel.sent) == 50
    assert report.chunks >= 2
    # 50 calls at 20 a second take 49 gaps of 50 ms.
    assert report.seconds["total"] >= 2.45


def test_nothing_personal_is_shown_by_what_the_gate_hands_around(at_noon: Portfolio, outbox: Outbox) -> None:
    run = outbox.run()
    outbox.plan(run, at_noon.borrower(number="+12125550100"))
    with connection() as tx:
        found = read_run(tx, run)
    door = Door(run=found, parties=EVERY_PARTY, book=Rulebook(rule_packs()), texts=message_texts())
    chunk = take_chunk(door, at_most={"sms": 5}, after={"sms": -1})
    assert len(chunk.letters) == 1
    assert "5550100" not in repr(chunk.letters)
    assert "Lantern" not in repr(chunk.letters)


def test_a_provider_that_takes_few_at_once_gets_few_at_once_and_everything_goes_out(
    at_noon: Portfolio, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twilio's 20429: too many requests at once; never processed."""
    monkeypatch.setenv("TIDEOVER_SMS_CONCURRENCY", "32")
    monkeypatch.setenv("TIDEOVER_SMS_PER_SECOND", "1000")
    settings.cache_clear()
    run = outbox.run()
    for _ in range(120):
        outbox.plan(run, at_noon.borrower())
    channel = Crowded(most=6)
    report = send(run, channel)
    assert report.accepted == len({message.token for message in channel.sent}) == 120
    assert channel.refused < 120
    # At first it is asked for as much as the settings say; what it is asked for later, it can take.
    assert channel.refused_late <= channel.refused / 2


class Crowded(RecordingChannel):
    """A provider that refuses whatever comes while it has its hands full."""

    def __init__(self, *, most: int) -> None:
        super().__init__()
        self._most, self._inside = most, 0
        self.refused = self.refused_late = 0

    async def send(self, message: Message, permit: Permit) -> Receipt:
        """Take the message if there is a hand free."""
        if self._inside >= self._most:
            self.refused += 1
            self.refused_late += len(self.sent) > 60
            raise TryLater(code="20429", retry_after_seconds=0.05)
        self._inside += 1
        try:
            await asyncio.sleep(0.02)
            return await super().send(message, permit)
        finally:
            self._inside -= 1


@pytest.mark.parametrize(
    ("error", "scope"),
    [(AccountHalted, {"channel": "sms"}), (NeverWorks, {"channel": "sms", "stage": "early"})],
    ids=["account", "content"],
)
def test_what_cannot_work_is_paused_until_somebody_has_mended_it(
    at_noon: Portfolio, outbox: Outbox, monkeypatch: pytest.MonkeyPatch, error: type[NeverWorks], scope: dict[str, str]
) -> None:
    monkeypatch.setenv("TIDEOVER_SMS_CONCURRENCY", "2")
    settings.cache_clear()
    run = outbox.run()
    for _ in range(50):
        outbox.plan(run, at_noon.borrower())
    with pytest.raises(LaneHalted, match="tideover resume"):
        send(run, RecordingChannel(answer=lambda *_: error(code="20003")))
    left = outbox.states().count("planned")
    assert left > 0
    with connection() as tx:
        (pause,) = pauses.in_force(tx, at=NOON)
    assert (pause.scope, pause.by) == (pauses.Scope(**scope), "tideover")
    # Whoever comes next loses nobody to the same trouble.
    channel = RecordingChannel()
    assert send(run, channel).paused == left
    assert channel.sent == []
    with connection() as tx:
        pauses.lift(tx, None, by="anna", at=NOON)
    assert send(run, channel).accepted == left


def test_a_number_that_nothing_reaches_is_unreachable_and_a_closed_window_is_no_fault_of_it(at_noon: Portfolio, outbox: Outbox) -> None:
    run = outbox.run()
    landline, closed = at_noon.borrower(), at_noon.borrower()
    outbox.plan(run, landline)
    send(run, RecordingChannel(answer=lambda *_: Unreachable(code="30006")))
    outbox.plan(run, closed)
    send(run, RecordingChannel(answer=lambda *_: WindowClosed(code="63016")))
    assert outbox.states() == ["rejected", "rejected"]
    current = "SELECT status FROM contact_point_version WHERE contact_point_id = :id AND superseded_at IS NULL"
    assert [outbox.rows(current, id=who.sms_id)[0][0] for who in (landline, closed)] == ["unreachable", "active"]

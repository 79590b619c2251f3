"""What a failed message teaches: another try within its window and no more, a dead number, a stop, or that nothing can work."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from channels import codes
from config.replies import reply_policy_in_force
from gate.lane import run_lane
from ledger import inbox, lessons, pauses
from ledger.engine import connection
from ledger.inbox import Said, Vocabulary
from ledger.lessons import AGAIN
from tests.plugins.portfolio import BorrowerIds, Portfolio, noon
from tests.plugins.sending import Outbox, RecordingChannel

NOON = noon("US")
VOCABULARY = Vocabulary(
    state_of=codes.state_of, meaning_of=codes.meaning_of_callback, intent_of=codes.intent_of, replies=reply_policy_in_force()
)
Fails = Callable[..., int]


@pytest.fixture
def fails(portfolio: Portfolio, outbox: Outbox) -> Fails:
    """Send to a borrower, and let the provider report a failure with a code; the attempt's id."""
    portfolio.clock(NOON)
    run = outbox.run()

    def send_and_fail(borrower: BorrowerIds, code: int | str, **plan: Any) -> int:
        attempt = outbox.plan(run, borrower, **plan)
        run_lane(run, shard=None, channels={"sms": RecordingChannel})
        report(outbox, attempt, code)
        return attempt

    return send_and_fail


def report(outbox: Outbox, attempt: int, code: int | str, status: str = "undelivered") -> None:
    row = outbox.attempt(attempt)
    assert row["state"] == "accepted"
    said = Said(
        provider="twilio",
        provider_id=row["provider_id"],
        kind="status",
        status=status,
        token=row["token"],
        error_code=str(code),
        fields={"MessageStatus": status},
    )
    inbox.receive([said], VOCABULARY)


def tries(outbox: Outbox) -> list[tuple[int, str]]:
    return [tuple(row) for row in outbox.rows("SELECT try_number, state FROM attempt ORDER BY id")]


@pytest.mark.parametrize(
    ("code", "after"), [(30003, "again_in_hours"), (30001, "again_in_hours"), (30008, "again_soon"), (30017, "again_soon")]
)
def test_what_is_transient_is_tried_once_more_within_its_window(
    portfolio: Portfolio, outbox: Outbox, fails: Fails, code: int, after: str
) -> None:
    first = fails(portfolio.borrower(), code)
    assert tries(outbox) == [(1, "undelivered"), (2, "planned")]
    again = outbox.rows("SELECT id, send_after, expires_at, token FROM attempt WHERE try_number = 2")[0]
    before = outbox.attempt(first)
    assert again.send_after == NOON + AGAIN[after]
    assert (again.expires_at, again.token != before["token"]) == (before["expires_at"], True)
    # It passes the gate like any other; where it fails too, that is all.
    portfolio.clock(again.send_after)
    channel = RecordingChannel()
    run_lane(before["campaign_run_id"], shard=None, channels={"sms": lambda: channel})
    if outbox.attempt(again.id)["state"] == "accepted":
        assert channel.sent[0].token == str(again.token)
        report(outbox, again.id, code)
        assert tries(outbox) == [(1, "undelivered"), (2, "undelivered")]


def test_another_try_is_sent_where_the_law_allows_a_second_contact(portfolio: Portfolio, outbox: Outbox, fails: Fails) -> None:
    fails(portfolio.borrower(), 30008)
    portfolio.clock(NOON + timedelta(minutes=15))
    channel = RecordingChannel()
    run_lane(outbox.rows("SELECT id FROM campaign_run")[0][0], shard=None, channels={"sms": lambda: channel})
    assert tries(outbox)[1][1] in {"accepted", "withheld", "planned"}
    assert len(channel.sent) == (tries(outbox)[1][1] == "accepted")


def test_no_other_try_is_planned_beyond_the_window(portfolio: Portfolio, outbox: Outbox, fails: Fails) -> None:
    fails(portfolio.borrower(), 30003, expires_at=NOON + AGAIN["again_in_hours"])
    assert tries(outbox) == [(1, "undelivered")]


def test_what_arrived_after_all_takes_the_other_try_back(portfolio: Portfolio, outbox: Outbox, fails: Fails) -> None:
    first = fails(portfolio.borrower(), 30008)
    row = outbox.attempt(first)
    said = Said(
        provider="twilio", provider_id=row["provider_id"], kind="status", status="delivered", token=row["token"], error_code=None, fields={}
    )
    inbox.receive([said], VOCABULARY)
    assert tries(outbox) == [(1, "delivered"), (2, "superseded")]


@pytest.mark.parametrize("code", [30005, 30006, 30007, 30023, 63016, 99999, "", "x"])
def test_what_is_not_transient_is_not_tried_again_today(portfolio: Portfolio, outbox: Outbox, fails: Fails, code: int | str) -> None:
    fails(portfolio.borrower(), code)
    assert tries(outbox) == [(1, "undelivered")]


@pytest.mark.parametrize("code", [21610, 63014, 63033])
def test_a_stop_that_only_the_provider_heard_is_ours_at_once(portfolio: Portfolio, outbox: Outbox, fails: Fails, code: int) -> None:
    borrower = portfolio.borrower()
    fails(borrower, code)
    assert [tuple(row) for row in outbox.rows("SELECT party_id, channel, source FROM opt_out WHERE superseded_at IS NULL")] == [
        (borrower.party_id, "sms", "provider:twilio")
    ]


def test_one_filtered_text_is_chance_and_many_stop_the_campaign(
    portfolio: Portfolio, outbox: Outbox, fails: Fails, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lessons, "STOPS_AT", 3)
    for _ in range(2):
        fails(portfolio.borrower(), 30007)
    assert paused() == []
    fails(portfolio.borrower(), 30034)
    assert paused() == []
    fails(portfolio.borrower(), 30007)
    assert paused() == [("stage early, channel sms", "tideover")]
    waiting = outbox.plan(outbox.rows("SELECT id FROM campaign_run")[0][0], portfolio.borrower())
    channel = RecordingChannel()
    run_lane(outbox.attempt(waiting)["campaign_run_id"], shard=None, channels={"sms": lambda: channel})
    assert (channel.sent, outbox.attempt(waiting)["state"]) == ([], "planned")


def test_a_halted_account_stops_its_channel_at_once(portfolio: Portfolio, fails: Fails) -> None:
    fails(portfolio.borrower(), 30002)
    assert paused() == [("channel sms", "tideover")]


def paused() -> list[tuple[str, str | None]]:
    with connection() as tx:
        return [(str(one.scope), one.by) for one in pauses.in_force(tx, at=NOON)]

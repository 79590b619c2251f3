"""Receipts are written only where the claim still holds, and never undo what a callback already told."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from channels import ChannelError, FateUnknown, Message, NeverWorks, Permit, Receipt, TryLater
from config.message_files import message_texts
from config.rule_files import rule_packs
from gate.claim import Door, take_chunk
from gate.lane import run_lane
from gate.permit import Letter, Rulebook
from gate.receipts import Result, write_results
from ledger.attempts import Move, StatusEvent, apply_provider_events, move
from ledger.campaigns import read_run
from ledger.engine import connection
from ledger.outbox import EVERY_PARTY
from tests.plugins.portfolio import Portfolio, noon
from tests.plugins.sending import Outbox, RecordingChannel, taken

NOON = noon("US")
YES = Receipt(provider="twilio", provider_id="SM1", status="queued", segments=3)


@pytest.fixture
def letter(portfolio: Portfolio, outbox: Outbox) -> Letter:
    """A letter that has passed the gate and was not called yet."""
    portfolio.clock(NOON)
    run = outbox.run()
    outbox.plan(run, portfolio.borrower())
    with connection() as tx:
        found = read_run(tx, run)
    door = Door(run=found, parties=EVERY_PARTY, book=Rulebook(rule_packs()), texts=message_texts())
    (passed,) = take_chunk(door, at_most={"sms": 1}, after={"sms": -1}).letters
    return passed


def write(letter: Letter, outcome: Receipt | ChannelError) -> dict[str, int]:
    with connection() as tx:
        run = tx.execute(text("SELECT campaign_run_id FROM attempt WHERE id = :id"), {"id": letter.attempt_id}).scalar_one()
    return dict(write_results([Result(letter=letter, provider="twilio", outcome=outcome)], campaign_run_id=run))


def callback(letter: Letter, state: str) -> None:
    with connection() as tx:
        token = tx.execute(text("SELECT token FROM attempt WHERE id = :id"), {"id": letter.attempt_id}).scalar_one()
        event = StatusEvent(event_id=1, token=token, provider_id="SM1", state=state, error_code=None, at=NOON)
        apply_provider_events(tx, [event], at=NOON)


def test_a_receipt_after_its_callback_only_adds_what_was_missing(letter: Letter, outbox: Outbox) -> None:
    callback(letter, "delivered")
    assert write(letter, YES) == {"known": 1}
    row = outbox.attempt(letter.attempt_id)
    assert (row["state"], row["provider"], row["provider_id"], row["segments"]) == ("delivered", "twilio", "SM1", 3)


@pytest.mark.parametrize("error", [FateUnknown(code="500"), TryLater(code="429", retry_after_seconds=0), NeverWorks(code="21617")])
def test_an_error_after_a_callback_that_says_sent_changes_nothing(letter: Letter, outbox: Outbox, error: ChannelError) -> None:
    callback(letter, "sent")
    assert write(letter, error) == {"known": 1}
    assert outbox.attempt(letter.attempt_id)["state"] == "sent"
    assert outbox.events(letter.attempt_id) == [("sent", True, False)]


def test_a_result_under_a_claim_that_is_gone_is_not_written(letter: Letter, outbox: Outbox) -> None:
    with connection() as tx:
        tx.execute(text("UPDATE attempt SET claim_id = :claim"), {"claim": uuid4()})
    for outcome in (YES, NeverWorks(code="21617"), TryLater(code="429", retry_after_seconds=0)):
        assert write(letter, outcome) == {"known": 1}
    assert outbox.attempt(letter.attempt_id)["state"] == "submitting"


def test_I2_what_was_called_unknown_meanwhile_never_goes_back_to_planned(letter: Letter, outbox: Outbox) -> None:
    assert write(letter, FateUnknown(code="ReadTimeout")) == {"unknown": 1}
    assert write(letter, TryLater(code="429", retry_after_seconds=0)) == {"known": 1}
    assert outbox.attempt(letter.attempt_id)["state"] == "unknown"


def test_a_late_answer_settles_what_was_called_unknown_meanwhile(letter: Letter, outbox: Outbox) -> None:
    write(letter, FateUnknown(code="deadline"))
    assert write(letter, YES) == {"accepted": 1}
    assert outbox.attempt(letter.attempt_id)["provider_id"] == "SM1"


def test_a_late_answer_settles_what_was_parked_meanwhile(letter: Letter, outbox: Outbox) -> None:
    write(letter, FateUnknown(code="deadline"))
    with connection() as tx:
        parked = Move(
            business_date=letter.business_date, attempt_id=letter.attempt_id, from_state="unknown", to_state="parked", cause="not found"
        )
        assert move(tx, [parked], at=NOON) == {letter.attempt_id}
    assert write(letter, TryLater(code="429", retry_after_seconds=0)) == {"known": 1}
    assert outbox.attempt(letter.attempt_id)["state"] == "parked"
    assert write(letter, YES) == {"accepted": 1}
    assert outbox.attempt(letter.attempt_id)["provider_id"] == "SM1"


def test_writing_the_same_results_twice_changes_nothing(letter: Letter, outbox: Outbox) -> None:
    assert write(letter, TryLater(code="429", retry_after_seconds=60)) == {"planned": 1}
    before = (outbox.attempt(letter.attempt_id), outbox.events(letter.attempt_id), outbox.causes(letter.attempt_id))
    assert write(letter, TryLater(code="429", retry_after_seconds=60)) == {"known": 1}
    assert (outbox.attempt(letter.attempt_id), outbox.events(letter.attempt_id), outbox.causes(letter.attempt_id)) == before
    assert before[0]["send_after"] == NOON + timedelta(seconds=60)


def test_a_callback_during_the_call_is_not_lowered_by_the_receipt(portfolio: Portfolio, outbox: Outbox) -> None:
    portfolio.clock(NOON)
    run = outbox.run()
    attempt = outbox.plan(run, portfolio.borrower())

    def call_back_first(message: Message, permit: Permit) -> Receipt:
        del permit
        with connection() as tx:
            event = StatusEvent(event_id=1, token=outbox.token(attempt), provider_id=None, state="delivered", error_code=None, at=NOON)
            apply_provider_events(tx, [event], at=NOON)
        return taken(message)

    channel = RecordingChannel(answer=call_back_first)
    report = run_lane(run, shard=None, channels={"sms": lambda: channel})
    assert report.became == {"known": 1}
    row = outbox.attempt(attempt)
    assert (row["state"], row["provider_id"]) == ("delivered", f"R{row['token']}")

"""Answers: whoever asks for help is answered once, a stop is confirmed once, and nobody hears a machine who wants none."""

from __future__ import annotations

import threading
from datetime import timedelta
from uuid import uuid4

import pytest
from prefect.logging import disable_run_logger
from sqlalchemy import text

from channels import OptedOut
from channels.codes import intent_of, meaning_of_callback, state_of
from config.audit_limits import audit_limits
from config.replies import reply_policy_in_force
from gate.answers import answer_now, plan_answers
from gate.lane import HELD_SECONDS, run_lane
from ledger import inbox, vault
from ledger.audit import Received, find_violations
from ledger.engine import connection
from ledger.inbox import Said, Vocabulary
from ledger.locks import lock_borrowers
from tasks.dispatch import find_due
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, made_up_number, noon
from tests.plugins.sending import Outbox, RecordingChannel
from tests.plugins.sent import Known

NUMBER = made_up_number("US", 77)
VOCABULARY = Vocabulary(state_of=state_of, meaning_of=meaning_of_callback, intent_of=intent_of, replies=reply_policy_in_force())
NOON = noon("US")
STOPPED_IN_WORDS = "please stop texting me"


@pytest.fixture
def borrower(portfolio: Portfolio) -> BorrowerIds:
    portfolio.clock(NOON)
    return portfolio.borrower(number=NUMBER)


def write(words: str, *, sid: str | None = None) -> None:
    """Somebody writes from that number."""
    said = Said(
        provider="twilio",
        provider_id=sid or f"SM{uuid4().hex}",
        kind="inbound",
        status="received",
        token=None,
        error_code=None,
        fields={"From": NUMBER, "Body": words},
    )
    inbox.receive([said], VOCABULARY)


def answers(channel: RecordingChannel | None = None) -> list[str]:
    """What is said now."""
    used = channel or RecordingChannel()
    answer_now({"sms": lambda: used})
    return [message.body for message in used.sent]


def test_whoever_asks_for_help_is_answered_once_and_read_by_a_person(borrower: BorrowerIds, known: Known, outbox: Outbox) -> None:
    sid = f"SM{uuid4().hex}"
    write("help", sid=sid)
    write("help", sid=sid)
    (words,) = answers()
    assert "A person reads your reply" in words
    assert f"/b/{outbox.token(1)}" in words
    assert known.outcomes(borrower) == [("help", True)]
    assert answers() == []
    attempt = outbox.attempt(1)
    assert (attempt["purpose"], attempt["stage"], attempt["state"]) == ("reply", "reply", "accepted")
    assert attempt["submitted_at"] - NOON <= timedelta(minutes=1)


def test_a_second_question_on_the_same_day_is_a_persons(borrower: BorrowerIds, known: Known) -> None:
    """So that two machines that answer each other are silent after one word."""
    write("help")
    assert len(answers()) == 1
    write("help")
    assert answers() == []
    assert known.outcomes(borrower) == [("help", True)] * 2


def test_two_that_answer_at_once_answer_once(borrower: BorrowerIds, outbox: Outbox) -> None:
    del borrower
    write("help")
    channel = RecordingChannel()
    both = [threading.Thread(target=answers, args=(channel,)) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert len(channel.sent) == 1
    assert outbox.states() == ["accepted"]


def test_somebody_who_is_held_for_a_moment_is_answered_all_the_same(borrower: BorrowerIds, outbox: Outbox) -> None:
    """Another writer holds the borrower at the instant at which the answer passes the gate: it waits, and does not leave it to `dispatch`."""
    write("help")
    (run,) = plan_answers()
    channel = RecordingChannel()
    with connection() as tx:
        lock_borrowers(tx, [borrower.party_id])
        sending = threading.Thread(target=run_lane, args=(run,), kwargs={"shard": None, "channels": {"sms": lambda: channel}})
        sending.start()
        sending.join(1.5 * HELD_SECONDS)
        assert channel.sent == []
    sending.join(10)
    assert len(channel.sent) == 1
    assert outbox.states() == ["accepted"]


def test_whoever_owes_nothing_any_more_is_answered_too(borrower: BorrowerIds, portfolio: Portfolio) -> None:
    portfolio.payment(borrower.loan_id, 10_500)
    write("help")
    assert len(answers()) == 1


def test_a_question_at_night_is_answered_at_night(borrower: BorrowerIds, portfolio: Portfolio) -> None:
    del borrower
    portfolio.clock(NOON + timedelta(hours=11))
    write("help")
    assert len(answers()) == 1


def test_a_stop_has_one_confirmation_that_says_nothing_else(borrower: BorrowerIds, known: Known, outbox: Outbox) -> None:
    write(STOPPED_IN_WORDS)
    (words,) = answers()
    assert words == "Lantern Wallet US: you will get no more text messages from us about this. This is the last one."
    write(STOPPED_IN_WORDS)
    write("STOP")
    assert answers() == []
    assert [stop for stop in known.opt_outs(borrower) if stop[0] in {"sms", "all"}]
    assert outbox.attempt(1)["purpose"] == "confirmation"


def test_a_stop_that_the_provider_confirmed_itself_is_refused_there_and_stands(borrower: BorrowerIds, known: Known, outbox: Outbox) -> None:
    write("STOP")
    assert answers(RecordingChannel(answer=lambda message, _: OptedOut(code="21610", attempt_id=message.attempt_id))) != []
    assert outbox.states() == ["rejected"]
    assert ("all", True) in known.opt_outs(borrower)


def test_a_confirmation_that_would_come_too_late_does_not_come(borrower: BorrowerIds, portfolio: Portfolio, outbox: Outbox) -> None:
    del borrower
    write(STOPPED_IN_WORDS)
    (run,) = plan_answers()
    portfolio.clock(NOON + timedelta(minutes=5))
    channel = RecordingChannel()
    run_lane(run, shard=None, channels={"sms": lambda: channel})
    assert channel.sent == []
    assert outbox.states() == ["expired"]


def test_one_that_nobody_planned_in_time_is_not_planned(borrower: BorrowerIds, portfolio: Portfolio) -> None:
    del borrower
    write(STOPPED_IN_WORDS)
    portfolio.clock(NOON + timedelta(minutes=5))
    assert plan_answers() == []


def test_I4_a_stop_after_the_question_stops_the_answer(borrower: BorrowerIds, outbox: Outbox) -> None:
    del borrower
    write("help")
    (run,) = plan_answers()
    write("STOP")
    channel = RecordingChannel()
    run_lane(run, shard=None, channels={"sms": lambda: channel})
    assert channel.sent == []
    assert outbox.attempt(1)["state"] == "withheld"
    assert "HOUSE-OPTOUT-ANSWER" in outbox.attempt(1)["permit"]["blocked_by"]


def test_no_machine_answers_a_question_after_a_stop(borrower: BorrowerIds, portfolio: Portfolio, outbox: Outbox) -> None:
    portfolio.opt_out(borrower.party_id, channel="sms")
    write("help")
    assert answers() == []
    assert outbox.states() == ["withheld"]


@pytest.mark.parametrize(
    "words", ["my cat sends you its love", "I want to die", "wrong number", "please call me back", "help, I already paid"]
)
def test_what_a_person_has_to_read_is_not_answered_by_a_machine(borrower: BorrowerIds, outbox: Outbox, words: str) -> None:
    del borrower
    write(words)
    assert answers() == []
    assert outbox.states() == []


def test_a_number_of_two_people_is_not_answered(borrower: BorrowerIds, portfolio: Portfolio, outbox: Outbox) -> None:
    del borrower
    portfolio.borrower(number=NUMBER)
    write("help")
    write(STOPPED_IN_WORDS)
    assert answers() == []
    assert outbox.states() == []


def test_a_language_without_a_text_is_left_to_a_person_and_looked_at_once(portfolio: Portfolio, outbox: Outbox) -> None:
    portfolio.clock(NOON)
    portfolio.borrower(number=NUMBER, locale="fr")
    write("help")
    assert answers() == []
    assert plan_answers() == []
    assert outbox.states() == []
    assert [tuple(row) for row in outbox.rows("SELECT stage, action FROM decision")] == [("reply", "no_contact")]


def test_dispatch_plans_what_a_portal_that_was_killed_left(borrower: BorrowerIds) -> None:
    del borrower
    write("help")
    with disable_run_logger():
        (due,) = find_due.fn()
    channel = RecordingChannel()
    run_lane(due[1], shard=due[0], channels={"sms": lambda: channel})
    assert len(channel.sent) == 1


def test_the_auditor_allows_the_confirmation_and_finds_a_second_one(borrower: BorrowerIds, outbox: Outbox) -> None:
    del borrower
    write(STOPPED_IN_WORDS)
    assert len(answers()) == 1
    heard = Received(channel="sms", blind_index=vault.blind_index(NUMBER), provider_id=outbox.attempt(1)["provider_id"], at=NOON)
    with connection() as tx:
        assert find_violations(tx, [heard], audit_limits(TODAY)) == []
    with connection() as tx:
        tx.execute(
            text("""
                INSERT INTO contact_event (business_date, party_id, at, channel, direction, contact_point_id, counterparty, purpose, result,
                                           counts, source)
                SELECT business_date, party_id, at, channel, direction, contact_point_id, counterparty, purpose, 'sent', true, 'test'
                FROM contact_event WHERE purpose = 'confirmation' AND direction = 'outbound'
            """)
        )
    with connection() as tx:
        found = {one.check for one in find_violations(tx, [heard], audit_limits(TODAY))}
    assert "confirmed_without_a_new_stop" in found

"""A person dials: only after the gate, counted like any call, and what the colleague says does what a reply does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest
from prefect.logging import disable_run_logger
from sqlalchemy import text

from config.call_queue import call_policy_in_force
from config.policies import policies
from gate.dial import Dial, DialRefused, NotNow, Told, refresh, take_call
from gate.dial import record_outcome as write_outcome
from gate.late import close_late
from ledger import call_queue, evidence, pauses, vault
from ledger.call_queue import CallWindow
from ledger.campaigns import open_run
from ledger.engine import connection
from ledger.pauses import Scope
from tasks.choose import choose
from tasks.pick import pick
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, made_up_number, noon
from tests.plugins.sending import Outbox, tried
from tests.plugins.sent import Known
from tests.plugins.team import all_said

NUMBER = made_up_number("US", 71)
NOON = noon("US")
HOUR = timedelta(hours=1)
NOW = CallWindow(NOON, NOON + 2 * HOUR)


pytestmark = pytest.mark.usefixtures("team")


@pytest.fixture
def borrower(portfolio: Portfolio) -> BorrowerIds:
    portfolio.clock(NOON)
    found = portfolio.borrower(number=NUMBER)
    with connection() as tx:
        tx.execute(text("""UPDATE creditor SET senders = senders || '{"call": "+15005550006"}'"""))
    return found


def ask(borrower: BorrowerIds, window: CallWindow = NOW) -> int:
    with connection() as tx:
        return call_queue.enqueue_callback(tx, party_id=borrower.party_id, because="sms: call_me", window=window, at=NOON)


def dial(task: int | None = None) -> Dial:
    taken = take_call(task, by="anna")
    assert isinstance(taken, Dial), taken
    return taken


def record_outcome(task: int, *, by: str, **told: Any) -> str:
    """With everything said that has to be, where it was dialled."""
    return write_outcome(task, all_said(task, Told(**told)), by=by)


def states() -> list[tuple[str, str | None]]:
    with connection() as tx:
        return [tuple(row) for row in tx.execute(text("SELECT state, result FROM call_task ORDER BY id"))]


def test_the_number_is_shown_only_after_the_gate_and_the_call_counts(borrower: BorrowerIds, outbox: Outbox) -> None:
    ask(borrower)
    taken = dial()
    assert (taken.number, taken.name) == (NUMBER, "Nobody Atall 1")
    assert "You asked Lantern Wallet US to call you" in taken.says
    attempt = outbox.attempt(taken.attempt_id)
    assert (attempt["state"], attempt["channel"], attempt["purpose"], attempt["stage"]) == ("submitting", "call", "callback", "callback")
    assert attempt["called_at"] is not None
    assert outbox.events(taken.attempt_id) == [("sent", True, False)]
    assert NUMBER not in repr(taken)


def test_a_talk_is_long_and_no_clock_takes_it_for_a_lost_call(borrower: BorrowerIds) -> None:
    ask(borrower)
    taken = dial()
    with connection() as tx:
        assert close_late(tx, campaign_run_id=None, at=NOON).unknown == 0
        left = tx.execute(
            text("SELECT call_deadline - clock_timestamp() FROM attempt WHERE id = :id"), {"id": taken.attempt_id}
        ).scalar_one()
    assert left > timedelta(minutes=20)


def test_an_outcome_ends_the_task_and_is_counted_in_the_words_of_caps(borrower: BorrowerIds, outbox: Outbox, known: Known) -> None:
    task = ask(borrower)
    taken = dial(task)
    assert record_outcome(task, by="anna", result="conversation", said=["cannot_pay"]) == "done"
    assert outbox.attempt(taken.attempt_id)["state"] in {"delivered", "replied"}
    assert ("conversation", False, False) in outbox.events(taken.attempt_id)
    assert known.outcomes(borrower) == [("cannot_pay", True)]
    assert [kind for kind, _ in known.holds(borrower)] == ["hardship"]
    assert states() == [("done", "conversation")]
    with connection() as tx:
        assert evidence.mismatches(tx, outbox.attempt(taken.attempt_id)["campaign_run_id"]) == []


def test_a_promise_to_a_person_is_a_promise(borrower: BorrowerIds, known: Known) -> None:
    task = ask(borrower)
    dial(task)
    on = TODAY + timedelta(days=5)
    record_outcome(task, by="anna", result="conversation", said=["promise"], on=on, amount_minor=10_500)
    with connection() as tx:
        assert [tuple(row) for row in tx.execute(text("SELECT due_on, amount_minor, state FROM promise"))] == [(on, 10_500, "open")]
    assert [kind for kind, _ in known.holds(borrower)] == ["promise"]


@pytest.mark.parametrize("result", ["no_answer", "busy", "dropped"])
def test_where_nobody_was_there_it_is_tried_again_later_and_not_for_ever(
    borrower: BorrowerIds, portfolio: Portfolio, outbox: Outbox, result: str
) -> None:
    ask(borrower)
    policy = call_policy_in_force()
    for number in range(1, policy.tries_max + 1):
        taken = dial()
        assert record_outcome(taken.task.id, by="anna", result=result) == ("waiting" if number < policy.tries_max else "done")
        assert take_call(None, by="anna") is None
        portfolio.clock(NOON + number * (policy.rest + timedelta(minutes=1)))
    assert take_call(None, by="anna") is None
    assert outbox.states() == ["undelivered"] * policy.tries_max
    assert len(outbox.rows("SELECT 1 FROM contact_event WHERE counts")) == policy.tries_max


def test_after_a_message_on_a_machine_nobody_calls_again_on_that_day(borrower: BorrowerIds, portfolio: Portfolio) -> None:
    task = ask(borrower)
    dial(task)
    assert record_outcome(task, by="anna", result="limited_content_voicemail") == "waiting"
    portfolio.clock(NOON + 3 * HOUR)
    refused = take_call(None, by="anna")
    assert isinstance(refused, NotNow)
    assert refused.at is not None
    assert refused.at > NOON + 11 * HOUR
    portfolio.clock(NOON + 24 * HOUR)
    assert dial().task.tries == 1


def test_a_wrong_number_is_nobodys(borrower: BorrowerIds, known: Known) -> None:

    task = ask(borrower)
    dial(task)
    assert record_outcome(task, by="anna", result="wrong_number") == "done"
    assert known.ownership(vault.blind_index(NUMBER)) == "wrong"


def test_a_number_out_of_service_is_retired(borrower: BorrowerIds, known: Known) -> None:
    task = ask(borrower)
    dial(task)
    record_outcome(task, by="anna", result="not_in_service")
    assert known.status(borrower.sms_id) == "invalid"


def test_she_may_ask_for_another_call(borrower: BorrowerIds) -> None:
    task = ask(borrower)
    dial(task)
    tomorrow = CallWindow(NOON + 24 * HOUR, NOON + 26 * HOUR)
    assert record_outcome(task, by="anna", result="conversation", again=tomorrow) == "waiting"
    with connection() as tx:
        (waiting,) = call_queue.waiting(tx, at=NOON, at_most=5)
    assert (waiting.opens_at, waiting.reason) == (tomorrow.opens_at, "callback")


@pytest.mark.parametrize(
    ("hold", "stop"),
    [("dispute", None), ("deceased", None), (None, "all"), (None, "call")],
    ids=["dispute", "deceased", "stop all", "stop calls"],
)
def test_whom_the_rules_protect_nobody_dials(
    borrower: BorrowerIds, portfolio: Portfolio, outbox: Outbox, hold: str | None, stop: str | None
) -> None:
    ask(borrower)
    if hold:
        portfolio.hold(borrower.party_id, hold)
    if stop:
        portfolio.opt_out(borrower.party_id, channel=stop)
    refused = take_call(None, by="anna")
    assert isinstance(refused, NotNow)
    assert refused.reasons
    assert outbox.rows("SELECT 1 FROM contact_event") == []
    assert states() == [("withdrawn", None)]


def test_a_callback_hold_lets_the_call_through_that_it_waits_for(borrower: BorrowerIds, portfolio: Portfolio) -> None:
    portfolio.hold(borrower.party_id, "callback")
    ask(borrower)
    assert dial().number == NUMBER


def test_at_night_it_waits_for_the_morning(borrower: BorrowerIds, portfolio: Portfolio) -> None:
    night = NOON + 11 * HOUR
    portfolio.clock(night)
    ask(borrower, CallWindow(NOON, night + 20 * HOUR))
    refused = take_call(None, by="anna")
    assert isinstance(refused, NotNow)
    assert any("HOURS" in reason for reason in refused.reasons)
    # Eight in the morning, where she is.
    assert refused.at == NOON + 20 * HOUR
    assert states() == [("waiting", None)]
    portfolio.clock(refused.at)
    assert dial().number == NUMBER


def test_refused_in_the_small_hours_it_is_dialled_on_the_same_day(borrower: BorrowerIds, portfolio: Portfolio, outbox: Outbox) -> None:
    """The attempt that the gate put off is the one that is dialled: there is no second one of that day."""
    night, morning = NOON + 14 * HOUR, NOON + 20 * HOUR
    portfolio.clock(night)
    task = ask(borrower, CallWindow(night, NOON + 26 * HOUR))
    for _ in range(2):
        refused = take_call(task, by="anna")
        assert isinstance(refused, NotNow)
        assert refused.at == morning
    portfolio.clock(morning)
    assert dial(task).number == NUMBER
    assert outbox.states() == ["submitting"]


def test_a_call_that_is_owed_stays_owed_while_contact_is_paused(borrower: BorrowerIds) -> None:
    task = ask(borrower)
    with connection() as tx:
        pauses.write_pause(tx, Scope(), because="test", by="anna", at=NOON)
    refused = take_call(task, by="anna")
    assert isinstance(refused, NotNow)
    assert (refused.reasons, states()) == (("paused",), [("waiting", None)])
    with connection() as tx:
        tx.execute(text("DELETE FROM pause"))
    assert dial(task).number == NUMBER


def test_two_colleagues_never_dial_the_same_person(borrower: BorrowerIds, outbox: Outbox) -> None:
    task = ask(borrower)
    dial(task)
    with pytest.raises(DialRefused, match="does not wait"):
        take_call(task, by="ben")
    assert take_call(None, by="ben") is None
    assert outbox.states() == ["submitting"]


def test_whom_no_message_reached_is_called_about_what_is_owed(borrower: BorrowerIds, outbox: Outbox) -> None:
    run = outbox.run(business_date=TODAY - timedelta(days=3))
    for number in range(1, 4):
        attempt = outbox.plan(run, borrower, try_number=number)
        outbox._do("UPDATE attempt SET state = 'undelivered' WHERE id = :id", id=attempt)  # noqa: SLF001  # a plain statement
    refresh()
    taken = dial()
    assert taken.task.reason == "unreached"
    assert "$105.00 that was due on" in taken.says
    assert outbox.attempt(taken.attempt_id)["purpose"] == "collection"


def test_what_a_strategy_planned_for_a_person_is_dialled_in_its_own_run(borrower: BorrowerIds, outbox: Outbox) -> None:
    run = outbox.run()
    attempt = outbox.plan(run, borrower, message="early_call")
    outbox._do("UPDATE attempt SET channel = 'call' WHERE id = :id", id=attempt)  # noqa: SLF001  # a plain statement
    refresh()
    taken = dial()
    assert (taken.task.reason, taken.attempt_id) == ("strategy", attempt)
    assert record_outcome(taken.task.id, by="anna", result="conversation", said=["paid"]) == "done"


@pytest.mark.parametrize("written", [1, 2])
def test_the_ladder_of_every_channel_has_a_person_call_after_messages_arrived_and_the_gate_lets_her(
    portfolio: Portfolio, outbox: Outbox, written: int
) -> None:
    """From the facts to the talk, with nothing replaced."""
    portfolio.clock(NOON)
    borrower = portfolio.borrower(number=NUMBER, days_past_due=41, push=False)
    with connection() as tx:
        tx.execute(text("""UPDATE creditor SET senders = senders || '{"call": "+15005550006"}'"""))
    for days in (20, 12)[:written]:
        on = TODAY - timedelta(days=days)
        tried(outbox.plan(outbox.run(business_date=on), borrower), borrower, at=noon("US", on), result="delivered")
    with connection() as tx:
        named = policies("mid", named="every-channel")
        run = open_run(tx, stage="mid", business_date=TODAY, preview=False, borrowers_max=None, policies=named, at=NOON)
    with disable_run_logger():
        (shard,) = pick.fn(run)
        assert choose.fn(shard, run) == 1
    refresh()
    if written == 1:
        assert [row.channel for row in outbox.rows("SELECT channel FROM attempt WHERE stage = 'mid'")] == ["sms"]
        assert take_call(None, by="anna") is None
        return
    taken = dial()
    assert (taken.task.reason, taken.number) == ("strategy", NUMBER)
    assert record_outcome(taken.task.id, by="anna", result="conversation", said=["cannot_pay"]) == "done"
    assert outbox.attempt(taken.attempt_id)["state"] in {"delivered", "replied"}


WRONG: Sequence[tuple[dict[str, Any], str]] = [
    ({"result": "talked"}, "no result"),
    ({"result": "busy", "said": ["paid"]}, "only in a conversation"),
    ({"result": "conversation", "said": ["sings"]}, "nothing that a person says"),
    ({"result": "conversation", "said": ["promise"]}, "names its day"),
    ({"result": "conversation", "on": date(2026, 3, 20)}, "names its day"),
    ({"result": "conversation", "said": ["promise"], "on": date(2026, 3, 20), "amount_minor": 0}, "above zero"),
    ({"result": "conversation", "again": CallWindow(NOON, NOON)}, "window"),
    ({"result": "no_answer", "hung_up": True}, "whoever hung up"),
    ({"result": "busy", "needs": ["speak_slowly"]}, "only in a conversation"),
    ({"result": "conversation", "needs": ["a diagnosis"]}, "no need"),
    ({"result": "conversation", "by": NUMBER}, "who dials"),
    ({"result": "conversation", "by": " "}, "who dials"),
]


@pytest.mark.parametrize(("given", "why"), WRONG, ids=[why + str(number) for number, (_, why) in enumerate(WRONG)])
def test_what_does_not_fit_together_is_refused_and_changes_nothing(borrower: BorrowerIds, given: dict[str, Any], why: str) -> None:
    task = ask(borrower)
    dial(task)
    with pytest.raises(DialRefused, match=why):
        record_outcome(task, **{"by": "anna", **given})
    assert states() == [("taken", None)]


def test_an_outcome_without_a_dial_is_refused(borrower: BorrowerIds) -> None:
    task = ask(borrower)
    with pytest.raises(DialRefused, match="is not being dialled"):
        record_outcome(task, by="anna", result="busy")


def test_what_was_left_lying_is_parked_and_may_still_be_told(borrower: BorrowerIds, outbox: Outbox) -> None:
    """The colleague went home: the call is not made again by itself, and counts."""
    task = ask(borrower)
    taken = dial(task)
    outbox._do("UPDATE attempt SET call_deadline = clock_timestamp() - interval '1 hour' WHERE id = :id", id=taken.attempt_id)  # noqa: SLF001  # a plain statement
    with connection() as tx:
        assert close_late(tx, campaign_run_id=None, at=NOON).unknown == 1
    assert record_outcome(task, by="anna", result="no_answer") == "waiting"
    assert outbox.attempt(taken.attempt_id)["state"] == "undelivered"


def test_a_missed_call_back_is_found_once(borrower: BorrowerIds, portfolio: Portfolio) -> None:
    task = ask(borrower)
    assert refresh() == []
    portfolio.clock(NOW.closes_at)
    assert [missed.id for missed in refresh()] == [task]
    assert refresh() == []

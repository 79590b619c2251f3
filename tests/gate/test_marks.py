"""The last look: what is learned or paused after the gate let a letter through stops its call; a call without a mark is none."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text

from channels import Message, NotMarked, Permit, Receipt, TryLater
from config.message_files import message_texts
from config.settings import settings
from gate.claim import Door, take_chunk
from gate.lane import LaneReport, run_lane
from gate.late import close_late
from gate.marks import LEARNED_SINCE, NO_MARK, Marks, write_marks
from gate.permit import Letter, Rulebook
from ledger import pauses
from ledger.calls import known
from ledger.campaigns import read_run
from ledger.clock import now
from ledger.engine import connection, engine
from ledger.locks import lock_borrowers
from ledger.outbox import EVERY_PARTY
from ledger.pauses import Scope
from tests.plugins.packs import packs_of
from tests.plugins.portfolio import BorrowerIds, Portfolio, noon
from tests.plugins.sending import Outbox, RecordingChannel, taken

NOON = noon("US")
PER_SECOND = 20
MESSAGES = 60
# What is promised to operations.
SECONDS_MAX = 1.0


class Timed(RecordingChannel):
    """Remembers when each call was made."""

    def __init__(self) -> None:
        super().__init__(answer=self._take)
        self.at: list[float] = []

    def _take(self, message: Message, permit: Permit) -> Receipt:
        del permit
        self.at.append(time.monotonic())
        return taken(message)


@pytest.fixture
def slow(portfolio: Portfolio, outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> int:
    """A run whose sender is paced so that a chunk waits in its queue for two seconds."""
    monkeypatch.setenv("TIDEOVER_SMS_PER_SECOND", str(PER_SECOND))
    settings.cache_clear()
    portfolio.clock(NOON)
    run = outbox.run()
    for _ in range(MESSAGES):
        outbox.plan(run, portfolio.borrower())
    return run


def pause(scope: Scope) -> float:
    """Pause, and say when it was committed."""
    with connection() as tx:
        pauses.write_pause(tx, scope, because="test", by="anna", at=now(tx))
    return time.monotonic()


def lane(run: int, channel: Timed, reports: list[LaneReport]) -> threading.Thread:
    thread = threading.Thread(target=lambda: reports.append(run_lane(run, shard=None, channels={"sms": lambda: channel})))
    thread.start()
    while len(channel.at) < 3:
        time.sleep(0.005)
    return thread


@pytest.mark.parametrize(
    "scope", [Scope(), Scope(stage="early"), Scope(channel="sms"), Scope(jurisdiction="US"), Scope(sender="+15005550006")]
)
def test_I4_a_pause_stops_a_lane_in_the_middle_of_a_chunk_within_a_second(slow: int, outbox: Outbox, scope: Scope) -> None:
    channel, reports = Timed(), list[LaneReport]()
    thread = lane(slow, channel, reports)
    committed = pause(scope)
    thread.join(20)
    assert not thread.is_alive()
    late = [at - committed for at in channel.at if at > committed]
    assert max(late, default=0.0) < SECONDS_MAX
    states = outbox.states()
    assert states.count("accepted") == len(channel.sent) < MESSAGES / 2
    assert states.count("planned") == MESSAGES - len(channel.sent)
    assert reports[0].became["unknown"] == 0


def test_what_a_pause_sent_back_goes_out_once_it_is_resumed(slow: int, outbox: Outbox) -> None:
    channel, reports = Timed(), list[LaneReport]()
    thread = lane(slow, channel, reports)
    pause(Scope())
    thread.join(20)
    with connection() as tx:
        pauses.lift(tx, Scope(), by="ben", at=now(tx))
    run_lane(slow, shard=None, channels={"sms": lambda: channel})
    assert outbox.states() == ["accepted"] * MESSAGES
    assert len({message.token for message in channel.sent}) == len(channel.sent) == MESSAGES


def test_a_pause_of_something_else_costs_a_second_look_and_stops_nobody(slow: int, outbox: Outbox) -> None:
    channel, reports = Timed(), list[LaneReport]()
    thread = lane(slow, channel, reports)
    pause(Scope(stage="late"))
    thread.join(20)
    assert outbox.states() == ["accepted"] * MESSAGES
    assert len(channel.sent) == MESSAGES


# --- the last look, without a lane around it --------------------------------------------------------------------------------


def gated(outbox: Outbox, *borrowers: BorrowerIds) -> list[Letter]:
    """Letters that have passed the gate and wait to be called."""
    run = outbox.run()
    for one in borrowers:
        outbox.plan(run, one)
    with connection() as tx:
        door = Door(run=read_run(tx, run), parties=EVERY_PARTY, book=Rulebook(packs_of()), texts=message_texts())
    letters = take_chunk(door, at_most={"sms": 8}, after={"sms": -1}).letters
    assert len(letters) == len(borrowers)
    return letters


def marks(*letters: Letter) -> list[str]:
    """What the last look says of each."""
    answers = write_marks(letters)
    return [answer if isinstance(answer, str) else "marked" for answer in (answers[letter.attempt_id] for letter in letters)]


Happens = Callable[[Portfolio, BorrowerIds], object]
NUMBER = "+12125550123"
LEARNED: dict[str, Happens] = {
    "a stop": lambda portfolio, who: portfolio.opt_out(who.party_id),
    "a hold": lambda portfolio, who: portfolio.hold(who.party_id, "dispute"),
    "a hold of a loan": lambda portfolio, who: portfolio.hold(who.party_id, "dispute", loan_id=who.loan_id),
    "a wish": lambda portfolio, who: portfolio.wish(who.party_id, "not_channel", channels=["sms"]),
    "a payment": lambda portfolio, who: portfolio.payment(who.loan_id, 100),
    "a notice": lambda portfolio, who: portfolio.notice(who.party_id),
    "a wrong number": lambda portfolio, _: portfolio.ownership(NUMBER, "wrong"),
    "another loan": lambda portfolio, who: portfolio.loan(who.party_id),
    "another contact point": lambda portfolio, who: portfolio.contact_point(who.party_id, "mobile", "+12125550124"),
    "a pause": lambda *_: pause(Scope()),
}


@pytest.mark.parametrize("happens", LEARNED.values(), ids=LEARNED)
def test_I4_what_is_learned_after_the_gate_and_before_the_call_stops_the_call(
    portfolio: Portfolio, outbox: Outbox, happens: Happens
) -> None:
    portfolio.clock(NOON)
    who = portfolio.borrower(number=NUMBER)
    (letter,) = gated(outbox, who)
    happens(portfolio, who)
    assert marks(letter) == ["learned"]
    assert outbox.attempt(letter.attempt_id)["called_at"] is None


def test_I4_a_hold_of_whoever_is_liable_stops_the_call_to_the_others(portfolio: Portfolio, outbox: Outbox) -> None:
    portfolio.clock(NOON)
    who, other = portfolio.borrower(), portfolio.borrower()
    portfolio.liable(who.loan_id, other.party_id)
    (letter,) = gated(outbox, who)
    portfolio.hold(other.party_id, "attorney", all_liable=True)
    assert marks(letter) == ["learned"]


def test_what_is_learned_of_others_or_was_known_to_the_gate_stops_nobody(portfolio: Portfolio, outbox: Outbox) -> None:
    portfolio.clock(NOON)
    who, other = portfolio.borrower(), portfolio.borrower()
    portfolio.wish(who.party_id, "not_channel", channels=["voice"])
    one, two = gated(outbox, who, other)
    portfolio.opt_out(other.party_id)
    assert marks(one, two) == ["marked", "learned"]


def test_I4_a_fact_whose_id_is_older_than_anothers_but_is_committed_later_stops_the_call(portfolio: Portfolio, outbox: Outbox) -> None:
    """Ids are given out in one order and committed in another: what the sequence gave out before the gate is never mistaken."""
    portfolio.clock(NOON)
    who, other = portfolio.borrower(), portfolio.borrower()
    statement = text(
        "INSERT INTO opt_out (party_id, channel, at, effective_at, source) VALUES (:party, 'all', :at, :at, 'test') RETURNING id"
    )
    with engine().connect() as slow, slow.begin():
        lock_borrowers(slow, [other.party_id])
        # Not committed when the gate looks, and of the other one.
        slow.execute(statement, {"party": other.party_id, "at": NOON})
        (letter,) = gated(outbox, who)
    with connection() as tx:
        lock_borrowers(tx, [who.party_id])
        tx.execute(statement, {"party": who.party_id, "at": NOON})
    assert marks(letter) == ["learned"]


def test_I1_a_mark_needs_the_claim_that_made_the_letter_and_a_live_deadline(portfolio: Portfolio, outbox: Outbox) -> None:
    portfolio.clock(NOON)
    one, two, three = gated(outbox, *(portfolio.borrower() for _ in range(3)))
    with connection() as tx:
        tx.execute(text("UPDATE attempt SET call_deadline = clock_timestamp() WHERE id = :id"), {"id": two.attempt_id})
    assert marks(one, two, replace(three, claim_id=uuid4())) == ["marked", "over", "over"]
    assert [outbox.attempt(letter.attempt_id)["called_at"] is None for letter in (one, two, three)] == [False, True, True]


def test_I1_a_channel_makes_no_call_on_a_permit_without_a_mark(portfolio: Portfolio, outbox: Outbox) -> None:
    portfolio.clock(NOON)
    (letter,) = gated(outbox, portfolio.borrower())
    with pytest.raises(NotMarked):
        letter.permit.refuse_if_not_marked()


def test_I2_what_was_not_marked_is_planned_again_once_its_deadline_has_passed_and_no_cap_counts_it(
    portfolio: Portfolio, outbox: Outbox
) -> None:
    portfolio.clock(NOON)
    called, waiting = gated(outbox, portfolio.borrower(), portfolio.borrower())
    assert marks(called) == ["marked"]
    with connection() as tx:
        assert close_late(tx, campaign_run_id=None, at=NOON) == (0, 0)
        tx.execute(text("UPDATE attempt SET call_deadline = clock_timestamp()"))
    with connection() as tx:
        assert close_late(tx, campaign_run_id=None, at=NOON) == (1, 1)
    assert outbox.attempt(called.attempt_id)["state"] == "unknown"
    row = outbox.attempt(waiting.attempt_id)
    assert (row["state"], row["claim_id"], row["permit"], row["submitted_at"]) == ("planned", None, None, None)
    assert outbox.events(called.attempt_id) == [("sent", True, False)]
    assert outbox.events(waiting.attempt_id) == [("sent", True, False), ("failed", False, True)]
    # Whoever still holds the old letter cannot call any more.
    assert marks(waiting) == ["over"]


def test_I2_what_was_let_go_before_there_were_marks_is_unknown(portfolio: Portfolio, outbox: Outbox) -> None:
    """An upgrade while a lane of the former version sends: nobody knows whether it called."""
    portfolio.clock(NOON)
    (letter,) = gated(outbox, portfolio.borrower())
    with connection() as tx:
        tx.execute(text("UPDATE attempt SET call_deadline = clock_timestamp(), permit = permit - 'marks_calls'"))
    with connection() as tx:
        assert close_late(tx, campaign_run_id=None, at=NOON) == (1, 0)
    assert outbox.attempt(letter.attempt_id)["state"] == "unknown"


def test_I11_a_lane_that_cannot_reach_the_ledger_calls_nobody(
    portfolio: Portfolio, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    portfolio.clock(NOON)
    (letter,) = gated(outbox, portfolio.borrower())
    away = create_engine("postgresql+psycopg://nobody@127.0.0.1:9/nowhere")
    monkeypatch.setattr("gate.marks.connection", away.begin)

    async def ask() -> None:
        marks = Marks()
        try:
            await marks.mark(letter)
        finally:
            marks.close()

    with pytest.raises(TryLater, match=NO_MARK):
        asyncio.run(ask())
    away.dispose()


# --- and with a lane around it --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["a stop", "a payment"])
def test_I4_whoever_says_stop_or_pays_while_her_letter_waits_in_the_queue_is_not_called(
    slow: int, portfolio: Portfolio, outbox: Outbox, what: str
) -> None:
    people = [row[0] for row in outbox.rows("SELECT party_id FROM attempt ORDER BY party_id")]
    loans = dict(outbox.rows("SELECT party_id, loan_id FROM loan_party"))
    channel, reports = Timed(), list[LaneReport]()
    thread = lane(slow, channel, reports)
    last = PER_SECOND * 2 - 1  # of the first chunk, which was gated at once
    who = BorrowerIds(party_id=people[last], loan_id=loans[people[last]], sms_id=None, push_id=None)
    LEARNED[what](portfolio, who)
    assert str(outbox.rows("SELECT token FROM attempt WHERE party_id = :party", party=who.party_id)[0][0]) not in {
        m.token for m in channel.sent
    }
    thread.join(20)
    row = outbox.rows("SELECT id, token, state FROM attempt WHERE party_id = :party", party=who.party_id)[0]
    assert ("planned", "submitting", "passed the gate") in outbox.causes(row.id)
    if what == "a stop":
        assert (row.state, str(row.token) in {message.token for message in channel.sent}) == ("withheld", False)
    assert (f"TryLater {LEARNED_SINCE}") in {cause for _, _, cause in outbox.causes(row.id)}
    assert outbox.states().count("accepted") == len(channel.sent) >= MESSAGES - 1


def test_a_count_of_pauses_rises_with_every_pause_and_every_resumption(ledger_url: str) -> None:
    del ledger_url
    seen = []
    with connection() as tx:
        seen.append(known(tx).pauses)
        pauses.write_pause(tx, Scope(), because="test", by="anna", at=NOON)
        seen.append(known(tx).pauses)
        pauses.lift(tx, None, by="ben", at=NOON + timedelta(hours=1))
        seen.append(known(tx).pauses)
    assert seen == sorted(set(seen))

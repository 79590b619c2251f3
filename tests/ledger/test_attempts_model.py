"""A model of attempts over real rows: lanes, providers, reconcile and people act in any order; what must hold holds after each step.

Everything that moves an attempt here is the program's own: the gate lets through, receipts are written, callbacks go through
the inbox, deadlines and windows pass, people settle. The model only remembers how many messages a provider may have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from channels import ChannelError, FateUnknown, NeverWorks, PermitExpired, Receipt, TryLater
from config.message_files import message_texts
from config.replies import reply_policy_in_force
from gate.claim import Door, take_chunk
from gate.late import close_late
from gate.marks import write_marks
from gate.parked import settle_parked
from gate.permit import Letter, Rulebook
from gate.receipts import Result, write_results
from ledger import attempts, inbox
from ledger.attempts import NO_RECORD, ImpossibleTransition, Move, StatusEvent
from ledger.campaigns import read_run
from ledger.engine import connection
from ledger.inbox import Said, Vocabulary
from ledger.outbox import EVERY_PARTY
from ledger.tables import ATTEMPT_STATES, LIVE_ATTEMPT_STATES
from tests.plugins.packs import packs_of
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, made_up_number, noon
from tests.plugins.sending import Outbox

NOON = noon("US")
TRIES_MAX = 4
NUMBER = made_up_number("US", 1)
WORDS = ("accepted", "sent", "delivered", "read", "replied", "undelivered", "failed")
# ARCHITECTURE.md, "Attempt state machine", written down a second time: who may move an attempt from where to where.
OURS = {
    ("planned", "planned"), ("planned", "submitting"), ("planned", "withheld"), ("planned", "superseded"), ("planned", "expired"),
    ("submitting", "accepted"), ("submitting", "rejected"), ("submitting", "planned"), ("submitting", "unknown"),
    ("unknown", "accepted"), ("unknown", "rejected"), ("unknown", "failed"), ("unknown", "parked"), ("parked", "accepted"), ("parked", "rejected"),
}  # fmt: skip
LADDER = ("accepted", "sent", "delivered", "read", "replied")
OPEN = ("planned", "submitting", "unknown", "parked")
THEIRS = (
    {(low, high) for low in OPEN for high in WORDS}
    | {(low, high) for number, low in enumerate(LADDER) for high in LADDER[number + 1 :]}
    | {(low, end) for low in ("accepted", "sent") for end in ("undelivered", "failed")}
)
CORRECTIONS = {(end, word) for end in ("undelivered", "failed") for word in ("delivered", "read", "replied")}
# What the provider had no record of: any word of its being there.
CORRECTIONS_OF_NO_RECORD = {("failed", word) for word in LADDER}
ENDS = frozenset({"undelivered", "failed", "rejected", "withheld", "superseded", "expired"})
NOT_SENT = frozenset({"planned", "rejected", "withheld", "superseded", "expired"})
ANSWERS: tuple[Receipt | ChannelError, ...] = (
    Receipt(provider="twilio", provider_id="", status="queued", segments=1),
    TryLater(code="429", retry_after_seconds=0),
    FateUnknown(code="ReadTimeout"),
    NeverWorks(code="21617"),
)
_numbers = count(1)


@dataclass(slots=True, kw_only=True)
class Try:
    """One attempt, and what the model remembers of it."""

    id: int
    borrower: int
    token: UUID = field(repr=False)
    submissions: int = 0
    # How many messages of it a cap has to count, beside those under a second id.
    counted: int = 0
    # Ids of the provider's that were spoken of, and those of them that are surely a second message.
    spoken_of: set[str] = field(default_factory=set)
    seconds: set[str] = field(default_factory=set)
    letters: list[Letter] = field(default_factory=list, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A callback that waits in the inbox."""

    event_id: int
    of: Try
    word: str
    provider_id: str


class Attempts(RuleBasedStateMachine):
    """Two borrowers of one run, up to four tries each."""

    def __init__(self, portfolio: Portfolio, outbox: Outbox) -> None:
        super().__init__()
        self.outbox = outbox
        self.run = outbox.run(scope=str(uuid4()))
        self.borrowers: list[BorrowerIds] = [portfolio.borrower(number=NUMBER), portfolio.borrower(number=NUMBER)]
        self.tries: list[Try] = []
        self.waiting: list[Told] = []
        self.times: Counter[int] = Counter()
        self.vocabulary = Vocabulary(
            state_of=lambda _, status: status,
            meaning_of=lambda _: "nothing",
            intent_of=lambda _: None,
            replies=reply_policy_in_force(),
        )
        with connection() as tx:
            run = read_run(tx, self.run)
        self.door = Door(run=run, parties=EVERY_PARTY, book=Rulebook(packs_of()), texts=message_texts())

    # --- what we do -----------------------------------------------------------------------------------------------------

    @initialize()
    def a_run_is_planned(self) -> None:
        for borrower in range(2):
            self.we_plan(borrower)

    @rule(borrower=st.integers(0, 1))
    def we_plan(self, borrower: int) -> None:
        mine = [one for one in self.tries if one.borrower == borrower]
        if len(mine) == TRIES_MAX:
            return
        live = [one for one in mine if self.state(one) in LIVE_ATTEMPT_STATES]
        try:
            new = self.outbox.plan(self.run, self.borrowers[borrower], try_number=len(mine) + 1)
        except IntegrityError:
            assert live
            return
        assert not live, "two attempts of one borrower, day and stage are live"
        self.tries.append(Try(id=new, borrower=borrower, token=self.outbox.token(new)))

    @rule()
    def the_gate_lets_through(self) -> None:
        chunk = take_chunk(self.door, at_most={"sms": 8}, after={"sms": -1})
        for letter in chunk.letters:
            passed = self.by_id(letter.attempt_id)
            passed.submissions += 1
            passed.counted += 1
            passed.letters.append(letter)

    @precondition(lambda self: any(one.letters for one in self.tries))
    @rule(data=st.data(), outcome=st.sampled_from(ANSWERS), times=st.integers(1, 2))
    def a_call_ends(self, data: st.DataObject, outcome: Receipt | ChannelError, times: int) -> None:
        one = data.draw(st.sampled_from([one for one in self.tries if one.letters]))
        letter = data.draw(st.sampled_from(one.letters))
        if not isinstance(write_marks([letter])[letter.attempt_id], datetime):
            # Without a mark there is no call.
            outcome = PermitExpired(attempt_id=letter.attempt_id)
        elif isinstance(outcome, Receipt):
            outcome = Receipt(provider="twilio", provider_id=own_id(one), status="queued", segments=1)
        for _ in range(times):
            became = write_results([Result(letter=letter, provider="twilio", outcome=outcome)], campaign_run_id=self.run)
            one.counted -= became["planned"] + became["rejected"]

    @precondition(lambda self: any(one.letters for one in self.tries))
    @rule(data=st.data())
    def a_call_is_about_to_be_made(self, data: st.DataObject) -> None:
        """Marked, and then nothing more is heard of whoever made it."""
        one = data.draw(st.sampled_from([one for one in self.tries if one.letters]))
        letter = data.draw(st.sampled_from(one.letters))
        answer = write_marks([letter])[letter.attempt_id]
        standing = self.outbox.attempt(one.id)
        assert isinstance(answer, datetime) == (standing["state"] == "submitting" and standing["claim_id"] == letter.claim_id)

    @rule()
    def deadlines_pass(self) -> None:
        before = {one.id: self.outbox.attempt(one.id) for one in self.tries}
        with connection() as tx:
            late = text("UPDATE attempt SET call_deadline = clock_timestamp() - interval '1 hour' WHERE campaign_run_id = :run")
            tx.execute(late, {"run": self.run})
            close_late(tx, campaign_run_id=self.run, at=NOON)
        for one in self.tries:
            if before[one.id]["state"] == "submitting":
                called = before[one.id]["called_at"] is not None
                assert self.state(one) == ("unknown" if called else "planned")
                one.counted -= not called

    @precondition(lambda self: self.tries)
    @rule(data=st.data())
    def the_window_passes(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(self.tries))
        with connection() as tx:
            tx.execute(text("UPDATE attempt SET expires_at = :at WHERE id = :id"), {"id": one.id, "at": NOON})
            attempts.expire_planned(tx, campaign_run_id=self.run, at=NOON)

    @precondition(lambda self: self.tries)
    @rule(data=st.data())
    def a_plan_replaces(self, data: st.DataObject) -> None:
        self.we_move(data.draw(st.sampled_from(self.tries)), "planned", "superseded")

    @precondition(lambda self: self.tries)
    @rule(data=st.data())
    def reconcile_finds_nothing(self, data: st.DataObject) -> None:
        self.we_move(data.draw(st.sampled_from(self.tries)), "unknown", "parked")

    @precondition(lambda self: self.tries)
    @rule(data=st.data())
    def the_provider_has_no_record(self, data: st.DataObject) -> None:
        self.we_move(data.draw(st.sampled_from(self.tries)), "unknown", "failed", error_code=NO_RECORD)

    @precondition(lambda self: self.tries)
    @rule(data=st.data())
    def reconcile_finds_it(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(self.tries))
        if self.state(one) in {"unknown", "parked"}:
            self.we_move(one, self.state(one), "accepted")

    @precondition(lambda self: any(self.state(one) == "parked" for one in self.tries))
    @rule(data=st.data(), sent=st.booleans())
    def a_person_settles(self, data: st.DataObject, sent: bool) -> None:
        one = data.draw(st.sampled_from([one for one in self.tries if self.state(one) == "parked"]))
        settle_parked(one.id, sent=sent, by="anna", because="in the provider's console")
        one.counted -= not sent

    @precondition(lambda self: self.tries)
    @rule(data=st.data(), wanted=st.sampled_from(ATTEMPT_STATES))
    def a_bug_of_ours_is_refused(self, data: st.DataObject, wanted: str) -> None:
        """Whatever the table does not know crashes and writes nothing."""
        one = data.draw(st.sampled_from(self.tries))
        state = self.state(one)
        if (state, wanted) in OURS:
            return
        before = self.outbox.causes(one.id)
        try:
            self.we_move(one, state, wanted)
        except ImpossibleTransition:
            assert self.outbox.causes(one.id) == before
        else:
            raise AssertionError(f"{state} → {wanted} was let through")

    # --- what providers say -------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.tries)
    @rule(
        data=st.data(),
        words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=4),
        times=st.integers(1, 3),
        another=st.sampled_from([False, False, False, True]),
    )
    def a_callback_comes(self, data: st.DataObject, words: list[str], times: int, another: bool) -> None:
        """Kept at once, applied whenever; of a message of ours, or of a second one under the same token."""
        for word in words:
            one = data.draw(st.sampled_from([one for one in self.tries if one.submissions] or self.tries))
            # A provider's word for a message comes in many calls: each is another thing said of the same message.
            provider_id = f"SMx{next(_numbers)}" if another else own_id(one)
            said = Said(provider="twilio", provider_id=provider_id, kind="status", status=word, token=one.token, error_code=None, fields={})
            with connection() as tx:
                (event_id,) = inbox.keep(tx, [said] * times)
            if event_id not in self.times:
                self.waiting.append(Told(event_id=event_id, of=one, word=word, provider_id=provider_id))
            self.times[event_id] += times

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), at_once=st.booleans())
    def callbacks_are_applied(self, data: st.DataObject, at_once: bool) -> None:
        """Some or all of those that wait, in one transaction, and once more: the second time nothing is left to do."""
        chosen = self.waiting if at_once else data.draw(st.lists(st.sampled_from(self.waiting), min_size=1, unique_by=lambda t: t.event_id))
        ids = [told.event_id for told in chosen]
        known_before = {told.of.id: self.outbox.attempt(told.of.id)["provider_id"] for told in chosen}
        with connection() as tx:
            effects = inbox.apply(tx, ids, self.vocabulary)
        assert set(effects) == set(ids)
        with connection() as tx:
            assert inbox.apply(tx, ids, self.vocabulary) == {}
        for told in sorted(chosen, key=lambda told: told.event_id):
            self.remember(told, effects[told.event_id], known_before[told.of.id])
        self.waiting = [told for told in self.waiting if told.event_id not in effects]

    def remember(self, told: Told, effect: str, known_before: str | None) -> None:
        """What a word that was applied must have done to the caps."""
        one = told.of
        one.spoken_of.add(told.provider_id)
        if known_before is not None and known_before != told.provider_id:
            one.seconds.add(told.provider_id)
        if not one.submissions:
            assert effect == "impossible"
            return
        known = self.outbox.attempt(one.id)["provider_id"]
        if known is None or known == told.provider_id:
            # The provider has a message of ours, whatever we thought: one of them counts at least.
            one.counted = max(one.counted, 1)

    # --- what must hold -----------------------------------------------------------------------------------------------------

    @invariant()
    def no_invariant_is_broken(self) -> None:
        states = dict(self.rows("SELECT id, state FROM attempt WHERE id = ANY(:ids)"))
        self.at_most_one_attempt_of_a_borrower_day_and_stage_is_live(states)
        self.every_move_is_written_with_its_cause_and_is_one_of_the_table(states)
        self.caps_count_every_message_that_a_provider_may_have(states)
        self.whatever_was_said_is_kept_once_and_counted()

    def at_most_one_attempt_of_a_borrower_day_and_stage_is_live(self, states: Mapping[int, str]) -> None:
        live = Counter(one.borrower for one in self.tries if states[one.id] not in ENDS)
        assert max(live.values(), default=0) <= 1, live

    def every_move_is_written_with_its_cause_and_is_one_of_the_table(self, states: Mapping[int, str]) -> None:
        reached = dict.fromkeys(states, "planned")
        no_record: set[int] = set()
        moves = self.rows("SELECT attempt_id, from_state, to_state, cause FROM attempt_transition WHERE attempt_id = ANY(:ids) ORDER BY id")
        for attempt_id, before, after, cause in moves:
            assert before == reached[attempt_id], "a move from where the attempt was not"
            assert cause
            by_provider = cause.startswith("provider event")
            corrections = CORRECTIONS_OF_NO_RECORD if attempt_id in no_record else CORRECTIONS
            allowed = (corrections if "corrects an end" in cause else THEIRS) if by_provider else OURS
            if not by_provider and after == "failed":
                no_record.add(attempt_id)
            assert (before, after) in allowed, (before, after, cause)
            reached[attempt_id] = after
        assert reached == states, "an attempt is not where its moves lead"

    def caps_count_every_message_that_a_provider_may_have(self, states: Mapping[int, str]) -> None:
        counted = Counter(dict.fromkeys(states, 0))
        seconds: dict[int, list[str]] = {one.id: [] for one in self.tries}
        for attempt_id, counts, uncounts, second in self.rows(
            "SELECT attempt_id, counts, uncounts, external_id FROM contact_event WHERE attempt_id = ANY(:ids)"
        ):
            if second is None:
                counted[attempt_id] += counts - uncounts
            else:
                seconds[attempt_id].append(second)
        for one in self.tries:
            assert len(seconds[one.id]) == len(set(seconds[one.id])), "a second message counts once"
            assert one.seconds <= set(seconds[one.id]) <= one.spoken_of - {self.outbox.attempt(one.id)["provider_id"]}
        assert counted == {one.id: one.counted for one in self.tries}, states
        assert all(counted[attempt_id] for attempt_id, state in states.items() if state not in NOT_SENT)

    def whatever_was_said_is_kept_once_and_counted(self) -> None:
        rows = self.outbox.rows("SELECT id, times_received, applied_at, effect FROM provider_event WHERE id = ANY(:ids)", ids=[*self.times])
        assert {row.id: row.times_received for row in rows} == dict(self.times)
        waiting = {told.event_id for told in self.waiting}
        assert all((row.effect is None) == (row.applied_at is None) == (row.id in waiting) for row in rows)

    # --- help ---------------------------------------------------------------------------------------------------------------

    def we_move(self, one: Try, from_state: str, to_state: str, **changes: object) -> None:
        if to_state == "submitting":
            changes = {"claim_id": uuid4(), "call_deadline": NOON}
        wanted = Move(
            business_date=TODAY, attempt_id=one.id, from_state=from_state, to_state=to_state, cause="the model's", changes=changes
        )
        before = self.state(one)
        with connection() as tx:
            moved = attempts.move(tx, [wanted], at=NOON)
        assert moved == ({one.id} if before == from_state else set())

    def state(self, one: Try) -> str:
        return str(self.outbox.attempt(one.id)["state"])

    def rows(self, statement: str) -> Sequence[Any]:
        return self.outbox.rows(statement, ids=[one.id for one in self.tries])

    def by_id(self, attempt_id: int) -> Try:
        (found,) = (one for one in self.tries if one.id == attempt_id)
        return found


def own_id(one: Try) -> str:
    """The provider's id of an attempt's message."""
    return f"SM{one.token.hex}"


def test_whatever_happens_in_whatever_order_no_invariant_of_an_attempt_breaks(portfolio: Portfolio, outbox: Outbox) -> None:
    portfolio.clock(NOON)

    class Here(Attempts):
        def __init__(self) -> None:
            super().__init__(portfolio, outbox)

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=60,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


# --- what the model found, kept as sentences ----------------------------------------------------------------------------


def tried(outbox: Outbox, run: int, borrower: BorrowerIds, number: int = 1) -> tuple[int, Letter]:
    """An attempt that has passed the gate, and its letter."""
    attempt_id = outbox.plan(run, borrower, try_number=number)
    with connection() as tx:
        door = Door(run=read_run(tx, run), parties=EVERY_PARTY, book=Rulebook(packs_of()), texts=message_texts())
    (letter,) = take_chunk(door, at_most={"sms": 1}, after={"sms": -1}).letters
    return attempt_id, letter


def tell(outbox: Outbox, *words: tuple[int, str]) -> list[str]:
    """Words about attempts, all in one transaction; what each did."""
    events = [
        StatusEvent(event_id=number, token=outbox.token(attempt_id), provider_id=None, state=word, error_code=None, at=NOON)
        for number, (attempt_id, word) in enumerate(words)
    ]
    with connection() as tx:
        effects = attempts.apply_provider_events(tx, events, at=NOON)
    return [effects[event.event_id] for event in events]


def counting(outbox: Outbox, attempt_id: int) -> int:
    return sum(counts - uncounts for _, counts, uncounts in outbox.events(attempt_id))


@pytest.mark.parametrize("end", ["expired", "superseded", "withheld"])
def test_I5_a_message_called_surely_not_sent_and_closed_counts_again_once_the_provider_speaks_of_it(
    portfolio: Portfolio, outbox: Outbox, end: str
) -> None:
    portfolio.clock(NOON)
    attempt_id, letter = tried(outbox, run := outbox.run(), portfolio.borrower())
    write_results([Result(letter=letter, provider="twilio", outcome=TryLater(code="429", retry_after_seconds=0))], campaign_run_id=run)
    with connection() as tx:
        closed = Move(business_date=TODAY, attempt_id=attempt_id, from_state="planned", to_state=end, cause="test")
        assert attempts.move(tx, [closed], at=NOON)
    assert counting(outbox, attempt_id) == 0
    assert tell(outbox, (attempt_id, "sent"), (attempt_id, "delivered")) == ["impossible", "impossible"]
    assert tell(outbox, (attempt_id, "read")) == ["impossible"]
    assert (outbox.attempt(attempt_id)["state"], counting(outbox, attempt_id)) == (end, 1)


def test_I5_what_a_person_called_not_sent_counts_again_once_the_provider_says_that_it_arrived(portfolio: Portfolio, outbox: Outbox) -> None:
    portfolio.clock(NOON)
    attempt_id, letter = tried(outbox, run := outbox.run(), portfolio.borrower())
    write_results([Result(letter=letter, provider="twilio", outcome=FateUnknown(code="ReadTimeout"))], campaign_run_id=run)
    with connection() as tx:
        parked = Move(business_date=TODAY, attempt_id=attempt_id, from_state="unknown", to_state="parked", cause="test")
        assert attempts.move(tx, [parked], at=NOON)
    settle_parked(attempt_id, sent=False, by="anna", because="not in the console")
    assert counting(outbox, attempt_id) == 0
    assert tell(outbox, (attempt_id, "delivered")) == ["impossible"]
    assert (outbox.attempt(attempt_id)["state"], counting(outbox, attempt_id)) == ("rejected", 1)


def test_a_word_about_what_never_passed_the_gate_counts_nothing(portfolio: Portfolio, outbox: Outbox) -> None:
    attempt_id = outbox.plan(outbox.run(), portfolio.borrower())
    with connection() as tx:
        closed = Move(business_date=TODAY, attempt_id=attempt_id, from_state="planned", to_state="expired", cause="test")
        assert attempts.move(tx, [closed], at=NOON)
    assert tell(outbox, (attempt_id, "delivered")) == ["impossible"]
    assert outbox.events(attempt_id) == []


def test_two_tries_of_one_day_that_both_arrived_after_all_leave_one_live_and_both_logged(portfolio: Portfolio, outbox: Outbox) -> None:
    portfolio.clock(NOON)
    run, borrower = outbox.run(), portfolio.borrower()
    first, _ = tried(outbox, run, borrower)
    tell(outbox, (first, "failed"))
    second, _ = tried(outbox, run, borrower, 2)
    tell(outbox, (second, "failed"))
    assert tell(outbox, (first, "delivered"), (second, "delivered")) == ["correction", "late"]
    assert outbox.states() == ["delivered", "failed"]
    assert [outbox.events(one)[-1] for one in (first, second)] == [("delivered", False, False)] * 2


def test_a_try_that_a_correction_replaced_may_be_spoken_of_in_the_same_breath(portfolio: Portfolio, outbox: Outbox) -> None:
    portfolio.clock(NOON)
    run, borrower = outbox.run(), portfolio.borrower()
    first, _ = tried(outbox, run, borrower)
    tell(outbox, (first, "failed"))
    second, letter = tried(outbox, run, borrower, 2)
    write_results([Result(letter=letter, provider="twilio", outcome=TryLater(code="429", retry_after_seconds=0))], campaign_run_id=run)
    assert tell(outbox, (first, "delivered"), (second, "sent")) == ["correction", "impossible"]
    assert outbox.states() == ["delivered", "superseded"]
    assert [counting(outbox, one) for one in (first, second)] == [1, 1]

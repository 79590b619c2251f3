"""The attempt's state machine: providers speak late, twice and out of order; we never make an impossible move."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from ledger.attempts import (
    LIVE_STATES_OF_PROVIDERS,
    OURS,
    PROVIDER_ENDS,
    PROVIDER_STATES,
    RANK,
    Effect,
    ImpossibleTransition,
    Move,
    StatusEvent,
    after_event,
    apply_provider_events,
    expire_planned,
    expire_submitting,
    move,
)
from ledger.engine import connection
from ledger.tables import ATTEMPT_STATES
from tests.plugins.portfolio import TODAY, Portfolio, noon
from tests.plugins.sending import Outbox

AT = noon("US")
CLAIM = UUID(int=7)
_numbers = count(1)
told = st.lists(st.sampled_from(sorted(PROVIDER_STATES)), max_size=12)


def event(state: str, *, token: UUID | None = None, provider_id: str | None = None, error_code: str | None = None) -> StatusEvent:
    return StatusEvent(
        event_id=next(_numbers), token=token, provider_id=provider_id, state=state, error_code=error_code, at=AT + timedelta(minutes=1)
    )


def tell(*events: StatusEvent) -> list[Effect]:
    with connection() as tx:
        effects = apply_provider_events(tx, events, at=AT)
    return [effects[one.event_id] for one in events]


def to(outbox: Outbox, attempt_id: int, *states: str, claim: UUID | None = None) -> None:
    """Move an attempt along transitions of ours."""
    for state in states:
        before = outbox.attempt(attempt_id)["state"]
        changes = {"claim_id": CLAIM, "call_deadline": datetime.now(UTC) + timedelta(seconds=5)} if state == "submitting" else {}
        with connection() as tx:
            wanted = Move(
                business_date=TODAY, attempt_id=attempt_id, from_state=before, to_state=state, cause="test", claim_id=claim, changes=changes
            )
            assert move(tx, [wanted], at=AT) == {attempt_id}


@pytest.fixture
def attempt(portfolio: Portfolio, outbox: Outbox) -> int:
    """A planned attempt."""
    return outbox.plan(outbox.run(), portfolio.borrower())


def test_every_state_of_the_table_is_known_to_the_machine() -> None:
    known = set(OURS) | set(RANK) | PROVIDER_ENDS | {state for states in OURS.values() for state in states}
    assert known == set(ATTEMPT_STATES)


@given(told=told, again=st.randoms(use_true_random=False))
def test_repeating_and_reordering_what_was_told_never_loses_the_best_that_was_known(told: list[str], again: object) -> None:
    def end(words: Sequence[str]) -> str:
        state = "accepted"
        for word in words:
            state, _ = after_event(state, word)
        return state

    shuffled = told * 2
    again.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    best = max((RANK[word] for word in told if word in RANK), default=RANK["accepted"])
    first, other = end(told), end(shuffled)
    if best >= RANK["delivered"]:
        assert RANK[first] == RANK[other] == best
    else:
        assert (first in PROVIDER_ENDS) == (other in PROVIDER_ENDS) == any(word in PROVIDER_ENDS for word in told)


@given(told=told)
def test_no_word_of_a_provider_lowers_a_state(told: list[str]) -> None:
    state = "submitting"
    for word in told:
        after, effect = after_event(state, word)
        if state in RANK and after in RANK:
            assert RANK[after] >= RANK[state]
        assert (after != state) == (effect in {"applied", "correction"})
        assert not (state in PROVIDER_ENDS and effect == "applied")
        state = after


@pytest.mark.parametrize("state", ["rejected", "withheld", "superseded", "expired"])
def test_a_word_about_a_message_that_never_left_is_impossible_and_changes_nothing(state: str) -> None:
    assert after_event(state, "delivered") == (state, "impossible")


def test_a_state_that_no_provider_may_tell_is_refused() -> None:
    with pytest.raises(ValueError, match="withheld"):
        after_event("sent", "withheld")


class Machine(RuleBasedStateMachine):
    """We and the provider move one attempt; a model beside it remembers what must never be forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self.state = "planned"
        self.submitted = False
        self.arrived = False
        self.calls = 0

    @rule(target_state=st.sampled_from(sorted(ATTEMPT_STATES)))
    def we_move(self, target_state: str) -> None:
        if target_state in OURS.get(self.state, frozenset()):
            if target_state == "submitting":
                self.calls += 1
                self.submitted = True
            self.state = target_state

    @precondition(lambda self: self.state != "planned" or self.submitted)
    @rule(word=st.sampled_from(sorted(PROVIDER_STATES)), times=st.integers(1, 3))
    def the_provider_tells(self, word: str, times: int) -> None:
        for _ in range(times):
            self.state, effect = after_event(self.state, word, once_submitted=self.submitted)
            self.arrived |= effect in {"applied", "correction"} and word in RANK and RANK[word] >= RANK["delivered"]

    @invariant()
    def what_arrived_stays_arrived(self) -> None:
        if self.arrived:
            assert RANK[self.state] >= RANK["delivered"]

    @invariant()
    def what_the_provider_has_is_never_planned_or_submitted_again(self) -> None:
        if self.state in LIVE_STATES_OF_PROVIDERS | {"unknown", "parked"}:
            assert not OURS.get(self.state, frozenset()) & {"planned", "submitting"}


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)


def test_an_impossible_transition_of_ours_crashes_and_writes_nothing(outbox: Outbox, attempt: int) -> None:
    with pytest.raises(ImpossibleTransition, match="planned → delivered"):
        to(outbox, attempt, "delivered")
    assert outbox.attempt(attempt)["state"] == "planned"
    assert outbox.causes(attempt) == []


@pytest.mark.parametrize("target", ["planned", "submitting"])
def test_I2_there_is_no_way_from_unknown_back_to_a_call(outbox: Outbox, attempt: int, target: str) -> None:
    to(outbox, attempt, "submitting", "unknown")
    with pytest.raises(ImpossibleTransition):
        to(outbox, attempt, target)


def test_a_move_from_a_state_that_is_no_longer_so_is_not_made(outbox: Outbox, attempt: int) -> None:
    to(outbox, attempt, "submitting")
    with connection() as tx:
        late = Move(business_date=TODAY, attempt_id=attempt, from_state="planned", to_state="withheld", cause="late")
        assert move(tx, [late], at=AT) == set()
    assert outbox.attempt(attempt)["state"] == "submitting"


def test_a_result_under_another_claim_is_not_written(outbox: Outbox, attempt: int) -> None:
    to(outbox, attempt, "submitting")
    with connection() as tx:
        foreign = Move(
            business_date=TODAY, attempt_id=attempt, from_state="submitting", to_state="accepted", cause="foreign", claim_id=uuid4()
        )
        assert move(tx, [foreign], at=AT) == set()
    to(outbox, attempt, "accepted", claim=CLAIM)


def test_every_move_is_written_down_with_its_cause(outbox: Outbox, attempt: int) -> None:
    to(outbox, attempt, "submitting", "accepted")
    tell(event("delivered", token=outbox.token(attempt)))
    assert [(before, after) for before, after, _ in outbox.causes(attempt)] == [
        ("planned", "submitting"),
        ("submitting", "accepted"),
        ("accepted", "delivered"),
    ]
    assert all(cause for _, _, cause in outbox.causes(attempt))


def test_a_column_that_no_move_may_set_is_refused(attempt: int) -> None:
    with pytest.raises(ValueError, match="token"), connection() as tx:
        move(
            tx,
            [Move(business_date=TODAY, attempt_id=attempt, from_state="planned", to_state="expired", cause="x", changes={"token": "1"})],
            at=AT,
        )


def test_events_that_come_late_twice_and_out_of_order_end_where_they_should(outbox: Outbox, attempt: int) -> None:
    token = outbox.token(attempt)
    to(outbox, attempt, "submitting", "accepted")
    effects = tell(
        *(event(word, token=token) for word in ["delivered", "sent", "accepted", "delivered", "read", "delivered", "undelivered"])
    )
    assert effects == ["applied", "late", "late", "late", "applied", "late", "late"]
    assert outbox.attempt(attempt)["state"] == "read"


def test_a_callback_before_the_answer_of_the_call_is_found_by_its_token(outbox: Outbox, attempt: int) -> None:
    to(outbox, attempt, "submitting")
    assert tell(event("sent", token=outbox.token(attempt), provider_id="SM1")) == ["applied"]
    assert outbox.attempt(attempt)["provider_id"] == "SM1"


def test_a_message_that_nobody_knows_changes_nothing(outbox: Outbox, attempt: int) -> None:
    assert tell(event("delivered", token=uuid4()), event("delivered", provider_id="SM-elsewhere")) == ["no_attempt", "no_attempt"]
    assert outbox.attempt(attempt)["state"] == "planned"


def test_a_second_message_under_one_token_is_impossible_and_counted(outbox: Outbox, attempt: int) -> None:
    token = outbox.token(attempt)
    to(outbox, attempt, "submitting", "accepted")
    assert tell(event("sent", token=token, provider_id="SM1"), event("delivered", token=token, provider_id="SM2")) == [
        "applied",
        "impossible",
    ]
    assert outbox.attempt(attempt)["state"] == "sent"


def test_I5_a_second_message_under_one_token_is_a_further_contact_counted_once(outbox: Outbox, attempt: int) -> None:
    token = outbox.token(attempt)
    portfolio_event(outbox, attempt)
    to(outbox, attempt, "submitting", "accepted")
    tell(event("sent", token=token, provider_id="SM1"), event("sent", token=token, provider_id="SM2"))
    tell(event("delivered", token=token, provider_id="SM2"), event("delivered", token=token, provider_id="SM1"))
    rows = outbox.rows("SELECT id, about_event_id, external_id, result, counts FROM contact_event ORDER BY id")
    first, second = rows[0].id, rows[1].id
    assert [tuple(row)[1:] for row in rows] == [
        (None, None, "sent", True),
        (None, "SM2", "sent", True),
        (first, None, "delivered", False),
        (second, None, "delivered", False),
    ]


def test_undelivered_that_was_delivered_after_all_is_corrected_and_logged(outbox: Outbox, portfolio: Portfolio, attempt: int) -> None:
    row = outbox.attempt(attempt)
    portfolio_event(outbox, attempt)
    to(outbox, attempt, "submitting", "accepted")
    assert tell(event("undelivered", token=row["token"], error_code="30003")) == ["applied"]
    assert outbox.attempt(attempt)["error_code"] == "30003"
    assert tell(event("delivered", token=row["token"])) == ["correction"]
    assert outbox.attempt(attempt)["state"] == "delivered"
    assert "corrects an end" in outbox.causes(attempt)[-1][2]
    assert outbox.events(attempt) == [("sent", True, False), ("undelivered", False, False), ("delivered", False, False)]
    del portfolio


def test_a_correction_takes_back_the_plan_of_another_try(portfolio: Portfolio, outbox: Outbox) -> None:
    run, borrower = outbox.run(), portfolio.borrower()
    first = outbox.plan(run, borrower)
    to(outbox, first, "submitting", "accepted")
    tell(event("failed", token=outbox.token(first)))
    second = outbox.plan(run, borrower, try_number=2)
    assert tell(event("delivered", token=outbox.token(first))) == ["correction"]
    assert outbox.states() == ["delivered", "superseded"]
    assert f"attempt {first}" in outbox.causes(second)[-1][2]


def test_a_correction_beside_another_try_that_has_left_is_logged_and_changes_no_state(portfolio: Portfolio, outbox: Outbox) -> None:
    run, borrower = outbox.run(), portfolio.borrower()
    first = outbox.plan(run, borrower)
    portfolio_event(outbox, first)
    to(outbox, first, "submitting", "accepted")
    tell(event("failed", token=outbox.token(first)))
    second = outbox.plan(run, borrower, try_number=2)
    to(outbox, second, "submitting")
    assert tell(event("delivered", token=outbox.token(first))) == ["late"]
    assert outbox.states() == ["failed", "submitting"]
    assert outbox.events(first)[-1] == ("delivered", False, False)


def test_I2_a_message_thought_unprocessed_of_which_the_provider_speaks_is_not_planned_any_more(outbox: Outbox, attempt: int) -> None:
    portfolio_event(outbox, attempt)
    to(outbox, attempt, "submitting", "planned")
    assert tell(event("sent", token=outbox.token(attempt))) == ["applied"]
    assert outbox.attempt(attempt)["state"] == "sent"
    # It counts again: the first row was taken back when it seemed sure that nothing had happened.
    assert outbox.events(attempt)[-1] == ("sent", True, False)


def test_a_planned_attempt_that_was_never_called_is_not_moved_by_a_provider(outbox: Outbox, attempt: int) -> None:
    assert tell(event("delivered", token=outbox.token(attempt))) == ["impossible"]
    assert outbox.attempt(attempt)["state"] == "planned"


def test_what_is_submitting_past_its_deadline_becomes_unknown_and_nothing_else_does(portfolio: Portfolio, outbox: Outbox) -> None:
    run = outbox.run()
    late, young, planned = (outbox.plan(run, portfolio.borrower()) for _ in range(3))
    to(outbox, late, "submitting")
    to(outbox, young, "submitting")
    with connection() as tx:
        tx.execute(text("UPDATE attempt SET call_deadline = clock_timestamp() - interval '1 second' WHERE id = :id"), {"id": late})
    with connection() as tx:
        assert expire_submitting(tx, campaign_run_id=run, at=AT) == 1
        assert expire_submitting(tx, campaign_run_id=None, at=AT) == 0
    assert [outbox.attempt(one)["state"] for one in (late, young, planned)] == ["unknown", "submitting", "planned"]


def test_the_window_of_a_plan_ends_before_its_last_instant(portfolio: Portfolio, outbox: Outbox) -> None:
    run = outbox.run()
    over = outbox.plan(run, portfolio.borrower(), expires_at=AT)
    open_ = outbox.plan(run, portfolio.borrower(), expires_at=AT + timedelta(microseconds=1))
    with connection() as tx:
        assert expire_planned(tx, campaign_run_id=run, at=AT) == 1
    assert [outbox.attempt(one)["state"] for one in (over, open_)] == ["expired", "planned"]


def test_I1_an_idempotency_key_has_one_attempt(portfolio: Portfolio, outbox: Outbox) -> None:
    run, borrower = outbox.run(), portfolio.borrower()
    to(outbox, outbox.plan(run, borrower), "expired")
    with pytest.raises(IntegrityError, match="attempt_idempotency_key"):
        outbox.plan(run, borrower)


def test_two_tries_of_one_borrower_day_and_stage_are_not_live_at_once(portfolio: Portfolio, outbox: Outbox) -> None:
    run, borrower = outbox.run(), portfolio.borrower()
    outbox.plan(run, borrower)
    with pytest.raises(IntegrityError, match="attempt_one_live"):
        outbox.plan(run, borrower, try_number=2)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(st.sampled_from(sorted(PROVIDER_STATES)), min_size=1, max_size=6), cut=st.integers(0, 6))
def test_the_ledger_agrees_with_the_machine_however_events_are_grouped(
    portfolio: Portfolio, outbox: Outbox, words: list[str], cut: int
) -> None:
    run = outbox.run(scope=str(uuid4()))
    attempt_id = outbox.plan(run, portfolio.borrower())
    to(outbox, attempt_id, "submitting", "accepted")
    token = outbox.token(attempt_id)
    for group in (words[:cut], words[cut:]):
        tell(*(event(word, token=token) for word in group))
    state = "accepted"
    for word in words:
        state, _ = after_event(state, word)
    assert outbox.attempt(attempt_id)["state"] == state


def portfolio_event(outbox: Outbox, attempt_id: int) -> None:
    """The contact event that the gate writes when it lets an attempt go."""
    with connection() as tx:
        tx.execute(
            text("""INSERT INTO contact_event (business_date, party_id, at, channel, direction, counterparty, purpose, result,
                                               attempt_business_date, attempt_id, counts, source)
                    SELECT business_date, party_id, :at, channel, 'outbound', 'borrower', purpose, 'sent', business_date, id, true, 'gate'
                    FROM attempt WHERE id = :id"""),
            {"id": attempt_id, "at": AT},
        )
    assert outbox.events(attempt_id)

"""A message at the provider is an attempt of ours only where it can be nothing else."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.listed import Listed
from gate.matching import AFTER, BEFORE, Found, match, tokens_in
from ledger.merkle import text_hash
from ledger.unknowns import Unknown

AT = datetime(2026, 3, 17, 16, tzinfo=UTC)
WORDS = "Your payment is late. Please call us."
_serials = count(1)


def attempt(words: str = WORDS, **changes: Any) -> Unknown:
    token = changes.pop("token", None) or uuid4()
    given: dict[str, Any] = {
        "business_date": date(2026, 3, 17),
        "id": next(_serials),
        "party_id": 1,
        "claim_id": None,
        "token": token,
        "text_hash": text_hash(token, title="", body=words),
        "message": "early_reminder",
        "locale": "en",
        "call_deadline": AT + timedelta(seconds=5),
        "since": AT,
        "until": AT + timedelta(seconds=5),
        "not_listed_at": None,
        "value_encrypted": None,
        "key_id": None,
        "is_same_number": True,
    }
    return Unknown(**{**given, **changes})


def listed(body: str = WORDS, *, at: datetime | None = AT, status: str = "delivered") -> Listed:
    return Listed(
        provider_id=f"SM{next(_serials):032x}", status=status, error_code=None, segments=1, created_at=at, to="+12125550101", body=body
    )


def link(token: UUID) -> str:
    return f"Late. https://pay.lantern.example/b/{token} Thank you"


def test_the_token_in_its_link_is_the_attempt_whatever_the_clocks_say() -> None:
    one, two = attempt(), attempt()
    messages = [listed(link(two.token).upper(), at=AT - timedelta(days=90)), listed(link(one.token), at=None)]
    assert match([one, two], messages, taken=()) == {one.id: Found(messages=(messages[1],)), two.id: Found(messages=(messages[0],))}


def test_two_messages_with_one_token_are_both_told_oldest_first() -> None:
    one = attempt()
    messages = [listed(link(one.token), at=AT + timedelta(seconds=9)), listed(link(one.token))]
    assert match([one], messages, taken=())[one.id].messages == (messages[1], messages[0])


@pytest.mark.parametrize(
    ("at", "found"),
    [
        (AT - BEFORE, 1),
        (AT - BEFORE - timedelta(seconds=1), 0),
        (AT + timedelta(seconds=5) + AFTER, 1),
        (AT + timedelta(seconds=6) + AFTER, 0),
        (None, 0),
    ],
)
def test_the_very_words_count_at_the_time_of_the_call_alone(at: datetime | None, found: int) -> None:
    one = attempt()
    assert len(match([one], [listed(at=at)], taken=())[one.id].messages) == found


def test_several_that_fit_are_left_to_a_person() -> None:
    one = attempt()
    assert match([one], [listed(), listed()], taken=())[one.id] == Found(candidates=2)
    two, three = attempt(), attempt()
    only = listed()
    assert match([two, three], [only], taken=()) == {two.id: Found(candidates=1), three.id: Found(candidates=1)}


def test_a_redacted_text_may_be_it_and_settles_nothing() -> None:
    one = attempt()
    assert match([one], [listed("")], taken=())[one.id] == Found(candidates=1)


def test_other_words_at_the_time_of_the_call_may_be_it_too_and_settle_nothing() -> None:
    """A provider may show other words than it was given: where they bear no token, nobody can say that there is no such message."""
    one = attempt()
    assert match([one], [listed("Your paymemt is late.")], taken=())[one.id] == Found(candidates=1)
    assert match([one], [listed("Your code is 1234", at=AT - timedelta(hours=1))], taken=())[one.id] == Found()
    assert match([one], [listed(link(uuid4()))], taken=())[one.id] == Found()


def test_a_message_that_another_attempt_bears_is_not_it() -> None:
    one, message = attempt(), listed()
    assert match([one], [message], taken={message.provider_id})[one.id] == Found()
    other = attempt()
    assert match([one, other], [listed(link(other.token))], taken=())[one.id] == Found()


@given(st.lists(st.sampled_from(["one", "two", "none", "words"]), max_size=6))
def test_no_message_is_ever_taken_for_two_attempts(bodies: list[str]) -> None:
    one, two = attempt("words"), attempt("words")
    texts = {"one": link(one.token), "two": link(two.token), "none": "hello", "words": "words"}
    found = match([one, two], [listed(texts[body]) for body in bodies], taken=())
    assert set(found) == {one.id, two.id}
    ids = [message.provider_id for each in found.values() for message in each.messages]
    assert len(ids) == len(set(ids))


def test_whatever_looks_like_a_token_is_read_from_a_text() -> None:
    token = uuid4()
    assert tokens_in(listed(f"{link(token)} and {token}x {str(token)[:-1]}")) == [token, token]


def test_nothing_personal_is_shown() -> None:
    assert "5550101" not in repr(listed())
    assert "payment" not in repr(listed())


def rung(*, at: datetime | None = AT) -> Listed:
    return Listed(
        provider_id=f"CA{next(_serials):032x}",
        status="busy",
        error_code=None,
        segments=None,
        created_at=at,
        to="+12125550101",
        body="",
        textless=True,
    )


def test_a_call_is_known_by_its_number_and_time_where_it_is_the_only_one() -> None:
    one, call = attempt(), rung()
    assert match([one], [call], taken=())[one.id] == Found(messages=(call,))
    assert match([one], [call, rung()], taken=())[one.id] == Found(candidates=2)
    assert match([one], [call], taken=[call.provider_id])[one.id] == Found()
    assert match([one], [rung(at=AT - timedelta(hours=1))], taken=())[one.id] == Found()


def test_two_attempts_at_one_number_share_no_call() -> None:
    one, two = attempt(), attempt()
    found = match([one, two], [rung()], taken=())
    assert [found[each.id] for each in (one, two)] == [Found(candidates=1), Found(candidates=1)]


def test_a_text_that_was_redacted_is_still_no_proof() -> None:
    one = attempt()
    assert match([one], [listed("")], taken=())[one.id] == Found(candidates=1)

"""The count of `make chaos` sees what it is there for: a verdict that cannot be bad proves nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from tests.chaos.plan import Plan
from tests.chaos.verdict import Heard, Verdict, count

NUMBER, APP = "+886301234567", "app-of-nobody"
TOKENS = [UUID(int=serial) for serial in (1, 2)]
TOKEN_OF = {str(token): serial for serial, token in enumerate(TOKENS, start=1)}
AT = datetime(2026, 3, 17, 4, tzinfo=UTC)


def attempt(serial: int, state: str, *, channel: str = "sms", provider_id: str | None = None) -> dict[str, Any]:
    to = NUMBER if channel == "sms" else APP
    return {"attempt_id": serial, "channel": channel, "to": to, "state": state, "provider_id": provider_id, "submitted_at": AT.isoformat()}


def heard(serial: int | None, *, channel: str = "sms", provider_id: str = "SM1") -> Heard:
    words = f"https://pay.example/b/{TOKENS[serial - 1]}" if serial else "no link"
    return Heard(channel=channel, to=NUMBER if channel == "sms" else APP, words=words, provider_id=provider_id, at=AT)


def counted(attempts: list[dict[str, Any]], messages: list[Heard], *, blind: frozenset[str] = frozenset()) -> Verdict:
    return count(attempts, messages, TOKEN_OF, blind=blind)


def test_one_message_for_one_attempt_is_as_it_should_be() -> None:
    verdict = counted([attempt(1, "delivered", provider_id="SM1")], [heard(1)])
    assert (verdict.twice, verdict.lost, verdict.unknown, verdict.parked) == (0, 0, 0, 0)
    assert not verdict.because


def test_two_messages_for_one_attempt_are_twice_even_where_the_provider_named_them_differently() -> None:
    assert counted([attempt(1, "delivered", provider_id="SM1")], [heard(1), heard(1, provider_id="SM2")]).twice == 1


def test_two_attempts_to_one_number_are_told_apart_by_their_links() -> None:
    both = [attempt(1, "delivered", provider_id="SM1"), attempt(2, "parked")]
    verdict = counted(both, [heard(1), heard(2, provider_id="SM2")])
    assert (verdict.twice, verdict.lost, verdict.parked) == (0, 0, 1)


@pytest.mark.parametrize("state", ["planned", "withheld", "superseded", "expired", "rejected", "failed", "undelivered"])
def test_what_is_called_not_sent_and_was_received_is_lost(state: str) -> None:
    assert counted([attempt(1, state)], [heard(1)]).lost == 1


@pytest.mark.parametrize("state", ["accepted", "sent", "delivered", "read", "replied"])
def test_what_is_called_sent_and_nobody_received_is_lost(state: str) -> None:
    assert counted([attempt(1, state, provider_id="SM1")], []).lost == 1


def test_what_never_left_is_lost() -> None:
    assert counted([attempt(1, "planned")], []).lost == 1


@pytest.mark.parametrize("state", ["withheld", "rejected", "expired", "undelivered"])
def test_what_was_not_sent_and_nobody_received_is_not_lost(state: str) -> None:
    assert counted([attempt(1, state)], []).lost == 0


@pytest.mark.parametrize("state", ["submitting", "unknown"])
def test_what_is_still_open_is_unknown_whether_or_not_it_was_received(state: str) -> None:
    assert counted([attempt(1, state)], [heard(1)]).unknown == 1
    assert counted([attempt(1, state)], []).unknown == 1


def test_what_is_parked_is_neither_lost_nor_open() -> None:
    verdict = counted([attempt(1, "parked")], [])
    assert (verdict.parked, verdict.lost, verdict.unknown) == (1, 0, 0)


def test_a_text_without_a_link_is_known_by_the_providers_id_or_else_by_its_number() -> None:
    assert counted([attempt(1, "delivered", provider_id="SM1")], [heard(None)]).lost == 0
    assert counted([attempt(1, "delivered")], [heard(None, provider_id="SM9")]).lost == 0


def test_where_nobody_keeps_a_list_of_pushes_nothing_is_claimed_of_them() -> None:
    push = attempt(1, "accepted", channel="push", provider_id="projects/p/messages/1")
    assert counted([push], []).lost == 1
    assert counted([push], [], blind=frozenset({"push"})).lost == 0


def test_the_same_seed_makes_the_same_plan_and_another_one_another() -> None:
    def drawn(seed: int) -> list[object]:
        plan = Plan(seed)
        return [(plan.pause_seconds(), plan.order(), plan.weather(), plan.who_writes(["a", "b", "c"])) for _ in range(50)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)

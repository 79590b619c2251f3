"""Four eyes: what one person asked for another one approves, a text at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ledger.approvals import ApprovalRefused, approved_packs, ask_or_approve, read_steps
from ledger.engine import connection

NOW = datetime(2026, 3, 17, 16, tzinfo=UTC)
US, TW = "a" * 64, "b" * 64


def step(by: str, version: str = US, *, at: datetime = NOW, reject: bool = False, until: datetime | None = None) -> str:
    with connection() as tx:
        return ask_or_approve(tx, version, by=by, at=at, reject=reject, until=until).verdict


def approved(at: datetime = NOW) -> frozenset[str]:
    with connection() as tx:
        return approved_packs(tx, at)


@pytest.fixture(autouse=True)
def _ledger(ledger_url: str) -> None:
    del ledger_url


def test_one_person_asks_and_another_approves() -> None:
    assert step("anna") == "asked"
    assert approved() == frozenset()
    assert step("ben") == "approved"
    assert approved() == {US}
    with connection() as tx:
        assert [(one.asked_by, one.approved_by, one.verdict) for one in read_steps(tx, US)] == [
            ("anna", None, "asked"),
            ("anna", "ben", "approved"),
        ]


@pytest.mark.parametrize("same", ["anna", "Anna", "  ANNA ", "anna\n"])
def test_nobody_approves_what_they_asked_for(same: str) -> None:
    step("anna")
    with pytest.raises(ApprovalRefused, match="four eyes"):
        step(same)
    assert approved() == frozenset()


def test_nobody_rejects_what_they_asked_for_either() -> None:
    step("anna")
    with pytest.raises(ApprovalRefused, match="four eyes"):
        step("anna", reject=True)


@pytest.mark.parametrize("nobody", ["", "  "])
def test_a_name_is_needed(nobody: str) -> None:
    with pytest.raises(ApprovalRefused, match="--by"):
        step(nobody)


def test_an_approval_is_of_that_text_alone() -> None:
    step("anna")
    step("ben")
    assert step("ben", TW) == "asked"
    assert approved() == {US}


def test_what_was_rejected_is_not_approved_and_may_be_asked_for_again() -> None:
    step("anna")
    assert step("ben", reject=True) == "rejected"
    assert approved() == frozenset()
    assert step("anna") == "asked"
    assert step("carl") == "approved"
    assert approved() == {US}


@pytest.mark.parametrize("who", ["anna", "ben", "carl"])
def test_leave_may_be_taken_back_by_one_person(who: str) -> None:
    step("anna")
    step("ben")
    assert step(who, reject=True, at=NOW + timedelta(hours=1)) == "rejected"
    assert approved(NOW) == {US}, "then it was approved"
    assert approved(NOW + timedelta(hours=1)) == frozenset()


def test_there_must_be_something_to_reject() -> None:
    with pytest.raises(ApprovalRefused, match="nothing to reject"):
        step("anna", reject=True)


def test_an_approval_ends_at_its_end_the_earlier_one() -> None:
    early, late = NOW + timedelta(days=10), NOW + timedelta(days=20)
    step("anna", until=late)
    step("ben", until=early)
    assert approved(early - timedelta(microseconds=1)) == {US}
    assert approved(early) == frozenset()


def test_the_end_that_was_asked_for_holds_where_the_second_names_none() -> None:
    end = NOW + timedelta(days=10)
    step("anna", until=end)
    step("ben")
    assert approved(end) == frozenset()


def test_what_has_ended_is_asked_for_again() -> None:
    end = NOW + timedelta(days=10)
    step("anna", until=end)
    step("ben")
    assert step("ben", at=end) == "asked"
    assert step("anna", at=end) == "approved"
    assert approved(end) == {US}


def test_an_end_in_the_past_is_refused() -> None:
    with pytest.raises(ApprovalRefused, match="later --until"):
        step("anna", until=NOW)


def test_a_request_that_has_ended_is_not_approved() -> None:
    step("anna", until=NOW + timedelta(days=1))
    with pytest.raises(ApprovalRefused, match="has ended"):
        step("ben", at=NOW + timedelta(days=1))


def test_what_is_approved_is_not_asked_for_again_unless_for_another_end() -> None:
    step("anna")
    step("ben")
    with pytest.raises(ApprovalRefused, match="approved already, by ben"):
        step("anna")
    assert step("anna", until=NOW + timedelta(days=9)) == "asked"
    assert approved() == {US}, "as long as nobody has approved the other end"
    step("ben")
    assert approved(NOW + timedelta(days=9)) == frozenset()


def test_nothing_was_approved_before_it_was() -> None:
    step("anna")
    step("ben")
    assert approved(NOW - timedelta(microseconds=1)) == frozenset()

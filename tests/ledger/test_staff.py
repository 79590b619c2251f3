"""The staff's rows: who is in, in which roles, who looked at whom; and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread

import pytest
from sqlalchemy import text

from ledger import staff, staff_views
from ledger.engine import connection
from ledger.staff import StaffRefused
from tests.plugins.portfolio import Portfolio

ISSUER = "https://login.example"


def add(subject: str = "s-1", *roles: str) -> int:
    with connection() as tx:
        return staff.add(tx, name=f"Name of {subject}", issuer=ISSUER, subject=subject, roles=roles or ("agent",), by="test")


@pytest.mark.usefixtures("ledger_url")
def test_roles_are_what_was_given_last_and_all_that_was_given_stays_written() -> None:
    number = add("s-1", "agent", "supervisor")
    with connection() as tx:
        staff.set_roles(tx, number, ["supervisor", "ops"], by="chief")
        found = staff.find(tx, ISSUER, "s-1")
        assert found is not None
        assert found.roles == {"supervisor", "ops"}
        assert "calls.supervise" in found.rights
        assert "cases.work" not in found.rights
        assert found.answers_as({"operations", "compliance"}) == "operations"
        assert found.answers_as({"compliance"}) is None
        assert tx.execute(text("SELECT count(*) FROM staff_role")).scalar_one() == 3
        staff.end(tx, number, by="chief")
        assert staff.find(tx, ISSUER, "s-1") is None
        assert staff.everybody(tx) == []
        (left,) = staff.everybody(tx, ended_too=True)
        assert left.ended_at is not None
    assert add("s-1") != number, "who comes back is a new row"


@pytest.mark.usefixtures("ledger_url")
def test_what_makes_no_sense_is_refused() -> None:
    number = add()
    with connection() as tx:
        for wrong in (
            {"subject": "s-1"},
            {"roles": ["king"]},
            {"name": " "},
            {"subject": ""},
            {"issuer": ""},
            {"by": " "},
            {"subject": "x" * 256},
        ):
            with pytest.raises(StaffRefused):
                staff.add(tx, **{"name": "A", "issuer": ISSUER, "subject": "s-2", "roles": ["agent"], "by": "test", **wrong})  # type: ignore[arg-type]  # the fields above
        for number_of_nobody in (number + 1, 0):
            with pytest.raises(StaffRefused):
                staff.set_roles(tx, number_of_nobody, ["agent"], by="test")
            with pytest.raises(StaffRefused):
                staff.end(tx, number_of_nobody, by="test")


@pytest.mark.usefixtures("ledger_url")
def test_two_who_add_one_person_at_once_add_her_once() -> None:
    together, refused = Barrier(2), []

    def come() -> None:
        together.wait()
        try:
            add("s-9")
        except StaffRefused:
            refused.append(1)

    threads = [Thread(target=come) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1


def test_looks_are_counted_by_person_and_day_and_their_reasons_are_locked(portfolio: Portfolio) -> None:
    one, two = portfolio.borrower().party_id, portfolio.borrower().party_id
    number, other = add("s-1"), add("s-2")
    today = datetime.now(UTC).date()
    with connection() as tx:
        for party in (one, one, two):
            staff_views.note_view(tx, number, party, "case")
        staff_views.note_view(tx, other, two, "person", "asked by letter of Ms Nobody")
        assert [(row.staff_id, row.people, row.views) for row in staff_views.looks(tx, day=today, zone="UTC")] == [
            (number, 2, 3),
            (other, 1, 1),
        ]
        assert staff_views.looks(tx, day=today + timedelta(days=1), zone="UTC") == []
        (reason,) = staff_views.views(tx, day=today, zone="UTC", staff_id=other)
        assert (reason.party_id, reason.what, reason.why) == (two, "person", "asked by letter of Ms Nobody")
        assert len(staff_views.views(tx, day=today, zone="UTC", party_id=two)) == 2
        kept = tx.execute(text("SELECT why_encrypted FROM staff_view WHERE why_encrypted IS NOT NULL")).scalar_one()
    assert b"Nobody" not in bytes(kept)

"""Placements: what stands against one, what it stops, and what calls the loan back at once."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from decisions.placements import ONLY_TOLD, RECALLS_LOAN, RECALLS_PERSON
from decisions.words import HOLD_KINDS
from gate.lane import run_lane
from ledger import answers, placements
from ledger.agencies import AgencyRefused
from ledger.case_work import open_case
from ledger.engine import connection
from ledger.facts import read_facts
from ledger.locks import lock_with_liable
from ledger.placing import note_notice, place_loan, recall_loan
from tasks.agencies import add_agency, end_placements
from tasks.person import hold_person
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio
from tests.plugins.sending import Outbox, RecordingChannel
from tests.plugins.with_agency import CODE, NOON, TOLD, later, placeable, placed, stands

LEDGER = Path(__file__).parents[2] / "ledger"
pytestmark = pytest.mark.usefixtures("harbour")
UNTIL = TODAY + timedelta(days=90)


def ask(borrower: BorrowerIds, code: str = CODE, until: date = UNTIL) -> str:
    """Why it would not be placed; empty = it would."""
    try:
        place_loan(f"#{borrower.loan_id}", code, until=until, by="anna", dry_run=True)
    except AgencyRefused as error:
        return str(error)
    return ""


def test_a_loan_that_nothing_stands_against_is_placed_once(portfolio: Portfolio, outbox: Outbox) -> None:
    borrower = placeable(portfolio)
    assert ask(borrower) == ""
    assert outbox.rows("SELECT 1 FROM placement") == []
    found = placed(borrower)
    assert (found.agency, found.loan_id, found.ended_at) == (CODE, borrower.loan_id, None)
    with pytest.raises(AgencyRefused, match="placed already, with harbour"):
        placed(borrower)


def nothing(portfolio: Portfolio, borrower: BorrowerIds) -> None:
    """What stands against it was there from the start."""
    del portfolio, borrower


AGAINST: dict[str, tuple[dict[str, Any], Callable[[Portfolio, BorrowerIds], object]]] = {
    "a hold stands: deceased": ({}, lambda p, b: p.hold(b.party_id, "deceased")),
    "a hold stands: economic_abuse": ({}, lambda p, b: p.hold(b.party_id, "economic_abuse")),
    "a hold stands: bankruptcy": ({}, lambda p, b: p.hold(b.party_id, "bankruptcy")),
    "a hold stands: promise": ({}, lambda p, b: p.hold(b.party_id, "promise", until=NOON + timedelta(days=3))),
    # A guarantor who lives where the agency has no licence.
    "no licence for US-CA": ({}, lambda p, b: p.liable(b.loan_id, p.borrower(region="CA").party_id, role="guarantor")),
    "no licence for US-TX": ({"region": "TX"}, nothing),
    # She is in Vietnam, whose law attaches beside that of her residence.
    "VN-NOAGENCY": ({"known_zone": "Asia/Ho_Chi_Minh"}, nothing),
    "the borrower is deceased": ({"facts": ["deceased"]}, nothing),
    "it is in stage mid": ({"days_past_due": 40}, nothing),
    "nothing is late": ({}, lambda p, b: p.payment(b.loan_id, 21_000)),
}


def test_whoever_is_to_be_left_in_peace_is_not_handed_on(portfolio: Portfolio) -> None:
    """Each of these alone; law, licence, stage and holds of everybody who stands for the loan."""
    for says, (given, spoil) in AGAINST.items():
        borrower = placeable(portfolio, **given)
        assert says not in ask(borrower) or given, says
        spoil(portfolio, borrower)
        assert says in ask(borrower)
        with pytest.raises(AgencyRefused, match=says):
            place_loan(f"#{borrower.loan_id}", CODE, until=UNTIL, by="anna")


def test_a_licence_that_ends_meanwhile_or_a_notice_too_young_is_none(portfolio: Portfolio) -> None:
    borrower = portfolio.borrower(days_past_due=95)
    assert "no notice of the agency" in ask(borrower)
    note_notice(f"#{borrower.loan_id}", sent_at=NOON - timedelta(days=6), by="anna", reference="letter 12")
    assert "younger than 7 days" in ask(borrower)
    note_notice(f"#{borrower.loan_id}", sent_at=TOLD, by="anna", reference="letter 11")
    assert ask(borrower) == ""
    portfolio.clock(NOON + timedelta(days=250))
    assert "the licence for US-NY does not reach" in ask(borrower, until=date(2027, 2, 1))


def test_taiwan_wants_its_notice_whatever_the_house_does(portfolio: Portfolio) -> None:
    """The law's own rule stands beside the house's days."""
    assert "TW-NOTICE" in ask(portfolio.borrower(country="TW", days_past_due=95))
    assert "TW-NOTICE" not in ask(placeable(portfolio, country="TW"))


def test_an_agency_without_a_certificate_gets_nothing(portfolio: Portfolio) -> None:
    add_agency("quiet", name="Quiet", contact="q@quiet.example", certificate=None, by="anna")
    assert "no certificate" in ask(placeable(portfolio), code="quiet")


def test_while_it_is_placed_nothing_is_sent_about_it_whatever_was_planned(portfolio: Portfolio, outbox: Outbox) -> None:
    borrower = placeable(portfolio, days_past_due=95)
    run = outbox.run(stage="recovery")
    attempt = outbox.plan(run, borrower, message="recovery_open_door")
    placed(borrower)
    channel = RecordingChannel()
    run_lane(run, shard=None, channels={"sms": lambda: channel})
    assert (channel.sent, outbox.attempt(attempt)["state"]) == ([], "withheld")


def test_her_other_loan_is_still_spoken_of_and_the_placed_one_is_not(portfolio: Portfolio) -> None:
    borrower = placeable(portfolio)
    portfolio.loan(borrower.party_id, days_past_due=5)
    found = placed(borrower)
    with connection() as tx:
        now = read_facts(tx, parties=[borrower.party_id], at=NOON, business_date=TODAY, loans="now")
    assert min(now.loans.select("loan_id", "servicing_status").rows()) == (borrower.loan_id, "placed")
    assert set(now.loans["servicing_status"]) == {"placed", "active"}
    recall_loan(f"#{borrower.loan_id}", because="the borrower asked", by="anna")
    at = later(portfolio, timedelta(minutes=1))
    with connection() as tx:
        after = read_facts(tx, parties=[borrower.party_id], at=at, business_date=TODAY, loans="now")
    assert set(after.loans["servicing_status"]) == {"active"}
    assert stands(found).ended_because == "the borrower asked"


def test_every_kind_of_hold_either_recalls_or_is_told() -> None:
    """A kind that somebody adds to the field's words has to be put into one of the lists."""
    kinds = [*RECALLS_PERSON, *RECALLS_LOAN, *ONLY_TOLD]
    assert sorted(kinds) == sorted(HOLD_KINDS)


def test_whoever_writes_a_hold_recalls() -> None:
    """A new statement that writes holds calls `recall_held` behind it, or is named here with its reason."""
    writers = {path.name: path.read_text() for path in LEDGER.glob("*.py") if re.search(r"INSERT INTO hold\b", path.read_text())}
    silent = {name for name, code in writers.items() if "recall_held(" not in code}
    # Promises hold for a promise alone, which an agency is only told; erasures and plans hold through answers.py, and only lift by themselves.
    assert (silent, "recall_held(" in (LEDGER / "imports.py").read_text()) == ({"promises.py", "erasures.py", "plans.py"}, True)


def test_a_hold_recalls_in_the_transaction_that_writes_it(portfolio: Portfolio) -> None:
    for kind in (*RECALLS_PERSON, *RECALLS_LOAN):
        borrower = placeable(portfolio)
        found = placed(borrower)
        with connection() as tx:
            lock_with_liable(tx, [borrower.party_id])
            answers.hold(tx, borrower.party_id, kind, starts_at=NOON, until=None, source="anna: letter 3")
            inside = placements.read(tx, found.id)
        assert (inside.ended_because, inside.ended_at) == (kind, NOON)


def test_what_the_agency_is_only_told_leaves_the_loan_with_it(portfolio: Portfolio) -> None:
    borrower = placeable(portfolio)
    found = placed(borrower)
    for kind in ONLY_TOLD:
        hold_person(f"#{borrower.party_id}", kind=kind, by="anna", because="letter 3")
    assert stands(found).ended_at is None


def test_a_case_recalls_also_where_a_guarantor_opens_it(portfolio: Portfolio) -> None:
    for kind in ("dispute", "hardship", "deceased"):
        borrower = placeable(portfolio)
        guarantor = portfolio.borrower()
        portfolio.liable(borrower.loan_id, guarantor.party_id, role="guarantor")
        note_notice(f"#{borrower.loan_id}", sent_at=TOLD, by="anna", reference="letter 13")
        found = placed(borrower)
        open_case(f"#{guarantor.party_id}", kind=kind, by="anna", loan=f"#{borrower.loan_id}", reference="letter 4")
        assert stands(found).ended_because == kind


def test_a_dispute_of_another_loan_leaves_this_one_where_it_is(portfolio: Portfolio) -> None:
    borrower = placeable(portfolio)
    other = portfolio.loan(borrower.party_id, days_past_due=5)
    found = placed(borrower)
    open_case(f"#{borrower.party_id}", kind="dispute", by="anna", loan=f"#{other}", reference="letter 4")
    assert stands(found).ended_at is None


def test_the_peace_of_a_placement_ends_behind_the_recall_and_not_before(portfolio: Portfolio, outbox: Outbox) -> None:
    borrower = placeable(portfolio)
    placed(borrower)
    open_case(f"#{borrower.party_id}", kind="dispute", by="anna", loan=f"#{borrower.loan_id}", reference="letter 4")
    kinds = "SELECT kind FROM hold WHERE superseded_at IS NULL AND until IS NULL ORDER BY kind"
    assert [row.kind for row in outbox.rows(kinds)] == ["dispute", "placed"]
    assert end_placements.fn() == {"ran_out": 0, "recalled": 0, "released": 1}
    assert [row.kind for row in outbox.rows(kinds)] == ["dispute"]
    assert end_placements.fn() == {"ran_out": 0, "recalled": 0, "released": 0}


def test_it_ends_on_its_day_and_may_be_placed_again_at_once(portfolio: Portfolio, outbox: Outbox) -> None:
    portfolio.creditor(fresh_until=NOON + timedelta(days=9))
    borrower = placeable(portfolio)
    found = place_loan(f"#{borrower.loan_id}", CODE, until=TODAY + timedelta(days=2), by="anna")
    assert found is not None
    later(portfolio, timedelta(days=3))
    with connection() as tx:
        placements.run_out(tx, on=TODAY + timedelta(days=3), at=NOON + timedelta(days=3))
    assert stands(found).ended_because == "ran_out"
    again = placed(borrower)
    end_placements.fn()
    assert stands(again).ended_at is None
    assert len(outbox.rows("SELECT 1 FROM hold WHERE kind = 'placed' AND superseded_at IS NULL AND until IS NULL")) == 1


def test_a_recall_says_why_and_names_nobody(portfolio: Portfolio) -> None:
    borrower = placeable(portfolio)
    placed(borrower)
    with pytest.raises(AgencyRefused, match="looks like a number"):
        recall_loan(f"#{borrower.loan_id}", because="call +12125550199", by="anna")
    with pytest.raises(AgencyRefused, match="say who"):
        recall_loan(f"#{borrower.loan_id}", because=" ", by="anna")

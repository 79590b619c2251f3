"""A loan is placed and recalled at the desk: all that stands against it is said first, and each look at a person is noted."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

from httpx import Response
from sqlalchemy import text

from ledger import placements
from ledger.engine import connection
from tests.plugins.portfolio import TODAY, Portfolio
from tests.plugins.staff_desk import Desk
from tests.plugins.with_agency import CODE, TOLD, Harbour

UNTIL = (TODAY + timedelta(days=60)).isoformat()


def said(page: Response) -> str:
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.text)))


def test_from_the_notice_to_the_recall(desk: Desk, harbour: Harbour, portfolio: Portfolio) -> None:
    del harbour
    borrower = portfolio.borrower(days_past_due=95)
    place = f"/desk/agencies/loans/{borrower.loan_id}"
    cora = desk.sign_in("compliance", subject="cora")
    listed = cora.get("/desk/agencies")
    assert desk.post(cora, listed, "/desk/agencies", loan="none-such").status_code == 409
    page = desk.post(cora, listed, "/desk/agencies", loan=f"#{borrower.loan_id}")
    assert page.url.path == place
    assert "Harbour Partners (harbour): TW L-1, until Jan 1, 2027; US-NY L-1" in said(page)
    against = desk.post(cora, page, f"{place}/place", agency=CODE, until=UNTIL, step="look")
    assert (against.status_code, "no notice of the agency" in said(against), "Place it now" in against.text) == (409, True, False)
    noted = desk.post(cora, page, f"{place}/notice", reference="letter 12", sent_at=TOLD.strftime("%Y-%m-%dT%H:%M"))
    assert "cora (staff" in said(noted)
    assert "letter 12" in said(noted)
    assert desk.post(cora, noted, f"{place}/place", agency=CODE, until="soon", step="look").status_code == 409
    looked = desk.post(cora, noted, f"{place}/place", agency=CODE, until=UNTIL, step="look")
    assert f"it may be placed with harbour until {UNTIL}" in said(looked)
    with connection() as tx:
        assert placements.open_of(tx, borrower.loan_id) is None
    done = desk.post(cora, looked, f"{place}/place", step="do")
    with connection() as tx:
        found = placements.open_of(tx, borrower.loan_id)
        assert found is not None
        by = tx.execute(text("SELECT placed_by FROM placement")).scalar_one()
    assert (found.agency, found.until_on.isoformat(), by.startswith("cora (staff ")) == (CODE, UNTIL, True)
    # Sent again by a double click, it says that it is placed, and nothing is new.
    assert "placed already" in said(desk.post(cora, looked, f"{place}/place", step="do"))
    assert desk.post(cora, done, f"{place}/recall", because=" ", step="look").status_code == 409
    before = desk.post(cora, done, f"{place}/recall", because="the borrower asked", step="look")
    assert "It would be taken back from harbour: the borrower asked." in said(before)
    after = desk.post(cora, before, f"{place}/recall", step="do")
    assert "the borrower asked" in said(after)
    with connection() as tx:
        assert placements.open_of(tx, borrower.loan_id) is None
        looks = tx.execute(text("SELECT DISTINCT party_id, what FROM staff_view")).all()
    assert [tuple(row) for row in looks] == [(borrower.party_id, "placement")]


def test_who_may_only_see_agencies_opens_no_loan(desk: Desk, harbour: Harbour, portfolio: Portfolio) -> None:
    del harbour
    borrower = portfolio.borrower(days_past_due=95)
    ops = desk.sign_in("ops")
    assert "Place or recall it" not in ops.get("/desk/agencies").text
    assert ops.get(f"/desk/agencies/loans/{borrower.loan_id}").status_code == 403
    assert desk.sign_in("compliance").get("/desk/agencies/loans/999").status_code == 404

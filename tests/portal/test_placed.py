"""Her page says who has her loan, and how to reach them, until it is taken back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ledger.placing import recall_loan
from tests.plugins.portfolio import Portfolio
from tests.plugins.sent import Sent
from tests.plugins.the_page import Visit, words
from tests.plugins.with_agency import placeable, placed


@pytest.mark.usefixtures("harbour")
def test_her_page_says_who_has_the_loan_until_it_is_taken_back(portfolio: Portfolio, send: Callable[..., Sent], visit: Visit) -> None:
    borrower = placeable(portfolio, days_past_due=95)
    other = portfolio.loan(borrower.party_id, days_past_due=5)
    send(borrower, provider_id=f"SM{0:032}")
    visit.open(borrower)
    assert "Harbour Partners" not in words(visit.get("/b/account"))
    placed(borrower)
    page = words(visit.get("/b/account"))
    assert page.count("Harbour Partners looks after this loan for us") == 1
    assert "help@harbour.example" in page
    recall_loan(f"#{borrower.loan_id}", because="the borrower asked", by="anna")
    assert "Harbour Partners" not in words(visit.get("/b/account"))
    assert other != borrower.loan_id

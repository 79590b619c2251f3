"""Peer b: one process that reads borrowers through SQLModel a page at a time, decides in a loop, and commits each page.

In:   the peers' tables.
Out:  rows of `peer_decision`.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Final

from sqlalchemy.orm import selectinload
from sqlmodel import Session, col, select

from ledger.engine import engine
from tests.bench.peers.rules import decide
from tests.bench.peers.tables import Borrower, Loan

PAGE: Final = 1_000


def plan(on: date, at: datetime) -> None:
    """Decide for everybody."""
    last = 0
    while True:
        with Session(engine()) as session:
            page = session.exec(
                select(Borrower).where(col(Borrower.id) > last).order_by(col(Borrower.id)).limit(PAGE).options(*everything())
            ).all()
            if not page:
                return
            session.add_all(decision for borrower in page if (decision := decide(borrower, on, at)) is not None)
            last = page[-1].id or 0
            session.commit()


def everything() -> list[Any]:
    """All that belongs to a borrower, in a statement for each table instead of one for each person."""
    loans: Any = Borrower.loans
    rest: list[Any] = [Borrower.contact_points, Borrower.consents, Borrower.opt_outs, Borrower.holds, Borrower.past_contacts]
    of_loans: list[Any] = [Loan.instalments, Loan.payments]
    return [*(selectinload(loans).selectinload(one) for one in of_loans), *(selectinload(one) for one in rest)]

"""Placing a loan with an agency and recalling it, as a command and a desk do it alike; and what is to be seen of a loan before.

In:   a loan as the lender or we call it, an agency's code, dates, a name.
Out:  rows of the ledger (ledger/placements.py); what a desk shows of a loan.
Pure: no.
Source: docs/agencies.md; docs/adr/0062.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Connection, text

from config.agencies import placement_terms
from decisions.placements import NOTICE
from ledger import agencies, clock, placements
from ledger.agencies import AgencyRefused
from ledger.engine import connection
from ledger.placements import Placement


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """That somebody was told which agency is to have a loan.

    Attributes:
        party_id: Who was told.
        sent_at: When.
        source: Who says so, and where it can be read.
    """

    party_id: int
    sent_at: datetime
    source: str


def place_loan(loan: str, code: str, *, until: date | None, by: str, dry_run: bool = False) -> Placement | None:
    """Place a loan with an agency; None where it only was asked whether it may be.

    Raises:
        AgencyRefused: It may not be, with every reason.
        ConfigError: The terms or the rule packs cannot be read.
    """
    terms = placement_terms()
    with connection() as tx:
        at = clock.now(tx)
        loan_id, agency = placements.find_loan(tx, loan), agencies.find(tx, code)
        until = until or placements.lenders_date(at) + timedelta(days=terms.days_max)
        if dry_run:
            if against := placements.check(tx, loan_id, agency, at=at, until=until, terms=terms):
                raise AgencyRefused("would not be placed: " + "; ".join(against))
            return None
        return placements.place(tx, loan_id, agency, at=at, until=until, by=by, terms=terms)


def note_notice(loan: str, *, sent_at: datetime | None, by: str, reference: str) -> int:
    """Write down that those who stand for a loan were told of the agency; how many were not known to be.

    Raises:
        AgencyRefused: No such loan, an instant that is still to come, personal words.
    """
    with connection() as tx:
        now = clock.now(tx)
        if sent_at is not None and sent_at > now:
            raise AgencyRefused("a notice that is still to be sent is none")
        return placements.note_notice(tx, placements.find_loan(tx, loan), sent_at=sent_at or now, by=by, reference=reference)


def recall_loan(loan: str, *, because: str, by: str, dry_run: bool = False) -> Placement:
    """Take a loan back from its agency.

    Raises:
        AgencyRefused: It is with none, or nobody says why.
    """
    with connection() as tx:
        found = placements.open_of(tx, placements.find_loan(tx, loan))
        if found is None:
            raise AgencyRefused("that loan is with no agency")
        return found if dry_run else placements.recall(tx, found.id, because=because, by=by, at=clock.now(tx))


def stands_for(tx: Connection, loan_id: int) -> list[int]:
    """Who stands for a loan; empty where there is no such loan."""
    return list(tx.execute(_STANDS_FOR, {"loan": loan_id}).scalars())


def notices(tx: Connection, loan_id: int) -> list[Notice]:
    """Notices of an agency that went out for a loan, the newest first."""
    return [Notice(**row) for row in tx.execute(_NOTICES, {"loan": loan_id, "kind": NOTICE}).mappings()]


def ended(tx: Connection, loan_id: int) -> list[Placement]:
    """Placements of a loan that have ended, the newest first."""
    return [one for one in placements.listed(tx, ended_too=True, loan_id=loan_id) if one.ended_at is not None]


_STANDS_FOR = text("""
    SELECT DISTINCT party_id FROM loan_party
    WHERE loan_id = :loan AND superseded_at IS NULL AND role IN ('borrower', 'co_borrower', 'guarantor') ORDER BY party_id
""")
_NOTICES = text("""
    SELECT party_id, sent_at, source FROM notice WHERE loan_id = :loan AND kind = :kind AND superseded_at IS NULL
    ORDER BY sent_at DESC, party_id
""")

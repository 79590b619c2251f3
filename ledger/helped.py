"""Whether what was done helped a person: one question after something is solved, answered or not, counted, and used for nothing else.

In:   a connection; her party id; business instants.
Out:  what she may be asked about; rows of `helped`; counts.
Pure: no; reads and writes the ledger.
Source: docs/adr/0051.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, text

from decisions.cases import ANSWERED_FIRST, WITHDRAWN

# So long after something was solved she is asked.
WITHIN: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Solved:
    """Something that was solved, of which she has not said yet whether it helped.

    Attributes:
        about: One of `ledger.tables_papers.HELPS`.
        about_id: Of the case, the plan or the loan.
    """

    about: str
    about_id: int


def solved(tx: Connection, party_id: int, *, at: datetime) -> Solved | None:
    """What was solved last; None = nothing lately, or she has answered."""
    keys = {"party": party_id, "since": at - WITHIN, "at": at, "kinds": sorted(ANSWERED_FIRST), "withdrawn": WITHDRAWN}
    row = tx.execute(_SOLVED, keys).one_or_none()
    return None if row is None else Solved(about=row.about, about_id=row.about_id)


def answer(tx: Connection, party_id: int, about: Solved, *, has_helped: bool, at: datetime) -> bool:
    """Write down her answer, the first one for each thing; False where nothing like it was solved, or it is answered already."""
    keys = {"party": party_id, "about": about.about, "id": about.about_id, "helped": has_helped, "at": at}
    return solved(tx, party_id, at=at) == about and tx.execute(_ANSWER, keys).rowcount > 0


def counts(tx: Connection, *, since: datetime, until: datetime) -> dict[str, tuple[int, int]]:
    """What it was about → how many said that it helped, of how many who answered, in [since, until)."""
    rows = tx.execute(_COUNTS, {"since": since, "until": until})
    return {row.about: (row.helped, row.answered) for row in rows}


# A loan counts as paid when its last instalment was: its books say so.
_SOLVED = text("""
    SELECT about, about_id FROM (
        SELECT 'case' AS about, c.id AS about_id, c.closed_at AS since
        FROM borrower_case c
        WHERE c.party_id = :party AND c.state = 'closed' AND c.kind = ANY(:kinds) AND c.result <> :withdrawn
        UNION ALL
        SELECT 'plan', p.id, n.effective_at
        FROM loan_party lp JOIN plan p ON p.loan_id = lp.loan_id
        JOIN plan_version n ON n.plan_id = p.id AND n.superseded_at IS NULL AND n.status = 'completed'
        WHERE lp.party_id = :party AND lp.superseded_at IS NULL AND lp.role IN ('borrower', 'co_borrower')
        UNION ALL
        SELECT 'paid', v.loan_id, v.effective_at
        FROM loan_party lp JOIN loan_version v ON v.loan_id = lp.loan_id AND v.superseded_at IS NULL AND v.servicing_status = 'paid'
        WHERE lp.party_id = :party AND lp.superseded_at IS NULL AND lp.role IN ('borrower', 'co_borrower')
    ) done
    WHERE since > :since AND since <= :at AND NOT EXISTS (
        SELECT FROM helped h WHERE h.party_id = :party AND h.about = done.about AND h.about_id = done.about_id)
    ORDER BY since DESC, about, about_id LIMIT 1
""")
_ANSWER = text("""
    INSERT INTO helped (party_id, about, about_id, has_helped, at) VALUES (:party, :about, :id, :helped, :at)
    ON CONFLICT (party_id, about, about_id) DO NOTHING
""")
_COUNTS = text("""
    SELECT about, count(*) FILTER (WHERE has_helped) AS helped, count(*) AS answered FROM helped
    WHERE at >= :since AND at < :until GROUP BY about ORDER BY about
""")

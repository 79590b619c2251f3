"""Who owes what, as a wallet's own books would show it to the wallet; for telling a simulated town its debts.

In:   a business date that was aged.
Out:  the lender's own ids of parties and loans, and what is past due. No personal value.
Pure: no; reads.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import Connection, text


def read_debts(connection: Connection, business_date: date) -> dict[str, list[dict[str, Any]]]:
    """Every party's external id, in order, with what it owes past due: loan_ref, currency, owed_minor; empty = nothing."""
    debts: dict[str, list[dict[str, Any]]] = {}
    for party, loan, currency, owed_minor in connection.execute(_DEBTS, {"on": business_date}):
        debts.setdefault(party, [])
        if loan is not None:
            debts[party].append({"loan_ref": loan, "currency": currency, "owed_minor": owed_minor})
    return debts


_DEBTS = text("""
    SELECT p.external_id AS party, l.external_id AS loan, v.currency, a.past_due_minor
    FROM party p
    LEFT JOIN loan_aging a ON a.party_id = p.id AND a.business_date = :on AND a.past_due_minor > 0
    LEFT JOIN loan l ON l.id = a.loan_id
    LEFT JOIN loan_version v ON v.loan_id = a.loan_id AND v.superseded_at IS NULL
    ORDER BY p.id, l.id
""")

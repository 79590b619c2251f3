"""What a letter needs beside its words, read under the lock: each loan's statement, and whose name and which address the envelope bears.

In:   a connection inside the gate's transaction; ids.
Out:  statements by loan; envelopes by contact point, decrypted. Personal: never logged.
Pure: no; reads.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime

from sqlalchemy import Connection, text

from decisions.envelopes import Addressee
from decisions.statements import Statement, lines_of
from ledger import vault
from ledger.aging_facts import unpaid_instalments_of
from ledger.frames import Known


def read_statements(
    tx: Connection, loans: Collection[int], *, business_date: date, known_at: datetime | None = None
) -> dict[int, Statement]:
    """Statements of loans by id, as they are now or were known then; a loan that owes nothing has none."""
    if not loans:
        return {}
    unpaid = unpaid_instalments_of(tx, sorted(loans), business_date=business_date, known_at=known_at).partition_by("loan_id", as_dict=True)
    found = {}
    for row in tx.execute(text(_LOANS.format(known=Known(known_at))), {"loans": sorted(loans)}):
        rows = unpaid.get((row.loan_id,))
        lines = () if rows is None else lines_of(list(rows.iter_rows(named=True)))
        if lines:
            found[row.loan_id] = Statement(
                reference=row.reference,
                currency=row.currency,
                disputed_minor=row.disputed_minor,
                lines=lines,
                opened_on=row.opened_on,
                apr_basis_points=row.apr_basis_points,
            )
    return found


def read_addressees(tx: Connection, contact_points: Collection[int], *, known_at: datetime | None = None) -> dict[int, Addressee]:
    """By contact point, whom a letter to it is for."""
    if not contact_points:
        return {}
    rows = tx.execute(text(_ADDRESSEES.format(known=Known(known_at))), {"points": sorted(contact_points)}).all()
    vault.learn(tx, [row.key_id for row in rows])
    return {
        row.contact_point_id: Addressee(
            name=None if row.name_encrypted is None else vault.decrypt(row.name_encrypted, row.key_id),
            country=row.country,
            sent_from=row.sent_from,
        )
        for row in rows
    }


# What the borrower knows a loan by: its account, where it has one of its own.
_LOANS = """
    SELECT l.id AS loan_id, coalesce(v.account, l.external_id) AS reference, v.currency, v.disputed_minor, v.opened_on,
           v.apr_basis_points
    FROM loan l JOIN loan_version v ON v.loan_id = l.id AND {known[v]}
    WHERE l.id = ANY(:loans)
"""
# An address whose country its file left out is in the person's own.
_ADDRESSEES = """
    SELECT k.id AS contact_point_id, v.name_encrypted, v.key_id, coalesce(a.country, v.country) AS country, c.country AS sent_from
    FROM contact_point k
    JOIN contact_point_version a ON a.contact_point_id = k.id AND {known[a]}
    JOIN party p ON p.id = k.party_id
    JOIN creditor c ON c.id = p.creditor_id
    LEFT JOIN party_version v ON v.party_id = p.id AND {known[v]}
    WHERE k.id = ANY(:points)
"""

"""The schema: migrations and tables agree, and the constraints say what is true."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from ledger import schema
from ledger.engine import connection


def test_migrations_and_tables_say_the_same(ledger_url: str) -> None:
    assert schema.drift(ledger_url) is None


def test_a_reversal_without_what_it_takes_back_is_refused(ledger_url: str) -> None:
    del ledger_url
    with connection() as tx:
        tx.execute(text("INSERT INTO creditor (id, external_id, name, role, country) VALUES (1, 'c', 'C', 'first_party', 'TW')"))
        tx.execute(text("INSERT INTO loan (id, creditor_id, external_id) VALUES (1, 1, 'l')"))
    with pytest.raises(IntegrityError, match="payment_reversal_names_what_and_why"), connection() as tx:
        tx.execute(
            text(
                "INSERT INTO payment (loan_id, external_id, state, amount_minor, paid_on, source, effective_at)"
                " VALUES (1, 'p', 'reversed', -5, '2026-01-01', 'test', '2026-01-01')"
            )
        )


def test_a_payment_with_the_sign_of_a_reversal_is_refused(ledger_url: str) -> None:
    del ledger_url
    with connection() as tx:
        tx.execute(text("INSERT INTO creditor (id, external_id, name, role, country) VALUES (1, 'c', 'C', 'first_party', 'TW')"))
        tx.execute(text("INSERT INTO loan (id, creditor_id, external_id) VALUES (1, 1, 'l')"))
    with pytest.raises(IntegrityError, match="payment_sign"), connection() as tx:
        tx.execute(
            text(
                "INSERT INTO payment (loan_id, external_id, state, amount_minor, paid_on, source, effective_at)"
                " VALUES (1, 'p', 'posted', -5, '2026-01-01', 'test', '2026-01-01')"
            )
        )

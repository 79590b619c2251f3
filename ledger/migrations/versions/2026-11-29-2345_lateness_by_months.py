"""Lateness day by day lies in one part a month, so that what is over goes as a table and not row by row (docs/adr/0077).

Revision: 91c4f7d2ab60
After:    7e40b1c9d3a5
Written:  2026-11-29 23:45:00
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "91c4f7d2ab60"
down_revision = "7e40b1c9d3a5"
branch_labels = None
depends_on = None

TRIGGERS = (
    """
    CREATE TRIGGER loan_aging_names_what_is_there AFTER INSERT ON loan_aging REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION loan_aging_names_what_is_there()
    """,
    """
    CREATE TRIGGER loan_aging_keeps_its_keys BEFORE UPDATE ON loan_aging FOR EACH ROW WHEN (old.loan_id IS DISTINCT FROM new.loan_id)
    EXECUTE FUNCTION loan_keeps_its_keys()
    """,
)


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later. The rows are read through once.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '900s'")
    _make_way()
    op.execute("CREATE TABLE loan_aging (LIKE loan_aging_before INCLUDING DEFAULTS) PARTITION BY RANGE (business_date)")
    _keys("loan_aging")
    op.execute("CREATE TABLE loan_aging_others PARTITION OF loan_aging DEFAULT")
    last = op.get_bind().execute(text("SELECT (date_trunc('month', max(business_date)) + interval '1 month')::date FROM loan_aging_before"))
    until = last.scalar_one()
    if until is None:
        op.execute("DROP TABLE loan_aging_before")
    else:
        op.execute(f"ALTER TABLE loan_aging ATTACH PARTITION loan_aging_before FOR VALUES FROM (MINVALUE) TO ('{until}')")
    for trigger in TRIGGERS:
        op.execute(trigger)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '900s'")
    # A part may still have the name.
    op.execute("ALTER TABLE IF EXISTS loan_aging_before RENAME TO loan_aging_first")
    op.execute("ALTER INDEX IF EXISTS loan_aging_before_pkey RENAME TO loan_aging_first_pkey")
    op.execute("ALTER INDEX IF EXISTS loan_aging_before_of_party RENAME TO loan_aging_first_of_party")
    _make_way()
    op.execute("CREATE TABLE loan_aging (LIKE loan_aging_before INCLUDING DEFAULTS)")
    op.execute("INSERT INTO loan_aging SELECT * FROM loan_aging_before")
    op.execute("DROP TABLE loan_aging_before")
    _keys("loan_aging")
    for trigger in TRIGGERS:
        op.execute(trigger)


def _make_way() -> None:
    """The table of before keeps its rows, and gives up its names."""
    op.execute("DROP TRIGGER loan_aging_names_what_is_there ON loan_aging")
    op.execute("DROP TRIGGER loan_aging_keeps_its_keys ON loan_aging")
    op.execute("ALTER TABLE loan_aging RENAME TO loan_aging_before")
    op.execute("ALTER INDEX loan_aging_pkey RENAME TO loan_aging_before_pkey")
    op.execute("ALTER INDEX loan_aging_of_party RENAME TO loan_aging_before_of_party")


def _keys(table: str) -> None:
    op.create_primary_key(f"{table}_pkey", table, ["business_date", "loan_id"])
    op.create_index("loan_aging_of_party", table, ["business_date", "party_id"])

"""Ageing begins from an earlier date's rows: what was aged when, and indexes that find what changed since.

Revision: 5b7d20c9e1a4
After:    5c8e02d7f3a1
Written:  2026-11-29 19:25:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "5b7d20c9e1a4"
down_revision = "5c8e02d7f3a1"
branch_labels = None
depends_on = None

LEARNED = ("loan_version", "loan_party", "instalment", "payment")


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later. Indexes of a large ledger take minutes.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '900s'")
    op.create_table(
        "ageing_run",
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("worker", sa.Uuid(), nullable=False),
        sa.Column("known_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("whole_on", sa.Date(), nullable=False),
        sa.Column("policy_hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("business_date"),
    )
    for table in LEARNED:
        op.create_index(f"{table}_recorded", table, ["recorded_at"], postgresql_using="brin")
        op.create_index(f"{table}_superseded", table, ["superseded_at"], postgresql_where=sa.text("superseded_at IS NOT NULL"))
    op.create_index("instalment_due", "instalment", ["due_on"], postgresql_where=sa.text("superseded_at IS NULL"))
    op.create_index("payment_paid", "payment", ["paid_on"], postgresql_where=sa.text("superseded_at IS NULL"))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_index("payment_paid", table_name="payment")
    op.drop_index("instalment_due", table_name="instalment")
    for table in LEARNED:
        op.drop_index(f"{table}_superseded", table_name=table)
        op.drop_index(f"{table}_recorded", table_name=table)
    op.drop_table("ageing_run")

"""Payments by the wallet: what was asked for, and whether the lender's books show what came in.

Revision: 5b8f21d7e09c
After:    5b7d20c9e1a4
Written:  2026-11-29 19:15:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "5b8f21d7e09c"
down_revision = "5b7d20c9e1a4"
branch_labels = None
depends_on = None

STATES = "'asked', 'waiting', 'paid', 'failed', 'expired', 'misfit'"


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    # A constant default rewrites no row: all that is there came from the books.
    op.add_column("payment", sa.Column("booked", sa.Boolean(), server_default=sa.text("true"), nullable=False))
    op.create_table(
        "payment_order",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("token", sa.Uuid(), nullable=False),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("loan_id", sa.BigInteger(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("wallet_id", sa.Text(), nullable=True),
        sa.Column("confirm_url", sa.Text(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint(f"state IN ({STATES})", name="payment_order_state"),
        sa.CheckConstraint("amount_minor > 0", name="payment_order_amount_positive"),
        sa.ForeignKeyConstraint(["loan_id"], ["loan.id"]),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key", name="payment_order_key"),
        sa.UniqueConstraint("token", name="payment_order_token"),
    )
    op.create_index("payment_order_of_party", "payment_order", ["party_id"])
    op.create_index("payment_order_open", "payment_order", ["asked_at"], postgresql_where=sa.text("state IN ('asked', 'waiting')"))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_table("payment_order")
    op.drop_column("payment", "booked")

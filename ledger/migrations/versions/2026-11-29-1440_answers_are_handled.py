"""A person says that an answer is handled; danger is found by an index of its own.

Revision: c41a7be09d52
After:    c41f7a83d2e6
Written:  2026-11-29 14:40:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "c41a7be09d52"
down_revision = "c41f7a83d2e6"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.create_table(
        "outcome_handled",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("outcome_id", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("done", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.ForeignKeyConstraint(["outcome_id"], ["outcome.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("outcome_handled_once", "outcome_handled", ["outcome_id", "by", "done"], unique=True)
    op.create_index(
        "outcome_in_danger",
        "outcome",
        ["id"],
        unique=False,
        postgresql_where=sa.text("intent = 'danger' AND needs_person AND handled_at IS NULL"),
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_index("outcome_in_danger", table_name="outcome")
    op.drop_table("outcome_handled")

"""What a kill-switch drill measured is kept.

Revision: 8b1f4e6a90d3
After:    3d9a60b7c2e8
Written:  2026-11-28 22:35:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "8b1f4e6a90d3"
down_revision = "3d9a60b7c2e8"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.create_table(
        "drill",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("said_by", sa.Text(), nullable=False),
        sa.Column("pause_id", sa.BigInteger(), nullable=True),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("under_way", sa.Integer(), nullable=False),
        sa.Column("sent_after", sa.Integer(), nullable=False),
        sa.Column("last_send_seconds", sa.Float(), nullable=False),
        sa.Column("bound_seconds", sa.Float(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("verdict IN ('passed', 'failed', 'nothing_under_way')", name="drill_verdict"),
        sa.CheckConstraint("(verdict = 'nothing_under_way') = (pause_id IS NULL)", name="drill_measures_a_pause"),
        sa.CheckConstraint("(pause_id IS NULL) = (paused_at IS NULL)", name="drill_pause_is_whole"),
        sa.ForeignKeyConstraint(["pause_id"], ["pause.id"]),
        sa.PrimaryKeyConstraint("id"),
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_table("drill")

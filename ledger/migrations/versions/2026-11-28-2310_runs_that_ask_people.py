"""Runs that ask people before they send, and the one-time codes by which people answer.

Revision: c41e7d90a2f6
After:    7c1e5a90d4f3
Written:  2026-11-28 23:10:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "c41e7d90a2f6"
down_revision = "7c1e5a90d4f3"
branch_labels = None
depends_on = None

STATES = "'none', 'approved', 'undecided', 'awaiting', 'narrowing', 'rejected', 'lapsed'"


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.add_column("campaign_run", sa.Column("approval", sa.Text(), nullable=False, server_default=sa.text("'none'")))
    op.add_column("campaign_run", sa.Column("approval_above", sa.Integer(), nullable=True))
    op.add_column("campaign_run", sa.Column("approval_subject", sa.Text(), nullable=True))
    op.add_column("campaign_run", sa.Column("approval_asked_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("campaign_run", sa.Column("approval_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("campaign_run", sa.Column("approval_flow_run", sa.Uuid(), nullable=True))
    op.add_column("campaign_run", sa.Column("approved_max", sa.Integer(), nullable=True))
    op.add_column("campaign_run", sa.Column("approved_rank", sa.Text(), nullable=True))
    op.create_check_constraint("campaign_run_approval", "campaign_run", f"approval IN ({STATES})")
    op.create_check_constraint(
        "campaign_run_asks_whole",
        "campaign_run",
        "approval <> 'awaiting' OR (approval_subject IS NOT NULL AND approval_until IS NOT NULL)",
    )
    op.create_table(
        "approval_code",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("campaign_run_id", sa.BigInteger(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_for", sa.Text(), nullable=True),
        sa.CheckConstraint("used_at IS NULL OR used_for IS NOT NULL", name="approval_code_used_for"),
        sa.ForeignKeyConstraint(["campaign_run_id"], ["campaign_run.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "approval_answer",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("campaign_run_id", sa.BigInteger(), nullable=False),
        sa.Column("subject_hash", sa.Text(), nullable=True),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("approval_code_id", sa.BigInteger(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("outcome IN ('asked', 'approved', 'rejected', 'refused', 'wrong_code')", name="approval_answer_outcome"),
        sa.ForeignKeyConstraint(["approval_code_id"], ["approval_code.id"]),
        sa.ForeignKeyConstraint(["campaign_run_id"], ["campaign_run.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("campaign_run_id", "form", name="approval_answer_once"),
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_table("approval_answer")
    op.drop_table("approval_code")
    # What people have not said yes to must not begin to send because nobody remembers that they were asked.
    op.execute("UPDATE campaign_run SET state = 'rejected' WHERE approval NOT IN ('none', 'approved')")
    op.drop_column("campaign_run", "approved_rank")
    op.drop_column("campaign_run", "approved_max")
    op.drop_column("campaign_run", "approval_flow_run")
    op.drop_column("campaign_run", "approval_until")
    op.drop_column("campaign_run", "approval_asked_at")
    op.drop_column("campaign_run", "approval_subject")
    op.drop_column("campaign_run", "approval_above")
    op.drop_column("campaign_run", "approval")

"""The phone team has a queue, and a voice keeps what it may say.

Revision: b7d20e5f9c31
After:    5d70c2e81a94
Written:  2026-11-29 06:30:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "b7d20e5f9c31"
down_revision = "5d70c2e81a94"
branch_labels = None
depends_on = None

STAGES = "'pre_due', 'early', 'mid', 'late', 'recovery', 'correction', 'promise', 'reply', 'confirmation'"
RESULTS = (
    "'no_answer', 'busy', 'not_in_service', 'dropped', 'voicemail', 'limited_content_voicemail', 'ringless_voicemail', 'conversation', "
    "'delivered', 'read', 'undelivered', 'failed', 'wrong_number', 'sent', 'received'"
)


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_constraint("campaign_run_stage", "campaign_run")
    op.create_check_constraint("campaign_run_stage", "campaign_run", f"stage IN ({STAGES}, 'callback', 'call')")
    op.create_table(
        "call_task",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("contact_point_id", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("because", sa.Text(), nullable=False),
        sa.Column("opens_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closes_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("missed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempt_business_date", sa.Date(), nullable=True),
        sa.Column("attempt_id", sa.BigInteger(), nullable=True),
        sa.Column("taken_by", sa.Text(), nullable=True),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("reason IN ('callback', 'unreached', 'strategy')", name="call_task_reason"),
        sa.CheckConstraint("state IN ('waiting', 'taken', 'done', 'withdrawn', 'lapsed')", name="call_task_state"),
        sa.CheckConstraint(f"result IN ({RESULTS})", name="call_task_result"),
        sa.CheckConstraint("closes_at > opens_at", name="call_task_window"),
        sa.CheckConstraint("(attempt_id IS NULL) = (attempt_business_date IS NULL)", name="call_task_attempt_is_whole"),
        sa.CheckConstraint("state <> 'taken' OR (taken_by IS NOT NULL AND attempt_id IS NOT NULL)", name="call_task_taken_by_somebody"),
        sa.CheckConstraint("(state IN ('waiting', 'taken')) = (closed_at IS NULL)", name="call_task_closed"),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"]),
        sa.ForeignKeyConstraint(["contact_point_id"], ["contact_point.id"]),
        sa.ForeignKeyConstraint(["attempt_business_date", "attempt_id"], ["attempt.business_date", "attempt.id"], name="call_task_attempt"),
        sa.PrimaryKeyConstraint("id"),
    )
    waiting = sa.text("state = 'waiting'")
    op.create_index("call_task_one_waiting", "call_task", ["party_id"], unique=True, postgresql_where=waiting)
    op.create_index("call_task_of_party", "call_task", ["party_id"])
    op.create_index(
        "call_task_of_attempt",
        "call_task",
        ["attempt_business_date", "attempt_id"],
        postgresql_where=sa.text("attempt_id IS NOT NULL"),
    )
    op.create_index("call_task_open", "call_task", ["closes_at"], postgresql_where=sa.text("state IN ('waiting', 'taken')"))
    op.create_table(
        "call_words",
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("attempt_id", sa.BigInteger(), nullable=False),
        sa.Column("token", sa.Uuid(), nullable=False),
        sa.Column("words_encrypted", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.ForeignKeyConstraint(["business_date", "attempt_id"], ["attempt.business_date", "attempt.id"], name="call_words_attempt"),
        sa.PrimaryKeyConstraint("business_date", "attempt_id"),
    )
    op.create_index("call_words_token", "call_words", ["token"], unique=True)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_table("call_words")
    op.drop_table("call_task")
    op.drop_constraint("campaign_run_stage", "campaign_run")
    op.create_check_constraint("campaign_run_stage", "campaign_run", f"stage IN ({STAGES})")

"""The phone team: who may call whom and when, whose card is whose, how talks went, what people need.

Revision: 2f9b6d07c4e1
After:    b7d20c95e114
Written:  2026-11-29 18:55:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "2f9b6d07c4e1"
down_revision = "b7d20c95e114"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.create_table(
        "agent",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("staff_id", sa.BigInteger(), nullable=True),
        sa.Column("languages", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("jurisdictions", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("phone_encrypted", sa.LargeBinary(), nullable=True),
        sa.Column("phone_key_id", sa.Text(), nullable=True),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("said_by", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("(phone_encrypted IS NULL) = (phone_key_id IS NULL)", name="agent_phone_is_whole"),
        sa.ForeignKeyConstraint(
            ["staff_id"],
            ["staff.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_index(
        "agent_of_staff", "agent", ["staff_id"], unique=True, postgresql_where=sa.text("staff_id IS NOT NULL AND left_at IS NULL")
    )
    op.create_table(
        "agent_certificate",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("agent_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("jurisdiction", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=False),
        sa.Column("said_by", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("valid_until > valid_from", name="agent_certificate_window"),
        sa.ForeignKeyConstraint(
            ["agent_id"],
            ["agent.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("agent_id", "kind", "jurisdiction", "valid_from", name="agent_certificate_once"),
    )
    op.create_table(
        "agent_shift",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("agent_id", sa.BigInteger(), nullable=False),
        sa.Column("weekday", sa.Integer(), nullable=False),
        sa.Column("opens", sa.Time(), nullable=False),
        sa.Column("closes", sa.Time(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=True),
        sa.Column("said_by", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("closes > opens", name="agent_shift_hours"),
        sa.CheckConstraint("ends_on >= starts_on", name="agent_shift_dates"),
        sa.CheckConstraint("weekday BETWEEN 1 AND 7", name="agent_shift_weekday"),
        sa.ForeignKeyConstraint(
            ["agent_id"],
            ["agent.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("agent_id", "weekday", "opens", "starts_on", name="agent_shift_once"),
    )
    op.create_table(
        "call_card",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        sa.Column("agent_id", sa.BigInteger(), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["agent_id"],
            ["agent.id"],
        ),
        sa.ForeignKeyConstraint(
            ["task_id"],
            ["call_task.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("call_card_of_agent", "call_card", ["agent_id"], unique=True)
    op.create_index("call_card_of_task", "call_card", ["task_id"], unique=True)
    op.create_table(
        "agent_call",
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("attempt_id", sa.BigInteger(), nullable=False),
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        sa.Column("agent_id", sa.BigInteger(), nullable=False),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("required", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("said", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("why_encrypted", sa.LargeBinary(), nullable=True),
        sa.Column("why_key_id", sa.Text(), nullable=True),
        sa.Column("recording", sa.Text(), nullable=False),
        sa.Column("recording_rule", sa.Text(), nullable=True),
        sa.Column("is_recorded", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("provider_id", sa.Text(), nullable=True),
        sa.Column("line", sa.Text(), nullable=True),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("recording IN ('none', 'ask', 'announce')", name="agent_call_recording"),
        sa.CheckConstraint("(why_encrypted IS NULL) = (why_key_id IS NULL)", name="agent_call_why_is_whole"),
        sa.ForeignKeyConstraint(
            ["agent_id"],
            ["agent.id"],
        ),
        sa.ForeignKeyConstraint(["business_date", "attempt_id"], ["attempt.business_date", "attempt.id"], name="agent_call_attempt"),
        sa.ForeignKeyConstraint(
            ["party_id"],
            ["party.id"],
        ),
        sa.ForeignKeyConstraint(
            ["task_id"],
            ["call_task.id"],
        ),
        sa.PrimaryKeyConstraint("business_date", "attempt_id"),
    )
    op.create_index("agent_call_of_agent", "agent_call", ["agent_id", "at"], unique=False)
    op.create_index("agent_call_of_task", "agent_call", ["task_id"], unique=False)
    op.create_index("agent_call_provider", "agent_call", ["provider_id"], unique=True, postgresql_where=sa.text("provider_id IS NOT NULL"))
    op.create_table(
        "person_need",
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("import_batch_id", sa.BigInteger(), nullable=True),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("need", sa.Text(), nullable=False),
        sa.Column("is_over", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.ForeignKeyConstraint(
            ["import_batch_id"],
            ["import_batch.id"],
        ),
        sa.ForeignKeyConstraint(
            ["party_id"],
            ["party.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_person_need_party_id"), "person_need", ["party_id"], unique=False)
    op.create_index(
        "person_need_current", "person_need", ["party_id", "need"], unique=True, postgresql_where=sa.text("superseded_at IS NULL")
    )
    op.create_table(
        "call_score",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("attempt_id", sa.BigInteger(), nullable=False),
        sa.Column("scored_by", sa.Text(), nullable=False),
        sa.Column("scores", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("per_cent", sa.Integer(), nullable=False),
        sa.Column("note_encrypted", sa.LargeBinary(), nullable=True),
        sa.Column("note_key_id", sa.Text(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("(note_encrypted IS NULL) = (note_key_id IS NULL)", name="call_score_note_is_whole"),
        sa.CheckConstraint("per_cent BETWEEN 0 AND 100", name="call_score_per_cent"),
        sa.ForeignKeyConstraint(
            ["business_date", "attempt_id"], ["agent_call.business_date", "agent_call.attempt_id"], name="call_score_call"
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("business_date", "attempt_id", "scored_by", name="call_score_once"),
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_table("call_score")
    op.drop_table("person_need")
    op.drop_table("agent_call")
    op.drop_table("call_card")
    op.drop_table("agent_shift")
    op.drop_table("agent_certificate")
    op.drop_table("agent")

"""What the core system is told: instructions, and what happened to each; cases of those, and of payments that fit nowhere.

Revision: 3d7b90c4e851
After:    6e1f93a7c2d4
Written:  2026-11-29 18:40:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "3d7b90c4e851"
down_revision = "6e1f93a7c2d4"
branch_labels = None
depends_on = None

CASES = "'dispute', 'complaint', 'hardship', 'deceased', 'data_request', 'wrong_number', 'incident'"
KINDS = "'plan', 'extension', 'fee_freeze', 'interest_freeze', 'waiver', 'stop_debit', 'status'"
STATES = "'needs_approval', 'queued', 'delivered', 'late', 'accepted', 'applied', 'refused'"
EVENTS = f"'asked', 'approved', 'rejected', 'tried', 'told_late', 'contradicted', {STATES}"
WAITING = "state IN ('queued', 'delivered', 'late', 'accepted')"


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_constraint("borrower_case_kind", "borrower_case")
    op.create_check_constraint("borrower_case_kind", "borrower_case", f"kind IN ({CASES}, 'core_instruction', 'payment')")
    op.create_table(
        "core_instruction",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("token", sa.Uuid(), nullable=False),
        sa.Column("loan_id", sa.BigInteger(), nullable=False),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("terms", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("relief_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("asked_as", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accept_by", sa.DateTime(timezone=True), nullable=True),
        sa.Column("apply_by", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_try_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason_code", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint(f"kind IN ({KINDS})", name="core_instruction_kind"),
        sa.CheckConstraint(f"state IN ({STATES})", name="core_instruction_state"),
        sa.CheckConstraint("relief_minor >= 0", name="core_instruction_relief_not_negative"),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name="core_instruction_currency_iso4217"),
        sa.CheckConstraint("(queued_at IS NULL) = (accept_by IS NULL AND apply_by IS NULL)", name="core_instruction_due_once_queued"),
        sa.ForeignKeyConstraint(["loan_id"], ["loan.id"]),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key", name="core_instruction_key"),
        sa.UniqueConstraint("token", name="core_instruction_token"),
    )
    op.create_index("core_instruction_of_loan", "core_instruction", ["loan_id"])
    op.create_index("core_instruction_of_party", "core_instruction", ["party_id"])
    op.create_index("core_instruction_waiting", "core_instruction", ["next_try_at"], postgresql_where=sa.text(WAITING))
    op.create_table(
        "core_instruction_event",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("instruction_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("said_by", sa.Text(), nullable=False),
        sa.Column("said_as", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint(f"kind IN ({EVENTS})", name="core_instruction_event_kind"),
        sa.ForeignKeyConstraint(["instruction_id"], ["core_instruction.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("core_instruction_event_of_instruction", "core_instruction_event", ["instruction_id"])
    op.create_index(
        "core_instruction_event_signed_once",
        "core_instruction_event",
        ["instruction_id", "said_by"],
        unique=True,
        postgresql_where=sa.text("kind = 'approved'"),
    )
    op.create_index(
        "core_instruction_event_told_once",
        "core_instruction_event",
        ["instruction_id", "reason"],
        unique=True,
        postgresql_where=sa.text("kind = 'told_late'"),
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_table("core_instruction_event")
    op.drop_table("core_instruction")
    op.drop_constraint("borrower_case_kind", "borrower_case")
    op.create_check_constraint("borrower_case_kind", "borrower_case", f"kind IN ({CASES})")

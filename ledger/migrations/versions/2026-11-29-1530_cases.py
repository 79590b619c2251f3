"""What people are owed an answer to: cases with deadlines, and what happened to each.

Revision: 8c41f6a0d25e
After:    c41a7be09d52
Written:  2026-11-29 15:30:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "8c41f6a0d25e"
down_revision = "c41a7be09d52"
branch_labels = None
depends_on = None

STAGES = "'pre_due', 'early', 'mid', 'late', 'recovery', 'correction', 'promise', 'reply', 'confirmation', 'callback', 'call', 'code'"
KINDS = "'dispute', 'complaint', 'hardship', 'deceased', 'data_request', 'wrong_number', 'incident'"
STATED_BY = (
    "'borrower', 'co_borrower', 'guarantor', 'executor', 'attorney', 'debt_adviser', 'household', 'third_party', 'authority', 'unknown'"
)
EVENTS = "'opened', 'said_again', 'taken', 'acknowledged', 'answered', 'note', 'closed', 'near', 'late'"
OPEN = "state <> 'closed'"
TOLD = "kind IN ('near', 'late')"


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_constraint("campaign_run_stage", "campaign_run")
    op.create_check_constraint("campaign_run_stage", "campaign_run", f"stage IN ({STAGES}, 'case')")
    op.create_table(
        "borrower_case",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("loan_id", sa.BigInteger(), nullable=True),
        sa.Column("provider_event_id", sa.BigInteger(), nullable=True),
        sa.Column("stated_by", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("disputed_minor", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opened_on", sa.Date(), nullable=False),
        sa.Column("acknowledge_by", sa.Date(), nullable=False),
        sa.Column("acknowledge_rule", sa.Text(), nullable=False),
        sa.Column("answer_by", sa.Date(), nullable=False),
        sa.Column("answer_rule", sa.Text(), nullable=False),
        sa.Column("law_answer_by", sa.Date(), nullable=True),
        sa.Column("law_rule", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint(f"kind IN ({KINDS})", name="borrower_case_kind"),
        sa.CheckConstraint("state IN ('open', 'acknowledged', 'answered', 'closed')", name="borrower_case_state"),
        sa.CheckConstraint(f"stated_by IN ({STATED_BY})", name="borrower_case_stated_by"),
        sa.CheckConstraint("disputed_minor IS NULL OR (disputed_minor > 0 AND currency IS NOT NULL)", name="borrower_case_part_is_money"),
        sa.CheckConstraint("(state = 'closed') = (closed_at IS NOT NULL)", name="borrower_case_closed"),
        sa.CheckConstraint("(state = 'closed') = (result IS NOT NULL)", name="borrower_case_ends_with_a_result"),
        sa.CheckConstraint("(law_answer_by IS NULL) = (law_rule IS NULL)", name="borrower_case_law_is_named"),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"]),
        sa.ForeignKeyConstraint(["loan_id"], ["loan.id"]),
        sa.ForeignKeyConstraint(["provider_event_id"], ["provider_event.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "borrower_case_one_open",
        "borrower_case",
        ["party_id", "kind", "loan_id"],
        unique=True,
        postgresql_where=sa.text(OPEN),
        postgresql_nulls_not_distinct=True,
    )
    op.create_index("borrower_case_of_party", "borrower_case", ["party_id"])
    op.create_index("borrower_case_due", "borrower_case", ["answer_by"], postgresql_where=sa.text(OPEN))
    op.create_table(
        "case_event",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("case_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("said_by", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("words_encrypted", sa.LargeBinary(), nullable=True),
        sa.Column("key_id", sa.Text(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint(f"kind IN ({EVENTS})", name="case_event_kind"),
        sa.CheckConstraint("(words_encrypted IS NULL) = (key_id IS NULL)", name="case_event_words_have_a_key"),
        sa.ForeignKeyConstraint(["case_id"], ["borrower_case.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("case_event_of_case", "case_event", ["case_id"])
    op.create_index("case_event_told_once", "case_event", ["case_id", "kind", "reference"], unique=True, postgresql_where=sa.text(TOLD))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_table("case_event")
    op.drop_table("borrower_case")
    op.drop_constraint("campaign_run_stage", "campaign_run")
    op.create_check_constraint("campaign_run_stage", "campaign_run", f"stage IN ({STAGES})")

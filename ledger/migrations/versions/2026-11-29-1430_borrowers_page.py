"""The borrower's page: codes, sessions, closed links; codes may be asked for again; complaints among the answers.

Revision: c41f7a83d2e6
After:    b7d20e5f9c31
Written:  2026-11-29 14:30:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "c41f7a83d2e6"
down_revision = "b7d20e5f9c31"
branch_labels = None
depends_on = None

STAGES = "'pre_due', 'early', 'mid', 'late', 'recovery', 'correction', 'promise', 'reply', 'confirmation', 'callback', 'call'"
INTENTS = "'stop', 'start', 'paid', 'promise', 'cannot_pay', 'dispute', 'wrong_person', 'call_me', 'help', 'danger', 'unclear'"
LIVE = "state IN ('planned', 'submitting', 'accepted', 'sent', 'delivered', 'read', 'replied', 'unknown', 'parked')"


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    _stages(f"{STAGES}, 'code'")
    _intents(f"{INTENTS}, 'complaint'")
    _one_live(f"{LIVE} AND stage <> 'code'")
    op.create_table(
        "page_code",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("link_attempt_id", sa.BigInteger(), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("attempt_id", sa.BigInteger(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("wrong_tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("wrong_tries >= 0", name="page_code_tries_not_negative"),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"]),
        sa.ForeignKeyConstraint(["business_date", "attempt_id"], ["attempt.business_date", "attempt.id"], name="page_code_attempt"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("page_code_of_party", "page_code", ["party_id", "asked_at"])
    op.create_table(
        "page_session",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("link_business_date", sa.Date(), nullable=False),
        sa.Column("link_attempt_id", sa.BigInteger(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"]),
        sa.ForeignKeyConstraint(
            ["link_business_date", "link_attempt_id"], ["attempt.business_date", "attempt.id"], name="page_session_attempt"
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("page_session_secret", "page_session", ["secret_hash"], unique=True)
    op.create_index("page_session_of_party", "page_session", ["party_id"])
    op.create_table(
        "page_closing",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("page_closing_of_party", "page_closing", ["party_id", "at"])


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_table("page_closing")
    op.drop_table("page_session")
    op.drop_table("page_code")
    _one_live(LIVE)
    _intents(INTENTS)
    _stages(STAGES)


def _stages(words: str) -> None:
    op.drop_constraint("campaign_run_stage", "campaign_run")
    op.create_check_constraint("campaign_run_stage", "campaign_run", f"stage IN ({words})")


def _intents(words: str) -> None:
    op.drop_constraint("outcome_intent", "outcome")
    op.create_check_constraint("outcome_intent", "outcome", f"intent IN ({words})")


def _one_live(where: str) -> None:
    op.drop_index("attempt_one_live", "attempt")
    op.create_index("attempt_one_live", "attempt", ["business_date", "party_id", "stage"], unique=True, postgresql_where=sa.text(where))

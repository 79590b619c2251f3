"""Plans that fit: what moved in wallets, what was offered and chosen, plans that the lender refused, runs that tell of plans.

Revision: 3d8b50f1c7a9
After:    3d7b90c4e851
Written:  2026-11-29 18:40:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "3d8b50f1c7a9"
down_revision = "3d7b90c4e851"
branch_labels = None
depends_on = None

STAGES = (
    "'pre_due', 'early', 'mid', 'late', 'recovery', 'correction', 'promise', 'reply', 'confirmation', 'callback', 'call', 'code', 'case',"
    " 'education'"
)
KINDS = (
    "'salary', 'sales', 'regular_income', 'loan_payout', 'refund', 'transfer_in', 'one_off_income', 'essential', 'debt', 'other',"
    " 'transfer_out', 'balance'"
)


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    _words("campaign_run", "campaign_run_stage", "stage", f"{STAGES}, 'plan'")
    _words(
        "plan_version",
        "plan_status",
        "status",
        "'offered', 'accepted', 'refused', 'active', 'late', 'broken', 'renegotiated', 'completed'",
    )
    op.create_table(
        "wallet_flow",
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("import_batch_id", sa.BigInteger(), nullable=True),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("moved_on", sa.Date(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(f"kind IN ({KINDS})", name="wallet_flow_kind"),
        sa.CheckConstraint("amount_minor >= 0", name="wallet_flow_not_negative"),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name="wallet_flow_currency_iso4217"),
        sa.ForeignKeyConstraint(["import_batch_id"], ["import_batch.id"]),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "wallet_flow_current",
        "wallet_flow",
        ["party_id", "moved_on", "kind", "currency"],
        unique=True,
        postgresql_where=sa.text("superseded_at IS NULL"),
    )
    op.create_table(
        "plan_offer",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("loan_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("road", sa.Text(), nullable=False),
        sa.Column("figures_from", sa.Text(), nullable=False),
        sa.Column("rule_hash", sa.Text(), nullable=False),
        sa.Column("circumstances_digest", sa.LargeBinary(), nullable=False),
        sa.Column("offer_digest", sa.LargeBinary(), nullable=False),
        sa.Column("record_encrypted", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("road IN ('extension', 'plan', 'review', 'hardship')", name="plan_offer_road"),
        sa.CheckConstraint("figures_from IN ('wallet', 'borrower', 'both')", name="plan_offer_figures_from"),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"]),
        sa.ForeignKeyConstraint(["loan_id"], ["loan.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("plan_offer_of_party", "plan_offer", ["party_id"])
    op.create_index("plan_offer_alike", "plan_offer", ["rule_hash", "circumstances_digest"])
    op.create_table(
        "plan_choice",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("offer_id", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("plan_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.ForeignKeyConstraint(["offer_id"], ["plan_offer.id"]),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"]),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("offer_id", name="plan_choice_one_of_an_offer"),
        sa.UniqueConstraint("plan_id", name="plan_choice_of_plan"),
    )
    op.create_index("plan_choice_of_party", "plan_choice", ["party_id"])


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_table("plan_choice")
    op.drop_table("plan_offer")
    op.drop_table("wallet_flow")
    _words("plan_version", "plan_status", "status", "'offered', 'accepted', 'active', 'late', 'broken', 'renegotiated', 'completed'")
    _words("campaign_run", "campaign_run_stage", "stage", STAGES)


def _words(table: str, name: str, column: str, words: str) -> None:
    op.drop_constraint(name, table)
    op.create_check_constraint(name, table, f"{column} IN ({words})")

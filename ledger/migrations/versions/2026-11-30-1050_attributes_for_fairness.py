"""Attributes of people that are held to see whether groups are treated alike, and how models err for groups.

Revision: 5e1f0c94b7d2
After:    6d0f3b8a51c7
Written:  2026-11-30 10:50:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "5e1f0c94b7d2"
down_revision = "6d0f3b8a51c7"
branch_labels = None
depends_on = None

WORDS = (
    "attribute = 'age_band' AND value IN ('under_25', '25_34', '35_44', '45_54', '55_64', '65_and_over')"
    " OR attribute = 'sex' AND value IN ('female', 'male', 'other') OR attribute = 'disability' AND value IN ('yes', 'no')"
)


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.create_table(
        "fairness_attribute",
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("import_batch_id", sa.BigInteger(), nullable=True),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("attribute", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.CheckConstraint(WORDS, name="fairness_attribute_words"),
        sa.ForeignKeyConstraint(["import_batch_id"], ["import_batch.id"]),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "fairness_attribute_current",
        "fairness_attribute",
        ["party_id", "attribute"],
        unique=True,
        postgresql_where=sa.text("superseded_at IS NULL"),
    )
    op.create_table(
        "model_groups",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("fairness", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.ForeignKeyConstraint(["version"], ["model_version.version"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("model_groups_of_version", "model_groups", ["version", "id"])


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_table("model_groups")
    op.drop_table("fairness_attribute")

"""models that were learned, and their texts as policies.

Revision: 5b83d0f1c2a7
After:    9a3e57c0d1b6
Written:  2026-11-29 23:05:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "5b83d0f1c2a7"
down_revision = "9a3e57c0d1b6"
branch_labels = None
depends_on = None

BEFORE = "'rules', 'strategy', 'message', 'experiment', 'mapping', 'calendar', 'ageing', 'clearance', 'affordability'"


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    _kinds(f"{BEFORE}, 'model'")
    op.create_table(
        "model_version",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("data_hash", sa.Text(), nullable=False),
        sa.Column("features", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("metrics", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("calibration", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("fairness", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("trained_as_of", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("method IN ('boosting', 'logistic', 'boosting_then_arms')", name="model_version_method"),
        sa.ForeignKeyConstraint(["version"], ["policy_version.hash"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("version", name="model_version_once"),
    )
    op.create_index("model_version_of_kind", "model_version", ["kind", "id"])


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_table("model_version")
    op.execute("DELETE FROM policy_version WHERE kind = 'model'")
    _kinds(BEFORE)


def _kinds(listed: str) -> None:
    op.drop_constraint("policy_version_kind", "policy_version")
    op.create_check_constraint("policy_version_kind", "policy_version", f"kind IN ({listed})")

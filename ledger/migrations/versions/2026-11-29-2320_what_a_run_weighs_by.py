"""What a run's decisions by a model have in common; strategies of some of a run's borrowers, and prices, are policies.

Revision: 7e40b1c9d3a5
After:    7e41c8a92d30
Written:  2026-11-29 23:20:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "7e40b1c9d3a5"
down_revision = "7e41c8a92d30"
branch_labels = None
depends_on = None

BEFORE = "'rules', 'strategy', 'message', 'experiment', 'mapping', 'calendar', 'ageing', 'clearance', 'affordability', 'model'"


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    _kinds(f"{BEFORE}, 'prices', 'arm'")
    op.create_table(
        "run_policy",
        sa.Column("campaign_run_id", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("prices", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("trials", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.ForeignKeyConstraint(["campaign_run_id"], ["campaign_run.id"]),
        sa.PrimaryKeyConstraint("campaign_run_id"),
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_table("run_policy")
    op.execute("DELETE FROM policy_version WHERE kind IN ('prices', 'arm')")
    _kinds(BEFORE)


def _kinds(listed: str) -> None:
    op.drop_constraint("policy_version_kind", "policy_version")
    op.create_check_constraint("policy_version_kind", "policy_version", f"kind IN ({listed})")

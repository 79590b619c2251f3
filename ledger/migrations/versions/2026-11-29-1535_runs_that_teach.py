"""Runs of short lessons.

Revision: 6e1f93a7c2d4
After:    8c41f6a0d25e
Written:  2026-11-29 15:35:00
"""

from __future__ import annotations

from alembic import op

revision = "6e1f93a7c2d4"
down_revision = "8c41f6a0d25e"
branch_labels = None
depends_on = None

BEFORE = (
    "'pre_due', 'early', 'mid', 'late', 'recovery', 'correction', 'promise', 'reply', 'confirmation', 'callback', 'call', 'code', 'case'"
)


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_constraint("campaign_run_stage", "campaign_run")
    op.create_check_constraint("campaign_run_stage", "campaign_run", f"stage IN ({BEFORE}, 'education')")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_constraint("campaign_run_stage", "campaign_run")
    op.create_check_constraint("campaign_run_stage", "campaign_run", f"stage IN ({BEFORE})")

"""A campaign run may remind people of what they promised.

Revision: 5d02f8b3ca71
After:    c41e7d90a2f6
Written:  2026-11-28 23:40:00
"""

from __future__ import annotations

from alembic import op

revision = "5d02f8b3ca71"
down_revision = "c41e7d90a2f6"
branch_labels = None
depends_on = None

BEFORE = "'pre_due', 'early', 'mid', 'late', 'recovery', 'correction'"


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_constraint("campaign_run_stage", "campaign_run")
    op.create_check_constraint("campaign_run_stage", "campaign_run", f"stage IN ({BEFORE}, 'promise')")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_constraint("campaign_run_stage", "campaign_run")
    op.create_check_constraint("campaign_run_stage", "campaign_run", f"stage IN ({BEFORE})")

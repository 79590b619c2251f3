"""A campaign run may put right what was wrong, whatever a person owes.

Revision: 27c0e95d4b16
After:    8b1f4e6a90d3
Written:  2026-11-28 22:45:00
"""

from __future__ import annotations

from alembic import op

revision = "27c0e95d4b16"
down_revision = "8b1f4e6a90d3"
branch_labels = None
depends_on = None

STAGES = "'pre_due', 'early', 'mid', 'late', 'recovery'"


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_constraint("campaign_run_stage", "campaign_run")
    op.create_check_constraint("campaign_run_stage", "campaign_run", f"stage IN ({STAGES}, 'correction')")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_constraint("campaign_run_stage", "campaign_run")
    op.create_check_constraint("campaign_run_stage", "campaign_run", f"stage IN ({STAGES})")

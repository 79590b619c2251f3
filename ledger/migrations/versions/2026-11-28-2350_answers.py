"""A campaign run may answer what people wrote: a question for help, or a stop that is confirmed.

Revision: 6e0b93d1f7a4
After:    f3a8c25e7d10
Written:  2026-11-28 23:50:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "6e0b93d1f7a4"
down_revision = "f3a8c25e7d10"
branch_labels = None
depends_on = None

STAGES = "'pre_due', 'early', 'mid', 'late', 'recovery', 'correction', 'promise'"


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_constraint("campaign_run_stage", "campaign_run")
    op.create_check_constraint("campaign_run_stage", "campaign_run", f"stage IN ({STAGES}, 'reply', 'confirmation')")
    op.create_index("outcome_to_answer", "outcome", ["at"], postgresql_where=sa.text("intent IN ('help', 'stop')"))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_index("outcome_to_answer", table_name="outcome", postgresql_where=sa.text("intent IN ('help', 'stop')"))
    op.drop_constraint("campaign_run_stage", "campaign_run")
    op.create_check_constraint("campaign_run_stage", "campaign_run", f"stage IN ({STAGES})")

"""Few first, where a strategy or a text is new: which part of a run may be sent, and in which mode it was opened.

Revision: f3a8c25e7d10
After:    5d02f8b3ca71
Written:  2026-11-28 23:45:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "f3a8c25e7d10"
down_revision = "5d02f8b3ca71"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.add_column("campaign_run", sa.Column("mode", sa.Text(), nullable=False, server_default=sa.text("'sandbox'")))
    op.add_column("campaign_run", sa.Column("canary", sa.Text(), nullable=False, server_default=sa.text("'none'")))
    op.add_column("campaign_run", sa.Column("canary_rank", sa.Text(), nullable=True))
    op.add_column("campaign_run", sa.Column("canary_said", sa.Text(), nullable=True))
    op.create_check_constraint("campaign_run_mode", "campaign_run", "mode IN ('sandbox', 'allowlist', 'live')")
    op.create_check_constraint(
        "campaign_run_canary",
        "campaign_run",
        "canary IN ('none', 'trying', 'passed', 'undecided', 'untried', 'stopped')",
    )
    op.create_check_constraint("campaign_run_canary_rank", "campaign_run", "canary <> 'trying' OR canary_rank IS NOT NULL")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    # What was held back must not be sent because nobody remembers why: people resume it.
    op.execute("UPDATE campaign_run SET state = 'paused' WHERE canary NOT IN ('none', 'passed') AND state IN ('open', 'closed')")
    op.drop_column("campaign_run", "canary_said")
    op.drop_column("campaign_run", "canary_rank")
    op.drop_column("campaign_run", "canary")
    op.drop_column("campaign_run", "mode")

"""The slot of hours that a decision chose, where a model weighs hours.

Revision: 5c1d2e7f9a04
After:    4d9be2f07c13
Written:  2026-11-29 23:06:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "5c1d2e7f9a04"
down_revision = "4d9be2f07c13"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.add_column("decision", sa.Column("hour_slot", sa.SmallInteger(), nullable=True))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_column("decision", "hour_slot")

"""A mark before each call, and the first look at a provider's list that did not find it.

Revision: 2c7ad4e81b60
After:    c4a7d1e83f52
Written:  2026-11-28 22:55:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "2c7ad4e81b60"
down_revision = "c4a7d1e83f52"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.add_column("attempt", sa.Column("called_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("attempt", sa.Column("not_listed_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_column("attempt", "not_listed_at")
    op.drop_column("attempt", "called_at")

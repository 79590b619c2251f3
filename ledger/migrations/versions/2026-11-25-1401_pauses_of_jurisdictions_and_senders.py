"""Pauses of a jurisdiction or a sender, and who said so.

Revision: 8c41d7a05e2b
After:    8d1f0c5b7a21
Written:  2026-11-25 14:01:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "8c41d7a05e2b"
down_revision = "8d1f0c5b7a21"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.add_column("pause", sa.Column("jurisdiction", sa.Text(), nullable=True))
    op.add_column("pause", sa.Column("sender", sa.Text(), nullable=True))
    op.add_column("pause", sa.Column("said_by", sa.Text(), nullable=True))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    # A pause of a part must not become one of everything, nor vanish silently: end those rows first.
    op.execute(
        "UPDATE pause SET superseded_at = clock_timestamp() WHERE superseded_at IS NULL AND coalesce(jurisdiction, sender) IS NOT NULL"
    )
    op.drop_column("pause", "said_by")
    op.drop_column("pause", "sender")
    op.drop_column("pause", "jurisdiction")

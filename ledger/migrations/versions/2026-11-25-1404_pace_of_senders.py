"""One pace a sender over all processes, and parked attempts found without a search.

Revision: 5b7e2f90c31d
After:    8c41d7a05e2b
Written:  2026-11-25 14:04:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "5b7e2f90c31d"
down_revision = "8c41d7a05e2b"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.create_table(
        "sender_pace",
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("free_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("sender"),
    )
    op.create_index("attempt_parked", "attempt", ["id"], unique=False, postgresql_where=sa.text("state = 'parked'"))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_index("attempt_parked", table_name="attempt", postgresql_where=sa.text("state = 'parked'"))
    op.drop_table("sender_pace")

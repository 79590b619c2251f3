"""Keep who wrote to which address of the lender's: where a person may be answered in free words depends on it.

Revision: 5d70c2e81a94
After:    8c14e7a92b06
Written:  2026-11-29 06:10:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "5d70c2e81a94"
down_revision = "8c14e7a92b06"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.create_table(
        "person_wrote",
        sa.Column("provider_event_id", sa.BigInteger(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("blind_index", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("channel IN ('whatsapp', 'messenger', 'rcs')", name="person_wrote_channel"),
        sa.ForeignKeyConstraint(["provider_event_id"], ["provider_event.id"]),
        sa.PrimaryKeyConstraint("provider_event_id", "sender"),
    )
    op.create_index("person_wrote_last", "person_wrote", ["blind_index", "channel", "sender", "at"])


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_index("person_wrote_last", table_name="person_wrote")
    op.drop_table("person_wrote")

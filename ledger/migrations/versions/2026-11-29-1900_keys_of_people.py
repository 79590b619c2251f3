"""Keys of people: what one person's values are encrypted with, and may be destroyed.

Revision: 0b7c5d2e91f4
After:    2f9b6d07c4e1
Written:  2026-11-29 19:00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0b7c5d2e91f4"
down_revision = "2f9b6d07c4e1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.create_table(
        "party_key",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("party_id", sa.BigInteger(), sa.ForeignKey("party.id"), nullable=False),
        sa.Column("wrapped_by", sa.Text(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
    )
    op.create_index("party_key_of_party", "party_key", ["party_id"])
    # An erased number leaves its row, for what was sent to it, and no value.
    op.alter_column("contact_point_version", "value_encrypted", nullable=True)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.execute("UPDATE contact_point_version SET value_encrypted = '' WHERE value_encrypted IS NULL")
    op.alter_column("contact_point_version", "value_encrypted", nullable=False)
    op.drop_table("party_key")

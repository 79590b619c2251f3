"""Find what was known of a number's owner at a past instant without reading the whole table.

Revision: 8c14e7a92b06
After:    6e0b93d1f7a4
Written:  2026-11-29 00:30:00
"""

from __future__ import annotations

from alembic import op

revision = "8c14e7a92b06"
down_revision = "6e0b93d1f7a4"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.create_index("contact_value_of_value", "contact_value", ["blind_index"])


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_index("contact_value_of_value", table_name="contact_value")

"""Payments that the wallet told of and the books do not show: looked for every morning.

Revision: 9a3e57c0d1b6
After:    e41b7a90d2c6
Written:  2026-11-29 19:40:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "9a3e57c0d1b6"
down_revision = "e41b7a90d2c6"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.create_index("payment_not_booked", "payment", ["effective_at"], postgresql_where=sa.text("NOT booked AND superseded_at IS NULL"))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_index("payment_not_booked", "payment")

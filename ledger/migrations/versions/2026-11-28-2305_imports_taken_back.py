"""An import may be taken back; its rows stay.

Revision: 91e4b7c05da8
After:    2c7ad4e81b60
Written:  2026-11-28 23:05:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "91e4b7c05da8"
down_revision = "2c7ad4e81b60"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.add_column("import_batch", sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("import_batch", sa.Column("withdrawn_by", sa.Text(), nullable=True))
    op.add_column("import_batch", sa.Column("withdrawn_because", sa.Text(), nullable=True))
    whole = "(withdrawn_at IS NULL) = (withdrawn_by IS NULL) AND (withdrawn_at IS NULL) = (withdrawn_because IS NULL)"
    op.create_check_constraint("import_batch_withdrawal_is_whole", "import_batch", whole)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_constraint("import_batch_withdrawal_is_whole", "import_batch")
    op.drop_column("import_batch", "withdrawn_because")
    op.drop_column("import_batch", "withdrawn_by")
    op.drop_column("import_batch", "withdrawn_at")

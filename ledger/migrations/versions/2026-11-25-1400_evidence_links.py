"""evidence of decisions and transitions, linked per run.

Revision: 8d1f0c5b7a21
After:    3f21e2886228
Written:  2026-11-25 14:00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "8d1f0c5b7a21"
down_revision = "3f21e2886228"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.add_column("attempt_transition", sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.add_column("attempt_transition", sa.Column("evidence_batch_id", sa.BigInteger(), nullable=True))
    op.add_column("evidence_batch", sa.Column("kind", sa.Text(), server_default=sa.text("'contacts'"), nullable=False))
    op.add_column("evidence_batch", sa.Column("shard", sa.Integer(), nullable=True))
    op.add_column("evidence_batch", sa.Column("first_id", sa.BigInteger(), nullable=True))
    op.add_column("evidence_batch", sa.Column("last_id", sa.BigInteger(), nullable=True))
    op.add_column("evidence_batch", sa.Column("number", sa.Integer(), nullable=True))
    op.add_column("evidence_batch", sa.Column("link", sa.LargeBinary(), nullable=True))
    op.alter_column("evidence_batch", "claim_id", nullable=True)
    op.create_check_constraint("evidence_batch_kind", "evidence_batch", "kind IN ('decisions', 'transitions', 'contacts')")
    op.create_check_constraint("evidence_batch_link_is_whole", "evidence_batch", "(number IS NULL) = (link IS NULL)")
    op.create_index(
        "evidence_batch_number",
        "evidence_batch",
        ["campaign_run_id", "number"],
        unique=True,
        postgresql_where=sa.text("number IS NOT NULL"),
    )


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_index("evidence_batch_number", table_name="evidence_batch", postgresql_where=sa.text("number IS NOT NULL"))
    op.execute("DELETE FROM evidence_batch WHERE kind <> 'contacts'")
    op.drop_constraint("evidence_batch_link_is_whole", "evidence_batch")
    op.drop_constraint("evidence_batch_kind", "evidence_batch")
    op.alter_column("evidence_batch", "claim_id", nullable=False)
    for column in ("link", "number", "last_id", "first_id", "shard", "kind"):
        op.drop_column("evidence_batch", column)
    op.drop_column("attempt_transition", "evidence_batch_id")
    op.drop_column("attempt_transition", "details")

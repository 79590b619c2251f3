"""People who asked to be erased, and that they were; a hold of their own until then.

Revision: 5c8e02d7f3a1
After:    9b27e4d06f13
Written:  2026-11-29 19:25:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "5c8e02d7f3a1"
down_revision = "9b27e4d06f13"
branch_labels = None
depends_on = None

BEFORE = (
    "'dispute', 'cease', 'refusal_to_pay', 'hardship', 'bankruptcy', 'deceased', 'breathing_space', 'mental_health_crisis', 'attorney', "
    "'complaint', 'fraud', 'paid_claimed', 'promise', 'disaster', 'illness', 'bereavement', 'military', 'plan', 'placed', 'sold', "
    "'litigation', 'debt_adviser', 'callback', 'economic_abuse', 'identity_theft'"
)


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_constraint("hold_kind", "hold")
    op.create_check_constraint("hold_kind", "hold", f"kind IN ({BEFORE}, 'restricted')")
    op.create_table(
        "erasure",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), primary_key=True),
        sa.Column("party_id", sa.BigInteger(), sa.ForeignKey("party.id"), nullable=False),
        sa.Column("case_id", sa.BigInteger(), sa.ForeignKey("borrower_case.id"), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("because", sa.Text(), nullable=True),
        sa.Column("waits_for", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("counts", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("mark", sa.LargeBinary(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("state IN ('restricted', 'erased', 'lifted')", name="erasure_state"),
        sa.CheckConstraint(
            "(state = 'erased') = (erased_at IS NOT NULL) AND (state = 'erased') = (mark IS NOT NULL)", name="erasure_is_whole"
        ),
        sa.CheckConstraint("(state = 'lifted') = (lifted_at IS NOT NULL)", name="erasure_lifted"),
    )
    op.create_index("erasure_of_party", "erasure", ["party_id"], unique=True, postgresql_where=sa.text("state <> 'lifted'"))
    op.create_index("erasure_mark", "erasure", ["mark"], unique=True, postgresql_where=sa.text("mark IS NOT NULL"))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_table("erasure")
    op.execute("UPDATE hold SET kind = 'cease' WHERE kind = 'restricted'")
    op.drop_constraint("hold_kind", "hold")
    op.create_check_constraint("hold_kind", "hold", f"kind IN ({BEFORE})")

"""Backfills: past dates looked at again, step by step, with what was different.

Revision: 7c1e5a90d4f3
After:    91e4b7c05da8
Written:  2026-11-28 23:06:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "7c1e5a90d4f3"
down_revision = "91e4b7c05da8"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.add_column("campaign_run", sa.Column("caught_up_on", sa.Date(), nullable=True))
    op.create_table(
        "backfill",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("first_on", sa.Date(), nullable=False),
        sa.Column("last_on", sa.Date(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("known_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("kind IN ('re_decide', 'catch_up', 're_record')", name="backfill_kind"),
        sa.CheckConstraint("last_on >= first_on", name="backfill_interval"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("backfill_open_once", "backfill", ["key"], unique=True, postgresql_where=sa.text("finished_at IS NULL"))
    op.create_table(
        "backfill_step",
        sa.Column("backfill_id", sa.BigInteger(), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("counts", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.ForeignKeyConstraint(["backfill_id"], ["backfill.id"]),
        sa.PrimaryKeyConstraint("backfill_id", "business_date"),
    )
    op.create_table(
        "backfill_difference",
        sa.Column("backfill_id", sa.BigInteger(), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), nullable=False),
        sa.Column("before", postgresql.JSONB(), nullable=True),
        sa.Column("after", postgresql.JSONB(), nullable=True),
        sa.Column("booked_on", sa.Date(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("before IS DISTINCT FROM after", name="backfill_difference_differs"),
        sa.ForeignKeyConstraint(
            ["backfill_id", "business_date"],
            ["backfill_step.backfill_id", "backfill_step.business_date"],
            name="backfill_difference_step",
        ),
        sa.PrimaryKeyConstraint("backfill_id", "business_date", "what", "subject_id"),
    )
    op.create_index("backfill_difference_of_date", "backfill_difference", ["business_date", "what", "subject_id"], unique=False)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_table("backfill_difference")
    op.drop_table("backfill_step")
    op.drop_table("backfill")
    op.drop_column("campaign_run", "caught_up_on")

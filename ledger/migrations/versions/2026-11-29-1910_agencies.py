"""Agencies: licences, which loan is with whom, what each was told, and what of theirs was against a rule.

Revision: a1c62e94d7b0
After:    c19e5d07b3a8
Written:  2026-11-29 19:10:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "a1c62e94d7b0"
down_revision = "c19e5d07b3a8"
branch_labels = None
depends_on = None

TOLD = "'placed', 'recalled', 'hold', 'opt_out', 'wish', 'payment'"


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False)


def _recorded() -> sa.Column[object]:
    return sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False)


def _instant(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.create_table(
        "agency",
        _id(),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("contact", sa.Text(), nullable=False),
        sa.Column("certificate", sa.Text(), nullable=True),
        sa.Column("added_by", sa.Text(), nullable=False),
        _instant("at"),
        _recorded(),
        sa.CheckConstraint("code ~ '^[a-z0-9][a-z0-9-]{1,31}$'", name="agency_code_is_a_word"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("code"),
    )
    op.create_table(
        "agency_licence",
        _id(),
        sa.Column("agency_id", sa.BigInteger(), nullable=False),
        sa.Column("jurisdiction", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("from_on", sa.Date(), nullable=False),
        sa.Column("until_on", sa.Date(), nullable=False),
        sa.Column("added_by", sa.Text(), nullable=False),
        _recorded(),
        sa.CheckConstraint("until_on > from_on", name="agency_licence_interval"),
        sa.CheckConstraint("jurisdiction ~ '^[A-Z]{2}(-[A-Z0-9]{1,3}){0,2}$'", name="agency_licence_jurisdiction"),
        sa.ForeignKeyConstraint(["agency_id"], ["agency.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("agency_id", "jurisdiction", "number", "from_on", "until_on", name="agency_licence_once"),
    )
    op.create_table(
        "placement",
        _id(),
        sa.Column("reference", sa.Uuid(), nullable=False),
        sa.Column("loan_id", sa.BigInteger(), nullable=False),
        sa.Column("agency_id", sa.BigInteger(), nullable=False),
        _instant("starts_at"),
        sa.Column("until_on", sa.Date(), nullable=False),
        sa.Column("placed_by", sa.Text(), nullable=False),
        _instant("ended_at", nullable=True),
        sa.Column("ended_because", sa.Text(), nullable=True),
        sa.Column("ended_by", sa.Text(), nullable=True),
        _instant("released_at", nullable=True),
        _recorded(),
        sa.CheckConstraint(
            "(ended_at IS NULL) = (ended_because IS NULL) AND (ended_at IS NULL) = (ended_by IS NULL)", name="placement_end_is_whole"
        ),
        sa.ForeignKeyConstraint(["loan_id"], ["loan.id"]),
        sa.ForeignKeyConstraint(["agency_id"], ["agency.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("reference", name="placement_reference"),
    )
    op.create_index("placement_one_open", "placement", ["loan_id"], unique=True, postgresql_where=sa.text("ended_at IS NULL"))
    op.create_index("placement_of_agency", "placement", ["agency_id", "id"])
    op.create_index("ix_placement_loan_id", "placement", ["loan_id"])
    op.create_table(
        "agency_feed",
        _id(),
        sa.Column("agency_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("business_date", sa.Date(), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        _instant("made_at"),
        _instant("acknowledged_at", nullable=True),
        sa.Column("told_late_on", sa.Date(), nullable=True),
        _recorded(),
        sa.ForeignKeyConstraint(["agency_id"], ["agency.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("agency_id", "number", name="agency_feed_number"),
    )
    op.create_table(
        "agency_feed_item",
        _id(),
        sa.Column("feed_id", sa.BigInteger(), nullable=False),
        sa.Column("placement_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(f"kind IN ({TOLD})", name="agency_feed_item_kind"),
        sa.ForeignKeyConstraint(["feed_id"], ["agency_feed.id"]),
        sa.ForeignKeyConstraint(["placement_id"], ["placement.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("placement_id", "kind", "subject_id", name="agency_feed_item_once"),
    )
    op.create_index("agency_feed_item_of_feed", "agency_feed_item", ["feed_id"])
    op.create_table(
        "agency_finding",
        _id(),
        sa.Column("agency_id", sa.BigInteger(), nullable=False),
        sa.Column("placement_id", sa.BigInteger(), nullable=False),
        sa.Column("event_business_date", sa.Date(), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        _instant("at"),
        _recorded(),
        sa.ForeignKeyConstraint(["agency_id"], ["agency.id"]),
        sa.ForeignKeyConstraint(["placement_id"], ["placement.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("event_id", "rule", name="agency_finding_once"),
    )
    op.create_index("agency_finding_of_agency", "agency_finding", ["agency_id", "event_business_date"])


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    for table in ("agency_finding", "agency_feed_item", "agency_feed", "placement", "agency_licence", "agency"):
        op.drop_table(table)

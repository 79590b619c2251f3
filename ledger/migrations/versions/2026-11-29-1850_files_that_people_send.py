"""Files that people send, and answers that they do not agree with.

Revision: b7d20c95e114
After:    3d7be05a91f4
Written:  2026-11-29 18:50:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "b7d20c95e114"
down_revision = "3d7be05a91f4"
branch_labels = None
depends_on = None

BEFORE = "'opened', 'said_again', 'taken', 'acknowledged', 'answered', 'note', 'closed', 'near', 'late'"


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_constraint("case_event_kind", "case_event")
    op.create_check_constraint("case_event_kind", "case_event", f"kind IN ({BEFORE}, 'disagreed')")
    op.create_table(
        "person_file",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("party_id", sa.BigInteger(), nullable=False),
        sa.Column("said_under", sa.Text(), nullable=True),
        sa.Column("case_id", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("content_encrypted", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("kind IN ('pdf', 'jpeg', 'png', 'text')", name="person_file_kind"),
        sa.CheckConstraint("(said_under IS NULL) <> (case_id IS NULL)", name="person_file_belongs_to_one"),
        sa.CheckConstraint("size_bytes > 0", name="person_file_not_empty"),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"]),
        sa.ForeignKeyConstraint(["case_id"], ["borrower_case.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "person_file_once",
        "person_file",
        ["party_id", "said_under", "case_id", "digest"],
        unique=True,
        postgresql_nulls_not_distinct=True,
    )
    op.create_index("person_file_of_case", "person_file", ["case_id"])


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_table("person_file")
    # What she did not agree with stays written: as something that she said again.
    op.execute("UPDATE case_event SET kind = 'said_again' WHERE kind = 'disagreed'")
    op.drop_constraint("case_event_kind", "case_event")
    op.create_check_constraint("case_event_kind", "case_event", f"kind IN ({BEFORE})")

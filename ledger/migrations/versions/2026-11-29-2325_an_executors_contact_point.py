"""A contact point may be that of whoever looks after an estate: rules say what she may be written to about.

Revision: 7e41c8a92d30
After:    7a30c8e95b26
Written:  2026-11-29 23:25:00
"""

from __future__ import annotations

from alembic import op

revision = "7e41c8a92d30"
down_revision = "7a30c8e95b26"
branch_labels = None
depends_on = None

BEFORE = "'borrower', 'co_borrower', 'spouse', 'guarantor', 'attorney', 'employer', 'reference', 'household', 'third_party'"
NAME = "contact_point_owner"


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_constraint(NAME, "contact_point_version", type_="check")
    # Whatever was allowed before still is: nothing has to be looked at again.
    op.execute(f"ALTER TABLE contact_point_version ADD CONSTRAINT {NAME} CHECK (owner IN ({BEFORE}, 'executor')) NOT VALID")
    op.execute(f"ALTER TABLE contact_point_version VALIDATE CONSTRAINT {NAME}")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_constraint(NAME, "contact_point_version", type_="check")
    op.create_check_constraint(NAME, "contact_point_version", f"owner IN ({BEFORE})")

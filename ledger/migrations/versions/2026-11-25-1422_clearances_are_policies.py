"""Clearances are policies: a provider's word that allowed a contact is kept with the run that relied on it.

Revision: 5e0b9c63d1f4
After:    5b7e2f90c31d
Written:  2026-11-25 14:22:00
"""

from __future__ import annotations

from alembic import op

revision = "5e0b9c63d1f4"
down_revision = "5b7e2f90c31d"
branch_labels = None
depends_on = None

BEFORE = "'rules', 'strategy', 'message', 'experiment', 'mapping', 'calendar', 'ageing'"


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_constraint("policy_version_kind", "policy_version", type_="check")
    op.create_check_constraint("policy_version_kind", "policy_version", f"kind IN ({BEFORE}, 'clearance')")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_constraint("policy_version_kind", "policy_version", type_="check")
    # Kept as what they are nearest to: decisions name them by their hash.
    op.execute("UPDATE policy_version SET kind = 'calendar' WHERE kind = 'clearance'")
    op.create_check_constraint("policy_version_kind", "policy_version", f"kind IN ({BEFORE})")

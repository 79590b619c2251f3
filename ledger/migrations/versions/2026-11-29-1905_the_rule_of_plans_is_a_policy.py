"""The rule by which plans are offered is kept like every policy.

Revision: 9b27e4d06f13
After:    a1c62e94d7b0
Written:  2026-11-29 19:05:00
"""

from __future__ import annotations

from alembic import op

revision = "9b27e4d06f13"
down_revision = "a1c62e94d7b0"
branch_labels = None
depends_on = None

BEFORE = "'rules', 'strategy', 'message', 'experiment', 'mapping', 'calendar', 'ageing', 'clearance'"


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    _kinds(f"{BEFORE}, 'affordability'")


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.execute("DELETE FROM policy_version WHERE kind = 'affordability'")
    _kinds(BEFORE)


def _kinds(words: str) -> None:
    op.drop_constraint("policy_version_kind", "policy_version")
    op.create_check_constraint("policy_version_kind", "policy_version", f"kind IN ({words})")

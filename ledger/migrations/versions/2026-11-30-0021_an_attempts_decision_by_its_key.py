"""An attempt's decision is looked up by its key alone: of a new run the planner knows nothing, and read all its decisions for each attempt.

Revision: b2d86f1049ce
After:    2f8d06b4c7e1
Written:  2026-11-30 00:21:00
"""

from __future__ import annotations

from alembic import op

revision = "b2d86f1049ce"
down_revision = "2f8d06b4c7e1"
branch_labels = None
depends_on = None

FUNCTION = """
    CREATE OR REPLACE FUNCTION attempt_names_what_is_there() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
    BEGIN
        IF current_setting('transaction_isolation') <> 'read committed' THEN
            RAISE 'rows of attempt are written in a transaction that sees what others have removed: read committed';
        END IF;
        -- No index serves what is added to zero.
        IF EXISTS (
            SELECT FROM added a LEFT JOIN decision d ON d.business_date = a.business_date AND d.id = a.decision_id
                AND d.party_id{nothing} = a.party_id AND d.campaign_run_id{nothing} = a.campaign_run_id WHERE d.id IS NULL)
        THEN RAISE 'a row of attempt names a decision that is not there'
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'attempt_names_decision';
        END IF;
        IF EXISTS (SELECT FROM added a LEFT JOIN contact_point c ON c.id = a.contact_point_id WHERE c.id IS NULL)
        THEN RAISE 'a row of attempt names a contact_point that is not there'
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'attempt_names_contact_point';
        END IF;
        RETURN NULL;
    END $$
"""


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.execute(FUNCTION.format(nothing=" + 0"))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.execute(FUNCTION.format(nothing=""))

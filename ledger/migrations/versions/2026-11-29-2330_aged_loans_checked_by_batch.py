"""That a loan which is aged is there is checked once a batch, as what decisions name is (docs/adr/0076).

Revision: 7a30c8e95b26
After:    5c1d2e7f9a04
Written:  2026-11-29 23:30:00
"""

from __future__ import annotations

from alembic import op

revision = "7a30c8e95b26"
down_revision = "5c1d2e7f9a04"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    op.drop_constraint("loan_aging_loan_id_fkey", "loan_aging", type_="foreignkey")
    op.execute("""
        CREATE FUNCTION loan_aging_names_what_is_there() RETURNS trigger LANGUAGE plpgsql
        SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
        BEGIN
            IF current_setting('transaction_isolation') <> 'read committed' THEN
                RAISE 'rows of loan_aging are written in a transaction that sees what others have removed: read committed';
            END IF;
            IF EXISTS (SELECT FROM added a LEFT JOIN loan l ON l.id = a.loan_id WHERE l.id IS NULL) THEN
                RAISE 'a row of loan_aging names a loan that is not there'
                USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'loan_aging_names_loan';
            END IF;
            RETURN NULL;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER loan_aging_names_what_is_there AFTER INSERT ON loan_aging REFERENCING NEW TABLE AS added
        FOR EACH STATEMENT EXECUTE FUNCTION loan_aging_names_what_is_there()
    """)
    op.execute("""
        CREATE FUNCTION loan_is_named() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NOT EXISTS (SELECT FROM removed) THEN RETURN NULL; END IF;
            LOCK TABLE loan_aging IN SHARE MODE;
            IF EXISTS (SELECT FROM removed r JOIN loan_aging a ON a.loan_id = r.id) THEN
                RAISE 'a loan that is removed is named by a row of loan_aging'
                USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'loan_aging_names_loan';
            END IF;
            RETURN NULL;
        END $$
    """)
    op.execute("""
        CREATE TRIGGER loan_is_named AFTER DELETE ON loan REFERENCING OLD TABLE AS removed
        FOR EACH STATEMENT EXECUTE FUNCTION loan_is_named()
    """)
    op.execute("""
        CREATE FUNCTION loan_keeps_its_keys() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE 'a row of % stays what it is and of whom it is', TG_TABLE_NAME
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'loan_keeps_its_keys';
        END $$
    """)
    op.execute("""
        CREATE TRIGGER loan_keeps_its_keys BEFORE UPDATE ON loan FOR EACH ROW WHEN (old.id IS DISTINCT FROM new.id)
        EXECUTE FUNCTION loan_keeps_its_keys()
    """)
    op.execute("""
        CREATE TRIGGER loan_aging_keeps_its_keys BEFORE UPDATE ON loan_aging FOR EACH ROW WHEN (old.loan_id IS DISTINCT FROM new.loan_id)
        EXECUTE FUNCTION loan_keeps_its_keys()
    """)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '900s'")
    for function in ("loan_keeps_its_keys", "loan_is_named", "loan_aging_names_what_is_there"):
        op.execute(f"DROP FUNCTION {function} CASCADE")
    op.create_foreign_key("loan_aging_loan_id_fkey", "loan_aging", "loan", ["loan_id"], ["id"])

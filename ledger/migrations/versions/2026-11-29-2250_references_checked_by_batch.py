"""What a decision or an attempt refers to is checked once a batch instead of once a row; one index of attempts less.

Revision: 4d9be2f07c13
After:    5b83d0f1c2a7
Written:  2026-11-29 22:50:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "4d9be2f07c13"
down_revision = "5b83d0f1c2a7"
branch_labels = None
depends_on = None

# Table, constraint, columns → table, columns; as foreign keys they were checked row by row.
BEFORE = (
    ("decision", "decision_campaign_run_id_fkey", ["campaign_run_id"], "campaign_run", ["id"]),
    ("decision", "decision_party_id_fkey", ["party_id"], "party", ["id"]),
    ("decision", "decision_reason_set_id_fkey", ["reason_set_id"], "reason_set", ["id"]),
    ("attempt", "attempt_decision", ["business_date", "decision_id"], "decision", ["business_date", "id"]),
    ("attempt", "attempt_campaign_run_id_fkey", ["campaign_run_id"], "campaign_run", ["id"]),
    ("attempt", "attempt_contact_point_id_fkey", ["contact_point_id"], "contact_point", ["id"]),
    ("attempt", "attempt_party_id_fkey", ["party_id"], "party", ["id"]),
)
# Table → what must not be missing of the rows that a statement added: a query that finds one that is.
ADDED = {
    "decision": (
        ("party", "SELECT FROM added a LEFT JOIN party p ON p.id = a.party_id WHERE p.id IS NULL"),
        (
            "campaign_run",
            "SELECT FROM (SELECT DISTINCT campaign_run_id AS id FROM added) a LEFT JOIN campaign_run r ON r.id = a.id WHERE r.id IS NULL",
        ),
        (
            "reason_set",
            "SELECT FROM (SELECT DISTINCT reason_set_id AS id FROM added) a LEFT JOIN reason_set s ON s.id = a.id WHERE s.id IS NULL",
        ),
    ),
    # Its decision says of whom and of which run it is; that both are there was checked with the decision.
    "attempt": (
        (
            "decision",
            """SELECT FROM added a LEFT JOIN decision d ON d.business_date = a.business_date AND d.id = a.decision_id
               AND d.party_id = a.party_id AND d.campaign_run_id = a.campaign_run_id WHERE d.id IS NULL""",
        ),
        ("contact_point", "SELECT FROM added a LEFT JOIN contact_point c ON c.id = a.contact_point_id WHERE c.id IS NULL"),
    ),
}
KEYS = {
    "decision": ("business_date", "id", "party_id", "campaign_run_id", "reason_set_id"),
    "attempt": ("business_date", "decision_id", "party_id", "campaign_run_id", "contact_point_id"),
    "party": ("id",),
    "campaign_run": ("id",),
    "reason_set": ("id",),
    "contact_point": ("id",),
}
# Table → where rows that are removed from it are named.
REMOVED = {
    "party": (("decision", "d.party_id = r.id"), ("attempt", "d.party_id = r.id")),
    "campaign_run": (("decision", "d.campaign_run_id = r.id"), ("attempt", "d.campaign_run_id = r.id")),
    "reason_set": (("decision", "d.reason_set_id = r.id"),),
    "contact_point": (("attempt", "d.contact_point_id = r.id"),),
    "decision": (("attempt", "d.business_date = r.business_date AND d.decision_id = r.id"),),
}
# Many rows or one: an index look-up each is never far from the best, and a plan made for one is kept for the other.
LOOK_UP = "SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off"
REFUSED = "USING ERRCODE = 'foreign_key_violation', CONSTRAINT ="


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later. An index of many attempts takes minutes.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '900s'")
    for table, name, *_ in BEFORE:
        op.drop_constraint(name, table, type_="foreignkey")
    for table, wanted in ADDED.items():
        _check_added(table, wanted)
    for table, named_in in REMOVED.items():
        _check_removed(table, named_in)
    for table, keys in KEYS.items():
        _keep_keys(table, keys)
    op.create_index(
        "contact_value_told",
        "contact_value",
        ["blind_index"],
        postgresql_where=sa.text("superseded_at IS NULL AND ownership <> 'claimed'"),
    )
    op.drop_constraint("attempt_idempotency_key", "attempt", type_="unique")
    op.create_unique_constraint("attempt_idempotency_key", "attempt", ["party_id", "business_date", "stage", "step", "try_number"])
    op.drop_index("attempt_of_party", table_name="attempt")


def _check_added(table: str, wanted: tuple[tuple[str, str], ...]) -> None:
    checks = "\n".join(
        f"IF EXISTS ({missing}) THEN RAISE 'a row of {table} names a {what} that is not there' {REFUSED} '{table}_names_{what}'; END IF;"
        for what, missing in wanted
    )
    op.execute(f"""
        CREATE FUNCTION {table}_names_what_is_there() RETURNS trigger LANGUAGE plpgsql {LOOK_UP} AS $$
        BEGIN
            IF current_setting('transaction_isolation') <> 'read committed' THEN
                RAISE 'rows of {table} are written in a transaction that sees what others have removed: read committed';
            END IF;
            {checks}
            RETURN NULL;
        END $$
    """)
    op.execute(f"""
        CREATE TRIGGER {table}_names_what_is_there AFTER INSERT ON {table} REFERENCING NEW TABLE AS added
        FOR EACH STATEMENT EXECUTE FUNCTION {table}_names_what_is_there()
    """)


def _check_removed(table: str, named_in: tuple[tuple[str, str], ...]) -> None:
    tables = ", ".join(child for child, _ in named_in)
    checks = "\n".join(
        f"IF EXISTS (SELECT FROM removed r JOIN {child} d ON {named}) THEN"
        f" RAISE 'a {table} that is removed is named by a row of {child}' {REFUSED} '{child}_names_{table}'; END IF;"
        for child, named in named_in
    )
    emptied = "\n".join(
        f"IF EXISTS (SELECT FROM {child}) THEN"
        f" RAISE '{table} cannot be emptied: rows of {child} name what is in it' {REFUSED} '{child}_names_{table}'; END IF;"
        for child, _ in named_in
    )
    # The lock waits for whoever is writing a row that may name it, and lets nobody begin.
    op.execute(f"""
        CREATE FUNCTION {table}_is_named() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'TRUNCATE' THEN
                LOCK TABLE {tables} IN SHARE MODE;
                {emptied}
                RETURN NULL;
            END IF;
            IF NOT EXISTS (SELECT FROM removed) THEN RETURN NULL; END IF;
            LOCK TABLE {tables} IN SHARE MODE;
            {checks}
            RETURN NULL;
        END $$
    """)
    op.execute(f"""
        CREATE TRIGGER {table}_is_named AFTER DELETE ON {table} REFERENCING OLD TABLE AS removed
        FOR EACH STATEMENT EXECUTE FUNCTION {table}_is_named()
    """)
    op.execute(f"""
        CREATE TRIGGER {table}_is_named_in BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {table}_is_named()
    """)


def _keep_keys(table: str, keys: tuple[str, ...]) -> None:
    changed = " OR ".join(f"old.{key} IS DISTINCT FROM new.{key}" for key in keys)
    op.execute(f"""
        CREATE FUNCTION {table}_keeps_its_keys() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE 'a row of {table} stays what it is and of whom it is' {REFUSED} '{table}_keeps_its_keys';
        END $$
    """)
    op.execute(f"""
        CREATE TRIGGER {table}_keeps_its_keys BEFORE UPDATE ON {table} FOR EACH ROW WHEN ({changed})
        EXECUTE FUNCTION {table}_keeps_its_keys()
    """)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '900s'")
    op.create_index("attempt_of_party", "attempt", ["party_id"])
    op.drop_constraint("attempt_idempotency_key", "attempt", type_="unique")
    op.create_unique_constraint("attempt_idempotency_key", "attempt", ["business_date", "party_id", "stage", "step", "try_number"])
    op.drop_index("contact_value_told", table_name="contact_value")
    for table in KEYS:
        op.execute(f"DROP FUNCTION {table}_keeps_its_keys CASCADE")
    for table in REMOVED:
        op.execute(f"DROP FUNCTION {table}_is_named CASCADE")
    for table in ADDED:
        op.execute(f"DROP FUNCTION {table}_names_what_is_there CASCADE")
    for table, name, columns, parent, keys in BEFORE:
        op.create_foreign_key(name, table, parent, columns, keys)

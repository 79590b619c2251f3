"""What the facts of an import name is checked once a statement instead of once a row (docs/adr/0076).

Revision: 8e41b7d25f60
After:    3c9a51e7d804
Written:  2026-11-30 15:10:00
"""

from __future__ import annotations

from alembic import op

revision = "8e41b7d25f60"
down_revision = "3c9a51e7d804"
branch_labels = None
depends_on = None

# Table → column → the table that it names; as foreign keys they were checked row by row.
NAMES = {
    "party_version": {"party_id": "party", "import_batch_id": "import_batch"},
    "loan_version": {"loan_id": "loan", "import_batch_id": "import_batch"},
    "loan_party": {"loan_id": "loan", "party_id": "party", "import_batch_id": "import_batch"},
    "instalment": {"loan_id": "loan", "import_batch_id": "import_batch"},
    "payment": {"loan_id": "loan", "import_batch_id": "import_batch"},
    "allocation": {"loan_id": "loan", "import_batch_id": "import_batch"},
    "delinquency_snapshot": {"loan_id": "loan", "import_batch_id": "import_batch"},
    "wallet_flow": {"party_id": "party", "import_batch_id": "import_batch"},
    "contact_point": {"party_id": "party"},
    "contact_point_version": {"contact_point_id": "contact_point", "import_batch_id": "import_batch"},
    "contact_value": {"import_batch_id": "import_batch"},
    "consent": {"party_id": "party", "import_batch_id": "import_batch"},
}
# An import's rows all name one batch: it is looked up once. A row that was not imported names none.
NAMED = {
    "party": "added",
    "loan": "added",
    "contact_point": "added",
    "import_batch": "(SELECT DISTINCT import_batch_id FROM added WHERE import_batch_id IS NOT NULL)",
}
# Many rows or one: an index look-up each is never far from the best, and a plan made for one is kept for the other.
LOOK_UP = "SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off"
REFUSED = "USING ERRCODE = 'foreign_key_violation', CONSTRAINT ="


def upgrade() -> None:
    # A migration that waits for a lock blocks everybody behind it: rather fail, and try again later.
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '60s'")
    for parent, rows in NAMED.items():
        _check_added(parent, rows)
        _check_removed(parent, [(table, column) for table, named in NAMES.items() for column, other in named.items() if other == parent])
    op.execute(f"""
        CREATE FUNCTION keeps_what_it_names() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE 'a row of % stays what it is and of whom it is', TG_TABLE_NAME {REFUSED} TG_TABLE_NAME || '_keeps_what_it_names';
        END $$
    """)
    for table, named in NAMES.items():
        for column, parent in named.items():
            op.drop_constraint(f"{table}_{column}_fkey", table, type_="foreignkey")
            op.execute(f"""
                CREATE TRIGGER {table}_names_{parent} AFTER INSERT ON {table} REFERENCING NEW TABLE AS added
                FOR EACH STATEMENT EXECUTE FUNCTION names_a_{parent}()
            """)
        _keep(table, tuple(named))
    _keep("import_batch", ("id",))


def _check_added(parent: str, rows: str) -> None:
    op.execute(f"""
        CREATE FUNCTION names_a_{parent}() RETURNS trigger LANGUAGE plpgsql {LOOK_UP} AS $$
        BEGIN
            IF current_setting('transaction_isolation') <> 'read committed' THEN
                RAISE 'rows of % are written in a transaction that sees what others have removed: read committed', TG_TABLE_NAME;
            END IF;
            IF EXISTS (SELECT FROM {rows} a LEFT JOIN {parent} p ON p.id = a.{parent}_id WHERE p.id IS NULL) THEN
                RAISE 'a row of % names a {parent} that is not there', TG_TABLE_NAME {REFUSED} TG_TABLE_NAME || '_names_{parent}';
            END IF;
            RETURN NULL;
        END $$
    """)


def _check_removed(parent: str, named_in: list[tuple[str, str]]) -> None:
    tables = ", ".join(table for table, _ in named_in)
    checks, emptied = (
        "\n".join(
            f"IF EXISTS ({found.format(table=table, column=column)}) THEN RAISE '{said.format(table=table)}' {REFUSED} '{table}_names_{parent}'; END IF;"
            for table, column in named_in
        )
        for found, said in (
            ("SELECT FROM removed r JOIN {table} d ON d.{column} = r.id", f"a {parent} that is removed is named by a row of {{table}}"),
            (
                "SELECT FROM {table} WHERE {column} IS NOT NULL",
                f"{parent} cannot be emptied: rows of {{table}} name what is in it",
            ),
        )
    )
    # The lock waits for whoever is writing a row that may name it, and lets nobody begin.
    op.execute(f"""
        CREATE FUNCTION {parent}_is_named_by_facts() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF current_setting('transaction_isolation') <> 'read committed' THEN
                RAISE 'rows of {parent} are removed in a transaction that sees what others have written: read committed';
            END IF;
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
        CREATE TRIGGER {parent}_is_named_by_facts AFTER DELETE ON {parent} REFERENCING OLD TABLE AS removed
        FOR EACH STATEMENT EXECUTE FUNCTION {parent}_is_named_by_facts()
    """)
    op.execute(f"""
        CREATE TRIGGER {parent}_is_named_by_facts_in BEFORE TRUNCATE ON {parent}
        FOR EACH STATEMENT EXECUTE FUNCTION {parent}_is_named_by_facts()
    """)


def _keep(table: str, columns: tuple[str, ...]) -> None:
    changed = " OR ".join(f"old.{column} IS DISTINCT FROM new.{column}" for column in columns)
    op.execute(f"""
        CREATE TRIGGER {table}_keeps_what_it_names BEFORE UPDATE ON {table} FOR EACH ROW WHEN ({changed})
        EXECUTE FUNCTION keeps_what_it_names()
    """)


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '5s'")
    op.execute("SET LOCAL statement_timeout = '900s'")
    for function in (
        "keeps_what_it_names",
        *(f"names_a_{parent}" for parent in NAMED),
        *(f"{parent}_is_named_by_facts" for parent in NAMED),
    ):
        op.execute(f"DROP FUNCTION {function} CASCADE")
    for table, named in NAMES.items():
        for column, parent in named.items():
            op.create_foreign_key(f"{table}_{column}_fkey", table, parent, [column], ["id"])

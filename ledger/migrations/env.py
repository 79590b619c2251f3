"""Alembic's entry: migrates the ledger that the settings name, or the connection that a caller hands over."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, text
from sqlmodel import SQLModel

import ledger.all_tables  # noqa: F401  # fills the metadata
from ledger.engine import engine


def migrate() -> None:
    """Run migrations over the given connection, or over one of the ledger's engine."""
    given = context.config.attributes.get("connection")
    if given is not None:
        _migrate_over(given)
        return
    with engine().begin() as connection:
        _migrate_over(connection)


def _migrate_over(connection: Connection) -> None:
    # Parts of a table are made and removed by the month (ledger/partitions.py): the tables do not declare them.
    parts = set(connection.execute(text("SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'")).scalars())
    context.configure(
        connection=connection,
        target_metadata=SQLModel.metadata,
        compare_type=True,
        compare_server_default=True,
        include_name=lambda name, kind, _parents: kind != "table" or name not in parts,
    )
    with context.begin_transaction():
        context.run_migrations()


migrate()

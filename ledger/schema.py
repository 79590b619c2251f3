"""Making and checking the schema: create the database, migrate it, say where it stands.

In:   the ledger's address.
Out:  a database at the newest migration.
Pure: no.
"""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from functools import lru_cache

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from config.settings import HOUSE
from ledger.engine import database_url, engine_of


def create_database(address: str) -> None:
    """Create the database that `address` names, if its server does not have it."""
    url = make_url(address).set(drivername="postgresql+psycopg")
    maintenance = create_engine(url.set(database="postgres"), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with maintenance.connect() as connection:
        if connection.scalar(text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": url.database}) is None:
            connection.execute(text(f'CREATE DATABASE "{url.database}"'))


def drop_database(address: str) -> None:
    """Drop the database that `address` names, with whoever is connected to it; does nothing where it is missing."""
    url = make_url(address).set(drivername="postgresql+psycopg")
    maintenance = create_engine(url.set(database="postgres"), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with maintenance.connect() as connection:
        connection.execute(text(f'DROP DATABASE IF EXISTS "{url.database}" WITH (FORCE)'))


def migrate(address: str | None = None, *, to: str = "head") -> None:
    """Bring the ledger to the newest migration, creating its database where it is missing.

    Args:
        address: Of the ledger; None = the one of the settings.
        to: Another revision to stop at; for the tests of upgrades.
    """
    address = address or database_url()
    create_database(address)
    with engine_of(address).begin() as connection:
        command.upgrade(_alembic(connection), to)


def drift(address: str | None = None) -> str | None:
    """What the tables say that the migrations do not; None when they agree."""
    with engine_of(address or database_url()).begin() as connection, redirect_stdout(io.StringIO()):
        try:
            command.check(_alembic(connection))
        except CommandError as error:
            return str(error)
    return None


@lru_cache(maxsize=1)
def known_revisions() -> tuple[str, ...]:
    """Every migration that this version knows, the first one first; the last is the newest."""
    return tuple(reversed([script.revision for script in ScriptDirectory.from_config(_alembic(None)).walk_revisions()]))


def revision(connection: Connection) -> str | None:
    """The migration at which the ledger stands; None where it has no tables yet."""
    if connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def is_behind(found: str | None) -> bool:
    """Whether a ledger at this revision must be migrated before this version may use it.

    One that a newer version has migrated is not behind: migrations leave the running version working.
    """
    return found is None or (found in known_revisions() and found != known_revisions()[-1])


def _alembic(connection: object) -> Config:
    config = Config(toml_file=str(HOUSE / "pyproject.toml"))
    config.set_main_option("script_location", str(HOUSE / "ledger" / "migrations"))
    config.attributes["connection"] = connection
    return config

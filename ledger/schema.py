"""Making and checking the schema: create the database, migrate it, keep and bring back a backup.

In:   the ledger's address.
Out:  a database at the newest migration; a backup file in pg_dump's custom format.
Pure: no.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
from contextlib import redirect_stdout
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from config.settings import HOUSE
from ledger import embedded
from ledger.engine import database_url, engine_of


class BackupError(RuntimeError):
    """A backup could not be written or read back; the message says why."""


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


def migrate(address: str | None = None) -> None:
    """Bring the ledger to the newest migration, creating its database where it is missing."""
    address = address or database_url()
    create_database(address)
    with engine_of(address).begin() as connection:
        command.upgrade(_alembic(connection), "head")


def drift(address: str | None = None) -> str | None:
    """What the tables say that the migrations do not; None when they agree."""
    with engine_of(address or database_url()).begin() as connection, redirect_stdout(io.StringIO()):
        try:
            command.check(_alembic(connection))
        except CommandError as error:
            return str(error)
    return None


def backup(file: Path) -> None:
    """Write the whole ledger to `file`, in pg_dump's custom format.

    Raises:
        BackupError: The file exists already, or pg_dump refuses.
    """
    if file.exists():
        raise BackupError(f"{file} exists already; a backup is never overwritten")
    _run("pg_dump", ["--format=custom", "--file", str(file)], database_url())


def restore(file: Path) -> None:
    """Bring a backup back into an empty ledger.

    Raises:
        BackupError: There is no such file, or the ledger already holds tables.
    """
    if not file.exists():
        raise BackupError(f"{file}: no such file")
    address = database_url()
    create_database(address)
    with engine_of(address).connect() as connection:
        tables = connection.scalar(text("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"))
    if tables:
        raise BackupError("the ledger is not empty; restore into a new database (set TIDEOVER_DATABASE_URL or TIDEOVER_DATA_DIR)")
    _run("pg_restore", ["--exit-on-error", "--no-owner", str(file)], address)


def _alembic(connection: object) -> Config:
    config = Config(toml_file=str(HOUSE / "pyproject.toml"))
    config.set_main_option("script_location", str(HOUSE / "ledger" / "migrations"))
    config.attributes["connection"] = connection
    return config


def _run(program: str, arguments: list[str], address: str) -> None:
    """Run a PostgreSQL client program; the password travels in the environment, never on the command line."""
    url = make_url(address)
    target = url.set(password=None).render_as_string() if url.password else address
    environment = {**os.environ, **({"PGPASSWORD": str(url.password)} if url.password else {})}
    with engine_of(address).connect() as connection:
        major = int(connection.scalar(text("SHOW server_version_num"))) // 10_000
    command_line = [str(_client(program, major)), "--dbname", target, *arguments]
    done = subprocess.run(command_line, check=False, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise BackupError(f"{program}: {done.stderr.strip()[-1000:]}")


def _client(program: str, major: int) -> Path:
    """The client program of the server's own major: an older one cannot read it, a newer one says what it does not know."""
    found = shutil.which(program)
    for path in (embedded.program(program), Path(f"/usr/lib/postgresql/{major}/bin/{program}"), *([Path(found)] if found else [])):
        if path.exists():
            version = subprocess.run([path, "--version"], check=True, capture_output=True, text=True).stdout
            if re.search(rf"\) {major}\b", version):
                return path
    raise BackupError(f"no {program} of PostgreSQL {major} is on this machine; install the client programs of that version")

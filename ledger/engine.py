"""The way to the database: one engine a process, one transaction a step or request.

In:   `TIDEOVER_DATABASE_URL`, or the embedded server where it is unset.
Out:  SQLAlchemy sessions for the small transactional paths, ADBC connections for Arrow in and out.
Pure: no. This is the only file that commits.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Final

import adbc_driver_postgresql
from adbc_driver_manager import AdbcConnection
from adbc_driver_manager.dbapi import Connection as ArrowConnection
from adbc_driver_manager.dbapi import _SharedDatabase
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool
from sqlmodel import Session

from config.settings import settings
from ledger import embedded
from ledger.partitions import WITH_ARCHIVE, with_archive

CONNECT_SECONDS_MAX: Final = 10
# A statement asked so often in a session is prepared; so many are kept, more than the portal has.
PREPARE_AFTER: Final = 5
PREPARED_MAX: Final = 400
_one_at_a_time: Final = threading.Lock()


def database_url() -> str:
    """Address of the ledger, `postgresql://…`; starts the embedded server where no address is set."""
    configured = settings().database_url
    if configured is not None:
        parsed = make_url(configured)
        if parsed.get_backend_name() != "postgresql":
            raise ValueError("TIDEOVER_DATABASE_URL must be a postgresql:// address")
        return parsed.set(drivername="postgresql").render_as_string(hide_password=False)
    folder = embedded.default_folder()
    embedded.start(folder)
    return embedded.url(folder, "tideover")


@lru_cache(maxsize=4)
def engine_of(address: str) -> Engine:
    """The engine for one address; made once a process.

    Errors hide their parameters: they may hold a name or a number. No session settings and no server-side prepared
    statements: a transaction pooler may stand in between; where a process asks for them, they are prepared where none does
    (docs/adr/0072). A server that does not answer is given up after some seconds.
    """
    found = _engine(address, pool_size=8, max_overflow=24, pool_pre_ping=True)
    if settings().database_prepares:
        event.listen(found, "connect", _prepare)
    return found


def engine() -> Engine:
    """The ledger's engine; two threads that ask first at the same time get one, and not each a pool of its own."""
    with _one_at_a_time:
        return engine_of(database_url())


@contextmanager
def transaction() -> Iterator[Session]:
    """One transaction as an SQLModel session: committed at the end, rolled back on any error."""
    with Session(engine()) as session, session.begin():
        yield session


@contextmanager
def connection(*, read_only: bool = False, archive: bool = False) -> Iterator[Connection]:
    """One transaction as a plain connection, for set-based statements and COPY.

    Args:
        read_only: The database itself refuses every write in it.
        archive: Months of history that lie in the archive are read too (ledger/partitions.py). History is not written in it.
    """
    with engine().begin() as open_connection:
        if read_only:
            open_connection.execute(text("SET TRANSACTION READ ONLY"))
        if archive:
            with_archive(open_connection)
        yield open_connection


@contextmanager
def apart() -> Iterator[Connection]:
    """One reading transaction beside the pool, for whoever may hold a connection of it already: waiting for a second could be for ever."""
    with _apart_of(database_url()).begin() as open_connection:
        open_connection.execute(text("SET TRANSACTION READ ONLY"))
        yield open_connection


@lru_cache(maxsize=4)
def _apart_of(address: str) -> Engine:
    return _engine(address, poolclass=NullPool)


def _engine(address: str, **pool: Any) -> Engine:
    url = make_url(address).set(drivername="postgresql+psycopg")
    given = {"prepare_threshold": None, "connect_timeout": CONNECT_SECONDS_MAX}
    return create_engine(url, hide_parameters=True, connect_args=given, **pool)


def _prepare(driver: Any, _record: object) -> None:
    """Let a session prepare what it is asked again and again, where it is the server's own: a pooler makes up who serves us."""
    serving = driver.execute("SELECT pg_backend_pid()").fetchone()[0]
    driver.rollback()
    if serving == driver.info.backend_pid:
        driver.prepare_threshold, driver.prepared_max = PREPARE_AFTER, PREPARED_MAX


@lru_cache(maxsize=4)
def _arrow_database(address: str) -> _SharedDatabase:
    """What the driver learns of a database before it connects, once a process: its types, 50 ms of CPU. Nothing stays open."""
    return _SharedDatabase(adbc_driver_postgresql.connect(address))


@contextmanager
def arrow(*, read_only: bool = False, archive: bool = False) -> Iterator[ArrowConnection]:
    """One transaction over ADBC: Arrow in and out. Committed at the end, rolled back on any error.

    Args:
        read_only: The database itself refuses every write in it.
        archive: As of `connection`.
    """
    database = _arrow_database(database_url())
    with ArrowConnection(database, AdbcConnection(database._db)) as open_connection:  # noqa: SLF001  # the driver has no other way to share one
        try:
            for wanted, statement in ((read_only, "SET TRANSACTION READ ONLY"), (archive, WITH_ARCHIVE)):
                if wanted:
                    with open_connection.cursor() as cursor:
                        cursor.execute(statement)
            yield open_connection
        except BaseException:
            open_connection.rollback()
            raise
        open_connection.commit()

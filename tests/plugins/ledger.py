"""Fixtures: a real PostgreSQL with a migrated ledger.

One server for the whole test run (or the one that TIDEOVER_TEST_DATABASE_URL names, as `.ci/run` does with Debian's
own 15), one template database at the newest migration, and for each test a copy of it that nothing is in. With
TIDEOVER_TEST_POOLER our own code reaches that copy through a pooler at this address; databases are made and emptied past it.
"""

from __future__ import annotations

import base64
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from config.settings import settings
from ledger import embedded, schema, vault
from ledger.engine import engine_of

_numbers = count(1)
# Copying a database costs more than emptying it, and deleted rows stay in their files.
TESTS_A_COPY = 40
# Whatever a test left open, a thread's or a program's, ends before the next one begins.
_END_OTHERS = text(
    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
# A catalogue's row that was written since is another row: a test that changes the schema leaves no ledger to the next.
_SCHEMA = text("""
    SELECT concat_ws('/',
        (SELECT concat(count(*), '-', max(xmin::text::bigint)) FROM pg_class WHERE relnamespace = 'public'::regnamespace),
        (SELECT concat(count(*), '-', max(a.xmin::text::bigint)) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
         WHERE c.relnamespace = 'public'::regnamespace),
        (SELECT concat(count(*), '-', max(xmin::text::bigint)) FROM pg_constraint WHERE connamespace = 'public'::regnamespace),
        (SELECT concat(count(*), '-', max(xmin::text::bigint)) FROM pg_trigger),
        (SELECT concat(count(*), '-', max(xmin::text::bigint)) FROM pg_proc WHERE pronamespace = 'public'::regnamespace),
        (SELECT concat(count(*), '-', max(xmin::text::bigint)) FROM pg_namespace))
""")
_EMPTY = text("""
    DO $$
    DECLARE one record; has_rows boolean;
    BEGIN
        FOR one IN SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'
        LOOP
            EXECUTE format('SELECT EXISTS (SELECT FROM %I)', one.relname) INTO has_rows;
            IF has_rows THEN EXECUTE format('DELETE FROM %I', one.relname); END IF;
        END LOOP;
        PERFORM setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace;
    END $$
""")


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """Address of a PostgreSQL server's maintenance database."""
    given = os.environ.get("TIDEOVER_TEST_DATABASE_URL")
    if given:
        yield given
        return
    folder = Path(tempfile.mkdtemp(prefix="tideover-test-"))
    folder.chmod(0o755)
    embedded.start(folder, durable=False)
    yield embedded.url(folder, "postgres")
    for kept in _kept:
        kept.session.close()
    embedded.stop(folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def template_url(server_url: str) -> str:
    """A migrated, empty ledger that each test copies."""
    address = make_url(server_url).set(database=f"tideover_template_{os.getpid()}").render_as_string(hide_password=False)
    schema.migrate(address)
    engine_of(address).dispose()
    engine_of.cache_clear()
    return address


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keys for one test, made up."""
    monkeypatch.setenv("TIDEOVER_ENCRYPTION_KEYS", "madeup-test:" + base64.b64encode(b"k" * 32).decode())
    monkeypatch.setenv("TIDEOVER_INDEX_KEY", "madeup-index")
    monkeypatch.setenv("TIDEOVER_SEED", "madeup-seed")
    _forget()
    yield
    _forget()


@pytest.fixture
def ledger_url(server_url: str, template_url: str, keys: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of a ledger that is as good as fresh; the settings point to it."""
    del keys
    address = _through_the_pooler(_emptied() or _copied(server_url, template_url))
    monkeypatch.setenv("TIDEOVER_DATABASE_URL", address)
    _forget()
    yield address
    engine_of(address).dispose()
    _forget()


def _through_the_pooler(address: str) -> str:
    """The same database by way of the pooler, where the tests are run with one."""
    pooler = os.environ.get("TIDEOVER_TEST_POOLER")
    return address if pooler is None else make_url(pooler).set(database=make_url(address).database).render_as_string(hide_password=False)


@dataclass(slots=True)
class _Kept:
    """The ledger of the tests before: its address, its schema as it was copied, how many tests it has served, and who empties it.

    A new session would read the catalogue of all tables anew, which costs several times what emptying does.
    """

    address: str
    schema: str
    session: Connection
    tests: int = 1


_kept: list[_Kept] = []


def _emptied() -> str | None:
    """Address of the ledger of the tests before, emptied; None where there is none, or its schema was changed, or it was used enough."""
    if not _kept or _kept[0].tests >= TESTS_A_COPY:
        return None
    kept = _kept[0]
    try:
        kept.session.execute(_END_OTHERS)
        if kept.session.execute(_SCHEMA).scalar_one() != kept.schema:
            return None
        kept.session.execute(_EMPTY)
    except OperationalError:
        return None
    kept.tests += 1
    return kept.address


def _copied(server_url: str, template_url: str) -> str:
    """Address of a new copy of the template; the one before it goes."""
    name = f"tideover_test_{os.getpid()}_{next(_numbers)}"
    with _session(server_url) as server:
        if _kept:
            gone = _kept.pop()
            gone.session.close()
            server.execute(text(f'DROP DATABASE IF EXISTS "{make_url(gone.address).database}" WITH (FORCE)'))
        server.execute(text(f'CREATE DATABASE {name} TEMPLATE "{make_url(template_url).database}"'))
    address = make_url(server_url).set(database=name).render_as_string(hide_password=False)
    session = _session(address)
    session.execute(text("SET session_replication_role = replica"))
    _kept.append(_Kept(address, session.execute(_SCHEMA).scalar_one(), session))
    return address


def _session(address: str) -> Connection:
    """A session of its own, each statement a transaction."""
    url = make_url(address).set(drivername="postgresql+psycopg")
    return create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT").connect()


def _forget() -> None:
    """Settings and engines are read once a process; a test reads its own."""
    settings.cache_clear()
    engine_of.cache_clear()
    vault.forget(list(vault._remembered))  # noqa: SLF001  # what the module under test remembers

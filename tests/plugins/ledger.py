"""Fixtures: a real PostgreSQL with a migrated ledger.

One server for the whole test run (or the one that TIDEOVER_TEST_DATABASE_URL names, as `.ci/run` does with Debian's
own 15), one template database at the newest migration, and for each test a fresh copy of it.
"""

from __future__ import annotations

import base64
import os
import shutil
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from config.settings import settings
from ledger import embedded, schema, vault
from ledger.engine import engine_of

_numbers = count(1)


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
    """Address of a fresh ledger; the settings point to it."""
    del keys
    name = f"tideover_test_{os.getpid()}_{next(_numbers)}"
    admin = create_engine(make_url(server_url).set(drivername="postgresql+psycopg"), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f'CREATE DATABASE {name} TEMPLATE "{make_url(template_url).database}"'))
    address = make_url(server_url).set(database=name).render_as_string(hide_password=False)
    monkeypatch.setenv("TIDEOVER_DATABASE_URL", address)
    _forget()
    yield address
    engine_of(address).dispose()
    _forget()
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


def _forget() -> None:
    """Settings, keys and engines are read once a process; a test reads its own."""
    settings.cache_clear()
    engine_of.cache_clear()
    for cached in (vault._keys, vault._first_key, vault._index_key):  # noqa: SLF001  # the caches of the module under test
        cached.cache_clear()
    vault.forget(list(vault._remembered))  # noqa: SLF001  # as above

"""The way to the database: what a session prepares, with and without a pooler in between."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from psycopg.errors import FeatureNotSupported
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from config.settings import settings
from decisions.facts import Schema
from ledger.engine import PREPARE_AFTER, arrow, connection, engine, engine_of
from ledger.frames import read

POOLER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH')}:/usr/sbin")
_PREPARED = text("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%tideover_asked%'")


@pytest.fixture
def prepares(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The portal's setting."""
    monkeypatch.setenv("TIDEOVER_DATABASE_PREPARES", "yes")
    settings.cache_clear()
    engine_of.cache_clear()
    yield
    forget()


def forget() -> None:
    """Close this process's sessions."""
    engine().dispose()
    engine_of.cache_clear()


def asked_often() -> int:
    """Ask the same again and again in one session; how many statements like it are prepared then."""
    with connection() as tx:
        for _ in range(PREPARE_AFTER + 3):
            tx.execute(text("SELECT 1 AS tideover_asked"))
        return int(tx.execute(_PREPARED).scalar_one())


@pytest.mark.skipif("TIDEOVER_TEST_POOLER" in os.environ, reason="a pooler stands in between")
@pytest.mark.usefixtures("ledger_url", "prepares")
def test_what_is_asked_often_is_prepared_where_a_process_asks_for_it() -> None:
    assert asked_often() == 1


@pytest.mark.usefixtures("ledger_url")
def test_arrow_connections_share_what_the_driver_knows_and_nothing_else() -> None:
    now = "SELECT transaction_timestamp() AS at, txid_current() AS number"
    columns: Schema = {"at": pl.Datetime("us", "UTC"), "number": pl.Int64}
    with arrow() as one:
        begun = read(one, now, columns)
        with arrow() as other:
            assert read(other, now, columns).rows() != begun.rows()
        assert read(one, now, columns).rows() == begun.rows(), "its transaction goes on when the other's ends"
    with arrow(read_only=True) as later:
        assert read(later, now.partition(",")[0], {"at": columns["at"]}).height == 1


@pytest.mark.usefixtures("ledger_url")
def test_nothing_is_prepared_where_nobody_asks_for_it() -> None:
    assert asked_often() == 0


@pytest.mark.skipif(POOLER is None, reason="there is no pgbouncer here")
@pytest.mark.usefixtures("prepares")
def test_nothing_is_prepared_behind_a_pooler(ledger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = make_url(ledger_url)
    folder = tmp_path / "pooler"
    folder.mkdir()
    for one in (folder, *folder.parents[:4]):
        one.chmod(one.stat().st_mode | 0o055)
    folder.chmod(0o777)
    server = f"host={address.query.get('host', address.host)} user={address.username}" + (f" port={address.port}" if address.port else "")
    (folder / "ini").write_text(
        f"[databases]\n* = {server}\n[pgbouncer]\nlisten_addr=\nlisten_port=6432\nunix_socket_dir={folder}\nauth_type=any\npool_mode=transaction\n"
    )
    as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
    with subprocess.Popen([*as_nobody, str(POOLER), "-q", str(folder / "ini")]) as pooler:
        try:
            deadline = time.monotonic() + 20
            while not (folder / ".s.PGSQL.6432").exists() and time.monotonic() < deadline:
                time.sleep(0.05)
            monkeypatch.setenv("TIDEOVER_DATABASE_URL", f"postgresql://{address.username}@/{address.database}?host={folder}&port=6432")
            settings.cache_clear()
            assert asked_often() == 0
            forget()
        finally:
            pooler.terminate()


@pytest.mark.usefixtures("prepares")
def test_an_upgrade_that_changes_an_answer_costs_one_failure(ledger_url: str) -> None:
    past_the_pool = create_engine(make_url(ledger_url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with past_the_pool.begin() as other:
        other.execute(text("CREATE TABLE upgraded (one integer)"))
    everything = text("SELECT * FROM upgraded")
    for _ in range(PREPARE_AFTER + 3):
        with connection() as tx:
            tx.execute(everything)
    with past_the_pool.begin() as other:
        other.execute(text("ALTER TABLE upgraded ADD COLUMN two integer"))
    with pytest.raises(DBAPIError) as failed, connection() as tx:
        tx.execute(everything)
    assert isinstance(failed.value.orig, FeatureNotSupported)
    with connection() as tx:
        assert list(tx.execute(everything).keys()) == ["one", "two"]

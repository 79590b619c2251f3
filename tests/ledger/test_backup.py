"""Backup and restore: what was kept comes back, and nothing is overwritten."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from config.settings import settings
from ledger import schema
from ledger.engine import connection, engine_of


def test_a_backup_comes_back_into_an_empty_ledger(ledger_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with connection() as tx:
        tx.execute(text("INSERT INTO creditor (external_id, name, role, country) VALUES ('c', 'C', 'first_party', 'TW')"))
    file = tmp_path / "ledger.backup"
    schema.backup(file)
    assert file.read_bytes()[:5] == b"PGDMP"

    empty = make_url(ledger_url)
    restored = empty.set(database=f"{empty.database}_restored").render_as_string(hide_password=False)
    monkeypatch.setenv("TIDEOVER_DATABASE_URL", restored)
    settings.cache_clear()
    schema.restore(file)
    with connection() as tx:
        assert tx.execute(text("SELECT external_id FROM creditor")).scalars().all() == ["c"]
    with pytest.raises(schema.BackupError, match="not empty"):
        schema.restore(file)
    engine_of(restored).dispose()
    schema.drop_database(restored)


def test_a_backup_never_overwrites_a_file(ledger_url: str, tmp_path: Path) -> None:
    del ledger_url
    file = tmp_path / "kept"
    file.write_text("something else")
    with pytest.raises(schema.BackupError, match="exists already"):
        schema.backup(file)
    assert file.read_text() == "something else"


def test_restoring_from_no_file_says_so(ledger_url: str, tmp_path: Path) -> None:
    del ledger_url
    with pytest.raises(schema.BackupError, match="no such file"):
        schema.restore(tmp_path / "missing")


def test_client_programs_are_of_the_servers_own_major(ledger_url: str) -> None:
    del ledger_url
    with connection() as tx:
        major = int(tx.execute(text("SHOW server_version_num")).scalar_one()) // 10_000
    found = schema._client("pg_dump", major)  # noqa: SLF001  # which program is run shows nowhere else
    assert f") {major}." in subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    with pytest.raises(schema.BackupError, match=r"no pg_dump of PostgreSQL 9 .* install"):
        schema._client("pg_dump", 9)  # noqa: SLF001  # as above

"""Backup and restore: what was kept comes back, nothing is overwritten, and nobody is contacted before somebody has looked."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from config.settings import settings
from ledger import backup, clock, pauses, schema
from ledger.engine import connection, engine_of
from ledger.pauses import Scope

Restored = Callable[[], str]


@pytest.fixture
def new_ledger(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Restored]:
    """Point the settings to a ledger that does not exist yet."""
    address = make_url(ledger_url)
    restored = address.set(database=f"{address.database}_restored").render_as_string(hide_password=False)

    def point() -> str:
        monkeypatch.setenv("TIDEOVER_DATABASE_URL", restored)
        settings.cache_clear()
        return restored

    yield point
    engine_of(restored).dispose()
    schema.drop_database(restored)


def creditor() -> None:
    with connection() as tx:
        tx.execute(text("INSERT INTO creditor (external_id, name, role, country) VALUES ('c', 'C', 'first_party', 'TW')"))


def test_a_backup_comes_back_into_an_empty_ledger_and_is_paused(new_ledger: Restored, tmp_path: Path) -> None:
    creditor()
    file = tmp_path / "ledger.backup"
    backup.backup(file)
    assert file.read_bytes()[:5] == b"PGDMP"

    new_ledger()
    pause = backup.restore(file)
    with connection() as tx:
        assert tx.execute(text("SELECT external_id FROM creditor")).scalars().all() == ["c"]
        assert [(one.id, one.scope) for one in pauses.in_force(tx, at=clock.now(tx))] == [(pause.id, Scope())]
    assert "not in it" in pause.because
    with pytest.raises(backup.BackupError, match="not empty"):
        backup.restore(file)


def test_a_backup_of_an_older_schema_comes_back_at_the_newest(new_ledger: Restored, tmp_path: Path) -> None:
    file, oldest = tmp_path / "old.backup", schema.known_revisions()[0]
    new_ledger()
    schema.migrate(to=oldest)
    creditor()
    backup.backup(file)
    engine_of(settings().database_url or "").dispose()
    schema.drop_database(settings().database_url or "")

    backup.restore(file)
    with connection() as tx:
        assert schema.revision(tx) == schema.known_revisions()[-1]
        assert tx.execute(text("SELECT count(*) FROM creditor")).scalar_one() == 1


def test_what_a_newer_version_wrote_is_refused_and_the_ledger_stays_empty(new_ledger: Restored, tmp_path: Path) -> None:
    with connection() as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = 'ffff00000000'"))
    backup.backup(tmp_path / "new.backup")
    new_ledger()
    with pytest.raises(backup.BackupError, match="ffff00000000, which this version does not know"):
        backup.restore(tmp_path / "new.backup")
    with connection() as tx:
        assert schema.revision(tx) is None


def test_a_backup_is_for_its_owner_only_and_never_overwrites_a_file(ledger_url: str, tmp_path: Path) -> None:
    del ledger_url
    backup.backup(tmp_path / "new")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600
    file = tmp_path / "kept"
    file.write_text("something else")
    with pytest.raises(backup.BackupError, match="exists already"):
        backup.backup(file)
    assert file.read_text() == "something else"


def test_a_backup_that_fails_leaves_nothing_that_looks_like_one(ledger_url: str, tmp_path: Path) -> None:
    """A table that this user may not read: pg_dump gives up in the middle."""
    address = make_url(ledger_url)
    with connection() as tx:
        tx.execute(text("CREATE ROLE reader LOGIN"))
        tx.execute(text("CREATE TABLE closed (n int)"))
    try:
        os.environ["TIDEOVER_DATABASE_URL"] = address.set(username="reader").render_as_string(hide_password=False)
        settings.cache_clear()
        with pytest.raises(backup.BackupError, match="permission denied"):
            backup.backup(tmp_path / "ledger.backup")
    finally:
        engine_of(os.environ["TIDEOVER_DATABASE_URL"]).dispose()
        os.environ["TIDEOVER_DATABASE_URL"] = ledger_url
        settings.cache_clear()
        with connection() as tx:
            tx.execute(text("DROP ROLE reader"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_keeps_the_newest_backups_and_whatever_else_is_in_it(ledger_url: str, tmp_path: Path) -> None:
    del ledger_url
    folder = tmp_path / "backups"
    folder.mkdir()
    for name in ("ledger-20200101T000000Z.backup", "ledger-20200102T000000Z.backup", "before the upgrade", "ledger-mine.backup"):
        (folder / name).touch()
    new, removed = backup.backup_into(folder, keep=2)
    assert [path.name for path in removed] == ["ledger-20200101T000000Z.backup"]
    assert {path.name for path in folder.iterdir()} == {
        new.name,
        "ledger-20200102T000000Z.backup",
        "before the upgrade",
        "ledger-mine.backup",
    }


def test_restoring_from_no_file_or_from_another_says_so(new_ledger: Restored, tmp_path: Path) -> None:
    new_ledger()
    with pytest.raises(backup.BackupError, match="no such file"):
        backup.restore(tmp_path / "missing")
    (tmp_path / "text").write_text("not a backup")
    with pytest.raises(backup.BackupError, match="pg_restore"):
        backup.restore(tmp_path / "text")


def test_client_programs_are_of_the_servers_own_major(ledger_url: str) -> None:
    del ledger_url
    with connection() as tx:
        major = int(tx.execute(text("SHOW server_version_num")).scalar_one()) // 10_000
    found = backup._client("pg_dump", major)  # noqa: SLF001  # which program is run shows nowhere else
    assert f") {major}." in subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    with pytest.raises(backup.BackupError, match=r"no pg_dump of PostgreSQL 9 .* install"):
        backup._client("pg_dump", 9)  # noqa: SLF001  # as above

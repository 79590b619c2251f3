"""Upgrades: a ledger with data, at any migration there ever was, comes to the newest, and nothing in it is lost.

A version is released when it is tagged or the changelog names its migration; until then every migration counts as one. A file
of tests/ledger/upgrades/ is data as they were at the migration it is named by; a revision is filled with the newest file that
is not newer than itself. Whoever writes a migration after which such data cannot be written any more adds a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from config.settings import settings
from ledger import schema, vault
from ledger.engine import connection, engine_of

FILES = Path(__file__).parent / "upgrades"
HOUSE = Path(__file__).resolve().parents[2]
REVISIONS = schema.known_revisions()


@pytest.fixture
def old_ledger(server_url: str, keys: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a ledger that does not exist yet; the settings point to it."""
    del keys
    address = make_url(server_url).set(database="tideover_upgraded").render_as_string(hide_password=False)
    schema.drop_database(address)
    monkeypatch.setenv("TIDEOVER_DATABASE_URL", address)
    settings.cache_clear()
    yield address
    engine_of(address).dispose()
    schema.drop_database(address)


def data_for(revision: str) -> Path:
    """The newest file of data that a ledger at this revision can hold."""
    until = REVISIONS[: REVISIONS.index(revision) + 1]
    return next(file for known in reversed(until) if (file := FILES / f"{known}.sql").exists())


def fill(revision: str) -> None:
    schema.migrate(to=revision)
    with connection() as tx:
        tx.exec_driver_sql(data_for(revision).read_text())


def counts(tx: Connection) -> dict[str, int]:
    """Table → rows."""
    tables = tx.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).scalars().all()
    return {table: int(tx.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()) for table in tables}  # noqa: S608  # the database's own names


def money(tx: Connection) -> dict[str, int]:
    """Every column of money → its sum."""
    found = tx.execute(
        text("SELECT table_name, column_name FROM information_schema.columns WHERE column_name LIKE '%\\_minor' ORDER BY 1, 2")
    )
    return {
        f"{table}.{column}": int(tx.execute(text(f"SELECT coalesce(sum({column}), 0) FROM {table}")).scalar_one())  # noqa: S608  # as above
        for table, column in found.all()
    }


def opened(tx: Connection) -> set[str]:
    """Every encrypted value, decrypted with today's program."""
    rows: list[Any] = []
    for table, column in (
        ("party_version", "name_encrypted"),
        ("contact_point_version", "value_encrypted"),
        ("provider_event_payload", "payload_encrypted"),
    ):
        rows += tx.execute(text(f"SELECT {column}, key_id FROM {table} WHERE {column} IS NOT NULL")).all()  # noqa: S608  # as above
    return {vault.decrypt(value, key_id) for value, key_id in rows}


@pytest.mark.parametrize("revision", REVISIONS)
def test_data_of_every_revision_stand_after_the_upgrade(old_ledger: str, revision: str) -> None:
    fill(revision)
    with connection() as tx:
        counted, summed = counts(tx), money(tx)
        assert [table for table in counts_of_the_file(revision) if not counted[table]] == []

    schema.migrate()
    with connection() as tx:
        assert schema.revision(tx) == REVISIONS[-1]
        assert {table: rows for table, rows in counts(tx).items() if table in counted} == counted
        assert {column: total for column, total in money(tx).items() if column in summed} == summed
        assert summed["instalment.principal_minor"] == 80_000
        assert {"Somebody Nobody", "+12125550101"} <= opened(tx)
        # Facts of before still say what they said: whoever was stopped stays stopped.
        assert tx.execute(text("SELECT count(*) FROM opt_out WHERE superseded_at IS NULL AND until IS NULL")).scalar_one() == 1
        assert tx.execute(text("SELECT count(*) FROM pause WHERE superseded_at IS NULL AND channel = 'sms'")).scalar_one() == 1
    assert schema.drift(old_ledger) is None


def counts_of_the_file(revision: str) -> set[str]:
    """Tables that the file fills."""
    return set(re.findall(r"^INSERT INTO public\.(\w+)", data_for(revision).read_text(), re.MULTILINE))


def test_the_first_file_fills_every_table_of_its_time(old_ledger: str) -> None:
    del old_ledger
    schema.migrate(to=REVISIONS[0])
    with connection() as tx:
        assert set(counts(tx)) - {"alembic_version"} == counts_of_the_file(REVISIONS[0])


def test_an_upgrade_that_must_wait_gives_up_and_leaves_all_as_it_was(old_ledger: str) -> None:
    """Somebody reads the tables for a long time: the migration does not stand in front of everybody else, and does nothing by halves."""
    fill(REVISIONS[0])
    with engine_of(old_ledger).begin() as reader:
        for table in counts(reader):
            reader.execute(text(f"LOCK TABLE {table} IN ROW SHARE MODE"))
        with pytest.raises(OperationalError, match="lock timeout"):
            schema.migrate()
        assert schema.revision(reader) == REVISIONS[0]
    schema.migrate()


@pytest.mark.parametrize("path", sorted((HOUSE / "ledger/migrations/versions").glob("*.py")), ids=lambda path: path.stem[:15])
def test_every_migration_limits_how_long_it_waits_and_runs(path: Path) -> None:
    up = path.read_text().split("def upgrade() -> None:")[1].split("def downgrade")[0]
    waits = re.search(r"SET LOCAL lock_timeout = '(\d+)s'", up)
    runs = re.search(r"SET LOCAL statement_timeout = '(\d+)s'", up)
    assert waits, "no lock_timeout"
    assert runs, "no statement_timeout"
    assert int(waits[1]) <= 5

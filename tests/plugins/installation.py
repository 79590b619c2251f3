"""A whole installation for journeys: every program as `make up` starts it, a portfolio imported, its people in the town.

Everything real that can be: PostgreSQL, Prefect server and worker, the portal, the providers' own SDKs; the providers
themselves and the people are the sandbox's. Databases and folder are of its own, and nothing is left behind.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from prefect.context import refresh_global_settings_context

from config.settings import settings
from ledger.engine import engine, engine_of
from local.demo import Town, move_in, stage
from local.services import PREFERRED_PORTS, STOP_SECONDS_MAX, Services


@dataclass(frozen=True)
class Installation:
    """What runs.

    Attributes:
        services: The programs.
        town: Where the people live.
        folder: For files of the test.
    """

    services: Services
    town: Town
    folder: Path
    _commands: dict[str, list[str]] = field(default_factory=dict)

    def process(self, name: str) -> psutil.Process:
        """A running program."""
        return psutil.Process(int(json.loads(self.services.run_file.read_text())[name]["pid"]))

    def kill(self, name: str, *, with_children: bool = True) -> None:
        """Kill a program with signal 9, itself before what it started, so that it can tell nobody."""
        program = self.process(name)
        self._commands[name] = program.cmdline()
        kill_all([program, *(program.children(recursive=True) if with_children else [])])

    def start_again(self, name: str, *, health: str | None = None) -> None:
        """Start what was killed, and wait until it answers where it can be asked."""
        self.services._spawn(name, self._commands[name])  # noqa: SLF001  # as it was started
        if health:
            self.services._wait(name, health, lambda _: None)  # noqa: SLF001  # as above


def kill_all(victims: list[psutil.Process]) -> None:
    """Kill with signal 9, in this order; gone when this returns."""
    for victim in victims:
        victim.send_signal(signal.SIGKILL)
    psutil.wait_procs(victims, timeout=STOP_SECONDS_MAX)


@contextmanager
def installed(server_url: str, folder: Path, *, accounts: int) -> Iterator[Installation]:
    """Start everything, import so many accounts, and keep it as long as the block runs; the environment is as before afterwards."""
    before = dict(os.environ)
    os.environ["TIDEOVER_DATABASE_URL"] = server_url
    # Two at once must not find the same port free.
    ports = pytest.MonkeyPatch()
    ports.setattr("local.services.PREFERRED_PORTS", dict.fromkeys(PREFERRED_PORTS, 0))
    services = Services(folder / "state", database=f"tideover_journey_{os.getpid()}")
    try:
        with stage(services, lambda _: None):
            town = Town(services.addresses["sandbox"])
            move_in(town, accounts, folder, lambda _: None)
            yield Installation(services, town, folder)
    finally:
        ports.undo()
        engine().dispose()
        services._configured = server_url  # noqa: SLF001  # the address that the databases were made under
        services.drop_databases()
        engine_of.cache_clear()
        os.environ.clear()
        os.environ.update(before)
        settings.cache_clear()
        refresh_global_settings_context()

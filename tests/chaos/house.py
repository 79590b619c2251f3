"""A whole installation of its own, whose programs can be killed and started again one by one.

PostgreSQL (durable, as in production), Prefect's server, the portal, a flow process, a worker, and the outside: our sandbox, or another server
on loopback that `TIDEOVER_TWILIO_BASE_URL` names. Everything is in a temporary folder and on free ports; nothing is shared
with `make up`, and nothing is left behind.

Prefect's own records lie in a file database beside it: what is tried here is our ledger's server going away, not Prefect's.

In:   the environment (another server's addresses), a seed.
Out:  running programs; how to kill them.
Pure: no.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import psutil

from config.settings import HOUSE, settings
from ledger import embedded, schema
from ledger.engine import engine, engine_of
from local.services import PREFECT_QUIET, _free_port
from tests.chaos.relay import Relay
from tests.plugins.prefect_heard import tell_prefect

DATABASE: Final = "tideover_chaos"
READY_SECONDS_MAX: Final = 120
STOP_SECONDS_MAX: Final = 15
CALL_SECONDS_MAX: Final = 1.2
LATENCY_MS, JITTER_MS, SETTLE_MS = 400, 300, 40
# Everybody can be reached, so that whoever got nothing was lost by us.
TOWN: Final = {
    "sms_delivered": 1,
    "wrong_number_share": 0,
    "landline_share": 0,
    "push_permitted": 1,
    "stale_token_share": 0,
    "number_given_up_rate": 0,
    "phone_lost_rate": 0,
}
OUTSIDE: Final = ("TIDEOVER_TWILIO_BASE_URL", "TIDEOVER_TWILIO_ACCOUNT_SID", "TIDEOVER_TWILIO_AUTH_TOKEN")
OUTSIDE_PUSH: Final = ("TIDEOVER_FCM_BASE_URL", "TIDEOVER_FCM_TOKEN_URL", "TIDEOVER_FCM_SERVICE_ACCOUNT_FILE")


class ChaosError(RuntimeError):
    """The installation cannot be set up; the message says why."""


@dataclass
class House:
    """The installation.

    Attributes:
        seed: Of the sandbox's town and faults.
        at: Where both clocks stand, as text.
        latency_ms: Of a provider's answer, and by how much it varies.
        relay: The way to our sandbox, where senders are to find it shut (`with_relay`).
    """

    seed: int
    at: str
    latency_ms: tuple[int, int] = (LATENCY_MS, JITTER_MS)
    with_relay: bool = False
    relay: Relay | None = None
    outside: bool = False
    with_push: bool = True
    environment: dict[str, str] = field(default_factory=dict)
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _starts: dict[str, int] = field(default_factory=dict)
    _ports: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Take a folder; as root PostgreSQL runs as another user, who has to reach it."""
        self.folder = Path(tempfile.mkdtemp(prefix="tideover-chaos-"))
        self.folder.chmod(0o755)
        self.data = self.folder / "postgresql"
        self._before = dict(os.environ)

    def start(self) -> None:
        """Start PostgreSQL, Prefect's server, the outside and the portal; senders are started later.

        Raises:
            ChaosError: A program does not answer.
        """
        self.outside = bool(os.environ.get(OUTSIDE[0]))
        if self.outside and (missing := [name for name in OUTSIDE if not os.environ.get(name)]):
            raise ChaosError(f"another server needs {', '.join(missing)} too")
        self.with_push = not self.outside or all(os.environ.get(name) for name in OUTSIDE_PUSH)
        embedded.start(self.data, durable=True)
        self._ports = {name: _free_port(0) for name in ("prefect", "sandbox", "webhooks")}
        if self.with_relay:
            self.relay = Relay(self._ports["sandbox"])
            self.relay.open()
        if self.outside and (port := urlsplit(os.environ.get("TIDEOVER_PUBLIC_URL", "")).port):
            self._ports["webhooks"] = port
        self.environment = self._environment()
        os.environ.update(self.environment)
        _forget()
        python = [sys.executable, "-m"]
        self._spawn("prefect", [*python, "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(self._ports["prefect"])])
        if not self.outside:
            self._spawn("sandbox", [*python, "sandbox", *self._sandbox_options()])
        schema.migrate(self.environment["TIDEOVER_DATABASE_URL"])
        if not self.outside:
            self._wait("sandbox", "/sandbox/health")
            os.environ["TIDEOVER_FCM_SERVICE_ACCOUNT_FILE"] = self.environment["TIDEOVER_FCM_SERVICE_ACCOUNT_FILE"]
        self.spawn("webhooks")

    def wait(self) -> None:
        """Until everything that was started answers.

        Raises:
            ChaosError: A program does not.
        """
        self._wait("webhooks", "/health")
        self._wait("prefect", "/api/health")

    def spawn(self, name: str) -> None:
        """Start a program that can be killed, anew."""
        serial = self._starts[name] = self._starts.get(name, 0) + 1
        python = [sys.executable, "-m"]
        if name == "webhooks":
            port = str(self._ports["webhooks"])
            self._spawn(
                name,
                [*python, "uvicorn", "portal.app:app", "--host", "127.0.0.1", "--port", port, "--log-level", "warning", "--no-access-log"],
            )
        else:
            # "worker-2" is another of the same.
            self._spawn(name, [*python, f"tests.chaos.{name.split('-', maxsplit=1)[0]}", str(serial)])

    def kill(self, name: str) -> None:
        """Kill with signal 9: the program and whatever it started, PostgreSQL with all its servers. Gone when this returns."""
        process = self.process(name)
        victims = [process, *process.children(recursive=True)]
        for victim in victims:
            with suppress(psutil.NoSuchProcess):
                victim.kill()
        psutil.wait_procs(victims, timeout=STOP_SECONDS_MAX)
        if name in self._processes:
            self._processes.pop(name).wait(STOP_SECONDS_MAX)

    def restart(self, name: str) -> None:
        """Start what was killed; PostgreSQL recovers before this returns."""
        if name == "database":
            embedded.start(self.data, durable=True)
        else:
            self.spawn(name)

    def process(self, name: str) -> psutil.Process:
        """The running program.

        Raises:
            psutil.NoSuchProcess: It does not run.
        """
        if name == "database":
            return psutil.Process(int((self.data / "data" / "postmaster.pid").read_text().split()[0]))
        process = self._processes[name]
        if process.poll() is not None:
            raise psutil.NoSuchProcess(process.pid)
        return psutil.Process(process.pid)

    def revive(self) -> None:
        """Start whoever ended by itself: a flow that a database's absence broke off is started again by its schedule."""
        for name in ("webhooks", "flow", "worker"):
            if name in self._processes and self._processes[name].poll() is not None:
                self.spawn(name)

    def stop_senders(self) -> None:
        """Let the senders come to their end, and start none again."""
        for name in [name for name in self._processes if name.split("-")[0] in {"flow", "worker"}]:
            process = self._processes.pop(name)
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def stop(self) -> None:
        """Stop everything and remove the folder."""
        tell_prefect()
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if self.relay is not None:
            self.relay.shut()
        if self.environment:
            hang_up()
            engine_of(self.environment["TIDEOVER_DATABASE_URL"]).dispose()
        embedded.stop(self.data)
        shutil.rmtree(self.folder, ignore_errors=True)
        # The next house of this process must not take this one's sandbox for somebody else's.
        os.environ.clear()
        os.environ.update(self._before)
        _forget()

    def sandbox(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> str:
        """One call of the sandbox's control API; the answer's text."""
        data = None if body is None else json.dumps(body).encode()
        address = f"http://127.0.0.1:{self._ports['sandbox']}/sandbox/{path}"
        request = Request(address, data, {"Content-Type": "application/json"}, method=method)  # loopback
        with urlopen(request, timeout=60) as answer:  # noqa: S310  # loopback
            return str(answer.read().decode())

    def holds_a_call(self, name: str) -> bool:
        """Whether a stopped sender waits for a provider's answer, as the provider sees it; elsewhere, whether it is connected at all."""
        port = urlsplit(self.environment["TIDEOVER_TWILIO_BASE_URL"]).port
        ours = {link.laddr.port for link in self.process(name).net_connections("tcp") if link.raddr and link.raddr.port == port}
        return bool(ours if self.outside else ours & set(json.loads(self.sandbox("GET", "open"))["calls"]))

    def await_carriers(self) -> None:
        """Until our sandbox's carriers have done with every message that was taken: till then a phone may be about to get one.

        Raises:
            ChaosError: They do not come to rest.
        """
        deadline = time.monotonic() + READY_SECONDS_MAX
        while not json.loads(self.sandbox("GET", "open"))["at_rest"]:
            if time.monotonic() > deadline:
                raise ChaosError(f"the sandbox does not come to rest: {self.log_tail('sandbox')}")
            time.sleep(0.1)

    def is_heard_by(self, portal: psutil.Process) -> bool:
        """Whether somebody is connected to the portal: all that can be seen of another server's webhooks."""
        links = portal.net_connections("tcp")
        return any(link.status == psutil.CONN_ESTABLISHED and link.laddr.port == self._ports["webhooks"] for link in links)

    def log_tail(self, name: str) -> str:
        """The last lines that a program wrote."""
        file = self.folder / f"{name}.log"
        return file.read_text(errors="replace")[-1500:] if file.exists() else ""

    def _environment(self) -> dict[str, str]:
        sandbox = f"http://127.0.0.1:{self._ports['sandbox'] if self.relay is None else self.relay.port}"
        inside = {
            "TIDEOVER_TWILIO_BASE_URL": sandbox,
            "TIDEOVER_TWILIO_ACCOUNT_SID": "AC" + "c" * 32,
            "TIDEOVER_TWILIO_AUTH_TOKEN": "chaos",
            "TIDEOVER_FCM_BASE_URL": sandbox,
            "TIDEOVER_FCM_TOKEN_URL": f"{sandbox}/token",
            "TIDEOVER_FCM_SERVICE_ACCOUNT_FILE": str(self.folder / "service-account.json"),
        }
        if self.outside:
            inside = {name: os.environ[name] for name in (*OUTSIDE, *OUTSIDE_PUSH) if os.environ.get(name)}
        return {
            **PREFECT_QUIET,
            **inside,
            "PREFECT_HOME": str(self.folder / "prefect"),
            "PREFECT_API_URL": f"http://127.0.0.1:{self._ports['prefect']}/api",
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{self.folder / 'prefect.db'}",
            "PREFECT_LOGGING_LEVEL": "ERROR",
            "TIDEOVER_MODE": "sandbox",
            "TIDEOVER_STATE_DIR": str(self.folder),
            "TIDEOVER_EVIDENCE_DIR": str(self.folder / "evidence"),
            "TIDEOVER_DATABASE_URL": embedded.url(self.data, DATABASE),
            "TIDEOVER_PUBLIC_URL": f"http://127.0.0.1:{self._ports['webhooks']}",
            "TIDEOVER_APP_SECRET": "chaos",
            "TIDEOVER_ENCRYPTION_KEYS": "madeup-chaos:" + base64.b64encode(b"c" * 32).decode(),
            "TIDEOVER_INDEX_KEY": "madeup-index",
            "TIDEOVER_SEED": f"madeup-{self.seed}",
            "TIDEOVER_CALL_SECONDS_MAX": str(CALL_SECONDS_MAX),
            "TIDEOVER_RECONCILE_AFTER_SECONDS": "1",
            "TIDEOVER_PARK_AFTER_SECONDS": "4",
            # As few as the pace needs: whatever a killed sender had in flight by push is parked.
            "TIDEOVER_SMS_CONCURRENCY": "3",
            "TIDEOVER_PUSH_CONCURRENCY": "2",
            "PYTHONUNBUFFERED": "1",
        }

    def _sandbox_options(self) -> list[str]:
        pairs = {
            "--port": self._ports["sandbox"],
            "--seed": self.seed,
            "--at": self.at,
            "--settle-ms": SETTLE_MS,
            "--latency-ms": self.latency_ms[0],
            "--latency-jitter-ms": self.latency_ms[1],
            "--account-sid": self.environment["TIDEOVER_TWILIO_ACCOUNT_SID"],
            "--auth-token": self.environment["TIDEOVER_TWILIO_AUTH_TOKEN"],
            "--app-secret": self.environment["TIDEOVER_APP_SECRET"],
            "--service-account-file": self.environment["TIDEOVER_FCM_SERVICE_ACCOUNT_FILE"],
            "--inbound-url": f"{self.environment['TIDEOVER_PUBLIC_URL']}/webhooks/twilio/inbound",
            "--acknowledgement-url": f"{self.environment['TIDEOVER_PUBLIC_URL']}/webhooks/app/acknowledgement",
        }
        options = [str(part) for pair in pairs.items() for part in pair]
        return [*options, *(part for name, value in TOWN.items() for part in ("--set", f"{name}={value}"))]

    def _spawn(self, name: str, command: list[str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                command,
                cwd=HOUSE,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _wait(self, name: str, path: str) -> None:
        deadline = time.monotonic() + READY_SECONDS_MAX
        while time.monotonic() < deadline and self._processes[name].poll() is None:
            with suppress(URLError, OSError), urlopen(f"http://127.0.0.1:{self._ports[name]}{path}", timeout=2):  # loopback
                return
            time.sleep(0.2)
        raise ChaosError(f"{name} does not answer: {self.log_tail(name)}")


def _forget() -> None:
    """Settings and engines are read once a process; from now on they are this installation's."""
    settings.cache_clear()
    engine_of.cache_clear()


def hang_up() -> None:
    """Forget connections of this process to a database that was killed."""
    engine().dispose()

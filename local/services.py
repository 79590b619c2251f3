"""The programs of one machine: PostgreSQL, Prefect server, worker, portal, sandbox. Started, watched, stopped.

In:   a state folder (`.tideover` for `make up`, another for `make demo`) and the ledger's database name.
Out:  running programs, their addresses in `run.json`, their logs in `logs/`, keys and addresses in `env`, which
      config/settings.py reads.
Pure: no; starts and stops processes. Programs listen on loopback only.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import psutil
from prefect.client.orchestration import get_client
from prefect.context import refresh_global_settings_context
from prefect.events.worker import EventsWorker
from prefect.exceptions import ObjectNotFound
from prefect.logging.handlers import APILogWorker
from sqlalchemy.engine import make_url

from config.retention import retention_policy_in_force
from config.roles import roles_in_force
from config.settings import HOUSE, MADE_UP_KEY_PREFIX, settings
from ledger import embedded, schema, staff
from ledger.engine import connection
from local.deploy import deploy
from local.deploy_report import DeployRefused, Done

WORK_POOL = "tideover"
READY_SECONDS_MAX = 90
STOP_SECONDS_MAX = 15
DRAIN_SECONDS_MAX = 10
PREFERRED_PORTS = {"prefect": 4200, "portal": 8790, "sandbox": 9100, "mail": 9125}
# The lender's own, which the sandbox plays: a path of it, and settings, of that name.
OWN_SYSTEMS = ("gateway", "core", "wallet")
# Whose borrowers can open their pages by the sandbox's log-in: the lender of config/imports/taiwan.yaml, which the demo plays with.
SANDBOX_WALLET = "formosa-card"
# Prefect phones home and shows advertisements unless told not to (PREFECT.md B).
PREFECT_QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
    "PREFECT_LOGGING_LEVEL": "INFO",
    "PREFECT_CLI_PROMPT": "false",
    # A worker that looks often starts a scheduled run soon (9 s with the defaults).
    "PREFECT_WORKER_QUERY_SECONDS": "2",
}


class ServiceError(RuntimeError):
    """A program did not come up; the message says where its log is."""


@dataclass
class Services:
    """The programs of one state folder.

    Attributes:
        folder: State folder.
        database: Name of the ledger's database; None = the one that TIDEOVER_DATABASE_URL names, or `tideover`. Prefect's own is beside it.
        addresses: Program → address, once started.
    """

    folder: Path
    database: str | None = None
    addresses: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    # Real milliseconds after which the sandbox delivers a message; None = when its clock steps.
    settle_ms: int | None = None
    # Taken at the start: later the environment names our own ledger.
    _configured: str | None = field(default_factory=lambda: os.environ.get("TIDEOVER_DATABASE_URL"))

    @property
    def run_file(self) -> Path:
        """Which programs run: name → process id and address."""
        return self.folder / "run.json"

    def start(self, *, seed: int, say: Callable[[str], None]) -> None:
        """Start every program and wait until each answers.

        Args:
            seed: Of the sandbox's town.
            say: Receives a line for each program that is ready.

        Raises:
            ServiceError: Something already runs from this folder, or a program does not answer.
            EmbeddedDatabaseError: The database cannot be started.
        """
        if self.running():
            raise ServiceError(f"already running ({', '.join(self.running())}); `make down` stops it")
        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
        self.run_file.write_text("{}")
        try:
            self._start(seed=seed, say=say)
        except BaseException:
            self.stop()
            raise

    def _start(self, *, seed: int, say: Callable[[str], None]) -> None:
        ports = {name: _free_port(port) for name, port in PREFERRED_PORTS.items()}
        mail = ports.pop("mail")
        self.addresses = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        ledger_url, prefect_url = self._databases()
        self.environment = {
            **PREFECT_QUIET,
            **retention_policy_in_force().prefect.environment(),
            **_made_up_secrets(self.folder),
            "TIDEOVER_MODE": "sandbox",
            "TIDEOVER_STATE_DIR": str(self.folder),
            "TIDEOVER_EVIDENCE_DIR": str(self.folder / "evidence"),
            "TIDEOVER_HOME": str(HOUSE),
            "TIDEOVER_DATABASE_URL": ledger_url,
            "TIDEOVER_PUBLIC_URL": self.addresses["portal"],
            "TIDEOVER_TWILIO_BASE_URL": self.addresses["sandbox"],
            "TIDEOVER_FCM_BASE_URL": self.addresses["sandbox"],
            "TIDEOVER_FCM_TOKEN_URL": f"{self.addresses['sandbox']}/token",
            "TIDEOVER_SMTP_URL": f"smtp://127.0.0.1:{mail}",
            "TIDEOVER_OIDC_ISSUER": f"{self.addresses['sandbox']}/issuer",
            "TIDEOVER_OIDC_CLIENT_ID": "tideover-desk",
            "TIDEOVER_WALLET_OIDC_ISSUER": f"{self.addresses['sandbox']}/issuer",
            "TIDEOVER_WALLET_OIDC_CLIENT_ID": "tideover-page",
            "TIDEOVER_WALLET_OIDC_CREDITOR": SANDBOX_WALLET,
            **{f"TIDEOVER_{name.upper()}_BASE_URL": f"{self.addresses['sandbox']}/{name}" for name in OWN_SYSTEMS},
            "TIDEOVER_FCM_SERVICE_ACCOUNT_FILE": str(self.folder / "service-account.json"),
            "PREFECT_HOME": str(self.folder / "prefect"),
            "PREFECT_API_URL": f"{self.addresses['prefect']}/api",
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": prefect_url,
            "PYTHONUNBUFFERED": "1",
        }
        self._write_env()
        os.environ.update(self.environment)
        settings.cache_clear()
        # Prefect read its settings when it was imported, before there was a server to name.
        refresh_global_settings_context()

        python = [sys.executable, "-m"]
        # The slowest first: the others start while it makes its tables.
        self._spawn("prefect", [*python, "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(ports["prefect"])])
        listening = ["--port", str(ports["sandbox"]), "--smtp-port", str(mail)]
        self._spawn("sandbox", [*python, "sandbox", *listening, "--seed", str(seed), *self._sandbox_secrets()])
        schema.migrate(ledger_url)
        say("ledger    migrated")
        self._spawn(
            "portal",
            [
                *python,
                "uvicorn",
                "portal.app:app",
                "--host",
                "127.0.0.1",
                "--port",
                str(ports["portal"]),
                "--log-level",
                "warning",
                "--no-access-log",
            ],
        )
        self._wait("sandbox", "/sandbox/health", say)
        self._let_in_the_sandbox_staff()
        self._wait("portal", "/health", say)
        self._wait("prefect", "/api/health", say)
        # The worker makes its pool when it starts; deployments need the pool.
        self._spawn("worker", [*python, "prefect", "worker", "start", "--pool", WORK_POOL, "--name", "local", "--type", "process"])
        self._wait_for_pool()
        for one in self._deploy():
            if one.action in {"kept", "gone", "left", "missing"}:
                say(f"deploy    {one}")
        say("worker    started, deployments applied")

    def stop(self) -> list[str]:
        """Stop what this folder's `run.json` names; returns the names of what was stopped. Data stay."""
        if self._processes:
            # What this process itself still has to tell the server: told to a stopped one, it would retry for a minute.
            APILogWorker.drain_all(timeout=DRAIN_SECONDS_MAX)
            EventsWorker.drain_all(timeout=DRAIN_SECONDS_MAX)
        stopped: list[str] = []
        known = self._known()
        for name in ("worker", "portal", "sandbox", "prefect"):
            if name in known and _alive(known[name]["pid"]):
                os.killpg(int(known[name]["pid"]), signal.SIGTERM)
                stopped.append(name)
        deadline = time.monotonic() + STOP_SECONDS_MAX
        for name in stopped:
            while _alive(known[name]["pid"]) and time.monotonic() < deadline:
                time.sleep(0.1)
            if _alive(known[name]["pid"]):
                os.killpg(int(known[name]["pid"]), signal.SIGKILL)
        for process in self._processes:
            process.wait()
        self._processes.clear()
        self.run_file.unlink(missing_ok=True)
        return stopped

    def running(self) -> dict[str, str]:
        """Programs that run now: name → address."""
        return {name: entry["address"] for name, entry in self._known().items() if _alive(entry["pid"])}

    def drop_databases(self) -> None:
        """Forget this folder's ledger and Prefect's history; for the demo, which starts from nothing."""
        for address in self._addresses_of_databases():
            schema.drop_database(address)

    def _databases(self) -> tuple[str, str]:
        """Addresses of the ledger and of Prefect's database, both on the same engine; makes the latter."""
        ledger, prefect = self._addresses_of_databases()
        schema.create_database(prefect)
        return ledger, make_url(prefect).set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)

    def _addresses_of_databases(self) -> tuple[str, str]:
        if self._configured:
            ledger = make_url(self._configured).set(drivername="postgresql")
            ledger = ledger.set(database=self.database or ledger.database)
        else:
            embedded.start(embedded.default_folder())
            ledger = make_url(embedded.url(embedded.default_folder(), self.database or "tideover"))
        prefect = ledger.set(database=f"{ledger.database}_prefect")
        return ledger.render_as_string(hide_password=False), prefect.render_as_string(hide_password=False)

    def _sandbox_secrets(self) -> list[str]:
        return [
            "--service-account-file",
            self.environment["TIDEOVER_FCM_SERVICE_ACCOUNT_FILE"],
            "--account-sid",
            self.environment["TIDEOVER_TWILIO_ACCOUNT_SID"],
            "--auth-token",
            self.environment["TIDEOVER_TWILIO_AUTH_TOKEN"],
            "--app-secret",
            self.environment["TIDEOVER_APP_SECRET"],
            "--inbound-url",
            f"{self.addresses['portal']}/webhooks/twilio/inbound",
            "--acknowledgement-url",
            f"{self.addresses['portal']}/webhooks/app/acknowledgement",
            "--client-secret",
            self.environment["TIDEOVER_OIDC_CLIENT_SECRET"],
            *(word for name in OWN_SYSTEMS for word in (f"--{name}-keys", self.environment[f"TIDEOVER_{name.upper()}_KEYS"])),
            "--wallet-webhook-url",
            f"{self.addresses['portal']}/webhooks/wallet",
            "--gateway-inbound-url",
            f"{self.addresses['portal']}/webhooks/gateway/inbound",
            *([] if self.settle_ms is None else ["--settle-ms", str(self.settle_ms)]),
        ]

    def _spawn(self, name: str, command: list[str]) -> None:
        log = (self.folder / "logs" / f"{name}.log").open("wb")
        process = subprocess.Popen(  # our own programs
            command,
            cwd=HOUSE,
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        log.close()
        self._processes.append(process)
        known = self._known()
        known[name] = {"pid": str(process.pid), "address": self.addresses.get(name, "")}
        self.run_file.write_text(json.dumps(known, indent=1))

    def _wait(self, name: str, path: str, say: Callable[[str], None]) -> None:
        address = self.addresses[name]
        deadline = time.monotonic() + READY_SECONDS_MAX
        while time.monotonic() < deadline:
            try:
                with urlopen(address + path, timeout=2) as answer:  # noqa: S310  # loopback
                    if answer.status == 200:  # noqa: PLR2004  # OK
                        say(f"{name:<9} {address}")
                        return
            except (URLError, OSError):
                if not _alive(self._known()[name]["pid"]):
                    break
                time.sleep(0.2)
        raise ServiceError(f"{name} does not answer; its log is {self.folder / 'logs' / f'{name}.log'}")

    def _wait_for_pool(self) -> None:
        deadline = time.monotonic() + READY_SECONDS_MAX
        with get_client(sync_client=True) as client:
            while time.monotonic() < deadline and _alive(self._known()["worker"]["pid"]):
                with suppress(ObjectNotFound):
                    client.read_work_pool(WORK_POOL)
                    return
                time.sleep(0.2)
        raise ServiceError(f"the worker does not come up; its log is {self.folder / 'logs' / 'worker.log'}")

    def _deploy(self) -> list[Done]:
        """Apply prefect.yaml and the automations; repeating it changes nothing, and what operations changed stays theirs."""
        try:
            done = deploy()
        except DeployRefused as error:
            raise ServiceError(str(error)) from error
        if refused := [str(one) for one in done if one.action == "refused"]:
            raise ServiceError("; ".join(refused))
        return done

    def _let_in_the_sandbox_staff(self) -> None:
        """Whoever the sandbox's issuer knows may sign in at the desks, in the role that the account is named after."""
        with urlopen(f"{self.addresses['sandbox']}/sandbox/issuer", timeout=READY_SECONDS_MAX) as answer:  # noqa: S310  # loopback
            said = json.load(answer)
        with connection() as tx:
            for subject, name in said["people"].items():
                given = [role for role in roles_in_force().by_role if subject.startswith(f"staff-{role}")]
                if given and staff.find(tx, said["url"], subject) is None:
                    staff.add(tx, name=name, issuer=said["url"], subject=subject, roles=given, by="make up")

    def _write_env(self) -> None:
        """What other terminals need to talk to what runs here: keys and addresses, readable by the owner only."""
        left_out = {"TIDEOVER_STATE_DIR"}
        if self.database is None and not self._configured:
            left_out.add("TIDEOVER_DATABASE_URL")  # unset, a command finds the embedded server by itself and starts it where it is down
        names = [name for name in self.environment if name.startswith("TIDEOVER_") and name not in left_out]
        file = self.folder / "env"
        file.touch(mode=0o600)
        file.write_text("".join(f"{name}={self.environment[name]}\n" for name in names))

    def _known(self) -> dict[str, dict[str, str]]:
        if not self.run_file.exists():
            return {}
        known: dict[str, dict[str, str]] = json.loads(self.run_file.read_text())
        return known


def _made_up_secrets(folder: Path) -> Mapping[str, str]:
    """Keys of this state folder, made once; their ids say that they are made up, so live mode refuses them."""
    file = folder / "keys.json"
    kept: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    # The sandbox's issuer has one secret for all its clients.
    client_secret = kept.get("TIDEOVER_OIDC_CLIENT_SECRET") or secrets.token_hex(32)
    made = {
        "TIDEOVER_ENCRYPTION_KEYS": f"{MADE_UP_KEY_PREFIX}{secrets.token_hex(4)}:{base64.b64encode(secrets.token_bytes(32)).decode()}",
        "TIDEOVER_INDEX_KEY": f"{MADE_UP_KEY_PREFIX}{secrets.token_hex(32)}",
        "TIDEOVER_SEED": f"{MADE_UP_KEY_PREFIX}{secrets.token_hex(16)}",
        "TIDEOVER_APP_SECRET": secrets.token_hex(32),
        "TIDEOVER_TWILIO_ACCOUNT_SID": f"AC{secrets.token_hex(16)}",
        "TIDEOVER_TWILIO_AUTH_TOKEN": secrets.token_hex(16),
        "TIDEOVER_OIDC_CLIENT_SECRET": client_secret,
        "TIDEOVER_WALLET_OIDC_CLIENT_SECRET": client_secret,
        **{f"TIDEOVER_{name.upper()}_KEYS": f"{MADE_UP_KEY_PREFIX}{secrets.token_hex(4)}:{secrets.token_hex(32)}" for name in OWN_SYSTEMS},
    }
    # A folder of an older version lacks what has come since; what it has stays.
    if made.keys() - kept.keys():
        kept = {**made, **kept}
        file.touch(mode=0o600)
        file.write_text(json.dumps(kept))
    return kept


def _free_port(preferred: int) -> int:
    """The preferred port where it is free, else any."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            # As the programs do: a port that was left a minute ago is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ServiceError("no free port on loopback")


def _alive(pid: str) -> bool:
    """Say whether the process runs; one that has ended and waits for its parent does not."""
    try:
        return psutil.Process(int(pid)).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False

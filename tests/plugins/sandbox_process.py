"""Fixture: the sandbox as a process of its own, and a handle on its control API.

`sandbox` is started once and reset before each test that asks for it; `start_sandbox` starts one with other options.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

HOUSE = Path(__file__).resolve().parents[2]
START = "2026-03-17T01:00:00+00:00"
SECONDS_MAX = 120


class SandboxRefusedError(RuntimeError):
    """The control API said no, and why."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A running sandbox: its address, its credentials, and what a test may do with it."""

    url: str
    smtp_url: str
    account_sid: str
    auth_token: str
    app_secret: str
    project_id: str
    service_account_file: str
    issuer_url: str
    client_secret: str
    gateway_url: str
    gateway_keys: str
    core_url: str
    core_keys: str
    wallet_url: str
    wallet_keys: str

    def control(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> str:
        """One call of the control API; the answer's text.

        Raises:
            SandboxRefusedError: It said no.
        """
        address = f"{self.url}/sandbox/{path}"
        data = None if body is None else json.dumps(body).encode()
        request = Request(address, data=data, method=method, headers={"Content-Type": "application/json"})  # noqa: S310  # loopback
        try:
            with urlopen(request, timeout=SECONDS_MAX) as answer:  # noqa: S310  # loopback
                return str(answer.read().decode())
        except HTTPError as error:
            with error:
                raise SandboxRefusedError(error.read().decode()) from None

    def step(self, at: str) -> None:
        """Let simulated time pass until `at`; all webhooks that fall due are posted before this returns."""
        self.control("POST", "clock", {"at": at})

    def settle(self, residents: Sequence[Mapping[str, Any]]) -> None:
        """Residents move in: {phone, push_token, locale, zone, loans: [{loan_ref, currency, owed_minor}]}."""
        self.control("POST", "town", {"residents": residents})

    def received(self, channel: str | None = None) -> list[dict[str, Any]]:
        """What phones received, oldest first."""
        path = "received" if channel is None else f"received?channel={channel}"
        return [json.loads(line) for line in self.control("GET", path).splitlines()]

    def faults(self, *faults: Mapping[str, Any]) -> None:
        """Have these faults in force, and no others."""
        self.control("POST", "faults", {"faults": faults})

    def summary(self) -> dict[str, Any]:
        """Counts of everything."""
        return dict(json.loads(self.control("GET", "summary")))

    def webhooks(
        self,
        *,
        inbound_url: str | None = None,
        acknowledgement_url: str | None = None,
        gateway_inbound_url: str | None = None,
        wallet_webhook_url: str | None = None,
    ) -> None:
        """Where residents' texts and the app's acknowledgements are posted, what they write through the lender's gateway, what they pay."""
        urls = {"inbound_url": inbound_url, "acknowledgement_url": acknowledgement_url, "gateway_inbound_url": gateway_inbound_url}
        self.control("POST", "webhooks", {**urls, "wallet_webhook_url": wallet_webhook_url})

    def reset(self, *, at: str = START, **changes: Any) -> None:
        """Begin anew at `at`: nobody lives here, nothing was sent, no faults, no webhooks, no latency, default world."""
        fresh = {"seed": "1", "world": {}, "drawn": False, "latency_ms": 0, "latency_jitter_ms": 0, "settle_ms": None}
        self.control("POST", "reset", {**fresh, "at": at, **changes})
        self.webhooks()


@contextmanager
def running_sandbox(*options: str) -> Iterator[Sandbox]:
    """A sandbox with these command-line options, stopped at the end."""
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--at", START, *options]
    with subprocess.Popen(command, cwd=HOUSE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, "the sandbox ended before it was ready"
            yield Sandbox(**json.loads(line))
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def _sandbox_process() -> Iterator[Sandbox]:
    with running_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(_sandbox_process: Sandbox) -> Sandbox:
    """The session's sandbox, begun anew: the clock stands at `START`."""
    _sandbox_process.reset()
    return _sandbox_process


@pytest.fixture
def start_sandbox() -> Iterator[Callable[..., Sandbox]]:
    """Start a sandbox of one's own with further command-line options."""
    with ExitStack() as stack:
        yield lambda *options: stack.enter_context(running_sandbox(*options))

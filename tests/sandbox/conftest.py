"""Fixtures of the sandbox's own tests: a webhook that remembers, and the real SDKs pointed at the sandbox."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import firebase_admin
import pytest
from firebase_admin import credentials, messaging
from twilio.rest import Client  # type: ignore[import-untyped]  # twilio ships no py.typed

from tests.plugins.sandbox_process import Sandbox

SPECIFICATIONS = Path(__file__).resolve().parents[3] / "shared" / "spec"


@dataclass(frozen=True, slots=True)
class Arrived:
    """One post that came in."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """Its form fields."""
        return {name: values[0] for name, values in parse_qs(self.body.decode(), keep_blank_values=True).items()}


@dataclass
class Webhooks:
    """A webhook on loopback that remembers what came in, and answers what it is told to."""

    url: str = ""
    arrived: list[Arrived] = field(default_factory=list)
    answer: bytes = b"<Response/>"
    fail_first: int = 0

    def statuses(self, path: str = "/status") -> list[str]:
        """The message statuses that were reported there, in order."""
        return [post.form["MessageStatus"] for post in self.arrived if post.path == path]


@pytest.fixture
def webhooks() -> Iterator[Webhooks]:
    """A running webhook."""
    kept = Webhooks()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the name that http.server calls
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.arrived.append(Arrived(self.path, dict(self.headers.items()), body))
            failing = kept.fail_first > 0
            kept.fail_first -= failing
            self.send_response(500 if failing else 200)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(kept.answer)))
            self.end_headers()
            self.wfile.write(kept.answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name that http.server gives
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    kept.url = f"http://127.0.0.1:{server.server_port}"
    yield kept
    server.shutdown()
    server.server_close()
    thread.join()


def twilio_client(sandbox: Sandbox) -> Client:
    """The unmodified SDK's client, pointed at a sandbox."""
    # A non-empty environment keeps TWILIO_EDGE and TWILIO_REGION of this machine from mangling the address.
    client = Client(sandbox.account_sid, sandbox.auth_token, environment={"_": ""})
    client.api.base_url = sandbox.url
    return client


@pytest.fixture
def client(sandbox: Sandbox) -> Client:
    """The unmodified SDK's client, pointed at the session's sandbox."""
    return twilio_client(sandbox)


@pytest.fixture
def firebase(sandbox: Sandbox) -> Iterator[Callable[[messaging.Message], str]]:
    """`messaging.send` of the unmodified SDK, pointed at the session's sandbox."""
    account = json.loads(Path(sandbox.service_account_file).read_text())
    app = firebase_admin.initialize_app(credentials.Certificate(account), name="sandbox-test")
    service = messaging._get_messaging_service(app)  # noqa: SLF001  # the SDK has no other way to name an address
    service._fcm_url = f"{sandbox.url}/v1/projects/{sandbox.project_id}/messages:send"  # noqa: SLF001  # as above
    yield lambda message: str(messaging.send(message, app=app))
    # Closing firebase's asynchronous client needs a loop of its own; this one was never opened.
    service._client.close()  # noqa: SLF001  # the pool of the synchronous client
    firebase_admin.delete_app(app)

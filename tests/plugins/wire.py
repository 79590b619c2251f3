"""Fixture: a server on loopback that gives the answers a test wrote down, and remembers what it was asked.

It knows no provider: the test says what comes back on the wire, the provider's own SDK reads it.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import pytest


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer; with `drop` the connection is closed instead, after the request was read; `wait_seconds` comes first."""

    status: int = 200
    body: Any = ""
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    wait_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request as it arrived; names of headers in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """The body as a form."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Wire:
    """The server: answers by path, in the order they were written down; the last one of a path repeats."""

    def __init__(self) -> None:
        """Listen on a free port."""
        self.asked: list[Asked] = []
        self._replies: dict[str, list[Reply]] = {}
        self._lock = threading.Lock()
        wire = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:  # http.server's name
                wire.answer(self)

            do_GET = do_POST  # noqa: N815  # http.server's name

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def says(self, path_end: str, *replies: Reply) -> None:
        """Write down the answers for paths that end so."""
        self._replies[path_end] = list(replies)

    def asked_at(self, path_end: str) -> list[Asked]:
        """What was asked at paths that end so."""
        return [asked for asked in self.asked if asked.path.split("?")[0].endswith(path_end)]

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        with self._lock:
            self.asked.append(
                Asked(
                    method=request.command,
                    path=request.path,
                    headers={name.lower(): value for name, value in request.headers.items()},
                    body=body,
                )
            )
            replies = next(replies for end, replies in self._replies.items() if request.path.split("?")[0].endswith(end))
            reply = replies.pop(0) if len(replies) > 1 else replies[0]
        time.sleep(reply.wait_seconds)
        if reply.drop:
            request.close_connection = True
            return
        payload = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
        try:
            request.send_response_only(reply.status)
            for name, value in {"Content-Length": str(len(payload.encode())), **reply.headers}.items():
                request.send_header(name, value)
            request.end_headers()
            request.wfile.write(payload.encode())
        except (BrokenPipeError, ConnectionResetError):
            request.close_connection = True  # the other side stopped waiting, as some tests want it to

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def wire() -> Iterator[Wire]:
    """A fresh scripted server."""
    server = Wire()
    yield server
    server.close()

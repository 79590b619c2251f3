"""Fixture: the portal as it runs, on a port of loopback, in a thread of the test's process."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
import uvicorn

SECONDS_MAX = 10


@contextmanager
def serving() -> Iterator[str]:
    """Serve the portal; the settings and the ledger are those of the test. Yields its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config("portal.app:app", log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        deadline = time.monotonic() + SECONDS_MAX
        while not server.started and thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert server.started, "the portal did not start"
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(SECONDS_MAX)


@pytest.fixture
def serve_portal(ledger_url: str) -> Callable[[], AbstractContextManager[str]]:
    """Serve the portal over a fresh ledger, as long as a `with` lasts."""
    del ledger_url
    return serving

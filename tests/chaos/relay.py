"""A way to a provider that can be shut: while it is shut, connections are refused, and those that were open break in the middle.

In:   the provider's port on loopback.
Out:  a port of its own that leads there.
Pure: no; threads that end with `shut`. It reads nothing of what passes.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Final

HOST: Final = "127.0.0.1"
CHUNK_BYTES: Final = 65_536


class Relay:
    """One port; open it, shut it, open it again."""

    def __init__(self, to_port: int) -> None:
        """Take a free port; nobody is let through yet."""
        self._to_port = to_port
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._links: set[socket.socket] = set()
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            self.port: int = probe.getsockname()[1]

    def open(self) -> None:
        """Let callers through."""
        listener = socket.create_server((HOST, self.port), backlog=256)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def shut(self) -> None:
        """Refuse whoever calls, and break what is under way."""
        if self._listener is not None:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        with self._lock:
            links = list(self._links)
        for link in links:
            with suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                caller, _ = listener.accept()
            except OSError:
                return
            try:
                provider = socket.create_connection((HOST, self._to_port))
            except OSError:
                caller.close()
                continue
            for source, target in ((caller, provider), (provider, caller)):
                threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with self._lock:
            self._links |= {source, target}
        try:
            while data := source.recv(CHUNK_BYTES):
                target.sendall(data)
        except OSError:
            pass  # the other side has gone, or the relay was shut
        finally:
            for end in (source, target):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            with self._lock:
                self._links -= {source, target}
            source.close()

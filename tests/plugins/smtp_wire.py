"""Fixture: a scripted SMTP relay on a real socket, for what a good relay never does: to break off, or to talk nonsense.

A script says what is answered at each step (`HELLO`, `MAIL`, `RCPT`, `DATA`, `TEXT`): the words, `DROP` to hang up in place of an
answer, or `SILENT` to say nothing at all. What it does not name is answered as a relay should.
"""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pytest

DROP = "DROP"
SILENT = "SILENT"
GOOD: Mapping[str, str] = {
    "HELLO": "250-relay.example\r\n250 8BITMIME",
    "MAIL": "250 2.1.0 ok",
    "RCPT": "250 2.1.5 ok",
    "DATA": "354 go on",
    "TEXT": "250 2.0.0 queued",
}


@dataclass
class SmtpWire:
    """A running relay.

    Attributes:
        port: On 127.0.0.1.
        script: Step → answer; may be changed between messages.
        said: Every line that was heard before a text.
        texts: Whole texts that were heard, with the dots as sent.
        connections: How many were opened.
    """

    port: int = 0
    script: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    texts: list[bytes] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        """As the setting wants it."""
        return f"smtp://127.0.0.1:{self.port}"


class _Hangs(Exception):
    """The script ends the conversation."""


class _Handler(socketserver.StreamRequestHandler):
    """One conversation."""

    server: _Server

    def handle(self) -> None:
        """Until somebody hangs up."""
        self.server.wire.connections += 1
        try:
            self._say("220 relay.example")
            while line := self.rfile.readline().decode().rstrip("\r\n"):
                self.server.wire.said.append(line)
                self._hear(line.upper().split(maxsplit=1)[0])
        except (_Hangs, ConnectionError):
            return

    def _hear(self, verb: str) -> None:
        if verb in {"EHLO", "HELO"}:
            self._answer("HELLO")
        elif verb in {"MAIL", "RCPT", "DATA"}:
            self._answer(verb)
            if verb == "DATA" and self.server.wire.script.get("DATA", "354").startswith("354"):
                self._text()
        elif verb == "QUIT":
            self._say("221 bye")
            raise _Hangs
        else:
            self._say("250 ok")

    def _text(self) -> None:
        heard = bytearray()
        while not heard.endswith(b"\r\n.\r\n"):
            line = self.rfile.readline()
            if not line:
                raise _Hangs
            heard += line
        self.server.wire.texts.append(bytes(heard))
        self._answer("TEXT")

    def _answer(self, step: str) -> None:
        words = self.server.wire.script.get(step, GOOD[step])
        if words == SILENT:
            self.server.stopping.wait(10)
        if words in {DROP, SILENT}:
            raise _Hangs
        self._say(words)

    def _say(self, words: str) -> None:
        self.wfile.write(words.encode() + b"\r\n")


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, wire: SmtpWire) -> None:
        self.wire, self.stopping = wire, threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)


@pytest.fixture
def smtp_wire() -> Iterator[SmtpWire]:
    """A fresh scripted relay."""
    wire = SmtpWire()
    with _Server(wire) as server:
        wire.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield wire
        server.stopping.set()
        server.shutdown()

"""An SMTP relay on loopback: takes emails for the people of the town, and refuses mailboxes that nobody has.

A local part that begins with `nobody-there` is refused with 550 5.1.1, `full` with 452 4.2.2, `greylisted` with 450 4.2.0; every other
mailbox exists. No TLS and no sign-in: it listens on loopback only.

In:   SMTP (RFC 5321), as much of it as sends one message to one person.
Out:  what was received, beside texts and notifications.
Pure: no.
"""

from __future__ import annotations

import asyncio
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Final

from sandbox.world import Received, World

LINE_MAX: Final = 4096
BYTES_MAX: Final = 1 << 20
REFUSALS: Final = {"nobody-there": "550 5.1.1 no such mailbox", "full": "452 4.2.2 mailbox full", "greylisted": "450 4.2.0 try again later"}
HELLO: Final = "250-sandbox\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250 DSN"


async def listen(world: World, port: int) -> tuple[asyncio.Server, int]:
    """Begin to listen; returns the server and its port."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _Talk(world, reader, writer).run()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", port, limit=BYTES_MAX)
    return server, int(server.sockets[0].getsockname()[1])


class _Talk:
    """One conversation."""

    def __init__(self, world: World, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._world, self._reader, self._writer = world, reader, writer
        self._sender: str | None = None
        self._to: str | None = None

    async def run(self) -> None:
        """Until somebody hangs up."""
        await self._say("220 sandbox")
        while line := (await self._reader.readline()).decode("utf-8", "replace").rstrip("\r\n"):
            verb, _, rest = line[:LINE_MAX].partition(" ")
            if not await self._hear(verb.upper(), rest):
                return

    async def _hear(self, verb: str, rest: str) -> bool:
        if verb == "QUIT":
            await self._say("221 2.0.0 bye")
            return False
        if verb in {"EHLO", "HELO"}:
            await self._say(HELLO if verb == "EHLO" else "250 sandbox")
        elif verb == "MAIL":
            self._sender, self._to = _path(rest), None
            await self._say("250 2.1.0 ok")
        elif verb == "RCPT":
            await self._say(self._recipient(_path(rest)))
        elif verb == "DATA":
            await self._text()
        elif verb in {"RSET", "NOOP"}:
            self._sender, self._to = (None, None) if verb == "RSET" else (self._sender, self._to)
            await self._say("250 2.0.0 ok")
        else:
            await self._say("502 5.5.1 not here")
        return True

    def _recipient(self, to: str) -> str:
        if self._sender is None or self._to is not None or "@" not in to:
            return "503 5.5.1 one sender, then one recipient"
        refusal = next((words for name, words in REFUSALS.items() if to.startswith(name)), None)
        if refusal is not None:
            return refusal
        self._to = to
        return "250 2.1.5 ok"

    async def _text(self) -> None:
        if self._sender is None or self._to is None:
            await self._say("503 5.5.1 for whom?")
            return
        await self._say("354 go on")
        text = await self._reader.readuntil(b"\r\n.\r\n")
        self._world.received.append(_received(self._world, self._sender, self._to, text[:-3].replace(b"\r\n..", b"\r\n.")))
        self._sender = self._to = None
        await self._say("250 2.0.0 kept")

    async def _say(self, words: str) -> None:
        self._writer.write(words.encode() + b"\r\n")
        await self._writer.drain()


def _path(rest: str) -> str:
    """The address between < and >."""
    return rest.partition("<")[2].partition(">")[0]


def _received(world: World, sender: str, to: str, text: bytes) -> Received:
    mail = message_from_bytes(text, policy=policy.default)
    assert isinstance(mail, EmailMessage)  # noqa: S101  # what that policy makes
    body = mail.get_body(("plain",))
    return Received(
        channel="email",
        to=to,
        sender=sender,
        title=str(mail["Subject"] or ""),
        body="" if body is None else str(body.get_content()),
        data={name: str(mail[name]) for name in ("List-Unsubscribe", "List-Unsubscribe-Post") if mail[name]},
        received_at=world.now,
        provider_id=str(mail["Message-ID"] or "").strip("<>").partition("@")[0],
    )

"""Email by SMTP, with the standard library's client in threads of its own.

What is known of a message follows from how far the conversation came. Until the relay has answered DATA with 354 it has
nothing, and the message may be tried again. From the first byte of the text until its last answer nobody knows: such a message is
unknown, and since a relay keeps no list it is parked. Its Message-ID is the attempt's token, so that a bounce finds it again.

In:   a `Message` whose `to` is an address, and the gate's `Permit`.
Out:  a `Receipt` whose id is the token, or one `ChannelError`. One call, once.
Pure: no; talks to the relay of the settings, or to the sandbox on loopback.
Source: RFC 5321 4.2 and 4.5.3, RFC 3463 (enhanced codes), RFC 8058 (one click).
"""

from __future__ import annotations

import asyncio
import re
import smtplib
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from html import escape
from typing import Final
from urllib.parse import urlsplit

from channels import (
    AccountHalted,
    ChannelError,
    FateUnknown,
    ForbiddenHost,
    Message,
    NeverWorks,
    NotOnAllowlist,
    Permit,
    PermitExpired,
    Receipt,
    TryLater,
    told,
)
from channels.codes import smtp_refusal
from config.settings import LOOPBACK_HOSTS, Settings
from decisions.blocks import Block, Table, blocks, plain

CONNECT_SECONDS_MAX: Final = 3.0
SUBMISSION_PORT: Final = 587
SUBMISSIONS_PORT: Final = 465
# A relay that is away: asked again by the same lane.
RETRY_SECONDS: Final = 5.0
# Long enough for a link: some readers of List-Unsubscribe stumble over a folded line.
WIRE: Final = SMTP.clone(max_line_length=250)
YES: Final = 200
GO_ON: Final = 354
NO: Final = range(400, 600)
# A line that starts with a dot gets another one (RFC 5321 4.5.2).
_DOTS: Final = re.compile(rb"(?m)^\.")


@dataclass(slots=True)
class _Talk:
    """How far one conversation came.

    Attributes:
        began: The first byte of the text may have left.
        answered: The relay's answer to the whole text came.
    """

    began: bool = False
    answered: bool = False


class Email:
    """The channel `email`; opened once in the process that sends."""

    name = "email"
    provider = "smtp"

    def __init__(self, settings: Settings) -> None:
        """Prepare the threads; connects with the first message.

        Raises:
            ForbiddenHost: `TIDEOVER_SMTP_URL` is not loopback in sandbox mode.
        """
        self._settings, self._may_reach = settings, settings.may_reach
        host = urlsplit(settings.smtp_url).hostname
        if host is not None and settings.mode == "sandbox" and host not in LOOPBACK_HOSTS:
            raise ForbiddenHost(host, "loopback in sandbox mode")
        self._free = asyncio.Semaphore(settings.email_concurrency)
        self._threads = ThreadPoolExecutor(settings.email_concurrency, thread_name_prefix="email")
        self._own = threading.local()
        self._open: set[smtplib.SMTP] = set()

    async def send(self, message: Message, permit: Permit) -> Receipt:
        """Hand one message to the relay, once.

        Raises:
            ChannelError: One of the family; nothing else escapes.
        """
        async with self._free:
            outcome = await asyncio.get_running_loop().run_in_executor(self._threads, self._call, message, permit)
        return told(outcome, permit)

    async def close(self) -> None:
        """Let go of threads and connections."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._threads.shutdown()
        for client in self._open:
            client.close()
        self._open.clear()

    def _call(self, message: Message, permit: Permit) -> Receipt | ChannelError:
        if message.valid_seconds < 1:
            return PermitExpired(attempt_id=permit.attempt_id)
        if not self._may_reach(message.to):
            return NotOnAllowlist(attempt_id=permit.attempt_id)
        if not self._settings.smtp_url:
            return AccountHalted(code="no_relay")
        talk = _Talk()
        try:
            permit.refuse_if_foreign(message)
            content = _DOTS.sub(b"..", written(message, permit).as_bytes())
            receipt = self._hand_over(message, content, permit, talk)
        except Exception as error:  # noqa: BLE001  # whatever it is, the message's fate has to be named
            if not talk.answered:
                self._drop()
            return _fate(error, talk)
        return receipt

    def _hand_over(self, message: Message, content: bytes, permit: Permit, talk: _Talk) -> Receipt:
        client = self._ready()
        # Of a relay that can say more of a bounce: under which name, and with no more of our text than its head.
        more, of_whom = ([f"ENVID={message.token}", "RET=HDRS"], ["NOTIFY=FAILURE"]) if client.has_extn("dsn") else ([], [])
        _agree("MAIL", client.mail(parseaddr(message.sender)[1], more))
        _agree("RCPT", client.rcpt(message.to, of_whom))
        code, words = client.docmd("DATA")
        if code != GO_ON:
            raise smtp_refusal("DATA", code, words)
        # As late as can be: nothing has left yet, and a connection that ends here leaves nothing behind.
        permit.refuse_if_not_marked()
        permit.refuse_if_late()
        talk.began = True
        client.send(content.removesuffix(b"\r\n") + b"\r\n.\r\n")
        code, words = client.getreply()
        talk.answered = True
        if not _is_yes(code):
            # Only a plain no says that it was not taken.
            raise smtp_refusal("TEXT", code, words) if code in NO else FateUnknown(code="unreadable_answer")
        return Receipt(provider=self.provider, provider_id=message.token, status=str(code), segments=None)

    def _ready(self) -> smtplib.SMTP:
        """The connection of this thread, between two messages; a new one where the old one is gone."""
        client: smtplib.SMTP | None = getattr(self._own, "client", None)
        if client is not None:
            try:
                if _is_yes(client.rset()[0]):
                    return client
            except (smtplib.SMTPException, OSError):
                pass
            self._drop()
        self._own.client = client = self._connect()
        self._open.add(client)
        return client

    def _connect(self) -> smtplib.SMTP:
        """Connect, encrypt, sign in.

        Raises:
            ChannelError: The relay is not one that may be used.
            smtplib.SMTPException, OSError: It cannot be reached.
        """
        settings = self._settings
        parts = urlsplit(settings.smtp_url)
        host = parts.hostname or ""
        trust = ssl.create_default_context(cafile=settings.smtp_ca_file)
        seconds = min(CONNECT_SECONDS_MAX, settings.call_seconds_max)
        client = (
            smtplib.SMTP_SSL(host, parts.port or SUBMISSIONS_PORT, timeout=seconds, context=trust)
            if parts.scheme == "smtps"
            else smtplib.SMTP(host, parts.port or SUBMISSION_PORT, timeout=seconds)
        )
        try:
            assert client.sock is not None  # noqa: S101  # it is connected
            client.sock.settimeout(settings.call_seconds_max)
            client.ehlo_or_helo_if_needed()
            if parts.scheme == "smtp" and (host not in LOOPBACK_HOSTS or client.has_extn("starttls")):
                # Raises where the relay does not offer it: nobody's name goes over the net in the clear.
                client.starttls(context=trust)
                client.ehlo()
            if settings.smtp_user:
                client.login(settings.smtp_user, settings.smtp_password.get_secret_value())
        except BaseException:
            client.close()
            raise
        return client

    def _drop(self) -> None:
        """Break the connection of this thread: what was begun on it is not ended on it."""
        client: smtplib.SMTP | None = getattr(self._own, "client", None)
        if client is not None:
            client.close()
            self._open.discard(client)
            self._own.client = None


def _agree(phase: str, answer: tuple[int, bytes]) -> None:
    code, words = answer
    if not _is_yes(code):
        raise smtp_refusal(phase, code, words)


def _is_yes(code: int) -> bool:
    return YES <= code < GO_ON


def _fate(error: Exception, talk: _Talk) -> ChannelError:
    """What is known of the message, from how far the conversation came."""
    if isinstance(error, ChannelError):
        return error
    if talk.began:
        return FateUnknown(code=type(error).__name__)
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return AccountHalted(code=str(error.smtp_code))
    if isinstance(error, (ssl.SSLCertVerificationError, smtplib.SMTPNotSupportedError)):
        return AccountHalted(code=type(error).__name__)
    if isinstance(error, (smtplib.SMTPException, OSError, socket.timeout)):
        return TryLater(code=type(error).__name__, retry_after_seconds=RETRY_SECONDS)
    # A header that cannot be written: a bug, or an address that is none; nothing has left.
    return NeverWorks(code=type(error).__name__)


def written(message: Message, permit: Permit) -> EmailMessage:
    """The message as it goes over the wire: plain text, and the same as simple HTML."""
    name, address = parseaddr(message.sender)
    mail = EmailMessage(policy=WIRE)
    mail["From"] = Address(display_name=name, addr_spec=address)
    mail["To"] = Address(addr_spec=message.to)
    mail["Subject"] = message.title
    mail["Date"] = format_datetime(permit.issued_at)
    mail["Message-ID"] = f"<{message.token}@{address.rpartition('@')[2]}>"
    mail["Content-Language"] = message.locale
    # Of a machine: no holiday note comes back.
    mail["Auto-Submitted"] = "auto-generated"
    if message.callback_url is not None:
        mail["List-Unsubscribe"] = f"<{message.callback_url}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mail.set_content(plain(message.body), cte="quoted-printable")
    mail.add_alternative(_page(message), subtype="html", cte="quoted-printable")
    return mail


def _page(message: Message) -> str:
    inside = "\n".join(_html(block) for block in blocks(message.body))
    return (
        f'<!doctype html>\n<html lang="{escape(message.locale)}">\n'
        f'<head><meta charset="utf-8"><title>{escape(message.title)}</title></head>\n'
        f'<body style="font-family:sans-serif;line-height:1.5;max-width:40em">\n{inside}\n</body></html>\n'
    )


def _html(block: Block) -> str:
    if isinstance(block, Table):
        cell = 'style="text-align:right;padding:0.2em 0.6em"'
        head = "".join(f'<th scope="col" {cell}>{escape(name)}</th>' for name in block.head)
        rows = "\n".join(
            f'<tr><th scope="row" style="text-align:left;font-weight:normal">{escape(row[0])}</th>'
            + "".join(f"<td {cell}>{escape(value)}</td>" for value in row[1:])
            + "</tr>"
            for row in block.rows
        )
        return f'<table style="border-collapse:collapse"><thead><tr>{head}</tr></thead>\n<tbody>{rows}</tbody></table>'
    return f"<p>{'<br>'.join(_linked(line) for line in block.split(chr(10)))}</p>"


_ADDRESS: Final = re.compile(r"https?://[^\s<>\"]+")


def _linked(line: str) -> str:
    """Text with its addresses as links; nothing else in it is markup."""
    end, parts = 0, []
    for found in _ADDRESS.finditer(line):
        parts += [escape(line[end : found.start()]), f'<a href="{escape(found[0])}">{escape(found[0])}</a>']
        end = found.end()
    return "".join([*parts, escape(line[end:])])

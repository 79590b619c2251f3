"""Email: the standard library's client over a real socket, against a real SMTP server and one that breaks off at every step."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import subprocess
import traceback
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from pydantic import SecretStr, ValidationError

from channels import (
    AccountHalted,
    BadAddress,
    ChannelError,
    FateUnknown,
    ForbiddenHost,
    ForeignPermit,
    Message,
    NeverWorks,
    NotMarked,
    NotOnAllowlist,
    Permit,
    PermitExpired,
    Receipt,
    TryLater,
    Unreachable,
)
from channels.email import Email
from config.blind_index import blind_index_of
from config.settings import Settings
from decisions.blocks import table_lines
from tests.plugins.smtp_wire import DROP, SILENT, SmtpWire

TOKEN = "0b0f7e0e-2a4c-4a3e-9b1e-1a2b3c4d5e6f"  # noqa: S105  # of an attempt, no secret
TO = "nobody@borrower.example"
STOP = f"https://pay.lantern.example/u/{TOKEN}"
TABLE = table_lines(["Due", "Still owed"], [["Mar 1, 2026", "$105.00"], ["Total", "$105.00"]])
BODY = f"Hello,\n\nHere is how your account stands.\nNothing here needs an answer today.\n\n{TABLE}\n\nPay: https://pay.lantern.example/b/{TOKEN}\n\n.\n\nÑandú 您好"


def message(**changes: Any) -> Message:
    given: dict[str, Any] = {
        "attempt_id": 7,
        "to": TO,
        "sender": "Lantern Wallet <notices@lantern.example>",
        "title": "A letter for you",
        "body": BODY,
        "token": TOKEN,
        "callback_url": STOP,
        "valid_seconds": 600,
        "locale": "en",
    }
    return Message(**{**given, **changes})


def permit(*, seconds: float = 5) -> Permit:
    now = datetime.now(UTC)
    return Permit(attempt_id=7, issued_at=now, call_deadline=now + timedelta(seconds=seconds), called_at=now, rules=(), packs=())


def send(url: str, *messages: Message, leave: Permit | None = None, **more: Any) -> list[Receipt | ChannelError]:
    """Send through one channel, one after the other; errors as values."""

    async def run() -> list[Receipt | ChannelError]:
        channel = Email(Settings(smtp_url=url, email_concurrency=1, **more))
        outcomes: list[Receipt | ChannelError] = []
        for one in messages or (message(),):
            try:
                outcomes.append(await channel.send(one, leave or permit()))
            except ChannelError as error:
                outcomes.append(error)
        await channel.close()
        return outcomes

    return asyncio.run(run())


class Inbox:
    """What a real server took."""

    def __init__(self) -> None:
        self.mail: list[EmailMessage] = []
        self.envelopes: list[Envelope] = []
        self.encrypted: list[bool] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """The hook of aiosmtpd."""
        del server
        self.envelopes.append(envelope)
        self.encrypted.append(session.ssl is not None)
        assert isinstance(envelope.content, bytes)
        found = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(found, EmailMessage)
        self.mail.append(found)
        return "250 2.0.0 kept"


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def server(inbox: Inbox) -> Iterator[str]:
    """A real SMTP server on loopback."""
    controller = Controller(inbox, hostname="127.0.0.1", port=_free_port())
    controller.start()
    yield f"smtp://127.0.0.1:{controller.port}"
    controller.stop()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_a_real_server_takes_a_message_that_says_everything_and_reveals_nothing_outside(server: str, inbox: Inbox) -> None:
    assert send(server) == [Receipt(provider="smtp", provider_id=TOKEN, status="250", segments=None)]
    (mail,), (envelope,) = inbox.mail, inbox.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == ("notices@lantern.example", [TO])
    assert str(mail["From"]) == "Lantern Wallet <notices@lantern.example>"
    assert (mail["To"], mail["Subject"], mail["Message-ID"]) == (TO, "A letter for you", f"<{TOKEN}@lantern.example>")
    assert (mail["List-Unsubscribe"], mail["List-Unsubscribe-Post"]) == (f"<{STOP}>", "List-Unsubscribe=One-Click")
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"].datetime.tzinfo is not None
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    words, page = text.get_content(), html.get_content()
    assert "Due Mar 1, 2026: Still owed $105.00" in words
    assert "\r\n.\r\n" in words  # a line of one dot, which ends a text on the wire
    assert "Ñandú 您好" in words
    assert '<html lang="en">' in page
    assert '<th scope="row" style="text-align:left;font-weight:normal">Mar 1, 2026</th>' in page
    assert f'<a href="https://pay.lantern.example/b/{TOKEN}">' in page


def test_what_a_text_says_is_never_markup(server: str, inbox: Inbox) -> None:
    send(server, message(body='<script>x</script> & "you" https://pay.lantern.example/?a=1&b="><b>'))
    html = inbox.mail[0].get_body(("html",))
    assert html is not None
    assert "<script>" not in html.get_content()
    assert "<b>" not in html.get_content()


def test_a_connection_serves_several_messages(smtp_wire: SmtpWire) -> None:
    outcomes = send(smtp_wire.url, message(), message(), message())
    assert [type(one) for one in outcomes] == [Receipt] * 3
    assert (smtp_wire.connections, len(smtp_wire.texts)) == (1, 3)


def test_a_connection_that_the_relay_closed_meanwhile_is_opened_anew(smtp_wire: SmtpWire) -> None:
    async def run() -> Receipt:
        channel = Email(Settings(smtp_url=smtp_wire.url, email_concurrency=1))
        await channel.send(message(), permit())
        next(iter(channel._open)).close()  # noqa: SLF001  # as a relay that waited too long
        receipt = await channel.send(message(), permit())
        await channel.close()
        return receipt

    assert asyncio.run(run()).provider_id == TOKEN
    assert smtp_wire.connections == 2


@pytest.mark.parametrize("step", ["HELLO", "MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("how", [DROP, SILENT])
def test_what_breaks_before_the_text_was_surely_not_sent(smtp_wire: SmtpWire, step: str, how: str) -> None:
    smtp_wire.script = {step: how} if step != "HELLO" else {"HELLO": how}
    outcome = send(smtp_wire.url, call_seconds_max=0.3)[0]
    assert isinstance(outcome, TryLater), outcome
    assert smtp_wire.texts == []


@pytest.mark.parametrize("how", [DROP, SILENT, "nonsense", "999 what"])
def test_what_breaks_after_the_text_began_is_unknown(smtp_wire: SmtpWire, how: str) -> None:
    smtp_wire.script = {"TEXT": how}
    outcome = send(smtp_wire.url, call_seconds_max=0.3)[0]
    assert isinstance(outcome, FateUnknown), outcome
    assert len(smtp_wire.texts) == 1


def test_an_unknown_message_does_not_spoil_the_next_one(smtp_wire: SmtpWire) -> None:
    smtp_wire.script = {"TEXT": SILENT}

    async def run() -> list[Any]:
        channel = Email(Settings(smtp_url=smtp_wire.url, email_concurrency=1, call_seconds_max=0.3))
        first = await asyncio.gather(channel.send(message(), permit()), return_exceptions=True)
        smtp_wire.script = {}
        second = await channel.send(message(), permit())
        await channel.close()
        return [*first, second]

    first, second = asyncio.run(run())
    assert isinstance(first, FateUnknown)
    assert isinstance(second, Receipt)
    assert len(smtp_wire.texts) == 2


@pytest.mark.parametrize(
    ("step", "words", "error", "code"),
    [
        ("MAIL", "451 4.3.0 later", TryLater, "4.3.0"),
        ("MAIL", "530 5.7.0 sign in", AccountHalted, "5.7.0"),
        ("MAIL", "553 5.7.1 not your address", NeverWorks, "5.7.1"),
        ("RCPT", "450 4.2.0 greylisted", TryLater, "4.2.0"),
        ("RCPT", "421 too many", TryLater, "421"),
        ("RCPT", "550 5.1.1 no such user", BadAddress, "5.1.1"),
        ("RCPT", "550 no such user", BadAddress, "550"),
        ("RCPT", "550 5.2.1 disabled", Unreachable, "5.2.1"),
        ("RCPT", "552 5.2.2 full", TryLater, "5.2.2"),
        ("RCPT", "550 5.7.1 looks like spam", NeverWorks, "5.7.1"),
        ("DATA", "554 no valid recipients", NeverWorks, "554"),
        ("TEXT", "451 4.7.0 later", TryLater, "4.7.0"),
        ("TEXT", "554 5.7.1 policy", NeverWorks, "5.7.1"),
        ("TEXT", "550 5.1.1 no such user", BadAddress, "5.1.1"),
    ],
)
def test_a_plain_no_says_what_it_is_said_of(smtp_wire: SmtpWire, step: str, words: str, error: type[ChannelError], code: str) -> None:
    smtp_wire.script = {step: words}
    outcome = send(smtp_wire.url)[0]
    assert type(outcome) is error
    assert isinstance(outcome, ChannelError)
    assert (outcome.code, outcome.attempt_id) == (code, 7)


def test_nobody_there_is_surely_not_sent() -> None:
    assert isinstance(send("smtp://127.0.0.1:9")[0], TryLater)


@pytest.mark.parametrize("seconds", [0, -1])
def test_what_cannot_end_in_its_window_is_not_begun(smtp_wire: SmtpWire, seconds: int) -> None:
    assert isinstance(send(smtp_wire.url, message(valid_seconds=seconds))[0], PermitExpired)
    assert smtp_wire.connections == 0


def test_a_permit_that_runs_out_before_the_text_leaves_nothing(smtp_wire: SmtpWire) -> None:
    assert isinstance(send(smtp_wire.url, leave=permit(seconds=0))[0], PermitExpired)
    assert smtp_wire.texts == []


def test_a_permit_of_another_attempt_or_without_a_mark_leaves_nothing(smtp_wire: SmtpWire) -> None:
    assert isinstance(send(smtp_wire.url, message(attempt_id=8))[0], ForeignPermit)
    assert isinstance(send(smtp_wire.url, leave=replace(permit(), called_at=None))[0], NotMarked)
    assert smtp_wire.texts == []


def test_in_allowlist_mode_only_staff_are_written_to() -> None:
    key = "k" * 32
    staff = blind_index_of("staff@lantern.example", key.encode()).hex()
    real: dict[str, Any] = {
        "mode": "allowlist",
        "allowlist": staff,
        "index_key": SecretStr(key),
        "seed": SecretStr("s"),
        "encryption_keys": SecretStr("k1:AAAA"),
        "public_url": "https://pay.lantern.example",
    }
    assert isinstance(send("smtp://relay.example:587", **real)[0], NotOnAllowlist)


def test_without_a_relay_the_channel_halts(smtp_wire: SmtpWire) -> None:
    del smtp_wire
    outcome = send("")[0]
    assert isinstance(outcome, AccountHalted)
    assert outcome.code == "no_relay"


def test_the_sandbox_speaks_to_loopback_alone() -> None:
    with pytest.raises(ForbiddenHost):
        Email(Settings(smtp_url="smtp://relay.example:587"))


@pytest.mark.parametrize("url", ["http://127.0.0.1:25", "smtp://", "smtp://user@127.0.0.1:25", "smtp://127.0.0.1:25/x"])
def test_a_relay_is_written_as_one(url: str) -> None:
    with pytest.raises(ValidationError):
        Settings(smtp_url=url)


def test_nothing_personal_is_in_errors_or_logs(smtp_wire: SmtpWire, caplog: pytest.LogCaptureFixture) -> None:
    smtp_wire.script = {"RCPT": f"550 5.1.1 {TO} unknown"}
    with caplog.at_level(logging.DEBUG):
        outcome = send(smtp_wire.url)[0]
    assert isinstance(outcome, ChannelError)
    said = "".join(traceback.format_exception(outcome)) + caplog.text
    assert TO not in said
    assert "nobody" not in said


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate of 127.0.0.1, in one file, made for this run."""
    folder = tmp_path_factory.mktemp("tls")
    made = folder / "relay.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")],
        check=True,
        capture_output=True,
    )  # fmt: skip
    made.write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())
    return made


@pytest.fixture
def tls_server(inbox: Inbox, certificate: Path) -> Iterator[str]:
    """A real server that wants STARTTLS and a password first."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    def who(_: Any, __: Any, ___: Any, ____: str, data: Any) -> AuthResult:
        good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"lantern", b"secret")
        return AuthResult(success=good, handled=False)

    controller = Controller(
        inbox,
        hostname="127.0.0.1",
        port=_free_port(),
        tls_context=context,
        require_starttls=True,
        authenticator=who,
        auth_required=True,
    )
    controller.start()
    yield f"smtp://127.0.0.1:{controller.port}"
    controller.stop()


def test_a_relay_with_tls_and_a_password_is_spoken_to_under_both(tls_server: str, inbox: Inbox, certificate: Path) -> None:
    signed_in: dict[str, Any] = {"smtp_user": "lantern", "smtp_password": SecretStr("secret"), "smtp_ca_file": certificate}
    assert isinstance(send(tls_server, **signed_in)[0], Receipt)
    assert inbox.encrypted == [True]


def test_a_wrong_password_halts_the_channel(tls_server: str, inbox: Inbox, certificate: Path) -> None:
    signed_in: dict[str, Any] = {"smtp_user": "lantern", "smtp_password": SecretStr("wrong"), "smtp_ca_file": certificate}
    assert isinstance(send(tls_server, **signed_in)[0], AccountHalted)
    assert inbox.mail == []


def test_a_certificate_that_nobody_vouches_for_halts_the_channel(tls_server: str, inbox: Inbox) -> None:
    assert isinstance(send(tls_server)[0], AccountHalted)
    assert inbox.mail == []

"""Letters: a PDF in an outbox folder, and a line of the manifest that tells the print shop to print and post it.

The manifest's line is the call: a PDF without one is not printed. It is written last, in one piece, under the folder's lock,
so that a letter is posted once, whoever is killed when. Files are named by the attempt's token and say nothing of a person.

In:   a `Message` with an envelope, and the gate's `Permit`.
Out:  a `Receipt` whose id is the token, or one `ChannelError`. Files that only their owner may read.
Pure: no; writes files.
Source: docs/letters.md; docs/adr/0029.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from channels import (
    AccountHalted,
    BadAddress,
    ChannelError,
    FateUnknown,
    Message,
    NeverWorks,
    NotOnAllowlist,
    Permit,
    PermitExpired,
    Receipt,
    TryLater,
    told,
)
from channels.paper import CannotBeSet, Paper, size_of, write_pdf
from config.settings import STATE_FOLDER, Settings
from decisions.blocks import blocks

MANIFEST: Final = "manifest.jsonl"
LOCK: Final = ".lock"
QUEUED: Final = "queued"
# A disk that is full or away: somebody has to look, and nothing was posted.
DISK_REST_SECONDS: Final = 60.0


class Letters:
    """The channel `letter`; opened once in the loop that sends."""

    name = "letter"
    provider = "print_shop"

    def __init__(self, settings: Settings) -> None:
        """Prepare the threads that set letters; the folder is made with the first one."""
        self._folder = outbox_folder(settings)
        self._service, self._mode, self._may_reach = settings.letter_service, settings.mode, settings.may_reach
        self._free = asyncio.Semaphore(settings.letter_concurrency)
        self._threads = ThreadPoolExecutor(settings.letter_concurrency, thread_name_prefix="letter")

    async def send(self, message: Message, permit: Permit) -> Receipt:
        """Put one letter into the outbox, once.

        Raises:
            ChannelError: One of the family; nothing else escapes.
        """
        async with self._free:
            outcome = await asyncio.get_running_loop().run_in_executor(self._threads, self._call, message, permit)
        return told(outcome, permit)

    async def close(self) -> None:
        """Let go of the threads."""
        await asyncio.to_thread(self._threads.shutdown)

    def _call(self, message: Message, permit: Permit) -> Receipt | ChannelError:
        try:
            permit.refuse_if_foreign(message)
            self._refuse(message, permit)
            pdf, ticket = self._set(message, permit)
            return self._post(message.token, pdf, ticket, permit)
        except ChannelError as error:
            return error
        except Exception as error:  # noqa: BLE001  # whatever it is, the letter's fate has to be named; its words may quote the letter
            return FateUnknown(code=type(error).__name__)

    def _refuse(self, message: Message, permit: Permit) -> None:
        """Raise where nothing may be posted, or nowhere to."""
        if message.valid_seconds < 1:
            raise PermitExpired(attempt_id=permit.attempt_id)
        if not self._may_reach(message.to):
            raise NotOnAllowlist(attempt_id=permit.attempt_id)
        if self._folder is None:
            raise AccountHalted(code="no_outbox")
        if message.envelope is None or not message.envelope.to:
            raise BadAddress(code="no_envelope")

    def _set(self, message: Message, permit: Permit) -> tuple[bytes, dict[str, Any]]:
        """The PDF, and what the print shop is told of it."""
        assert message.envelope is not None  # noqa: S101  # refused before
        envelope = message.envelope
        paper = Paper(
            locale=message.locale,
            title=message.title,
            blocks=blocks(message.body),
            to=envelope.to,
            sender=envelope.sender,
            country=envelope.country,
            reference=message.token,
            sample=self._mode == "sandbox",
        )
        try:
            pdf, pages = write_pdf(paper)
        except CannotBeSet:
            raise NeverWorks(code="cannot_be_set") from None
        ticket = {
            "token": message.token,
            "file": f"{message.token}.pdf",
            "sha256": sha256(pdf).hexdigest(),
            "pages": pages,
            "paper": size_of(envelope.country),
            "country": envelope.country,
            "class": "international" if envelope.is_abroad else "domestic",
            "service": self._service,
            "language": message.locale,
            "sample": paper.sample,
            "permitted_at": permit.issued_at.isoformat(),
        }
        return pdf, ticket

    def _post(self, token: str, pdf: bytes, ticket: dict[str, Any], permit: Permit) -> Receipt:
        """Write the PDF, then the manifest's line.

        Raises:
            ChannelError: `TryLater` while the line was surely not written, `FateUnknown` where it may have been.
        """
        assert self._folder is not None  # noqa: S101  # refused before
        receipt = Receipt(provider=self.provider, provider_id=token, status=QUEUED, segments=None)
        try:
            with _locked(self._folder):
                path = self._folder / ticket["file"]
                if path.exists() and token in tokens_posted(self._folder):
                    return receipt
                _write_whole(path, pdf)
                permit.refuse_if_not_marked()
                permit.refuse_if_late()
                _append(self._folder / MANIFEST, ticket)
        except OSError as error:
            raise TryLater(code=f"disk_{error.errno}", retry_after_seconds=DISK_REST_SECONDS) from None
        return receipt


def outbox_folder(settings: Settings) -> Path | None:
    """Where letters lie until the print shop fetches them; with real people, only where the settings say so."""
    return settings.letter_outbox or (None if settings.is_real else STATE_FOLDER / "letters")


def tickets(folder: Path) -> Iterator[dict[str, Any]]:
    """Every whole line of every manifest of a folder, those that the print shop has renamed too; a torn line posted nothing."""
    for path in sorted(folder.glob("manifest*.jsonl")):
        for line in path.read_bytes().split(b"\n")[:-1]:
            try:
                ticket = json.loads(line)
            except ValueError:
                continue
            if isinstance(ticket, dict) and isinstance(ticket.get("token"), str):
                yield ticket


def tokens_posted(folder: Path) -> set[str]:
    """Tokens of all letters that were ever put into the outbox."""
    return {ticket["token"] for ticket in tickets(folder)}


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder against every other process; the print shop takes the same lock to fetch a manifest."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write_whole(path: Path, content: bytes) -> None:
    """All of a file or nothing of it, on the disk before this returns."""
    beside = path.with_suffix(".tmp")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    _sync_folder(path.parent)


def _append(manifest: Path, ticket: dict[str, Any]) -> None:
    """One more line, on the disk before this returns.

    Raises:
        OSError: Surely not written.
        FateUnknown: Written, but perhaps not to the disk.
    """
    line = json.dumps(ticket).encode() + b"\n"
    is_new = not manifest.exists()
    descriptor = os.open(manifest, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        end = os.fstat(descriptor).st_size
        if end and os.pread(descriptor, 1, end - 1) != b"\n":
            # Somebody was killed in the middle of a line: it ends here, and says nothing.
            line = b"\n" + line
        _write_or_take_back(descriptor, line, end)
        try:
            os.fsync(descriptor)
            if is_new:
                _sync_folder(manifest.parent)
        except OSError as error:
            raise FateUnknown(code=f"disk_{error.errno}") from None
    finally:
        os.close(descriptor)


def _write_or_take_back(descriptor: int, line: bytes, end: int) -> None:
    """Write a line whole, or leave the file as it was."""
    try:
        written = os.write(descriptor, line)
    except OSError:
        os.ftruncate(descriptor, end)
        raise
    if written != len(line):
        os.ftruncate(descriptor, end)
        raise OSError(errno.ENOSPC, "no room for a line")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""What comes back by email, out of the sender's mailbox: reports of relays, and people's own answers.

A report names our message by its Message-ID or its envelope's id, both of which are the attempt's token: 128 random bits, so that
nobody who did not get the message can make one up.

Of an answer only what the person wrote is read, not what their program quotes of ours: our own text names the word that stops.
What a machine answers (a holiday note) is no answer.

In:   a Maildir, an mbox file, or one message in a file.
Out:  for each message a `Bounce`, an `Answer`, or None where it is neither.
Pure: no; reads files. Changes none of them: reading the same mailbox again tells the same.
Source: RFC 3464 (fields), RFC 3461 (ENVID), RFC 3463 (codes), RFC 3834 (machines that answer).
"""

from __future__ import annotations

import mailbox
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_binary_file, policy
from email.message import Message as Mail
from email.utils import getaddresses
from html import unescape
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from channels.codes import ENHANCED

# What a report may say of a recipient that says something of the person too.
ACTIONS: Final = frozenset({"failed", "delivered", "relayed"})
# Headers that only machines write.
MACHINES: Final = ("List-Id", "List-Unsubscribe", "X-Autoreply", "X-Autorespond", "Precedence")
_TAG: Final = re.compile(r"(?s)<(?:style|script).*?</(?:style|script)>|<[^>]*>")
_QUOTES: Final = re.compile(r"\s*(?:>|\||-{3,}|_{5,}|={5,})")
_TOKEN: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
# Where a message of ours is named; the last three only where the report keeps no fields of its own.
_NAMES: Final = ("Original-Envelope-Id", "Message-ID")


class NoMailbox(ValueError):
    """There is no mailbox at that path."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path}: no Maildir, no mbox file and no message")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounce:
    """What is reported of one message of ours.

    Attributes:
        token: The attempt's.
        action: `failed`, `delivered` or `relayed`.
        code: Enhanced status code, such as 5.1.1; None where it gave none.
    """

    token: UUID
    action: str
    code: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a person wrote back; personal, never logged.

    Attributes:
        message_id: Of their message.
        sender: Their address, in small letters.
        text: What they wrote, without what they quote.
    """

    message_id: str
    sender: str = field(repr=False)
    text: str = field(repr=False)


def read_mailbox(path: Path) -> Iterator[Bounce | Answer | None]:
    """Every message of a mailbox, oldest first as it keeps them.

    Raises:
        NoMailbox: There is none.
    """
    if (path / "new").is_dir() and (path / "cur").is_dir():
        for kept in mailbox.Maildir(path, create=False):
            yield read_message(kept)
    elif path.is_file():
        with path.open("rb") as file:
            is_mbox = file.read(5) == b"From "
            file.seek(0)
            if not is_mbox:
                yield read_message(message_from_binary_file(file, policy=policy.compat32))
                return
        box = mailbox.mbox(path, create=False)
        try:
            for message in box:
                yield read_message(message)
        finally:
            box.close()
    else:
        raise NoMailbox(path)


def read_message(message: Mail) -> Bounce | Answer | None:
    """What a message is."""
    return read_report(message) if message.get_content_type() == "multipart/report" else read_answer(message)


def read_answer(message: Mail) -> Answer | None:
    """A person's answer; None where a machine wrote it, or it names no writer or says nothing."""
    senders = [address.lower() for _, address in getaddresses(map(str, message.get_all("From", []))) if "@" in address]
    by_machine = str(message.get("Auto-Submitted", "no")).strip().lower() != "no" or any(message.get(name) for name in MACHINES)
    message_id = str(message.get("Message-ID", "")).strip()
    if len(senders) != 1 or by_machine or not message_id:
        return None
    ours = [address.lower() for _, address in getaddresses(map(str, message.get_all("To", []) + message.get_all("Cc", [])))]
    text = _own_words(_plain(message), ours) or str(message.get("Subject", ""))
    return Answer(message_id=message_id, sender=senders[0], text=text) if text.strip() else None


def _plain(message: Mail) -> str:
    """The first part that is text; of HTML, what is between its tags."""
    parts = [part for part in message.walk() if part.get_content_maintype() == "text" and not part.get_filename()]
    for wanted in ("plain", "html"):
        for part in parts:
            if part.get_content_subtype() == wanted:
                payload = part.get_payload(decode=True)
                words = payload.decode(part.get_content_charset() or "utf-8", "replace") if isinstance(payload, bytes) else ""
                return words if wanted == "plain" else unescape(_TAG.sub("\n", words))
    return ""


def _own_words(text: str, ours: list[str]) -> str:
    """What stands above the first line that quotes: one that begins so, a rule, or one that names where the answer went."""
    lines = text.splitlines()
    quoted = (
        number for number, line in enumerate(lines) if _QUOTES.match(line) or any(address and address in line.lower() for address in ours)
    )
    first = next(quoted, len(lines))
    # "On Tuesday, somebody wrote:" is the program's, not the person's.
    while first and (not lines[first - 1].strip() or (first < len(lines) and lines[first - 1].rstrip().endswith((":", "：")))):
        first -= 1
    return "\n".join(lines[:first]).strip()


def read_report(report: Mail) -> Bounce | None:
    """What a message reports; None where it is no report, or about no message of ours."""
    if report.get_content_type() != "multipart/report":
        return None
    parts = list(report.walk())
    status = next((part for part in parts if part.get_content_type() == "message/delivery-status"), None)
    if status is None:
        return None
    # Blocks of fields: the first about the message, one for each recipient after it.
    blocks: list[Any] = [block for block in status.get_payload() if isinstance(block, Mail)] if status.is_multipart() else []
    token = _token(blocks, parts)
    action = next((word for block in blocks if (word := str(block.get("Action", "")).strip().lower()) in ACTIONS), None)
    if token is None or action is None:
        return None
    return Bounce(token=token, action=action, code=_code(blocks))


def _token(blocks: list[Any], parts: list[Any]) -> UUID | None:
    """The token, out of the report's fields, or the head of our message that it quotes."""
    heads = [part for part in parts if part.get_content_type() in {"message/rfc822", "text/rfc822-headers"}]
    inner = [part for head in heads for part in (head.get_payload() if head.is_multipart() else [])]
    named = [str(where.get(name, "")) for where in (*blocks, *inner) for name in _NAMES]
    named += [line for head in heads if not head.is_multipart() for line in _message_ids(head)]
    found = next((match for text in named if (match := _TOKEN.search(text))), None)
    return UUID(found[0]) if found else None


def _message_ids(head: Any) -> list[str]:
    """Message-IDs in a head that is quoted as text."""
    text = (head.get_payload(decode=True) or b"").decode("utf-8", "replace")
    return re.findall(r"(?im)^message-id:\s*(\S+)", text)


def _code(blocks: list[Any]) -> str | None:
    codes = [found[0] for block in blocks if (found := ENHANCED.search(str(block.get("Status", ""))))]
    return codes[0] if codes else None

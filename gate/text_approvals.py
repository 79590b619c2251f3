"""Approving a text: which words two people have read and said yes to, by their hash; one more comma is another text.

In:   a message, a locale, a name.
Out:  rows of `approval`; lines for the two people, with the words that they approve; a list of where every text stands.
Pure: no; reads files, writes the ledger.
Source: ARCHITECTURE.md, four eyes; docs/adr/0023.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from channels.windows import REPLY_WINDOWS
from config.message_files import message_body, message_texts
from config.policies import Policy
from config.settings import settings
from config.voice_files import VOICE, voice_prompts
from decisions.messages import NoTextError, Text
from decisions.voice import VOICE_PROMPTS, as_text
from ledger import approvals, clock
from ledger.approvals import Approval, ApprovalRefused
from ledger.campaigns import write_policies
from ledger.engine import connection

SHOWN_CHARACTERS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class TextStanding:
    """Where the text of a file stands.

    Attributes:
        text: It.
        approved: Whether two people have approved exactly these words, and nobody has taken it back.
        last: The last step about it; None = nobody has asked.
    """

    text: Text
    approved: bool
    last: Approval | None

    @property
    def unregistered(self) -> tuple[str, ...]:
        """Channels on which its words wait for a registration with the provider: until then they are of use only as an answer."""
        return tuple(one for one in self.text.words if is_registered_with_its_provider(one) and one not in self.text.registered)

    @property
    def in_live_mode(self) -> bool:
        """Whether live mode may use it now."""
        return self.approved and self.text.approved and not self.text.draft

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "message": self.text.message,
            "locale": self.text.locale,
            "version": self.text.version,
            "status": status(self.text),
            "approved": self.in_live_mode,
            **approvals.as_json(self.last),
            "not_registered": list(self.unregistered),
        }

    def __str__(self) -> str:
        """One line of a list."""
        name = f"{self.text.message}/{self.text.locale}"
        lacks = f"; not registered: {', '.join(self.unregistered)}" if self.unregistered else ""
        word = approvals.in_words(self.last, approved=self.approved)
        return f"{name:<34}  {self.text.version[:SHOWN_CHARACTERS]}  {status(self.text):<8}  {word}{lacks}"


def is_registered_with_its_provider(channel: str) -> bool:
    """Whether a channel takes registered words alone, but for an answer to who wrote lately."""
    return channel in REPLY_WINDOWS and REPLY_WINDOWS[channel].template_opens


def status(text: Text) -> str:
    """What the file says of itself: ready, draft or withdrawn."""
    return "withdrawn" if not text.approved else "draft" if text.draft else "ready"


def approve_text(
    message: str, locale: str, *, by: str, reject: bool = False, reason: str | None = None, until: date | None = None
) -> list[str]:
    """Ask for approval of the words as the file has them now, or give it, or reject it; the first person asks, another one decides.

    Args:
        message: Folder in config/messages; `voice` = what every automated call says (config/voice).
        locale: Name of its file.
        by: Who.
        reject: Refuse what was asked for, or take an approval back.
        reason: In their words.
        until: Local date, in the portfolio's zone, at whose start an approval ends.

    Returns:
        Lines that say what was written down, the words that it is about, and what is to be done next.

    Raises:
        ApprovalRefused: A draft or a withdrawn text; the same person twice; nothing to reject; an end that has passed.
        NoTextError: There is no such text.
        ConfigError: A text cannot be read.
    """
    text = next((one for one in _texts(message) if one.locale == locale), None)
    if text is None:
        raise NoTextError(message, locale, "no such text in config/messages")
    spoken = message == VOICE_PROMPTS
    file = f"config/voice/{locale}.yaml" if spoken else f"config/messages/{message}/{locale}.yaml"
    if status(text) != "ready" and not reject:
        raise ApprovalRefused(
            f"{message}/{locale} is {'a draft' if text.draft else 'withdrawn'}: somebody who reads the language reads it first, "
            f"then writes `approved: true` into {file}, and asks for the approval of that version"
        )
    ends = None if until is None else datetime.combine(until, time(), ZoneInfo(settings().business_zone))
    with connection() as tx:
        body = (VOICE / f"{locale}.yaml").read_text("utf-8") if spoken else message_body(text)
        write_policies(tx, [Policy("message", f"{message}/{locale}", body)])
        step = approvals.ask_or_approve(
            tx, text.version, by=by, at=clock.now(tx), reject=reject, reason=reason, until=ends, kind=approvals.MESSAGE
        )
    return [_said(step, text), *_words(text), *_next(step, text)]


def text_standings(message: str | None = None) -> list[TextStanding]:
    """Where every file's text stands, by message and locale.

    Args:
        message: Only this one; None = all.
    """
    texts = _texts(message)
    with connection() as tx:
        approved = approvals.approved_messages(tx, clock.now(tx))
        last = {step.subject_hash: step for step in approvals.read_steps(tx, kind=approvals.MESSAGE)}
    return [TextStanding(text=text, approved=text.version in approved, last=last.get(text.version)) for text in texts]


def _texts(message: str | None) -> list[Text]:
    """Every text, and what automated calls say as texts among them, or those of one name."""
    every = [*message_texts().by_key.values(), *map(as_text, voice_prompts().values())]
    return [text for text in every if message in {None, text.message}]


def _said(step: Approval, text: Text) -> str:
    until = f", until {step.until.isoformat()}" if step.until else ""
    name = f"{text.message}/{text.locale} ({text.version[:SHOWN_CHARACTERS]})"
    if step.verdict == "asked":
        return f"asked for the approval of {name}, by {step.asked_by}{until}"
    what = "approved" if step.verdict == "approved" else "rejected"
    return f"{what}: {name}, asked for by {step.asked_by}, {what} by {step.approved_by}{until}"


def _words(text: Text) -> Iterator[str]:
    """What is approved, word for word."""
    for channel, words in text.words.items():
        yield f"  {channel}: {' · '.join(part for part in (words.title, words.body) if part)}"


def _next(step: Approval, text: Text) -> list[str]:
    if step.verdict != "asked":
        return []
    again = f"tideover message approve {text.message}/{text.locale} --by NAME"
    return [f"not approved yet: a second person who reads the language approves it with `{again}`, or rejects it with --reject"]

"""What Twilio's Messages resource does beyond text messages: channels in addresses, content templates, the reply window.

In:   addresses such as `whatsapp:+15005550006`, templates that a test registered, who wrote when.
Out:  channel and bare address; a template's text with its gaps filled, and its buttons; whether free words may leave.
Pure: yes, but for the templates and the instants that are kept. Source: PROVIDERS A3, A7, A10, E.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

# Channels of the Messages resource; a plain address is a text message's.
CHANNELS = ("sms", "whatsapp", "messenger", "rcs")
PREFIXES = CHANNELS[1:]
# Free words may leave so long after the person wrote; Messenger has no template that leaves later.
WINDOW = timedelta(hours=24)
WINDOWED = frozenset({"whatsapp", "messenger"})
TEMPLATE_CHARACTERS_MAX = 1024
# Which address a messaging service sends from; fiction, like all numbers here.
SERVICE_ADDRESSES = {
    "sms": "+12025550199",
    "whatsapp": "whatsapp:+12025550199",
    "messenger": "messenger:100200300400500",
    "rcs": "rcs:lantern_agent",
}
_PERSONS = {
    "sms": re.compile(r"\+[1-9]\d{6,14}"),
    "whatsapp": re.compile(r"\+[1-9]\d{6,14}"),
    "messenger": re.compile(r"\d{5,20}"),
    "rcs": re.compile(r"\+[1-9]\d{6,14}"),
}
_SENDERS = {
    "sms": re.compile(r"\+[1-9]\d{6,14}|\d{3,8}|(?=.*[A-Za-z])[A-Za-z0-9 &_+-]{1,11}"),
    "whatsapp": re.compile(r"\+[1-9]\d{6,14}"),
    "messenger": re.compile(r"\d{5,20}"),
    "rcs": re.compile(r"[A-Za-z0-9_]{3,64}"),
}
_SID = re.compile(r"HX[0-9a-fA-F]{32}")
_GAP = re.compile(r"\{\{(\w+)\}\}")


class TemplateError(ValueError):
    """A template that cannot be registered, and why."""


class ContentError(Exception):
    """A message's content that Twilio refuses; carries its code."""

    def __init__(self, code: int) -> None:
        """Keep the code."""
        super().__init__(code)
        self.code = code


def channel_of(address: str) -> str:
    """The channel that an address belongs to."""
    prefix = address.partition(":")[0]
    return prefix if ":" in address and prefix in PREFIXES else "sms"


def bare(address: str) -> str:
    """An address without its channel."""
    return address.partition(":")[2] if channel_of(address) != "sms" else address


def is_person(address: str) -> bool:
    """Whether an address may be somebody's: a page, a group and a thread are nobody's."""
    return _PERSONS[channel_of(address)].fullmatch(bare(address)) is not None


def is_sender(address: str) -> bool:
    """Whether an address may be a business's."""
    return _SENDERS[channel_of(address)].fullmatch(bare(address)) is not None


@dataclass(frozen=True, slots=True)
class Button:
    """A quick reply: what it says, and what is handed back when it is tapped."""

    text: str
    payload: str


@dataclass(frozen=True, slots=True)
class Template:
    """A content template: its text with gaps {{1}}, {{2}}, its quick replies, and whether WhatsApp has approved it."""

    sid: str
    body: str
    buttons: tuple[Button, ...] = ()
    approved: bool = True


@dataclass(frozen=True, slots=True)
class Content:
    """What a message says, and whether an approved template says it."""

    text: str
    buttons: tuple[Button, ...] = ()
    approved: bool = False


class Templates:
    """The account's content templates."""

    def __init__(self) -> None:
        """None."""
        self._by_sid: dict[str, Template] = {}

    def put(self, described: Sequence[Mapping[str, Any]]) -> None:
        """Register these beside those before; one that is known is replaced.

        Raises:
            TemplateError: One is not described rightly; then none is registered.
        """
        self._by_sid |= {one.sid: one for one in map(_read, described)}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._by_sid)

    def fill(self, sid: str, variables: str) -> Content:
        """A template with its gaps filled.

        Args:
            sid: ContentSid.
            variables: ContentVariables: a JSON object of strings, or nothing.

        Raises:
            ContentError: 21655 for a template of nobody, 21656 for variables that are none, 63028 where a gap has none,
                63013 for a value with a line break or four spaces in a row, 63021 for a text that has become too long.
        """
        template = self._by_sid.get(sid)
        if template is None:
            raise ContentError(21655)
        values = _variables(variables)
        if set(_GAP.findall(template.body)) - set(values):
            raise ContentError(63028)
        if any(re.search(r"[\n\t]| {4}", value) for value in values.values()):
            raise ContentError(63013)
        text = _GAP.sub(lambda gap: values[gap[1]], template.body)
        if len(text) > TEMPLATE_CHARACTERS_MAX:
            raise ContentError(63021)
        return Content(text, template.buttons, template.approved)


class Windows:
    """Who wrote to which of the account's addresses, and when last."""

    def __init__(self) -> None:
        """Nobody wrote."""
        self._wrote_at: dict[tuple[str, str], datetime] = {}

    def open(self, ours: Sequence[str], person: str, now: datetime) -> None:
        """Somebody wrote to these of the account's addresses (a number, and the service that has it)."""
        for address in ours:
            self._wrote_at[address, person] = now

    def is_open(self, ours: str, person: str, now: datetime) -> bool:
        """Whether free words may leave for somebody; text messages and RCS always may."""
        if channel_of(person) not in WINDOWED:
            return True
        wrote_at = self._wrote_at.get((ours, person))
        return wrote_at is not None and now - wrote_at < WINDOW


def _variables(text: str) -> dict[str, str]:
    try:
        values = json.loads(text or "{}")
    except ValueError:
        values = None
    if not isinstance(values, dict) or not all(isinstance(value, str) and value for value in values.values()):
        raise ContentError(21656)
    return values


def _read(described: Mapping[str, Any]) -> Template:
    unknown = set(described) - {"sid", "body", "buttons", "approved"}
    if unknown:
        raise TemplateError(f"a template has no {', '.join(sorted(unknown))}")
    sid, body, buttons, approved = (described.get(name) for name in ("sid", "body", "buttons", "approved"))
    if not isinstance(sid, str) or not _SID.fullmatch(sid):
        raise TemplateError("sid is HX and 32 hexadecimal digits")
    if not isinstance(body, str) or not body:
        raise TemplateError("body is a text with gaps {{1}}, {{2}}")
    if approved not in {None, True, False}:
        raise TemplateError("approved is true or false")
    if not isinstance(buttons, list | None) or not all(isinstance(one, dict) and set(one) == {"text", "payload"} for one in buttons or ()):
        raise TemplateError("buttons is a list of {text, payload}")
    made = tuple(Button(str(one["text"]), str(one["payload"])) for one in buttons or ())
    return Template(sid, body, made, approved is not False)

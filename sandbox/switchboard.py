"""The switchboard: the course of a call, from dialling to hanging up, with the TwiML that its caller's webhook answers.

In:   calls that were asked for; what the town says of phones; TwiML.
Out:  status callbacks; what was heard, and by whom; keys that were pressed, posted where the TwiML says.
Pure: no; posts to webhooks, through the world's postman. A call takes simulated seconds; its talk is held while the clock stands.

Of TwiML: Say, Pause, Play, Gather, Redirect, Hangup, Reject; a Dial is answered by nobody. Of Gather: `numDigits`, `action`,
`method` POST, `actionOnEmptyResult`. What is nested in a Gather is heard before the key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Protocol
from urllib.parse import urlencode, urljoin
from xml.etree import ElementTree as ET

from sandbox.calls import ENDS, CallRecord, Calls
from sandbox.happenings import NotTaken, PickedUp, Ring, Ringing
from sandbox.post import Post, Postman
from sandbox.signature import twilio_signature
from sandbox.town import Town
from sandbox.twilio import TwilioError, is_loopback_url

FORM: Final = "application/x-www-form-urlencoded; charset=utf-8"
# A menu that leads back to itself for ever ends.
ANSWERS_MAX: Final = 20
# A sentence is spoken at about so many characters a second; only the duration of a call follows from it.
CHARACTERS_A_SECOND: Final = 12
# A Dial rings for so long where it says nothing else.
TIMEOUT_OF_DIAL: Final = 30
# Who answered, as machine detection names it: `Enable` says it at once, `DetectMessageEnd` waits for the end of a machine's greeting.
DETECTED: Final[dict[str, dict[str, str | None]]] = {
    "": {"human": None, "machine": None, "fax": None, "unknown": None},
    "Enable": {"human": "human", "machine": "machine_start", "fax": "fax", "unknown": "unknown"},
    "DetectMessageEnd": {"human": "human", "machine": "machine_end_beep", "fax": "fax", "unknown": "unknown"},
}


class Heard(Protocol):
    """Takes what somebody heard."""

    def __call__(self, record: CallRecord, words: str) -> None:
        """Write it down."""
        ...


@dataclass(slots=True)
class _Talk:
    """A call that was answered and goes on."""

    record: CallRecord
    ring: Ring
    by: str
    words: list[str] = field(default_factory=list)
    # Of the call that was dialled for whoever is on this line: it goes on until that one ends.
    waits_for: str | None = None

    @property
    def in_full(self) -> str:
        """Everything that was said so far."""
        return " ".join(self.words)


class Switchboard:
    """One account's calls under way."""

    def __init__(self, calls: Calls, town: Town, postman: Postman, *, auth_token: str, heard: Heard) -> None:
        """Nothing is under way."""
        self.calls = calls
        self._town, self._postman, self._auth_token, self._heard = town, postman, auth_token, heard
        self._talks: list[_Talk] = []
        self._waiting: dict[str, _Talk] = {}
        self._ringing: list[Post] = []

    def dial(self, record: CallRecord) -> list[Post]:
        """Let it ring."""
        self._town.ring(Ring(record.sid, record.to, record.sender, record.timeout_seconds))
        return self._told(record, "initiated")

    def apply(self, event: Ringing | PickedUp | NotTaken) -> list[Post]:
        """Write down what happened to a call; returns what is to be told."""
        record = self.calls.fetch(event.ring.call_id)
        if record.status in ENDS:
            return []
        record.updated_at = event.at
        if isinstance(event, Ringing):
            record.status = "ringing"
            record.started_at = event.at
            return self._told(record, "ringing")
        if isinstance(event, NotTaken):
            record.status, record.ended_at = event.reason, event.at
            return [*self._told(record, event.reason), *self._released(record)]
        record.status, record.answered_by = "in-progress", DETECTED[record.detects][event.by]
        self._talks.append(_Talk(record, event.ring, event.by))
        return self._told(record, "in-progress")

    @property
    def is_talking(self) -> bool:
        """Whether somebody has picked up and is to be spoken to."""
        return bool(self._talks)

    async def talk(self) -> list[Post]:
        """Hold the talks of all who have picked up; returns what is to be told of their ends."""
        talks, self._talks = self._talks, []
        await asyncio.gather(*(self._hold(talk) for talk in talks))
        ringing, self._ringing = self._ringing, []
        return [*ringing, *(post for talk in talks if talk.waits_for is None for post in self._ended(talk))]

    async def _hold(self, talk: _Talk) -> None:
        """Ask for TwiML, and do what it says, until it ends."""
        record = talk.record
        url, words = record.url, record.twiml
        answered: list[tuple[str, str]] = []
        for _ in range(ANSWERS_MAX):
            if url is not None:
                words = await self._ask(record, url, answered)
            if words is None or record.status in ENDS:
                return
            url, answered = self._follow(talk, words, url)
            if url is None:
                return

    async def _ask(self, record: CallRecord, url: str, answered: list[tuple[str, str]]) -> str | None:
        """What the webhook wants to be done; None where it says nothing that can be understood."""
        if not is_loopback_url(url):
            return None
        return await self._postman.ask(self._post(record, url, [*self.calls.fields(record), *answered])) or None

    def _follow(self, talk: _Talk, words: str, base: str | None) -> tuple[str | None, list[tuple[str, str]]]:
        """Do what a document says: where to go on and what to tell there; nowhere = the call is over."""
        try:
            root = ET.fromstring(words)  # noqa: S314  # from our own webhook on loopback
        except ET.ParseError:
            return None, []
        for verb in root:
            if verb.tag in {"Hangup", "Reject"}:
                return None, []
            if verb.tag == "Dial":
                self._bridge(talk, verb, base)
                return None, []
            if verb.tag == "Redirect":
                return urljoin(base or "", (verb.text or "").strip()), []
            talk.words.extend(_spoken(verb))
            if verb.tag == "Gather":
                key = self._town.press(talk.ring, talk.in_full) if talk.by in {"human", "unknown"} else None
                if key is not None or verb.get("actionOnEmptyResult") == "true":
                    digits = [("Digits", key or ""), ("FinishedOnKey", "")]
                    return urljoin(base or "", verb.get("action") or ""), digits
        return None, []

    def _bridge(self, talk: _Talk, dial: ET.Element, base: str | None) -> None:
        """Dial a number for whoever is on the line, who waits for it."""
        number = dial.find("Number")
        to = (dial.text if number is None else number.text) or ""
        url = None if number is None or not number.get("url") else urljoin(base or "", number.get("url") or "")
        try:
            child = self.calls.dial(
                talk.record,
                to=to.strip(),
                sender=dial.get("callerId") or talk.record.sender,
                url=url,
                timeout_seconds=int(dial.get("timeout") or TIMEOUT_OF_DIAL),
                recorded=(dial.get("record") or "do-not-record") != "do-not-record",
            )
        except TwilioError:
            return
        talk.waits_for = child.sid
        self._waiting[child.sid] = talk
        self._ringing += self.dial(child)

    def _released(self, record: CallRecord) -> list[Post]:
        """The end of the call whose caller waited for this one."""
        talk = self._waiting.pop(record.sid, None)
        return [] if talk is None else self._ended(talk)

    def _ended(self, talk: _Talk) -> list[Post]:
        record = talk.record
        if talk.words:
            record.heard.append(talk.in_full)
            self._heard(record, talk.in_full)
        if record.status in ENDS:
            return []
        seconds = min(record.time_limit_seconds, max(1, len(talk.in_full) // CHARACTERS_A_SECOND))
        record.duration_seconds = seconds
        record.ended_at = record.updated_at = record.updated_at + timedelta(seconds=seconds)
        record.status = "completed"
        return [*self._told(record, "completed"), *self._released(record)]

    def _told(self, record: CallRecord, status: str) -> list[Post]:
        """The status callback of a step, where it was asked for; every end is a `completed`."""
        event = {"in-progress": "answered"}.get(status, "completed" if status in ENDS else status)
        if record.callback_url is None or event not in record.told:
            return []
        return [self._post(record, record.callback_url, self.calls.callback_fields(record, status))]

    def _post(self, record: CallRecord, url: str, fields: list[tuple[str, str]]) -> Post:
        headers = {
            "Content-Type": FORM,
            "X-Twilio-Signature": twilio_signature(self._auth_token, url, fields),
            "User-Agent": "TwilioProxy/1.1",
        }
        return Post(record.to, url, urlencode(fields).encode(), headers)


def _spoken(verb: ET.Element) -> Iterator[str]:
    """What is heard of a verb, and of those in it."""
    if verb.tag == "Say":
        text = " ".join("".join(verb.itertext()).split())
        if text:
            yield text
    elif verb.tag == "Gather":
        for inner in verb:
            yield from _spoken(inner)

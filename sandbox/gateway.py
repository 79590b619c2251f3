"""A lender's own gateway, as docs/gateway.md of the product describes it: what it takes, refuses, remembers and answers.

In:   signed requests, the sandbox's clock, whether an address is known to be dead or to have said stop.
Out:  records, JSON bodies of receipts, lists, statuses and replies, errors with their codes.
Pure: yes, but for its own records; wall time is handed in. The HTTP part is app.py.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sandbox.chance import Chance
from sandbox.segments import segments
from sandbox.signed import ERRORS, GatewayError, Signed, json_object
from sandbox.twilio import START_WORDS, STOP_WORDS, is_loopback_url

__all__ = ["CARRIERS", "ERRORS", "Gateway", "GatewayError", "Taken"]

CARRIERS = ("in_app", "messenger", "push", "rcs", "sms", "voice", "whatsapp")
BY_NUMBER = frozenset({"sms", "whatsapp", "rcs", "voice"})
PAGE_SIZE, PAGE_SIZE_MAX = 100, 1000
# What became of it, in the town's words → status and error.
ENDS = {
    "expired": ("failed", "expired"),
    "handset_off": ("undelivered", "handset_off"),
    "unknown_handset": ("undelivered", "unreachable"),
    "landline": ("undelivered", "unreachable"),
    "carrier_unknown": ("undelivered", "carrier_trouble"),
    "not_shown": ("undelivered", "handset_off"),
}
_RANK = {"accepted": 0, "sent": 1, "undelivered": 2, "failed": 2, "delivered": 3, "read": 4}
_FIELDS = frozenset(
    {"key", "carrier", "to", "sender", "title", "body", "voicemail", "template", "variables", "valid_seconds", "callback_url"}
)
_KEY = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_E164 = re.compile(r"\+[1-9]\d{6,14}")


@dataclass(slots=True)
class Taken:
    """One message that was taken. `digest` is that of its request's body."""

    serial: int
    key: str
    id: str
    carrier: str
    to: str
    sender: str
    title: str
    body: str
    callback_url: str | None
    expires_at: datetime
    segments: int | None
    taken_at: datetime
    updated_at: datetime
    digest: bytes
    status: str = "accepted"
    error: str | None = None
    # A fault says so: it will not arrive, and this will be said of it.
    doomed_error: str | None = None

    @property
    def receipt(self) -> dict[str, Any]:
        """As the gateway shows it: neither number nor text."""
        return {
            "key": self.key,
            "id": self.id,
            "carrier": self.carrier,
            "status": self.status,
            "error": self.error,
            "segments": self.segments,
            "taken_at": self.taken_at.isoformat(),
            "updated_at": self.updated_at.isoformat(),
        }


class Gateway(Signed):
    """The gateway's keys and records."""

    def __init__(self, *, keys: Sequence[tuple[str, str]], seed: str) -> None:
        """Nothing taken. Of the (id, secret) pairs the first signs, all are believed."""
        super().__init__(keys)
        self._chance = Chance(seed)
        self._by_key: dict[str, Taken] = {}
        self._by_id: dict[str, Taken] = {}
        self._stopped: set[tuple[str, str]] = set()
        self._replies = 0

    def __len__(self) -> int:
        """How many were taken."""
        return len(self._by_key)

    def read(self, body: bytes) -> dict[str, Any]:
        """A request to send, read and checked.

        Raises:
            GatewayError: It is malformed, or asks for what this gateway does not have.
        """
        given = json_object(body)
        _check(given)
        if given["carrier"] not in CARRIERS:
            raise GatewayError("unsupported_carrier")
        if given["carrier"] in BY_NUMBER and not _E164.fullmatch(given["to"]):
            raise GatewayError("invalid_address")
        return given

    def again(self, given: Mapping[str, Any], body: bytes) -> Taken | None:
        """What was taken under this key before; None where nothing was.

        Raises:
            GatewayError: It was another message.
        """
        taken = self._by_key.get(given["key"])
        if taken is not None and taken.digest != hashlib.sha256(body).digest():
            raise GatewayError("key_reused", "this key was used for another message")
        return taken

    def take(self, given: Mapping[str, Any], body: bytes, now: datetime) -> Taken:
        """Take a message on; its key is new.

        Raises:
            GatewayError: The person said stop to this sender.
        """
        if (given["to"], given["sender"]) in self._stopped:
            raise GatewayError("opted_out")
        serial = len(self._by_id) + 1
        taken = Taken(
            serial=serial,
            key=given["key"],
            id=f"GW{self._chance.hexadecimal(24, 'gateway', serial)}",
            carrier=given["carrier"],
            to=given["to"],
            sender=given["sender"],
            title=given["title"],
            body=given["body"],
            callback_url=given["callback_url"],
            expires_at=now + timedelta(seconds=given["valid_seconds"]),
            segments=segments(given["body"]) if given["carrier"] == "sms" else None,
            taken_at=now,
            updated_at=now,
            digest=hashlib.sha256(body).digest(),
        )
        self._by_key[taken.key] = self._by_id[taken.id] = taken
        return taken

    def fetch(self, key: str) -> Taken:
        """What was taken under a key.

        Raises:
            GatewayError: Nothing was, or it is being worked on.
        """
        if key in self._under_way and key not in self._by_key:
            raise GatewayError("in_progress")
        if key not in self._by_key:
            raise GatewayError("unknown_key", "no message was taken under this key")
        return self._by_key[key]

    def by_id(self, message_id: str) -> Taken | None:
        """One of ours by its id; None where it is somebody else's."""
        return self._by_id.get(message_id)

    def page(self, query: Mapping[str, str]) -> dict[str, Any]:
        """A page of what was taken in a time.

        Raises:
            GatewayError: The query is malformed.
        """
        since, until = _instant(query, "since"), _instant(query, "until")
        limit = query.get("limit", str(PAGE_SIZE))
        if not limit.isdecimal() or not 1 <= int(limit) <= PAGE_SIZE_MAX:
            raise GatewayError("invalid_request", f"limit is from 1 to {PAGE_SIZE_MAX}")
        after = query.get("cursor", "")
        found = [one for one in self.listed() if since <= one.taken_at < until and _place(one) > after]
        page = found[: int(limit)]
        return {"messages": [one.receipt for one in page], "next": _place(page[-1]) if len(found) > len(page) else None}

    def listed(self) -> list[Taken]:
        """All, oldest first."""
        return sorted(self._by_key.values(), key=_place)

    def conclude(self, taken: Taken, status: str, at: datetime, error: str | None = None) -> bool:
        """Write down what became of it; whether that is news."""
        if _RANK[status] <= _RANK[taken.status]:
            return False
        taken.status, taken.error, taken.updated_at = status, error, at
        return True

    def status_of(self, taken: Taken) -> dict[str, Any]:
        """What the lender is told of a message."""
        about = {"key": taken.key, "id": taken.id, "status": taken.status, "error": taken.error}
        return {"type": "status", **about, "at": taken.updated_at.isoformat()}

    def reply(self, *, carrier: str, from_: str, to: str, text: str, at: datetime) -> dict[str, Any]:
        """What the lender is told of a person's text; a stop blocks that sender for that person."""
        self._replies += 1
        word = text.strip().upper()
        intent = "stop" if word in STOP_WORDS else "start" if word in START_WORDS else None
        if intent == "stop":
            self._stopped.add((from_, to))
        elif intent == "start":
            self._stopped.discard((from_, to))
        said = {"carrier": carrier, "from": from_, "to": to, "text": text, "intent": intent, "at": at.isoformat()}
        return {"type": "inbound", "id": f"IN{self._chance.hexadecimal(24, 'reply', self._replies)}", **said}


def _place(taken: Taken) -> str:
    """Where it stands in lists: by the instant, then by the key."""
    return f"{taken.taken_at.isoformat(timespec='microseconds')} {taken.key}"


def _check(given: Mapping[str, Any]) -> None:
    """Types and sizes.

    Raises:
        GatewayError: A field is missing or not of its kind; says which.
    """
    missing = _FIELDS - given.keys()
    if missing:
        raise GatewayError("invalid_request", f"lacks {', '.join(sorted(missing))}")
    if not isinstance(given["key"], str) or not _KEY.fullmatch(given["key"]):
        raise GatewayError("invalid_request", "key is a UUID in small letters")
    for name, least, most in (("carrier", 1, 20), ("to", 1, 4096), ("sender", 1, 100), ("title", 0, 200), ("body", 1, 10_000)):
        if not isinstance(given[name], str) or not least <= len(given[name]) <= most:
            raise GatewayError("invalid_request", f"{name} is a text of {least} to {most} characters")
    seconds, url, variables = given["valid_seconds"], given["callback_url"], given["variables"]
    if not isinstance(seconds, int) or isinstance(seconds, bool) or seconds < 1:
        raise GatewayError("invalid_request", "valid_seconds is a whole number from 1")
    if url is not None and not (isinstance(url, str) and is_loopback_url(url)):
        raise GatewayError("invalid_request", "callback_url is an address (here: on loopback), or null")
    for name in ("template", "voicemail"):
        if not (given[name] is None or isinstance(given[name], str)):
            raise GatewayError("invalid_request", f"{name} is a text or null")
    if not isinstance(variables, dict) or not all(isinstance(value, str) for value in variables.values()):
        raise GatewayError("invalid_request", "variables are names with texts")


def _instant(query: Mapping[str, str], name: str) -> datetime:
    try:
        at = datetime.fromisoformat(query.get(name, ""))
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise GatewayError("invalid_request", f"{name} is an instant with its offset")
    return at

"""A lender's core system, as docs/core.md of the product describes it: takes instructions, answers them, does each once.

In:   signed requests, the sandbox's clock; how it is to answer (control API).
Out:  records, JSON bodies, webhooks' contents.
Pure: yes, but for its own records. The HTTP part is lender_app.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sandbox.signed import GatewayError, Signed, json_object
from sandbox.twilio import is_loopback_url

STATES = ("received", "accepted", "applied", "refused")
KINDS = ("plan", "extension", "fee_freeze", "interest_freeze", "waiver", "stop_debit", "status")
_TEXTS = ("key", "kind", "creditor", "loan", "party", "currency", "asked_at", "accept_by", "apply_by", "callback_url")
_FIELDS = frozenset({*_TEXTS, "relief_minor", "terms"})


@dataclass(slots=True)
class Told:
    """One instruction that was taken. `effects` says how often it was done: never more than once."""

    key: str
    id: str
    given: dict[str, Any]
    digest: bytes
    at: datetime
    state: str = "received"
    reason: str | None = None
    effects: int = 0

    @property
    def answer(self) -> dict[str, Any]:
        """As the core system shows it."""
        return {"key": self.key, "id": self.id, "state": self.state, "reason": self.reason, "at": self.at.isoformat()}


@dataclass(slots=True)
class Manners:
    """How instructions are answered: what is said at once, and what by webhooks later.

    Attributes:
        at_once: In the answer to the request.
        later: By webhooks, in order.
        reason: Of a refusal.
    """

    at_once: str = "received"
    later: list[str] = field(default_factory=lambda: ["accepted", "applied"])
    reason: str = "not_possible"


class Core(Signed):
    """The core system's records."""

    def __init__(self, keys: Sequence[tuple[str, str]]) -> None:
        """Nothing taken."""
        super().__init__(keys)
        self.manners = Manners()
        self._by_key: dict[str, Told] = {}

    def take(self, body: bytes, now: datetime) -> tuple[Told, bool]:
        """Take an instruction on, or show the one with its key again; whether it is new.

        Raises:
            GatewayError: It is malformed, or its key was used for another one.
        """
        given = json_object(body)
        _check(given)
        known = self._by_key.get(given["key"])
        if known is not None:
            if known.digest != hashlib.sha256(body).digest():
                raise GatewayError("key_reused", "this key was used for another instruction")
            return known, False
        told = Told(given["key"], f"CI{len(self._by_key) + 1:06}", given, hashlib.sha256(body).digest(), now)
        self._by_key[told.key] = told
        self.answer(told, self.manners.at_once, now)
        return told, True

    def answer(self, told: Told, state: str, now: datetime, reason: str | None = None) -> None:
        """Come so far with an instruction; done is done once."""
        told.state, told.at = state, now
        told.reason = (reason or self.manners.reason) if state == "refused" else None
        if state == "applied" and not told.effects:
            told.effects = 1

    def fetch(self, key: str) -> Told:
        """What was taken under a key.

        Raises:
            GatewayError: Nothing was.
        """
        if key not in self._by_key:
            raise GatewayError("unknown_key", "no instruction was taken under this key")
        return self._by_key[key]

    def forget(self, key: str) -> None:
        """Lose an instruction, as a system does that comes back from its backup."""
        self._by_key.pop(key, None)

    @property
    def listed(self) -> list[Told]:
        """In the order in which they came."""
        return list(self._by_key.values())


def _check(given: Mapping[str, Any]) -> None:
    if missing := _FIELDS - given.keys():
        raise GatewayError("invalid_request", f"lacks {', '.join(sorted(missing))}")
    if not all(isinstance(given[name], str) and given[name] for name in _TEXTS) or given["kind"] not in KINDS:
        raise GatewayError("invalid_request", f"{', '.join(_TEXTS)} are texts, and kind one of {', '.join(KINDS)}")
    relief = given["relief_minor"]
    if not isinstance(relief, int) or isinstance(relief, bool) or relief < 0 or not isinstance(given["terms"], dict):
        raise GatewayError("invalid_request", "relief_minor is a whole number from 0, terms an object")
    if not is_loopback_url(given["callback_url"]):
        raise GatewayError("invalid_request", "callback_url is an address (here: on loopback)")

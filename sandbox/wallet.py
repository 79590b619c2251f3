"""A lender's wallet, as docs/wallet.md of the product describes it: takes a payment on, lets its owner confirm it, tells what came of it.

In:   signed requests, the sandbox's clock, what the wallet's owner does.
Out:  records, JSON bodies, webhooks' contents, the page on which a payment is confirmed.
Pure: yes, but for its own records. The HTTP part is lender_app.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from typing import Any

from sandbox.chance import Chance
from sandbox.signed import GatewayError, Signed, json_object
from sandbox.twilio import is_loopback_url

_TEXTS = ("key", "creditor", "loan", "party", "currency", "return_url", "callback_url")
_FIELDS = frozenset({*_TEXTS, "amount_minor", "valid_seconds"})
REASONS = ("returned", "chargeback", "misposted", "refund", "fraud")


@dataclass(slots=True)
class Asked:
    """One payment. `key` is null where its owner paid in the wallet itself."""

    key: str | None
    id: str
    creditor: str
    loan: str
    amount_minor: int
    currency: str
    callback_url: str | None
    return_url: str | None
    expires_at: datetime
    digest: bytes
    status: str = "waiting"
    error: str | None = None
    paid_at: datetime | None = None
    returned: dict[str, Any] | None = None

    def shown(self, base_url: str) -> dict[str, Any]:
        """As the wallet shows it."""
        return {
            "key": self.key,
            "id": self.id,
            "status": self.status,
            "creditor": self.creditor,
            "loan": self.loan,
            "amount_minor": self.amount_minor,
            "currency": self.currency,
            "paid_at": None if self.paid_at is None else self.paid_at.isoformat(),
            "error": self.error,
            "return": self.returned,
            "confirm_url": f"{base_url}/wallet/confirm/{self.id}",
        }


class Wallet(Signed):
    """The wallet's records."""

    def __init__(self, keys: Sequence[tuple[str, str]], *, seed: str) -> None:
        """Nothing paid."""
        super().__init__(keys)
        self._chance = Chance(f"{seed} wallet")
        self._by_id: dict[str, Asked] = {}
        self._by_key: dict[str, Asked] = {}

    def take(self, body: bytes, now: datetime) -> tuple[Asked, bool]:
        """Take a payment on, or show the one with its key again; whether it is new.

        Raises:
            GatewayError: It is malformed, or its key was used for another one.
        """
        given = json_object(body)
        _check(given)
        known = self._by_key.get(given["key"])
        digest = hashlib.sha256(body).digest()
        if known is not None:
            if known.digest != digest:
                raise GatewayError("key_reused", "this key was used for another payment")
            return known, False
        asked = self._new(given, key=given["key"], now=now, digest=digest)
        self._by_key[given["key"]] = asked
        return asked, True

    def pay_here(self, given: Mapping[str, Any], *, callback_url: str | None, now: datetime) -> Asked:
        """The wallet's owner pays in the wallet itself; nobody asked for it."""
        asked = self._new({**given, "callback_url": callback_url, "return_url": None, "valid_seconds": 60}, key=None, now=now, digest=b"")
        self.conclude(asked, "paid", now)
        return asked

    def conclude(self, asked: Asked, status: str, now: datetime, error: str | None = None) -> bool:
        """What came of it; whether that is news. What was paid, failed or is over stays so."""
        if asked.status != "waiting":
            return False
        if now >= asked.expires_at:
            status, error = "expired", None
        asked.status, asked.error = status, error
        asked.paid_at = now if status == "paid" else None
        return True

    def take_back(self, asked: Asked, reason: str, amount_minor: int, now: datetime) -> None:
        """Money that was paid goes back."""
        asked.status = "returned"
        asked.returned = {"id": f"RT{asked.id[2:]}", "amount_minor": amount_minor, "reason": reason, "at": now.isoformat()}

    def fetch(self, key: str) -> Asked:
        """The payment with a key.

        Raises:
            GatewayError: There is none.
        """
        if key not in self._by_key:
            raise GatewayError("unknown_key", "no payment was taken under this key")
        return self._by_key[key]

    def by_id(self, payment_id: str) -> Asked | None:
        """The payment with an id of the wallet's."""
        return self._by_id.get(payment_id)

    @property
    def listed(self) -> list[Asked]:
        """In the order in which they came."""
        return list(self._by_id.values())

    def _new(self, given: Mapping[str, Any], *, key: str | None, now: datetime, digest: bytes) -> Asked:
        asked = Asked(
            key=key,
            id=f"WP{self._chance.hexadecimal(24, 'payment', len(self._by_id) + 1)}",
            creditor=given["creditor"],
            loan=given["loan"],
            amount_minor=given["amount_minor"],
            currency=given["currency"],
            callback_url=given["callback_url"],
            return_url=given["return_url"],
            expires_at=now + timedelta(seconds=given["valid_seconds"]),
            digest=digest,
        )
        self._by_id[asked.id] = asked
        return asked


def confirm_page(asked: Asked) -> str:
    """What the wallet's owner sees: what is paid to whom, and two buttons of one size."""
    what = f"{asked.amount_minor} {escape(asked.currency)} (minor units) for loan {escape(asked.loan)}"
    if asked.status != "waiting":
        return _page(f"<p>{what}: {escape(asked.status)}.</p>")
    buttons = "".join(
        f'<button name="do" value="{word}">{label}</button> ' for word, label in (("confirm", "Pay"), ("decline", "Do not pay"))
    )
    return _page(f'<p>{what}</p><form method="post">{buttons}</form>')


def _page(inside: str) -> str:
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Sandbox wallet</title>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body><main><h1>Sandbox wallet</h1>{inside}</main></body></html>'


def _check(given: Mapping[str, Any]) -> None:
    if missing := _FIELDS - given.keys():
        raise GatewayError("invalid_request", f"lacks {', '.join(sorted(missing))}")
    if not all(isinstance(given[name], str) and given[name] for name in _TEXTS):
        raise GatewayError("invalid_request", f"{', '.join(_TEXTS)} are texts")
    for name in ("amount_minor", "valid_seconds"):
        if not isinstance(given[name], int) or isinstance(given[name], bool) or given[name] < 1:
            raise GatewayError("invalid_request", f"{name} is a whole number from 1")
    if not is_loopback_url(given["callback_url"]) or not is_loopback_url(given["return_url"]):
        raise GatewayError("invalid_request", "callback_url and return_url are addresses (here: on loopback)")

"""The lender's wallet: it is asked to take a payment, which its owner confirms there, and says what came of one. It reaches no person.

In:   a `Bill`, or the key of one.
Out:  where she confirms it; what the wallet says.
Pure: no; talks to the wallet, or to the sandbox on loopback.
Source: docs/wallet.md, docs/adr/0045.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import urlsplit
from uuid import UUID

import aiohttp

from channels import ForbiddenHost
from channels.signed_http import Answer, SignedHttp
from config.settings import LOOPBACK_HOSTS, Settings
from decisions.wallet_payments import Told, UnreadableError, read_told

TAKEN: Final = frozenset({200, 201})
REFUSED: Final = frozenset({400, 413, 422})
NOT_FOUND: Final = 404
UNKNOWN_KEY: Final = "unknown_key"
KEY_REUSED: Final = "key_reused"
AT_ONCE_MAX: Final = 32
# She confirms within this time, or no money moves.
VALID_SECONDS: Final = 1_800
_ADDRESS: Final = re.compile(r"[\x21-\x7e]{1,2048}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """A payment as it is asked for (docs/wallet.md); the lender's own ids."""

    token: UUID
    creditor: str
    loan: str
    party: str
    amount_minor: int
    currency: str
    return_url: str
    callback_url: str

    @property
    def body(self) -> dict[str, Any]:
        """The JSON object."""
        return {
            "key": str(self.token),
            "creditor": self.creditor,
            "loan": self.loan,
            "party": self.party,
            "amount_minor": self.amount_minor,
            "currency": self.currency,
            "return_url": self.return_url,
            "callback_url": self.callback_url,
            "valid_seconds": VALID_SECONDS,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What the wallet made of it.

    Attributes:
        told: What it says.
        confirm_url: Where she confirms it.
    """

    told: Told
    confirm_url: str


class WalletRefusedError(RuntimeError):
    """The wallet does not take this payment; no money moves.

    Attributes:
        code: The wallet's word.
    """

    def __init__(self, code: str) -> None:
        super().__init__(f"the wallet refused: {code}")
        self.code = code


class WalletAwayError(RuntimeError):
    """Nobody knows whether the wallet has it; it may be asked for again under the same key.

    Attributes:
        code: A word for the log; nothing of what was said.
    """

    def __init__(self, code: str) -> None:
        super().__init__(f"the wallet did not answer: {code}")
        self.code = code


class PaymentAdapter(Protocol):
    """How a payment is asked for; one adapter so far."""

    async def ask_for(self, bill: Bill) -> Taken:
        """Ask for a payment; under the same key it is the same.

        Raises:
            WalletRefusedError: It is not taken.
            WalletAwayError: Nobody knows.
        """
        ...

    async def told_of(self, token: UUID) -> Told | None:
        """What became of a payment; None where it was never taken.

        Raises:
            WalletAwayError: As above.
        """
        ...

    async def close(self) -> None:
        """Let go of the connections."""
        ...


class Wallet:
    """The lender's wallet; one client, bound to the loop of its first request."""

    def __init__(self, settings: Settings) -> None:
        """Prepare; connects with the first request.

        Raises:
            ForbiddenHost: Its address is not one of this mode.
        """
        self._mode = settings.mode
        self._http = SignedHttp(
            settings.wallet_base_url,
            settings.wallet_keys.get_secret_value(),
            mode=settings.mode,
            connections_max=AT_ONCE_MAX,
            seconds_max=settings.call_seconds_max,
        )

    async def ask_for(self, bill: Bill) -> Taken:
        """Ask for a payment.

        Raises:
            WalletRefusedError: It is not taken.
            WalletAwayError: Nobody knows.
        """
        answer = await _heard(self._http.tell("/v1/payments", bill.body))
        if answer.status in TAKEN:
            return Taken(told=_read(answer, bill.token), confirm_url=self._confirm_url(answer))
        if answer.status in REFUSED and answer.code not in {None, KEY_REUSED}:
            raise WalletRefusedError(str(answer.code))
        raise WalletAwayError(answer.code or str(answer.status))

    async def told_of(self, token: UUID) -> Told | None:
        """What became of a payment.

        Raises:
            WalletAwayError: Nobody knows.
        """
        answer = await _heard(self._http.ask(f"/v1/payments/{token}"))
        if answer.status in TAKEN:
            return _read(answer, token)
        if answer.status == NOT_FOUND and answer.code == UNKNOWN_KEY:
            return None
        raise WalletAwayError(answer.code or str(answer.status))

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.close()

    def _confirm_url(self, answer: Answer) -> str:
        """Where she is led: an https address; in the sandbox one on loopback, and nowhere else."""
        url = (answer.value or {}).get("confirm_url")
        parts = urlsplit(url) if isinstance(url, str) and _ADDRESS.fullmatch(url) else None
        is_loopback = parts is not None and parts.hostname in LOOPBACK_HOSTS
        fits = is_loopback if self._mode == "sandbox" else parts is not None and parts.scheme == "https" and not is_loopback
        if parts is None or not fits or parts.scheme not in {"http", "https"}:
            raise WalletAwayError("unreadable_answer")
        return str(url)


async def _heard(call: Awaitable[Answer]) -> Answer:
    try:
        return await call
    except (aiohttp.ClientError, TimeoutError, OSError, ForbiddenHost) as error:
        raise WalletAwayError(type(error).__name__) from None


def _read(answer: Answer, token: UUID) -> Told:
    try:
        told = read_told(answer.value or {})
    except UnreadableError:
        raise WalletAwayError("unreadable_answer") from None
    if told.key != token:
        raise WalletAwayError("unreadable_answer")
    return told

"""The lender's core system: it is told what was agreed, and says what became of it. It reaches no person.

In:   an `Order`, or the key of one.
Out:  what it answered, or why nobody knows.
Pure: no; talks to the core system, or to the sandbox on loopback.
Source: docs/core.md, docs/adr/0043. Telling it again under the same key has no second effect, so what is not known is told again.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import aiohttp

from channels import ForbiddenHost
from channels.signed_http import Answer, SignedHttp
from config.settings import Settings
from decisions.core_instructions import ANSWERS

TAKEN: Final = frozenset({200, 201, 202})
# The core system says no to the request itself: the same request fares no better tomorrow, a person has to look.
REFUSED: Final = frozenset({400, 413, 422})
NOT_FOUND: Final = 404
# Ours is told anew where the core system says that it never had it.
UNKNOWN_KEY: Final = "unknown_key"
KEY_REUSED: Final = "key_reused"
# Connections at once.
AT_ONCE_MAX: Final = 8
REASON: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")


class NoCoreSystemError(RuntimeError):
    """TIDEOVER_CORE_BASE_URL is not set."""

    def __init__(self) -> None:
        super().__init__("TIDEOVER_CORE_BASE_URL is not set: nothing that was agreed reaches the core system (docs/core.md)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An instruction as it goes over the wire (docs/core.md); dates, amounts and the lender's own ids."""

    token: UUID
    kind: str
    creditor: str
    loan: str
    party: str
    currency: str
    relief_minor: int
    terms: Mapping[str, Any]
    asked_at: datetime
    accept_by: datetime
    apply_by: datetime
    callback_url: str

    @property
    def body(self) -> dict[str, Any]:
        """The JSON object."""
        return {
            "key": str(self.token),
            "kind": self.kind,
            "creditor": self.creditor,
            "loan": self.loan,
            "party": self.party,
            "currency": self.currency,
            "relief_minor": self.relief_minor,
            "terms": dict(self.terms),
            "asked_at": self.asked_at.isoformat(),
            "accept_by": self.accept_by.isoformat(),
            "apply_by": self.apply_by.isoformat(),
            "callback_url": self.callback_url,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreAnswer:
    """What the core system said.

    Attributes:
        state: One of `decisions.core_instructions.ANSWERS`; None = it never had it.
        reason: Its code, where it refuses.
    """

    state: str | None
    reason: str | None = None


class NotAnsweredError(RuntimeError):
    """Nobody knows whether it was heard; it may be told again.

    Attributes:
        code: A word for the log; nothing of what was said.
    """

    def __init__(self, code: str) -> None:
        super().__init__(f"the core system did not answer: {code}")
        self.code = code


class CoreSystem:
    """One client, bound to the loop of its first request."""

    def __init__(self, settings: Settings) -> None:
        """Prepare; connects with the first request.

        Raises:
            NoCoreSystemError: The settings name none.
            ForbiddenHost: Its address is not one of this mode.
        """
        if not settings.core_base_url:
            raise NoCoreSystemError
        self._http = SignedHttp(
            settings.core_base_url,
            settings.core_keys.get_secret_value(),
            mode=settings.mode,
            connections_max=AT_ONCE_MAX,
            seconds_max=settings.call_seconds_max,
        )

    async def tell(self, order: Order) -> CoreAnswer:
        """Deliver an instruction.

        Raises:
            NotAnsweredError: No answer, or none that can be read.
        """
        answer = await self._heard(self._http.tell("/v1/instructions", order.body))
        if answer.status in TAKEN:
            return _read(answer, order.token)
        # That another instruction has this key is no "no" to this one: whoever answers for the core system has to look.
        if answer.status in REFUSED and answer.code not in {None, KEY_REUSED}:
            return CoreAnswer(state="refused", reason=answer.code)
        raise NotAnsweredError(answer.code or str(answer.status))

    async def ask(self, token: UUID) -> CoreAnswer:
        """Ask what became of an instruction.

        Raises:
            NotAnsweredError: As above.
        """
        answer = await self._heard(self._http.ask(f"/v1/instructions/{token}"))
        if answer.status in TAKEN:
            return _read(answer, token)
        if answer.status == NOT_FOUND and answer.code == UNKNOWN_KEY:
            return CoreAnswer(state=None)
        raise NotAnsweredError(answer.code or str(answer.status))

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.close()

    async def _heard(self, call: Awaitable[Answer]) -> Answer:
        try:
            return await call
        except (aiohttp.ClientError, TimeoutError, OSError, ForbiddenHost) as error:
            raise NotAnsweredError(type(error).__name__) from None


def _read(answer: Answer, token: UUID) -> CoreAnswer:
    value = answer.value or {}
    state, reason = value.get("state"), value.get("reason")
    if value.get("key") != str(token) or state not in ANSWERS:
        raise NotAnsweredError("unreadable_answer")
    return CoreAnswer(state=str(state), reason=reason_of(reason))


def reason_of(value: object) -> str | None:
    """A code of the core system's; None where it gave none that is one: free words may be personal."""
    return value if isinstance(value, str) and REASON.fullmatch(value) else None

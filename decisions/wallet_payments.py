"""What the lender's wallet tells of a payment, read strictly: money is not guessed.

In:   the JSON object of an answer or a webhook.
Out:  `Told`, or why it says nothing that can be kept.
Pure: yes.
Source: docs/wallet.md; docs/adr/0045.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, get_args
from uuid import UUID

PaymentStatus = Literal["waiting", "paid", "failed", "expired", "returned"]
STATUSES: Final[tuple[str, ...]] = get_args(PaymentStatus)
# Why money went back: the words of an imported reversal.
REASONS: Final = ("returned", "chargeback", "misposted", "refund", "fraud")
AMOUNT_MINOR_MAX: Final = 10**13
TEXT_MAX: Final = 200
# Nothing was paid by this wallet before.
YEAR_MIN: Final = 2000
_ID: Final = re.compile(r"[\x21-\x7e]{1,128}")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_CODE: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")


class UnreadableError(ValueError):
    """What was told says nothing that can be kept; names the field, never its value."""

    def __init__(self, field: str) -> None:
        super().__init__(f"{field} is missing or malformed")
        self.field = field


@dataclass(frozen=True, slots=True, kw_only=True)
class Back:
    """Money that went back.

    Attributes:
        id: The wallet's, of the return.
        amount_minor: How much, above zero.
        reason: One of `REASONS`.
        at: When.
    """

    id: str
    amount_minor: int
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the wallet says of a payment.

    Attributes:
        id: The wallet's; the lender's books know the payment by it.
        key: Ours, where we asked for it; None = she paid in the wallet itself.
        status: One of `STATUSES`.
        creditor, loan: The lender's own ids.
        amount_minor: Above zero.
        currency: ISO 4217.
        paid_at: Where it was paid.
        error: The wallet's code, where it failed.
        back: Where money went back.
    """

    id: str
    key: UUID | None
    status: str
    creditor: str
    loan: str
    amount_minor: int
    currency: str
    paid_at: datetime | None
    error: str | None
    back: Back | None


def read_told(value: Mapping[str, Any]) -> Told:
    """Read what the wallet says.

    Raises:
        UnreadableError: A field is missing or malformed, or the whole does not agree with itself.
    """
    status = value.get("status")
    if status not in STATUSES:
        raise UnreadableError("status")
    paid_at = _instant(value, "paid_at") if status in {"paid", "returned"} else None
    back = value.get("return")
    if (status == "returned") != isinstance(back, Mapping):
        raise UnreadableError("return")
    error = value.get("error")
    return Told(
        id=_matching(value, "id", _ID),
        key=_key(value.get("key")),
        status=str(status),
        creditor=_text(value, "creditor"),
        loan=_text(value, "loan"),
        amount_minor=_amount(value),
        currency=_matching(value, "currency", _CURRENCY),
        paid_at=paid_at,
        error=error if isinstance(error, str) and _CODE.fullmatch(error) else None,
        back=_back(back) if isinstance(back, Mapping) else None,
    )


def _back(value: Mapping[str, Any]) -> Back:
    reason = value.get("reason")
    if reason not in REASONS:
        raise UnreadableError("return.reason")
    return Back(id=_matching(value, "id", _ID), amount_minor=_amount(value), reason=str(reason), at=_instant(value, "at"))


def _key(value: object) -> UUID | None:
    if value is None:
        return None
    try:
        return UUID(str(value))
    except ValueError:
        raise UnreadableError("key") from None


def _text(value: Mapping[str, Any], name: str) -> str:
    found = value.get(name)
    # No sign that a database refuses: what cannot be kept is refused here, by name.
    if not isinstance(found, str) or not 0 < len(found) <= TEXT_MAX or not found.isprintable():
        raise UnreadableError(name)
    return found


def _matching(value: Mapping[str, Any], name: str, form: re.Pattern[str]) -> str:
    found = _text(value, name)
    if not form.fullmatch(found):
        raise UnreadableError(name)
    return found


def _amount(value: Mapping[str, Any]) -> int:
    found = value.get("amount_minor")
    if not isinstance(found, int) or isinstance(found, bool) or not 0 < found <= AMOUNT_MINOR_MAX:
        raise UnreadableError("amount_minor")
    return found


def _instant(value: Mapping[str, Any], name: str) -> datetime:
    try:
        at = datetime.fromisoformat(_text(value, name))
        if at.tzinfo is None or at.year < YEAR_MIN:
            raise UnreadableError(name)
        return at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise UnreadableError(name) from None

"""Who really called: signatures on what providers and the app send to the portal.

In:   the address as the sender sees it, the fields or the body, the signature header, the shared secret.
Out:  true or false.
Pure: yes.
Source: PROVIDERS.md A6; CONTRACT of the app's acknowledgement: hex HMAC-SHA256 over the body.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Sequence
from hashlib import sha256

from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]  # twilio ships no py.typed

TWILIO_HEADER = "X-Twilio-Signature"
APP_HEADER = "X-Tideover-App-Signature"


class _Fields:
    """Form fields as twilio's validator wants them: names to walk over, and every value of a name."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self._pairs = pairs

    def __len__(self) -> int:
        return len(self._pairs)

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._pairs)

    def getlist(self, name: str) -> list[str]:
        """Every value of a field."""
        return [value for other, value in self._pairs if other == name]


def is_from_twilio(*, secret: str, url: str, fields: Sequence[tuple[str, str]], signature: str | None) -> bool:
    """Whether Twilio signed this form for this address.

    Args:
        secret: The account's auth token. Without one nothing is believed: anybody can sign with an empty key.
        url: The public address with its query, as Twilio was told it; not the one behind a proxy.
        fields: All form fields, blank ones too, in any order.
        signature: The header's value, None where it is missing.
    """
    if not secret or not signature:
        return False
    return bool(RequestValidator(secret).validate(url, _Fields(fields), signature))


def is_from_app(*, secret: str, body: bytes, signature: str | None) -> bool:
    """Whether the lender's app signed this body; compared in constant time."""
    if not secret or not signature:
        return False
    return hmac.compare_digest(hmac.digest(secret.encode(), body, sha256).hex().encode(), signature.strip().lower().encode())

"""Who really called: signatures on what providers and the app send to the portal.

In:   the address as the sender sees it, the fields or the body, the signature header, the shared secret.
Out:  true or false.
Pure: yes.
Source: PROVIDERS.md A6; CONTRACT of the app's acknowledgement: hex HMAC-SHA256 over the body; docs/gateway.md.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Final

from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]  # twilio ships no py.typed

TWILIO_HEADER = "X-Twilio-Signature"
APP_HEADER = "X-Tideover-App-Signature"
SIGNATURE_HEADER = "Tideover-Signature"
# So far may the other side's clock be from ours, and so long may what was signed be under way.
SIGNATURE_SECONDS_MAX: Final = 120
_SIGNATURE_FORM: Final = re.compile(r"t=(\d{1,12}),\s*k=([A-Za-z0-9._-]{1,64}),\s*v1=([0-9a-f]{64})")

# (key id, secret); the first signs, all are believed.
SigningKeys = Sequence[tuple[str, str]]


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


def sign_request(keys: SigningKeys, *, method: str, target: str, body: bytes, at_seconds: float) -> str:
    """The header's value for a request of ours to a lender's own gateway, core system or wallet.

    Args:
        keys: At least one.
        method: Of HTTP, in capitals.
        target: Path with its query, as it stands on the wire.
        body: As it is sent; empty where there is none.
        at_seconds: Wall time, since 1970.
    """
    key_id, secret = keys[0]
    return f"t={int(at_seconds)}, k={key_id}, v1={_digest(secret, int(at_seconds), method, target, body)}"


def is_signed(keys: SigningKeys, *, method: str, target: str, body: bytes, signature: str | None, at_seconds: float) -> bool:
    """Whether the lender's gateway, core system or wallet signed this request lately; compared in constant time.

    Args:
        keys: Those that are believed; without one nothing is.
        method: Of HTTP, in capitals.
        target: Path with its query, of the public address.
        body: As it came.
        signature: The header's value, None where it is missing.
        at_seconds: Wall time, since 1970.
    """
    form = _SIGNATURE_FORM.fullmatch((signature or "").strip())
    if form is None or abs(at_seconds - int(form[1])) > SIGNATURE_SECONDS_MAX:
        return False
    secret = dict(keys).get(form[2])
    return bool(secret) and hmac.compare_digest(_digest(str(secret), int(form[1]), method, target, body), form[3])


def _digest(secret: str, seconds: int, method: str, target: str, body: bytes) -> str:
    return hmac.digest(secret.encode(), f"v1:{seconds}:{method}:{target}\n".encode() + body, sha256).hex()

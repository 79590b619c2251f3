"""What a lender's own systems have in common: signed requests, errors by code, one caller at a time for a key.

In:   requests with their signature header; the (id, secret) pairs that are believed.
Out:  let in, or an error with its code.
Pure: yes, but for which keys are being worked on; wall time is handed in.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from sandbox.signature import gateway_signature

BODY_BYTES_MAX = 65_536
WINDOW_SECONDS = 120
_SIGNATURE = re.compile(r"t=(\d{1,12}), ?k=([A-Za-z0-9._-]{1,64}), ?v1=([0-9a-f]{64})")
# Code → HTTP status.
ERRORS = {
    "invalid_request": 400,
    "bad_signature": 401,
    "unknown_key_id": 401,
    "stale_timestamp": 401,
    "suspended": 403,
    "unknown_key": 404,
    "in_progress": 409,
    "too_large": 413,
    "invalid_address": 422,
    "unreachable": 422,
    "opted_out": 422,
    "window_closed": 422,
    "content_refused": 422,
    "sender_refused": 422,
    "unsupported_carrier": 422,
    "key_reused": 422,
    "busy": 429,
    "internal": 500,
    "not_taken": 503,
    "unavailable": 503,
}
# What the wallet and the core system say beside these; a gateway knows nothing of loans.
OF_LOANS = {"unknown_loan": 422, "declined": 422}


class GatewayError(Exception):
    """A request that is refused."""

    def __init__(self, code: str, detail: str = "", *, retry_after_seconds: float | None = None) -> None:
        """Find the status of the code."""
        super().__init__(f"{code} {detail}".strip())
        self.status = (ERRORS | OF_LOANS)[code]
        self.body = {"error": {"code": code, "detail": detail}}
        self.retry_after_seconds = retry_after_seconds


class Signed:
    """Whoever lets in what is signed."""

    def __init__(self, keys: Sequence[tuple[str, str]]) -> None:
        """Of the (id, secret) pairs the first signs, all are believed."""
        self.keys = keys
        self._under_way: set[str] = set()

    def admit(self, *, method: str, target: str, body: bytes, header: str | None, wall_seconds: float) -> None:
        """Let in what is signed.

        Raises:
            GatewayError: It is not, or not lately, or with a key that nobody knows; or it is too large.
        """
        form = _SIGNATURE.fullmatch((header or "").strip())
        if form is None:
            raise GatewayError("bad_signature", "no signature that can be read")
        seconds, key_id = int(form[1]), form[2]
        if key_id not in dict(self.keys):
            raise GatewayError("unknown_key_id")
        if abs(wall_seconds - seconds) > WINDOW_SECONDS:
            raise GatewayError("stale_timestamp", f"this clock shows {int(wall_seconds)}")
        wanted = gateway_signature(dict(self.keys)[key_id], key_id, seconds, method=method, target=target, body=body)
        if not hmac.compare_digest(form[3], wanted.rpartition("=")[2]):
            raise GatewayError("bad_signature")
        if len(body) > BODY_BYTES_MAX:
            raise GatewayError("too_large")

    @contextlib.contextmanager
    def working_on(self, key: str) -> Iterator[None]:
        """Nobody else works on this key meanwhile.

        Raises:
            GatewayError: Somebody does.
        """
        if key in self._under_way:
            raise GatewayError("in_progress")
        self._under_way.add(key)
        try:
            yield
        finally:
            self._under_way.discard(key)


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object of a body.

    Raises:
        GatewayError: It is none.
    """
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise GatewayError("invalid_request", "the body is no JSON object")
    return given

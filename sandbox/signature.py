"""How what the sandbox posts is signed.

In:   the secret, the address, what is posted.
Out:  the value of the signature header.
Pure: yes. Twilio: base64 of HMAC-SHA1 over the full address and every name with its value, sorted by name, each
      value of a repeated name once (twilio.com/docs/usage/security). App: hex of HMAC-SHA256 over the body. Gateway: the
      same over time, method, target and body, with the key's id (docs/gateway.md).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence


def twilio_signature(auth_token: str, url: str, fields: Sequence[tuple[str, str]]) -> str:
    """X-Twilio-Signature of a form post."""
    signed = url + "".join(name + value for name, value in sorted(set(fields)))
    return base64.b64encode(hmac.new(auth_token.encode(), signed.encode(), hashlib.sha1).digest()).decode()


def app_signature(secret: str, body: bytes) -> str:
    """X-Tideover-App-Signature of an acknowledgement."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def gateway_signature(secret: str, key_id: str, seconds: int, *, method: str, target: str, body: bytes) -> str:
    """Tideover-Signature of a request from or to a lender's own gateway."""
    signed = b"\n".join((f"v1:{seconds}:{method}:{target}".encode(), body))
    return f"t={seconds}, k={key_id}, v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"

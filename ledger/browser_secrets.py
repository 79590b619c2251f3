"""What a browser shows of a session: drawn at random, told once, kept as a hash.

In:   nothing, or a secret as a browser shows it.
Out:  a secret; its hash.
Pure: drawing is not.
"""

from __future__ import annotations

import secrets
from hashlib import sha256
from typing import Final

SECRET_BYTES: Final = 32


def draw() -> str:
    """A new secret: 256 random bits."""
    return secrets.token_urlsafe(SECRET_BYTES)


def hash_of(secret: str) -> bytes:
    """What is kept of it; of so many random bits there is no dictionary to slow down."""
    return sha256(secret.encode()).digest()

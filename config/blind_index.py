"""The blind index of a number, token or address: equal exactly for equal values, and telling nothing of them without the key.

In:   a value and the key of TIDEOVER_INDEX_KEY.
Out:  sixteen bytes.
Pure: yes.
"""

from __future__ import annotations

import hmac
from typing import Final

BYTES: Final = 16


def blind_index_of(value: str, key: bytes) -> bytes:
    """Sixteen bytes of an HMAC-SHA-256."""
    return hmac.digest(key, value.encode(), "sha256")[:BYTES]

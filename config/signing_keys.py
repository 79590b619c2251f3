"""Keys that a lender's gateway, core system or wallet and we sign with: `KEYID:SECRET` pairs, the first signs, all are believed.

In:   the text of the setting.
Out:  pairs in their order.
Pure: yes.
Source: docs/gateway.md, "Who signs what".
"""

from __future__ import annotations

import re
from typing import Final

# As many bytes as the digest has, written plainly.
SECRET_LENGTH_MIN: Final = 32
_KEY_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


def read_signing_keys(text: str) -> tuple[tuple[str, str], ...]:
    """(key id, secret) pairs; none where the text is empty.

    Raises:
        ValueError: A pair is malformed, an id stands twice, or a secret is too short; says which by its place.
    """
    pairs = [tuple(part.strip().partition(":")[::2]) for part in text.split(",") if part.strip()]
    for number, (key_id, secret) in enumerate(pairs, start=1):
        if not _KEY_ID.fullmatch(key_id):
            raise ValueError(f"key {number} is no KEYID:SECRET; an id has letters, digits, dots, dashes")
        if len(secret) < SECRET_LENGTH_MIN:
            raise ValueError(f"the secret of key {number} is shorter than {SECRET_LENGTH_MIN} characters")
    if len({key_id for key_id, _ in pairs}) != len(pairs):
        raise ValueError("a key id stands twice")
    return tuple((key_id, secret) for key_id, secret in pairs)

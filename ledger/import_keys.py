"""Keys of an import: each person's values are encrypted with a data key of her own, before it is known whether she is new.

Rows are encrypted while files are read, and a person's number stands in another file than her name. So her data key follows from her
external id and a secret that is drawn for this import and forgotten with it; when the import ends, the keys of those of whom something
was written are wrapped and kept like every other (ledger/vault.py). Whoever destroys such a key destroys it: the secret is gone.

In:   texts, and whose they are.
Out:  ciphertexts, labels of keys, blind indexes; rows of `party_key`.
Pure: no; draws a secret from the operating system.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Sequence

from ledger import vault


class ImportKeys:
    """The keys of one import."""

    def __init__(self) -> None:
        """Draw the secret."""
        self._secret = os.urandom(vault.KEY_BYTES)
        self._label = vault.new_label()

    def seal(self, values: Sequence[str | None], parties: Sequence[str]) -> tuple[list[bytes | None], list[str | None], list[bytes]]:
        """Encrypt personal texts.

        Args:
            values: Texts.
            parties: External ids of those whose they are.

        Returns:
            Ciphertexts, labels of their keys, and blind indexes (empty for null), in the order given.
        """
        pairs = list(zip(values, parties, strict=True))
        sealed = [None if value is None else vault.encrypt_with_raw(self._key(party), value) for value, party in pairs]
        indexes = [b"" if value is None else vault.blind_index(value) for value in values]
        return sealed, [None if value is None else self._label for value in values], indexes

    def kept(self, party_id: int, external_id: str) -> tuple[str, int, str, bytes]:
        """The row of `party_key` for a person."""
        key_id = f"{vault.PERSON}{party_id}-{self._label}"
        wrapped, wrapped_by = vault.seal(self._key(external_id), bound_to=key_id)
        return key_id, party_id, wrapped_by, wrapped

    def _key(self, party: str) -> bytes:
        return hmac.digest(self._secret, party.encode(), "sha256")

"""Personal values under lock: encryption and blind index of names, numbers, tokens and raw payloads.

In:   text and the keys of config/settings.py.
Out:  AES-256-GCM ciphertext with its key's id, and an HMAC-SHA-256 blind index that finds equal values without
      revealing them.
Pure: encryption draws a nonce from the operating system; the index is deterministic.
Source: NIST SP 800-38D (96-bit random nonce: far below 2^32 messages a key).
"""

from __future__ import annotations

import base64
import hmac
import os
from functools import lru_cache
from hashlib import sha256

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from config.blind_index import blind_index_of
from config.settings import settings

NONCE_BYTES = 12


class MissingKeyError(RuntimeError):
    """A key is not set, or a value was encrypted with one that is gone."""


def encrypt(value: str) -> tuple[bytes, str]:
    """Encrypt a personal value; returns ciphertext and the id of the key."""
    return encrypt_bytes(value.encode())


def encrypt_bytes(content: bytes) -> tuple[bytes, str]:
    """Encrypt what is no text, such as a file; returns ciphertext and the id of the key."""
    key_id, cipher = _first_key()
    nonce = os.urandom(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, content, key_id.encode()), key_id


def decrypt(ciphertext: bytes, key_id: str) -> str:
    """The value behind a ciphertext.

    Raises:
        MissingKeyError: The key is not among TIDEOVER_ENCRYPTION_KEYS.
    """
    return decrypt_bytes(ciphertext, key_id).decode()


def decrypt_bytes(ciphertext: bytes, key_id: str) -> bytes:
    """What is behind a ciphertext, where it is no text.

    Raises:
        MissingKeyError: As above.
    """
    cipher = _keys().get(key_id)
    if cipher is None:
        raise MissingKeyError(f"no encryption key with the id {key_id}; add it to TIDEOVER_ENCRYPTION_KEYS")
    return cipher.decrypt(ciphertext[:NONCE_BYTES], ciphertext[NONCE_BYTES:], key_id.encode())


def blind_index(value: str) -> bytes:
    """Sixteen bytes that are equal exactly for equal values."""
    return blind_index_of(value, _index_key())


def keyed(use: str, value: str) -> bytes:
    """Thirty-two bytes that nobody can tell from chance who has not the index key; each use has its own.

    Args:
        use: A word of ours. It keeps what is made for one thing from being good for another.
        value: What it is made of.
    """
    return hmac.digest(_index_key(), f"{use}\0{value}".encode(), sha256)


@lru_cache(maxsize=1)
def _keys() -> dict[str, AESGCM]:
    pairs = [pair.split(":", 1) for pair in settings().encryption_keys.get_secret_value().split(",") if pair]
    return {key_id: AESGCM(base64.b64decode(key)) for key_id, key in pairs}


@lru_cache(maxsize=1)
def _first_key() -> tuple[str, AESGCM]:
    keys = _keys()
    if not keys:
        raise MissingKeyError("TIDEOVER_ENCRYPTION_KEYS is not set; `make up` makes keys for the sandbox")
    return next(iter(keys.items()))


@lru_cache(maxsize=1)
def _index_key() -> bytes:
    key = settings().index_key.get_secret_value()
    if not key:
        raise MissingKeyError("TIDEOVER_INDEX_KEY is not set; `make up` makes one for the sandbox")
    return key.encode()

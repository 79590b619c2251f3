"""Personal values under lock: encryption and blind index of names, numbers, tokens and raw payloads.

A value of one person is encrypted with a data key of hers (`encrypt_for`), which stands wrapped in `party_key` and dies with her
erasure. What is nobody's in particular yet, and kept for days only, is encrypted with the house's own key (`encrypt`).

In:   text, the keys of config/settings.py, rows of `party_key`.
Out:  AES-256-GCM ciphertext with its key's id, and an HMAC-SHA-256 blind index that finds equal values without
      revealing them.
Pure: encryption draws a nonce from the operating system; the index is deterministic; keys of people are read, and made.
Source: NIST SP 800-38D (96-bit random nonce: far below 2^32 messages a key); docs/adr/0065.
"""

from __future__ import annotations

import base64
import hmac
import os
import time
from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from threading import Lock
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, text

from config.blind_index import blind_index_of
from config.settings import settings
from ledger.engine import apart

NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32
# How the ids of people's keys begin: `person-<party>-<label>`. A label is drawn at random, so that no two ledgers share an id.
PERSON: Final = "person-"
LABEL_BYTES: Final = 6
# A key is one person's: what it encrypts need not be bound to anything else.
OF_A_PERSON: Final = b"person"
# A process remembers opened keys for so long; whoever is erased is readable nowhere after that.
REMEMBERED_SECONDS: Final = 60.0
# Who learns keys is about to use them: one that would soon be forgotten is read again with the others, and not by itself in the middle.
LEARNED_FOR_SECONDS: Final = 30.0
REMEMBERED_MAX: Final = 20_000

_remembered: dict[str, tuple[float, AESGCM]] = {}
_remembering = Lock()


class MissingKeyError(RuntimeError):
    """A key is not set, or a value was encrypted with one that is gone."""


def encrypt(value: str) -> tuple[bytes, str]:
    """Encrypt a value with the house's own key; returns ciphertext and the id of the key."""
    return encrypt_bytes(value.encode())


def encrypt_bytes(content: bytes) -> tuple[bytes, str]:
    """As `encrypt`, of what is no text, such as a file."""
    return seal(content)


def encrypt_for(tx: Connection, party_id: int, value: str) -> tuple[bytes, str]:
    """Encrypt a value of one person with the newest key of hers, or a new one; returns ciphertext and the id of the key."""
    return encrypt_bytes_for(tx, party_id, value.encode())


def encrypt_bytes_for(tx: Connection, party_id: int, value: bytes) -> tuple[bytes, str]:
    """As `encrypt_for`, of bytes."""
    key_id: str | None = tx.execute(_NEWEST, {"party": party_id}).scalar()
    if key_id is None:
        key_id = make_key(tx, party_id)
    else:
        learn(tx, [key_id])
    return encrypt_bytes_with(key_id, value), key_id


def encrypt_bytes_with(key_id: str, value: bytes) -> bytes:
    """Encrypt with a person's key that was learned or made."""
    return _closed(_cipher_of(key_id), value)


def decrypt(ciphertext: bytes, key_id: str) -> str:
    """The value behind a ciphertext.

    Raises:
        MissingKeyError: The key is not among TIDEOVER_ENCRYPTION_KEYS, or was a person's and is destroyed.
    """
    return decrypt_bytes(ciphertext, key_id).decode()


def decrypt_bytes(ciphertext: bytes, key_id: str) -> bytes:
    """As `decrypt`, of bytes."""
    if not key_id.startswith(PERSON):
        return unseal(ciphertext, key_id)
    return _cipher_of(key_id).decrypt(ciphertext[:NONCE_BYTES], ciphertext[NONCE_BYTES:], OF_A_PERSON)


def learn(tx: Connection, key_ids: Iterable[str | None]) -> None:
    """Read the keys of people that are about to be used, in one question instead of one each; of the house's own there is none."""
    until = time.monotonic() + LEARNED_FOR_SECONDS
    wanted = {one for one in key_ids if one is not None and one.startswith(PERSON) and not _remembers(one, until)}
    if wanted:
        # One that is destroyed meanwhile must not be found again.
        forget(wanted)
        for row in tx.execute(_READ, {"ids": sorted(wanted)}):
            remember(row.id, unseal(row.wrapped, row.wrapped_by, bound_to=row.id))


def make_key(tx: Connection, party_id: int) -> str:
    """Give a person a new data key, which encrypts from now on; returns its id."""
    key_id, key = f"{PERSON}{party_id}-{new_label()}", os.urandom(KEY_BYTES)
    wrapped, wrapped_by = seal(key, bound_to=key_id)
    tx.execute(_MAKE, {"id": key_id, "party": party_id, "by": wrapped_by, "wrapped": wrapped})
    remember(key_id, key)
    return key_id


def new_label() -> str:
    """The end of a key's id."""
    return os.urandom(LABEL_BYTES).hex()


def encrypt_with_raw(key: bytes, value: str) -> bytes:
    """Encrypt a person's value with a data key that is not in `party_key` yet: of an import, which writes its keys when it ends."""
    return _closed(AESGCM(key), value.encode())


def remember(key_id: str, key: bytes) -> None:
    """Keep an opened key for a while; the one that was opened first makes room."""
    with _remembering:
        _remembered.pop(key_id, None)
        while len(_remembered) >= REMEMBERED_MAX:
            del _remembered[next(iter(_remembered))]
        _remembered[key_id] = time.monotonic(), AESGCM(key)


def forget(key_ids: Iterable[str]) -> None:
    """Know these keys no more in this process."""
    with _remembering:
        for one in key_ids:
            _remembered.pop(one, None)


def seal(value: bytes, *, bound_to: str = "") -> tuple[bytes, str]:
    """Encrypt bytes with the house's first key; they open only where they are said to be `bound_to` the same."""
    key_id, cipher = _first_key()
    nonce = os.urandom(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, value, f"{key_id}{bound_to}".encode()), key_id


def unseal(ciphertext: bytes, key_id: str, *, bound_to: str = "") -> bytes:
    """What `seal` closed.

    Raises:
        MissingKeyError: The key is not among TIDEOVER_ENCRYPTION_KEYS.
    """
    cipher = _keys().get(key_id)
    if cipher is None:
        raise MissingKeyError(f"no encryption key with the id {key_id}; add it to TIDEOVER_ENCRYPTION_KEYS")
    return cipher.decrypt(ciphertext[:NONCE_BYTES], ciphertext[NONCE_BYTES:], f"{key_id}{bound_to}".encode())


def first_key_id() -> str:
    """Id of the house's key that encrypts now."""
    return _first_key()[0]


def house_key_ids() -> list[str]:
    """Ids of all of the house's keys at hand, the one that encrypts first."""
    return list(_keys())


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


def _closed(cipher: AESGCM, value: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, value, OF_A_PERSON)


def _cipher_of(key_id: str) -> AESGCM:
    """An opened key of a person; asked for in a transaction of its own where nobody has learned it before."""
    found = _remembered.get(key_id)
    if found is None or not _remembers(key_id, time.monotonic()):
        forget([key_id])
        with apart() as tx:
            learn(tx, [key_id])
        found = _remembered.get(key_id)
    if found is None:
        raise MissingKeyError("a person's key is destroyed: the value is erased")
    return found[1]


def _remembers(key_id: str, at: float) -> bool:
    """Whether it is known and will be at that instant (monotonic)."""
    found = _remembered.get(key_id)
    return found is not None and at - found[0] < REMEMBERED_SECONDS


def _keys() -> dict[str, AESGCM]:
    return _keys_in(settings().encryption_keys.get_secret_value())


@lru_cache(maxsize=1)
def _keys_in(setting: str) -> dict[str, AESGCM]:
    pairs = [pair.split(":", 1) for pair in setting.split(",") if pair]
    return {key_id: AESGCM(base64.b64decode(key)) for key_id, key in pairs}


def _first_key() -> tuple[str, AESGCM]:
    keys = _keys()
    if not keys:
        raise MissingKeyError("TIDEOVER_ENCRYPTION_KEYS is not set; `make up` makes keys for the sandbox")
    return next(iter(keys.items()))


def _index_key() -> bytes:
    key = settings().index_key.get_secret_value()
    if not key:
        raise MissingKeyError("TIDEOVER_INDEX_KEY is not set; `make up` makes one for the sandbox")
    return key.encode()


_NEWEST = text("SELECT id FROM party_key WHERE party_id = :party ORDER BY made_at DESC, id DESC LIMIT 1")
_READ = text("SELECT id, wrapped_by, wrapped FROM party_key WHERE id = ANY(:ids)")
_MAKE = text("INSERT INTO party_key (id, party_id, wrapped_by, wrapped) VALUES (:id, :party, :by, :wrapped)")

"""Move everything to the keys that encrypt now: batch by batch, each a transaction of its own, everything readable meanwhile.

In:   the ledger; TIDEOVER_ENCRYPTION_KEYS, the first of which encrypts.
Out:  counts, and how fast it went.
Pure: no. Broken off, it goes on where it was when it is begun anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ledger import key_rotation
from ledger.decisions_log import find_party
from ledger.engine import connection
from ledger.key_rotation import KEYS, KeysStand, Sealed

BATCH: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    """What was moved.

    Attributes:
        moved: `party_key` or a table → rows.
        seconds: Wall time.
    """

    moved: dict[str, int]
    seconds: float

    @property
    def rows(self) -> int:
        """All of them."""
        return sum(self.moved.values())


def keys_stand() -> KeysStand:
    """Which key what is encrypted with."""
    with connection(read_only=True) as tx:
        return key_rotation.stand(tx)


def rotate(*, batch: int = BATCH, progress: Callable[[str, int], None] = lambda _, __: None) -> Rotated:
    """Wrap people's keys by the house's first key, and encrypt what other keys of the house closed anew.

    Args:
        batch: Rows a transaction.
        progress: Told table and rows so far, after each batch.

    Raises:
        MissingKeyError: Something was encrypted with a key that is gone; what came before it is moved.
    """
    began = time.perf_counter()
    moved = {KEYS: _wrapped(batch, progress)}
    for one in key_rotation.sealed_columns():
        moved[one.name] = moved.get(one.name, 0) + _resealed(one, batch, progress)
    return Rotated(moved={name: rows for name, rows in moved.items() if rows}, seconds=time.perf_counter() - began)


def renew_key_of(borrower: str) -> tuple[int, int]:
    """Give one person a new data key; how many values moved to it, and how many old keys are destroyed.

    Raises:
        UnknownBorrowerError: Nobody has that id.
    """
    with connection() as tx:
        return key_rotation.renew(tx, find_party(tx, borrower))


def _wrapped(batch: int, progress: Callable[[str, int], None]) -> int:
    rows, after = 0, ""
    while True:
        with connection() as tx:
            done, ended = key_rotation.rewrap(tx, after=after, at_most=batch)
        if ended is None:
            return rows
        rows, after = rows + done, ended
        progress(KEYS, rows)


def _resealed(one: Sealed, batch: int, progress: Callable[[str, int], None]) -> int:
    rows, after = 0, 0
    while True:
        with connection() as tx:
            done, ended = key_rotation.reseal(tx, one, after=after, at_most=batch)
        if ended is None:
            return rows
        rows, after = rows + done, ended
        progress(one.name, rows)

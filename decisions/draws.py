"""Numbers for borrowers that whoever does not know the key cannot tell from chance, and that come out the same every time.

In:   ids, a key of sixteen bytes.
Out:  whole numbers in [0, 1,000,000,000).
Pure: arithmetic modulo 2^64, equal on every machine and in every version of a library.
Source: SplitMix64's finaliser (Steele, Lea & Flood 2014), keyed twice; the key is a BLAKE2b hash.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from decisions.parts import PARTS

if TYPE_CHECKING:
    from datetime import date


def draw_key(seed: bytes, stage: str, business_date: date) -> bytes:
    """Sixteen bytes that stand for seed, stage and date."""
    message = f"{stage}\0{business_date.isoformat()}".encode()
    return blake2b(message, key=blake2b(seed).digest(), digest_size=16, person=b"tideover-draw").digest()


def keyed_numbers(party_ids: npt.NDArray[np.int64], key: bytes) -> npt.NDArray[np.int64]:
    """A number in [0, PARTS) for each borrower, as good as random to whoever does not know the key.

    The remainder of 2^64 favours small numbers by less than one in 10^10.
    """
    first, second = (np.uint64(int.from_bytes(half, "big")) for half in (key[:8], key[8:]))
    mixed = _mix(_mix(party_ids.astype(np.uint64) ^ first) ^ second)
    return (mixed % np.uint64(PARTS)).astype(np.int64)


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """SplitMix64's step and finaliser; arithmetic is modulo 2^64 by definition."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))

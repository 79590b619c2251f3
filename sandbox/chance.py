"""Chance with a name: every draw is a function of the seed and of what is being drawn.

In:   a seed and the names of the draw (who, what, when, the how-manieth).
Out:  uniform numbers and what follows from them.
Pure: yes. Because a draw depends on its name and not on how many were made before, residents do not disturb each
      other: the order in which messages to different people arrive changes nothing, and two strategies can be compared
      on the same shocks (common random numbers).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

_SPAN = 2.0**64


@dataclass(frozen=True, slots=True)
class Chance:
    """The source of all draws of one world."""

    seed: str

    def unit(self, *name: object) -> float:
        """A number in [0, 1), the same whenever the same name is asked for."""
        words = "\x1f".join([self.seed, *map(str, name)])
        return int.from_bytes(blake2b(words.encode(), digest_size=8).digest(), "big") / _SPAN

    def within(self, low: float, high: float, *name: object) -> float:
        """A number in [low, high)."""
        return low + (high - low) * self.unit(*name)

    def waiting(self, median: float, *name: object) -> float:
        """An exponential waiting time with the given median, in the median's unit."""
        return -median * math.log2(1.0 - self.unit(*name))

    def pick(self, shares: Sequence[tuple[str, float]], *name: object) -> str:
        """One of the named choices, each with its share (shares need not add up to 1)."""
        left = self.unit(*name) * sum(share for _, share in shares)
        for choice, share in shares:
            left -= share
            if left < 0:
                return choice
        return shares[-1][0]

    def hexadecimal(self, digits: int, *name: object) -> str:
        """An id of that many hexadecimal digits (at most 128)."""
        words = "\x1f".join((self.seed, *map(str, name)))
        return blake2b(words.encode(), digest_size=(digits + 1) // 2).hexdigest()[:digits]

"""Pace: how many calls a second one sender may make, over all lanes of this process.

Calls get slots, one after the other, 1/rate apart; a slot that nobody took is gone, so that a quiet minute never becomes
a burst. In any second there are at most `per_second` slots.

In:   a channel's name and its rate.
Out:  a wait until the next free slot.
Pure: no; waits on the process's monotonic clock.
"""

from __future__ import annotations

import asyncio
import threading
import time
from functools import lru_cache


class Pace:
    """Slots of one sender."""

    def __init__(self, per_second: float) -> None:
        """Begin with a free slot."""
        self._gap_seconds = 1 / per_second
        self._next = 0.0
        self._lock = threading.Lock()

    async def turn(self) -> None:
        """Wait for a slot of one's own. Lanes in other threads share the same ones."""
        with self._lock:
            moment = time.monotonic()
            slot = max(moment, self._next)
            self._next = slot + self._gap_seconds
        if slot > moment:
            await asyncio.sleep(slot - moment)


@lru_cache(maxsize=64)
def pace_of(channel: str, per_second: float) -> Pace:
    """The pace of a channel's sender in this process."""
    del channel
    return Pace(per_second)

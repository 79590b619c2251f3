"""Pace: how many calls a second one sender may make, over all lanes and processes; and how many calls are in flight.

**Slots.** Calls get slots, one after the other, 1/rate apart, from the sender's row in the ledger (ledger/paces.py); a slot
that nobody used in time is gone, so that a quiet minute never becomes a burst. In any second there are at most `per_second`
slots, whoever sends. A process takes some slots at once: while nobody else wants the road, those of the next quarter of a
second; else as many as it uses in that time. Nothing is asked of the ledger for a slot that is held.

**Window.** So many calls are in flight: half as many after a "too many requests", an error of the provider's or a slow answer,
one more after each round that went well (additive increase, multiplicative decrease, as in TCP). It falls once a round, however
many calls of that round fail, and comes back by itself. Some more calls are made ready meanwhile, so that none waits for its mark
(gate/marks.py) while there is room for it.

In:   a channel's sender and its rate; how each call ended.
Out:  a wait until one's slot, or a little before it; a wait until there is room.
Pure: no; waits on the process's monotonic clock.
Source: PROVIDERS.md A7 (20429: lower the concurrency); Chiu and Jain 1989 for AIMD; docs/adr/0011.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from math import ceil
from typing import Final

from ledger import paces
from ledger.engine import connection

# What a process takes of the road at once, at most.
HELD_SECONDS: Final = 0.25
FALLS_TO: Final = 0.5
# This share of the calls in flight is made ready beside them: as many as begin while a mark is written. Few calls have none: of
# those that are killed with them nobody knows whether they were made.
READY_SHARE: Final = 0.5
READY_CALLS_MIN: Final = 8


def calls_in_hand(in_flight: int) -> int:
    """How many calls may be in flight or made ready, where so many may be in flight."""
    return in_flight + (int(in_flight * READY_SHARE) if in_flight >= READY_CALLS_MIN else 0)


# Calls → seconds until the first slot.
TakeSlots = Callable[[int], float]


class Pace:
    """Slots of one sender, for the lanes of this process."""

    def __init__(self, per_second: float, take_slots: TakeSlots) -> None:
        """Begin with nothing held."""
        self._gap_seconds = 1 / per_second
        self._most = max(1, int(per_second * HELD_SECONDS))
        self._take_slots = take_slots
        self._lock, self._asking = threading.Lock(), threading.Lock()
        # Held: from `next` on, up to `until`.
        self._next = self._until = 0.0
        self._waiting = self._used = 0
        self._asked_at = time.monotonic()
        self._alone = True

    async def turn(self, early_seconds: float = 0.0) -> float:
        """Wait for a slot of one's own, or until so long before it. Lanes in other threads share the same ones.

        Returns:
            The slot (monotonic).

        Raises:
            sqlalchemy.exc.SQLAlchemyError: The ledger is away: there is no slot.
        """
        slot = self._held_slot()
        if slot is None:
            slot = await asyncio.to_thread(self._new_slot)
        if (wait := slot - early_seconds - time.monotonic()) > 0:
            await asyncio.sleep(wait)
        return slot

    def _held_slot(self) -> float | None:
        """The next slot that this process holds; None where it holds none any more. Whoever gets none is waiting."""
        with self._lock:
            slot = max(time.monotonic(), self._next)
            # Half a gap: sums of gaps are not exact, and a slot is never cut off.
            if slot > self._until - self._gap_seconds / 2:
                self._waiting += 1
                return None
            self._next = slot + self._gap_seconds
            self._used += 1
            return slot

    def _new_slot(self) -> float:
        """A slot of what is taken now; one thread asks for all that wait."""
        try:
            with self._asking:
                while (slot := self._held_slot()) is None:
                    with self._lock:
                        self._waiting -= 1
                    self._take_more()
                return slot
        finally:
            with self._lock:
                self._waiting -= 1

    def _take_more(self) -> None:
        with self._lock:
            calls = self._wanted()
        wait = self._take_slots(calls)
        with self._lock:
            moment = time.monotonic()
            # Never closer to one's own last slot than the rate says, however fast this answer came.
            self._next = max(moment + wait, self._next)
            self._until = self._next + calls * self._gap_seconds
            self._alone = wait <= self._gap_seconds
            self._used, self._asked_at = 0, moment

    def _wanted(self) -> int:
        """How many slots to take: as many as are used in the time, unless nobody else wants them."""
        if self._alone:
            return self._most
        seconds = max(time.monotonic() - self._asked_at, self._gap_seconds)
        return max(1, min(self._most, max(self._waiting, ceil(self._used / seconds * HELD_SECONDS))))


@lru_cache(maxsize=1_024)
def pace_of(channel: str, sender: str, per_second: float) -> Pace:
    """The pace of one sender in this process; all processes share its road."""

    def take_slots(calls: int) -> float:
        with connection() as tx:
            return paces.take_slots(tx, sender=f"{channel}:{sender}", calls=calls, per_second=per_second)

    return Pace(per_second, take_slots)


class Window:
    """How many calls of one lane may be in flight, and how many be made ready beside them; lives in one loop."""

    def __init__(self, most: int) -> None:
        """Begin wide open."""
        self._most = most
        self._limit = float(most)
        self._inside = self._ready = 0
        self._fell_at = 0.0
        self._approaching: deque[asyncio.Future[None]] = deque()
        self._entering: deque[asyncio.Future[None]] = deque()

    @property
    def limit(self) -> int:
        """How many calls may be in flight now."""
        return int(self._limit)

    async def approach(self) -> None:
        """Wait until a call may be made ready."""
        while self._inside + self._ready >= calls_in_hand(self.limit):
            await self._wait(self._approaching)
        self._ready += 1

    async def enter(self) -> float:
        """Wait for room for a call that is ready; returns the instant (monotonic) at which it begins."""
        while self._inside >= self.limit:
            await self._wait(self._entering)
        self._ready -= 1
        self._inside += 1
        return time.monotonic()

    def withdraw(self) -> None:
        """A call that was being made ready is not made."""
        self._ready -= 1
        self._wake()

    def leave(self, began: float, *, well: bool | None) -> None:
        """Say how a call ended.

        Args:
            began: From `enter`.
            well: True where it was answered in time; False where the provider was too busy or too slow; None where nothing
                was learned about it.
        """
        self._inside -= 1
        if well:
            self._limit = min(float(self._most), self._limit + 1 / self._limit)
        elif well is False and began >= self._fell_at:
            # Calls that were under way when it fell say nothing new.
            self._limit = max(1.0, self._limit * FALLS_TO)
            self._fell_at = time.monotonic()
        self._wake()

    async def _wait(self, queue: deque[asyncio.Future[None]]) -> None:
        room = asyncio.get_running_loop().create_future()
        queue.append(room)
        try:
            await room
        except asyncio.CancelledError:
            # Whoever was called in and does not come leaves the room to the next one.
            if room.done() and not room.cancelled():
                self._wake()
            raise

    def _wake(self) -> None:
        """Call in as many as there is room for."""
        _call_in(self._entering, self.limit - self._inside)
        _call_in(self._approaching, calls_in_hand(self.limit) - self._inside - self._ready)


def _call_in(queue: deque[asyncio.Future[None]], free: int) -> None:
    while free > 0 and queue:
        room = queue.popleft()
        if not room.done():
            room.set_result(None)
            free -= 1

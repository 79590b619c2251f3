"""A sender's pace is exact: never more calls in a second than it says, and no burst after a quiet time."""

from __future__ import annotations

import asyncio
import threading
from time import monotonic

from gate.pace import Pace, pace_of


async def moments(pace: Pace, number: int) -> list[float]:
    found = []
    for _ in range(number):
        await pace.turn()
        found.append(monotonic())
    return found


def test_calls_are_so_far_apart_as_the_rate_says() -> None:
    found = asyncio.run(moments(Pace(100), 31))
    # 31 calls have 30 gaps; a call may come later than its slot, never before it.
    assert found[-1] - found[0] >= 30 / 100 - 0.01


def test_a_quiet_time_is_not_saved_up_for_a_burst() -> None:
    async def pause_between(pace: Pace) -> list[float]:
        await pace.turn()
        await asyncio.sleep(0.3)
        return await moments(pace, 11)

    found = asyncio.run(pause_between(Pace(50)))
    assert found[-1] - found[0] >= 10 / 50 - 0.01


def test_lanes_of_one_process_share_the_pace_of_a_sender() -> None:
    found: list[float] = []

    def lane() -> None:
        found.extend(asyncio.run(moments(pace_of("sms", 101.0), 15)))

    lanes = [threading.Thread(target=lane) for _ in range(2)]
    for one in lanes:
        one.start()
    for one in lanes:
        one.join()
    assert max(found) - min(found) >= 29 / 101 - 0.01
    assert pace_of("sms", 101.0) is not pace_of("push", 101.0)

"""A sender's pace is exact over all lanes and processes; the window falls when the provider has too much, and recovers by itself."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.settings import HOUSE
from gate.pace import HELD_SECONDS, Pace, Window, pace_of
from ledger import paces
from ledger.engine import connection

# On a busy machine the first call may come so long after its slot. That no slot is given away twice is proved without a clock below.
LATE_SECONDS = 0.1


def alone(calls: int) -> float:
    """A road that nobody else uses."""
    del calls
    return 0.0


async def moments(pace: Pace, number: int) -> list[float]:
    found = []
    for _ in range(number):
        await pace.turn()
        found.append(monotonic())
    return found


def test_calls_are_so_far_apart_as_the_rate_says() -> None:
    found = asyncio.run(moments(Pace(100, alone), 31))
    # 31 calls have 30 gaps; a call may come later than its slot, never before it.
    assert found[-1] - found[0] >= 30 / 100 - LATE_SECONDS


def test_a_quiet_time_is_not_saved_up_for_a_burst() -> None:
    async def pause_between(pace: Pace) -> list[float]:
        await pace.turn()
        await asyncio.sleep(0.3)
        return await moments(pace, 11)

    found = asyncio.run(pause_between(Pace(50, alone)))
    assert found[-1] - found[0] >= 10 / 50 - LATE_SECONDS


def test_lanes_of_one_process_share_the_pace_of_a_sender(ledger_url: str) -> None:
    del ledger_url
    found: list[float] = []

    def lane() -> None:
        found.extend(asyncio.run(moments(pace_of("sms", "+15005550006", 101.0), 15)))

    lanes = [threading.Thread(target=lane) for _ in range(2)]
    for one in lanes:
        one.start()
    for one in lanes:
        one.join()
    assert max(found) - min(found) >= 29 / 101 - LATE_SECONDS
    assert pace_of("sms", "+15005550006", 101.0) is not pace_of("sms", "+15005550007", 101.0)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=20), st.sampled_from([1.0, 7.0, 100.0, 100_000.0]))
def test_two_processes_never_get_the_same_slot_and_no_slot_is_cut_off(shares: list[int], per_second: float) -> None:
    """The road as a model: whoever takes n slots gets the next n, and a process uses exactly those."""
    taken = 0.0

    def take(calls: int) -> float:
        nonlocal taken
        begins, taken = taken, taken + calls / per_second
        return begins

    mine, theirs = Pace(per_second, take), Pace(per_second, take)
    for calls in shares:
        for pace in (mine, theirs):
            pace._waiting, pace._alone = calls, False  # noqa: SLF001  # so many wait, and the road is wanted by others
            before = pace._until  # noqa: SLF001  # what is held
            pace._take_more()  # noqa: SLF001  # as `_new_slot` does
            held = round((pace._until - pace._next) * per_second)  # noqa: SLF001  # as above
            assert held == min(calls, pace._most)  # noqa: SLF001  # as above
            assert pace._next >= before  # noqa: SLF001  # as above


def test_the_ledgers_road_is_exact(ledger_url: str) -> None:
    del ledger_url
    with connection() as tx:
        waits = [paces.take_slots(tx, sender="sms:one", calls=10, per_second=20) for _ in range(3)]
        other = paces.take_slots(tx, sender="sms:other", calls=1, per_second=20)
    # Half a second of road each time, less what has passed meanwhile.
    assert waits[0] < 0.01
    assert 0.2 < waits[1] <= 0.5
    assert 0.7 < waits[2] <= 1.0
    assert other < 0.01


CALLS = 50
# Reads a line before it begins, so that both begin together; tells its slots on the one clock that all processes share.
PROCESS = f"""
import asyncio, sys
from gate.pace import pace_of
async def calls():
    pace, left = pace_of("sms", "+15005550006", 40.0), iter(range({CALLS}))
    async def work():
        for _ in left:
            print(await pace.turn(), flush=True)
    await asyncio.gather(*(work() for _ in range(8)))
print("ready", flush=True)
sys.stdin.readline()
asyncio.run(calls())
"""


def test_two_processes_together_keep_the_pace_of_one_sender(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEOVER_DATABASE_URL", ledger_url)
    command = [sys.executable, "-c", PROCESS]
    both = [subprocess.Popen(command, cwd=HOUSE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [one.stdout.readline() for one in both if one.stdout] == ["ready\n", "ready\n"]
    for one in both:
        assert one.stdin
        one.stdin.write("\n")
        one.stdin.flush()
    found = sorted(float(line) for one in both for line in one.communicate(timeout=60)[0].splitlines())
    assert {one.returncode for one in both} == {0}
    assert len(found) == 2 * CALLS
    # Each by itself would be through in half the time. However busy the machine is: what a stall shifts is what one of them holds.
    assert found[-1] - found[0] >= (2 * CALLS - 1) / 40 - 2 * HELD_SECONDS


@pytest.mark.parametrize("calls", [1, 64])
def test_a_held_slot_costs_no_question(calls: int) -> None:
    asked: list[int] = []

    def take(number: int) -> float:
        asked.append(number)
        return 0.0

    async def many(pace: Pace) -> None:
        await asyncio.gather(*(pace.turn() for _ in range(calls)))

    asyncio.run(many(Pace(100_000, take)))
    assert asked == [25_000]


async def enter(window: Window) -> float:
    await window.approach()
    return await window.enter()


def rounds(window: Window, number: int, *, well: bool | None) -> None:
    """So many rounds of as many calls as may be in flight."""

    async def one_round() -> None:
        begun = [await enter(window) for _ in range(window.limit)]
        for began in begun:
            window.leave(began, well=well)

    for _ in range(number):
        asyncio.run(one_round())


def test_the_window_falls_by_half_once_a_round_and_recovers_by_one_a_round() -> None:
    window = Window(64)
    rounds(window, 1, well=False)
    assert window.limit == 32
    rounds(window, 1, well=False)
    assert window.limit == 16
    rounds(window, 8, well=True)
    assert 23 <= window.limit <= 24
    rounds(window, 60, well=True)
    assert window.limit == 64
    rounds(window, 1, well=None)
    assert window.limit == 64


def test_the_window_never_closes() -> None:
    window = Window(3)
    rounds(window, 20, well=False)
    assert window.limit == 1
    rounds(window, 5, well=True)
    assert window.limit == 3


def test_no_more_calls_are_in_flight_than_the_window_lets_in() -> None:
    async def play() -> int:
        window, inside, most = Window(8), 0, 0

        async def call(number: int) -> None:
            nonlocal inside, most
            began = await enter(window)
            inside += 1
            if number >= 8:
                most = max(most, inside)
            await asyncio.sleep(0.001)
            inside -= 1
            window.leave(began, well=False if number < 8 else None)

        await asyncio.gather(*(call(number) for number in range(60)))
        return most

    assert asyncio.run(play()) <= 4


def test_who_is_cancelled_while_waiting_takes_nobodys_room() -> None:
    async def play() -> None:
        window = Window(1)
        began = await enter(window)
        waiting = [asyncio.create_task(enter(window)) for _ in range(2)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        window.leave(began, well=True)
        assert await asyncio.wait_for(waiting[1], 1)

    asyncio.run(play())


def test_some_calls_are_made_ready_while_others_are_in_flight_and_few_calls_have_none_beside_them() -> None:
    async def made_ready(most: int) -> int:
        window, ready = Window(most), 0

        async def call() -> None:
            nonlocal ready
            await window.approach()
            ready += 1
            await window.enter()

        calls = [asyncio.create_task(call()) for _ in range(3 * most)]
        for _ in range(5):
            await asyncio.sleep(0)
        for one in calls:
            one.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        return ready - most

    assert [asyncio.run(made_ready(most)) for most in (1, 7, 8, 64)] == [0, 0, 4, 32]


def test_who_was_called_in_and_is_cancelled_leaves_the_room_to_the_next() -> None:
    async def play() -> None:
        window = Window(1)
        began = await enter(window)
        first, second = (asyncio.create_task(window.approach()) for _ in range(2))
        await asyncio.sleep(0)
        window.leave(began, well=None)
        first.cancel()
        await asyncio.wait_for(second, 1)
        assert first.cancelled()

    asyncio.run(play())


def test_a_call_that_is_made_ready_and_not_made_leaves_its_place() -> None:
    async def play() -> None:
        window = Window(1)
        await window.approach()
        waiting = asyncio.create_task(window.approach())
        await asyncio.sleep(0)
        window.withdraw()
        await asyncio.wait_for(waiting, 1)

    asyncio.run(play())


def test_a_turn_may_be_waited_for_until_a_little_before_it() -> None:
    async def play() -> tuple[float, float]:
        pace = Pace(2, alone)
        await pace.turn()
        slot = await pace.turn(0.4)
        return slot, monotonic()

    slot, came = asyncio.run(play())
    assert 0 < slot - came <= 0.4

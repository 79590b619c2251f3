"""What every benchmark does: warm up, then run the product and its floor by turns, and keep time, CPU and memory.

A machine that others use is fast now and slow a minute later. So the two sides take turns, A B B A A B …, and what is
reported is the median of each side in one run: the ratio is worth more than either number.

In:   two callables, and what to prepare before each call (not measured).
Out:  a `Result`, which is one line of `make bench` and one entry of build/bench.json.
Pure: no; measures. `medians`, `order` and `exponent` are.
"""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import monotonic, perf_counter
from typing import Any, Final, Self

import psutil

# Walking the process table costs 10 ms.
SAMPLE_SECONDS: Final = 0.3
SERVER_ENVIRONMENT: Final = "TIDEOVER_BENCH_POSTMASTER_FILE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One call: wall time, CPU time of all our processes and PostgreSQL's, and the most memory they held."""

    seconds: float
    cpu_seconds: float
    peak_rss_bytes: int


@dataclass(slots=True, kw_only=True)
class Result:
    """One benchmark at one size; the first seven are the fields that outsiders read (CASES.md).

    Attributes:
        name: import, plan, send, prefect.
        size: Borrowers, rows or messages; `unit` says which.
        seconds: Median wall time of the product.
        cpu_seconds: Median CPU time of it.
        floor_seconds: Median wall time of the floor, measured by turns with it.
        ratio: The number that has a target; `ratio_means` says what it is.
        peak_rss_bytes: Most memory that the product's processes and PostgreSQL held.
        met: Whether the target is met; None where it is a target of another size.
        more: Whatever else is worth reporting.
    """

    name: str
    size: int
    seconds: float
    cpu_seconds: float
    floor_seconds: float
    ratio: float
    peak_rss_bytes: int
    unit: str
    ratio_means: str
    target: str
    met: bool | None
    more: dict[str, Any] = field(default_factory=dict)

    def as_line(self) -> str:
        """One JSON object."""
        known = {name: _rounded(getattr(self, name)) for name in self.__slots__ if name != "more"}
        return json.dumps({**known, **{name: _rounded(value) for name, value in self.more.items()}}, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Sides:
    """Every sample of the product and of its floor."""

    product: list[Sample]
    floor: list[Sample]

    def report(self) -> dict[str, Any]:
        """Medians and spreads, as the fields of a `Result`."""
        return {
            "seconds": median(one.seconds for one in self.product),
            "cpu_seconds": median(one.cpu_seconds for one in self.product),
            "floor_seconds": median(one.seconds for one in self.floor),
            "peak_rss_bytes": max(one.peak_rss_bytes for one in self.product),
        }

    def spread(self) -> dict[str, Any]:
        """What a reader needs to judge the medians by."""
        return {
            "rounds": len(self.product),
            "all_seconds": [_rounded(one.seconds) for one in self.product],
            "all_floor_seconds": [_rounded(one.seconds) for one in self.floor],
            "floor_cpu_seconds": median(one.cpu_seconds for one in self.floor),
            "floor_peak_rss_bytes": max(one.peak_rss_bytes for one in self.floor),
        }


def by_turns(
    product: Callable[[], object],
    floor: Callable[[], object],
    *,
    rounds: int,
    seconds_max: float,
    before_product: Callable[[], object] = lambda: None,
    before_floor: Callable[[], object] = lambda: None,
    warm_up: bool = True,
) -> Sides:
    """Measure both sides, A B B A …, after one call of each that is not counted.

    Args:
        product: The product's work.
        floor: The least that has to be done for the same.
        rounds: So many samples of each side.
        seconds_max: No further round begins after this long; one is always made.
        before_product: Brings back the state before the work; not measured.
        before_floor: As above.
        warm_up: Whether the first call of each is left out.
    """
    began = monotonic()
    sides = Sides([], [])
    turns = {"product": (before_product, product, sides.product), "floor": (before_floor, floor, sides.floor)}
    if warm_up:
        for before, work, _ in turns.values():
            before()
            work()
    for number in range(rounds):
        if number and monotonic() - began > seconds_max:
            break
        for side in order(number):
            before, work, samples = turns[side]
            before()
            with measured(samples):
                work()
    return sides


def order(number: int) -> tuple[str, str]:
    """Who goes first in a round: by turns, so that neither side always follows the other."""
    return ("product", "floor") if number % 2 == 0 else ("floor", "product")


def exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """How time grows with size: the slope through the logarithms (1 = in proportion).

    Raises:
        ValueError: Fewer than two different sizes.
    """
    if len(set(sizes)) < 2:
        raise ValueError("growth needs two sizes")
    across, up = [math.log(size) for size in sizes], [math.log(one) for one in seconds]
    middle, height = sum(across) / len(across), sum(up) / len(up)
    return sum((x - middle) * (y - height) for x, y in zip(across, up, strict=True)) / sum((x - middle) ** 2 for x in across)


@contextmanager
def measured(samples: list[Sample]) -> Iterator[None]:
    """Add a sample of the block."""
    with _Memory() as memory:
        cpu, began = _cpu_seconds(), perf_counter()
        yield
        seconds = perf_counter() - began
        spent = _cpu_seconds() - cpu
    samples.append(Sample(seconds=seconds, cpu_seconds=spent, peak_rss_bytes=memory.peak))


class _Memory:
    """Looks at the memory of all processes three times a second, in a thread."""

    def __init__(self) -> None:
        self.peak = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.peak = max(self.peak, _rss_bytes())
            if self._over.wait(SAMPLE_SECONDS):
                return


def _rss_bytes() -> int:
    """Resident memory of our processes and PostgreSQL's; memory that PostgreSQL's processes share counts once."""
    ours = sum(memory.rss for process in _ours() if (memory := _memory_of(process)))
    theirs = [memory for process in _server() if (memory := _memory_of(process))]
    own = sum(memory.rss - getattr(memory, "shared", 0) for memory in theirs)
    return int(ours + own + max((getattr(memory, "shared", 0) for memory in theirs), default=0))


def _memory_of(process: psutil.Process) -> Any:
    with suppress(psutil.Error):
        return process.memory_info()
    return None


def _cpu_seconds() -> float:
    """CPU time of our processes and PostgreSQL's, with that of the children which have ended."""
    total = 0.0
    for process in (*_ours(), *_server()):
        with suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system + getattr(times, "children_user", 0) + getattr(times, "children_system", 0)
    return total


def _ours() -> list[psutil.Process]:
    """Our process and its children; the sandbox stands for a provider's machine and is left out."""
    me = psutil.Process()
    with suppress(psutil.Error):
        return [me, *(child for child in me.children(recursive=True) if not _is_sandbox(child))]
    return [me]


def _is_sandbox(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return "sandbox" in process.cmdline()
    return False


def _server() -> list[psutil.Process]:
    """PostgreSQL's processes; the server is no child of ours."""
    file = os.environ.get(SERVER_ENVIRONMENT)
    with suppress(psutil.Error, OSError, ValueError):
        if file:
            postmaster = psutil.Process(int(Path(file).read_text().split()[0]))
            return [postmaster, *postmaster.children(recursive=True)]
    return []


def _rounded(value: Any) -> Any:
    """Four digits that count are all that a measurement has."""
    return float(f"{value:.4g}") if isinstance(value, float) else value

"""Many worlds by many strategies, on all cores: who plays what, and in which process.

In:   world specs, how worlds are opened, strategies.
Out:  `tasks.simulate.Played`, one a world and strategy, in that order.
Pure: no; starts processes of its own. What comes out does not depend on how many.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import Final

import polars as pl

from config.strategy_files import stages_of, strategy_in_force
from config.world_files import WorldSpec
from tasks.simulate import FIRST_DAY, Decides, Played, by_strategy, play
from tasks.simulated_books import STRIDE
from tasks.simulated_world import Opens

# Side by side, so that what is tried does not depend on the number of processes.
WORLDS_A_LOG: Final = 10
# Of fewer worlds a second process would spend its time on starting.
ALONE_MAX = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Worlds that one strategy plays side by side."""

    worlds: tuple[WorldSpec, ...]
    strategy: str
    plans: bool
    days: int
    borrowers: int


def run_job(job: Job, opens: Opens) -> list[Played]:
    """Open the worlds and play them."""
    worlds = [opens(one.id, one.seed, one.settings, borrowers=job.borrowers, first_day=FIRST_DAY) for one in job.worlds]
    base, _, _ = job.strategy.partition(":")
    played = play(worlds, base, days=job.days, plans=job.plans, decides=_decides(job.strategy))
    return [replace(one, strategy=job.strategy) for one in played]


def _decides(name: str) -> Decides:
    base, _, _ = name.partition(":")
    if all(strategy_in_force(base, stage).learned is None for stage in stages_of(base)):
        return by_strategy
    from tasks.simulated_learning import chooses  # noqa: PLC0415  # it brings scikit-learn, which takes a second to load; a ladder needs none of it

    return chooses(name)


def run(
    specs: Sequence[WorldSpec],
    strategies: Sequence[str],
    opens: Opens,
    *,
    days: int,
    borrowers: int,
    plans: Sequence[bool],
    processes: int | None = None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> list[Played]:
    """Play every world by every strategy.

    Args:
        specs: The worlds.
        strategies: Folders of config/strategies.
        opens: A function of a module, so that other processes find it.
        days: How many.
        borrowers: In each world.
        plans: With, without, or both.
        processes: At most; None = as many as this process may use cores.
        progress: Told after each part how many worlds of how many are played.
    """
    count = processes or len(os.sched_getaffinity(0))
    parts = [tuple(specs[start::count]) for start in range(count) if specs[start::count]]
    jobs = [
        Job(worlds=part, strategy=name, plans=on, days=days, borrowers=borrowers) for name in strategies for on in plans for part in parts
    ]
    total, done, played = len(specs) * len(strategies) * len(plans), 0, []
    for job, found in _results(jobs, opens, count):
        played += found
        done += len(job.worlds)
        progress(done, total)
    order = {one.id: number for number, one in enumerate(specs)}
    return sorted(played, key=lambda one: (order[one.id], strategies.index(one.strategy), one.plans))


def logs(specs: Sequence[WorldSpec], opens: Opens, *, days: int, borrowers: int, processes: int | None = None) -> pl.DataFrame:
    """Play every world by trying, for a model to learn from.

    Returns:
        Columns of decisions/learning.TRAINING; parties of different worlds have different numbers. The same whatever the processes.
    """
    count = processes or len(os.sched_getaffinity(0))
    starts = range(0, len(specs), WORLDS_A_LOG)
    parts = [(tuple(specs[start : start + WORLDS_A_LOG]), start) for start in starts]
    jobs = [(part, start, opens, days, borrowers) for part, start in parts]
    if count == 1 or len(jobs) == 1:
        return pl.concat([_log(*job) for job in jobs])
    with ProcessPoolExecutor(min(count, len(jobs)), mp_context=get_context("spawn")) as pool:
        return pl.concat(pool.map(_log, *zip(*jobs, strict=True)))


def _log(specs: tuple[WorldSpec, ...], start: int, opens: Opens, days: int, borrowers: int) -> pl.DataFrame:
    from tasks.simulated_learning import log_of  # noqa: PLC0415  # as above

    worlds = [opens(one.id, one.seed, one.settings, borrowers=borrowers, first_day=FIRST_DAY) for one in specs]
    return log_of(worlds, days=days).with_columns(pl.col("party_id") + start * STRIDE)


def _results(jobs: Sequence[Job], opens: Opens, count: int) -> Iterator[tuple[Job, list[Played]]]:
    if count == 1 or len(jobs) <= ALONE_MAX:
        yield from ((job, run_job(job, opens)) for job in jobs)
        return
    with ProcessPoolExecutor(min(count, len(jobs)), mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(run_job, job, opens): job for job in jobs}
        for future in as_completed(waiting):
            yield waiting[future], future.result()

"""Policy: what it costs to give every borrower's arms a price, a probability in whole parts, and to draw one.

The product is what decisions/choose.py calls once a run and once a shard: prices on a sample of 50,000 borrowers by bisection, values
lowered by them, a softmax beside an even share in whole parts of a billion, and the keyed draw. Values are given: what a model costs to
ask, and facts and rules, are measured by `plan`. The floor is numpy's plain softmax of the same values, without prices, parts or draw.

In:   a number of borrowers with 24 arms each, calls and money scarce.
Out:  one result.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from functools import partial
from typing import Final

import numpy as np

from decisions.capacity import NO_POOL, Sampled, Use, best_first, lowered, prices, unexplored
from decisions.draws import keyed_numbers
from decisions.parts import PARTS, Ints, drawn, parts
from tests.bench.harness import Result, by_turns

ARMS: Final = 24
SAMPLE: Final = 50_000
CALLS: Final = 4  # the last arms of each borrower
EVEN: Final = PARTS // 20
TEMPERATURE: Final = 500
ROUNDS: Final = 3
SECONDS_MAX: Final = 120.0
KEY: Final = b"bench of policy."
TARGET_SECONDS: Final = 12.0
TARGET_BYTES: Final = 2 * 1024**3


def at(size: int) -> Iterator[Result]:
    """Measure with so many borrowers."""
    values = np.random.default_rng(1).integers(-5_000, 5_000, (size, ARMS))
    values[:, 0] = 0
    flat = values.reshape(-1)
    sides = by_turns(partial(decide, flat, size), partial(_floor, values), rounds=ROUNDS, seconds_max=SECONDS_MAX)
    report = sides.report()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    yield Result(
        name="policy",
        size=size,
        **report,
        ratio=report["seconds"] / report["floor_seconds"],
        unit="borrowers",
        ratio_means="seconds ÷ seconds of a plain softmax",
        target=f"≤ {TARGET_SECONDS:g} s and ≤ 2 GiB for 1,000,000 × {ARMS}",
        met=bool(report["seconds"] <= TARGET_SECONDS and most <= TARGET_BYTES),
        more={**sides.spread(), "items": size * ARMS, "item": "arms", "bytes_most": most},
    )


def uses(values: Ints, borrowers: int, of: int) -> list[Use]:
    """Calls for one in five hundred, and a fifth of the money that everybody's contact would cost; the share of a sample."""
    arm = np.arange(len(values)) % ARMS
    share = borrowers / of
    return [
        Use(np.where(arm >= ARMS - CALLS, 0, NO_POOL), np.full(len(values), 1_000), np.array([int(of * 2 * share)])),
        Use(np.where(arm >= 1, 0, NO_POOL), np.full(len(values), 20_000), np.array([int(of * 4_000 * share)])),
    ]


def decide(values: Ints, borrowers: int) -> Ints:
    """Rows of the arms that are drawn."""
    starts = np.arange(borrowers, dtype=np.int64) * ARMS
    counts = np.full(borrowers, ARMS)
    temperatures = np.full(borrowers, TEMPERATURE)
    few = min(SAMPLE, borrowers)
    found = prices(Sampled(values[: few * ARMS], starts[:few], temperatures[:few], EVEN), uses(values[: few * ARMS], few, borrowers))
    every = uses(values, borrowers, borrowers)
    less = lowered(values, every, [one.prices for one in found])
    order = best_first(less, starts, counts)
    explored = ~unexplored(every, [one.binds for one in found])
    shares = parts(less[order], starts, temperatures, even=EVEN, explored=explored[order])
    return order[drawn(shares, keyed_numbers(np.arange(borrowers), KEY))]


def _floor(values: Ints) -> None:
    for start in range(0, len(values), SAMPLE):
        behind = (values[start : start + SAMPLE] - values[start : start + SAMPLE].max(axis=1, keepdims=True)) / TEMPERATURE
        weights = np.exp(behind)
        weights /= weights.sum(axis=1, keepdims=True)

"""Probabilities in whole parts of 1,000,000,000: a softmax beside an even share, and the arm that a number falls on.

A float that differs in its last bit between two machines would draw another arm on one of them, and the decision would not
replay (I8). So nothing here is rounded by a library: how far an arm lies behind the best one becomes a whole number of steps of
1/1024 of an octave, the weight of a step is looked up in a table that whole arithmetic made, and shares are whole divisions.
What is logged is what is drawn from, so the probabilities are exact (I10); it is the softmax of values rounded to 0.07 % of the
temperature.

In:   arrays with one row an arm, the arms of a borrower together, the best one first.
Out:  arrays of the same shape.
Pure: whole arithmetic; IEEE multiplication and division of single numbers, which every machine does alike.
Source: SCIENCE.md C1: p = (1-ε) softmax(value / τ) + ε uniform.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

Ints: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]

PARTS: Final = 1_000_000_000
STEPS: Final = 1_024
WEIGHT_BITS: Final = 30
# 1/ln 2: octaves in a power of e.
OCTAVES: Final = 1.4426950408889634
# An arm further behind than this weighs nothing.
OCTAVES_MAX: Final = WEIGHT_BITS + 1
# So many arms at a time stay in a processor's cache.
ARMS_AT_ONCE: Final = 1 << 17


def _table() -> Ints:
    with localcontext() as exact:
        exact.prec = 40
        octave = Decimal(2) ** WEIGHT_BITS
        return np.array([int(octave * Decimal(2) ** (Decimal(-step) / STEPS)) for step in range(STEPS)], dtype=np.int64)


_WEIGHTS: Final = _table()


def parts(values: Ints, starts: Ints, temperatures: Ints, *, even: int, explored: Flags | None = None) -> Ints:
    """Share out `PARTS` among the arms of each borrower.

    Args:
        values: Of each arm; the first of a borrower's is the highest.
        starts: Row of each borrower's first arm, ascending from 0.
        temperatures: Of each borrower, ≥ 0, in the unit of the values; 0 = the first arm has all but the even share.
        even: Parts that are shared evenly among the explored arms, 0 to `PARTS`.
        explored: Which arms take part in that; None = all. Where none of a borrower's does, her first arm has the even share.

    Returns:
        Parts ≥ 0 of each arm; each borrower's add up to `PARTS`. What rounding down leaves over is the first arm's.
    """
    found = np.empty(len(values), dtype=np.int64)
    ends = np.append(starts[1:], len(values))
    borrower = 0
    while borrower < len(starts):
        after = max(borrower + 1, int(np.searchsorted(ends, starts[borrower] + ARMS_AT_ONCE, side="right")))
        first, last = starts[borrower], ends[after - 1]
        found[first:last] = _parts(
            values[first:last],
            starts[borrower:after] - first,
            temperatures[borrower:after],
            even=even,
            explored=None if explored is None else explored[first:last],
        )
        borrower = after
    return found


def _parts(values: Ints, starts: Ints, temperatures: Ints, *, even: int, explored: Flags | None) -> Ints:
    counts = np.diff(starts, append=len(values))
    warm = temperatures > 0
    rate = np.where(warm, STEPS * OCTAVES / np.maximum(temperatures, 1), 0.0)
    behind = (np.repeat(values[starts], counts) - values).astype(np.float64)
    behind *= np.repeat(rate, counts)
    np.minimum(behind, float(OCTAVES_MAX * STEPS), out=behind)
    steps = behind.astype(np.int64)
    weights = _WEIGHTS[steps & (STEPS - 1)] >> (steps // STEPS)
    if not warm.all():
        weights[np.repeat(~warm, counts)] = 0
        weights[starts[~warm]] = 1
    found: Ints = weights * (PARTS - even) // np.repeat(np.add.reduceat(weights, starts), counts)
    if even:
        found += _even(counts, starts, even=even, explored=explored)
    found[starts] += PARTS - np.add.reduceat(found, starts)
    return found


def _even(counts: Ints, starts: Ints, *, even: int, explored: Flags | None) -> Ints:
    if explored is None:
        return np.repeat(even // counts, counts)
    sharing = np.add.reduceat(explored.astype(np.int64), starts)
    return np.asarray(np.where(explored, np.repeat(even // np.maximum(sharing, 1), counts), 0))


def drawn(shares: Ints, numbers: Ints) -> npt.NDArray[np.intp]:
    """Row of the arm that each borrower's number falls on, when her parts are laid end to end.

    Args:
        shares: Parts of each arm, from `parts`.
        numbers: Of each borrower, in [0, `PARTS`), in the order of their arms.
    """
    wanted = np.arange(len(numbers), dtype=np.int64) * PARTS + numbers
    return np.asarray(np.searchsorted(np.cumsum(shares), wanted, side="right"))

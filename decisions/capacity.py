"""Capacity: what one more contact of a scarce kind costs those who would have got it, so that expected use stays below the cap.

A cap that is filled in the order of arrival would make a borrower's chances hang on who came before her, and no probability
could be written down. A price does not: each arm's value is lowered by what it uses times the price of that capacity, everybody's
choice stays her own, and the probabilities stay exact. The prices are found on a sample, by bisection, each creditor's apart.

In:   arrays with one row an arm of a sample of borrowers; what each arm uses; caps.
Out:  prices in whole thousandths of a minor unit for each thousand of use; what is expected to be used at them.
Pure: whole arithmetic but for sums of expected use.
Source: SCIENCE.md C1, 3: dual prices by bisection on at most 50,000 borrowers, expected use ≤ 97 % of the cap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from decisions.parts import PARTS, Flags, Ints, parts

# Use is counted in thousandths, contacts as well as minor units, so that a price is a whole number.
THOUSAND: Final = 1_000
NO_POOL: Final = -1
HALVINGS: Final = 20
SWEEPS_MAX: Final = 5
# A pool that is used less than 95 hundredths of its cap at a price has too high a price.
SETTLED_ABOVE: Final = (95, 100)


@dataclass(frozen=True, slots=True)
class Use:
    """What arms use of one capacity.

    Attributes:
        pools: Of each arm: number of the pool it draws on, from 0; `NO_POOL` = none.
        amounts: Of each arm: thousandths of a contact, or of a minor unit, ≥ 0.
        caps: Of each pool: thousandths that may be used, already lowered to what the sample's share of all borrowers may use.
    """

    pools: Ints
    amounts: Ints
    caps: Ints


@dataclass(frozen=True, slots=True)
class Priced:
    """Prices of one capacity.

    Attributes:
        prices: Of each pool: thousandths of a minor unit for `THOUSAND` thousandths of use; 0 = it does not bind.
        expected: Of each pool: thousandths expected to be used at these prices.
        binds: Of each pool: whether it would be used beyond its cap at no price.
    """

    prices: Ints
    expected: Ints
    binds: Flags


@dataclass(frozen=True, slots=True)
class Sampled:
    """Arms of a sample: `values` before any price, `starts`, `temperatures` and `even` as decisions/parts.parts wants them."""

    values: Ints
    starts: Ints
    temperatures: Ints
    even: int


def lowered(values: Ints, uses: Sequence[Use], prices: Sequence[Ints]) -> Ints:
    """Values less what each arm's use costs."""
    found = values
    for use, price in zip(uses, prices, strict=True):
        if price.any():
            # No pool is the last one, and costs nothing.
            found = found - np.append(price, 0)[use.pools] * use.amounts // THOUSAND
    return found


def unexplored(uses: Sequence[Use], binds: Sequence[Flags]) -> Flags:
    """Arms that draw on a pool which binds: nothing of it is given away evenly."""
    found = np.zeros(len(uses[0].pools) if uses else 0, dtype=np.bool_)
    for use, bound in zip(uses, binds, strict=True):
        if bound.any():
            found |= np.append(bound, False)[use.pools]
    return found


def prices(sampled: Sampled, uses: Sequence[Use]) -> list[Priced]:
    """Find the lowest prices, to 1 part in 2^20 of the highest that could matter, at which every pool keeps within its cap.

    Each capacity's pools are searched together, for an arm draws on one pool of a capacity; capacities one after the other, again
    as long as one pushes another over its cap. Where five rounds do not settle it, a cap may be passed: whoever plans holds to it.
    """
    if not uses or not len(sampled.values):
        return [Priced(np.zeros_like(use.caps), np.zeros_like(use.caps), np.zeros(len(use.caps), dtype=np.bool_)) for use in uses]
    nothing = [np.zeros_like(use.caps) for use in uses]
    free = _expected(sampled, uses, nothing, [np.zeros(len(use.caps), dtype=np.bool_) for use in uses])
    binds = [used > use.caps for used, use in zip(free, uses, strict=True)]
    if not any(bound.any() for bound in binds):
        return [Priced(*one) for one in zip(nothing, free, binds, strict=True)]
    found = nothing
    small, theirs = _concerned(sampled, uses, binds)
    outside = [used - inside for used, inside in zip(free, _expected(small, theirs, nothing, _none(binds)), strict=True)]
    for _ in range(SWEEPS_MAX):
        for number in range(len(uses)):
            found = _searched(small, theirs, found, binds, number)
        used = _expected(small, theirs, found, binds)
        if all(_settled(*one).all() for one in zip(found, used, theirs, binds, strict=True)):
            break
    return [
        Priced(price, inside + beside, bound)
        for price, inside, beside, bound in zip(found, _expected(small, theirs, found, binds), outside, binds, strict=True)
    ]


def _settled(price: Ints, used: Ints, use: Use, bound: Flags) -> Flags:
    """Whether each pool keeps within its cap, and is priced no higher than that takes."""
    within = (used <= use.caps) & ((price == 0) | (used * SETTLED_ABOVE[1] >= use.caps * SETTLED_ABOVE[0]))
    return np.asarray(within | ~bound)


def _none(binds: Sequence[Flags]) -> list[Flags]:
    return [np.zeros_like(bound) for bound in binds]


def _concerned(sampled: Sampled, uses: Sequence[Use], binds: Sequence[Flags]) -> tuple[Sampled, list[Use]]:
    """Those borrowers alone of whose arms one draws on a pool that binds: nobody else's choice moves with the prices."""
    counts = np.diff(sampled.starts, append=len(sampled.values))
    of_them = np.logical_or.reduceat(unexplored(uses, binds), sampled.starts)
    arms = np.repeat(of_them, counts)
    starts = np.concatenate([[0], np.cumsum(counts[of_them])[:-1]]).astype(np.int64)
    small = Sampled(sampled.values[arms], starts, sampled.temperatures[of_them], sampled.even)
    return small, [Use(use.pools[arms], use.amounts[arms], use.caps) for use in uses]


def _searched(sampled: Sampled, uses: Sequence[Use], found: Sequence[Ints], binds: Sequence[Flags], number: int) -> list[Ints]:
    """The prices with those of one capacity found anew, the others' as they are."""
    use, bound = uses[number], binds[number]
    if not bound.any():
        return list(found)
    low, high = np.zeros_like(use.caps), np.where(bound, _beyond(sampled, use), 0)
    for _ in range(HALVINGS):
        middle = (low + high) // 2
        used = _expected(sampled, uses, [*found[:number], middle, *found[number + 1 :]], binds)[number]
        over = used > use.caps
        low, high = np.where(over, middle, low), np.where(over, high, middle)
    return [*found[:number], high, *found[number + 1 :]]


def _beyond(sampled: Sampled, use: Use) -> Ints:
    """Of each pool: a price at which nobody draws on it."""
    counts = np.diff(sampled.starts, append=len(sampled.values))
    worst = np.repeat(np.minimum.reduceat(sampled.values, sampled.starts), counts)
    # 32 temperatures behind the worst of the others weighs nothing (decisions/parts.py).
    wanted = sampled.values - worst + 32 * np.repeat(sampled.temperatures, counts) + 1
    found = np.zeros_like(use.caps)
    drawing = (use.pools != NO_POOL) & (use.amounts > 0)
    np.maximum.at(found, use.pools[drawing], wanted[drawing] * THOUSAND // use.amounts[drawing] + 1)
    return found


def _expected(sampled: Sampled, uses: Sequence[Use], priced: Sequence[Ints], binds: Sequence[Flags]) -> list[Ints]:
    """Of each capacity's pools: thousandths expected to be used, rounded up."""
    values = lowered(sampled.values, uses, priced)
    counts = np.diff(sampled.starts, append=len(values))
    order = best_first(values, sampled.starts, counts)
    explored = ~unexplored(uses, binds) if sampled.even else None
    shares = np.empty_like(values)
    shares[order] = parts(
        values[order], sampled.starts, sampled.temperatures, even=sampled.even, explored=None if explored is None else explored[order]
    )
    found = []
    for use in uses:
        # No pool is counted as the last one, and left out.
        pools = np.where(use.pools == NO_POOL, len(use.caps), use.pools)
        amounts = np.bincount(pools, shares / PARTS * use.amounts, minlength=len(use.caps) + 1)
        found.append(np.ceil(amounts[:-1]).astype(np.int64))
    return found


def best_first(values: Ints, starts: Ints, counts: Ints) -> Ints:
    """Rows with each borrower's best arm moved to her first place, which it swaps with; of equals the first one."""
    best = np.repeat(np.maximum.reduceat(values, starts), counts)
    rows = np.arange(len(values))
    first = np.minimum.reduceat(np.where(values == best, rows, len(values)), starts)
    order = rows.copy()
    order[starts], order[first] = first, starts
    return order

"""What is scarce has a price: expected use keeps within the cap, and nobody's choice hangs on who came before."""

from __future__ import annotations

import numpy as np

from decisions.capacity import NO_POOL, Sampled, Use, best_first, lowered, prices, unexplored
from decisions.parts import PARTS, parts

ARMS = 4
BORROWERS = 3_000


def _sampled(seed: int = 1, even: int = PARTS // 20) -> Sampled:
    chance = np.random.default_rng(seed)
    values = chance.integers(0, 4_000, (BORROWERS, ARMS))
    values[:, 0] = 0
    return Sampled(values.reshape(-1), np.arange(0, BORROWERS * ARMS, ARMS), np.full(BORROWERS, 300), even)


def _calls(cap: int, pools: int = 1) -> Use:
    rows = np.arange(BORROWERS * ARMS)
    return Use(
        pools=np.where(rows % ARMS == 3, rows // ARMS % pools, NO_POOL),
        amounts=np.full(len(rows), 1_000),
        caps=np.full(pools, cap * 1_000),
    )


def _spent(cap: int) -> Use:
    rows = np.arange(BORROWERS * ARMS)
    return Use(
        pools=np.where(rows % ARMS == 0, NO_POOL, 0), amounts=np.where(rows % ARMS == 3, 30_000, 2_000), caps=np.array([cap * 1_000])
    )


def _used(sampled: Sampled, uses: list[Use]) -> list[float]:
    """Expected use of each capacity's first pool, worked out beside the code that searches."""
    found = prices(sampled, uses)
    values = lowered(sampled.values, uses, [one.prices for one in found])
    counts = np.full(BORROWERS, ARMS)
    order = best_first(values, sampled.starts, counts)
    explored = ~unexplored(uses, [one.binds for one in found])
    shares = np.empty_like(values)
    shares[order] = parts(values[order], sampled.starts, sampled.temperatures, even=sampled.even, explored=explored[order])
    return [float((shares / PARTS * use.amounts)[use.pools == 0].sum() / 1_000) for use in uses]


def test_what_is_not_scarce_costs_nothing() -> None:
    (found,) = prices(_sampled(), [_calls(BORROWERS)])
    assert (found.prices.tolist(), found.binds.tolist()) == ([0], [False])


def test_expected_use_keeps_within_the_cap_and_fills_it() -> None:
    uses = [_calls(150)]
    (used,) = _used(_sampled(), uses)
    assert 150 * 0.95 <= used <= 150


def test_two_capacities_keep_within_both_caps() -> None:
    uses = [_calls(150), _spent(9_000)]
    calls, spent = _used(_sampled(), uses)
    assert calls <= 150
    assert 9_000 * 0.9 <= spent <= 9_000


def test_each_creditor_pays_for_its_own_capacity() -> None:
    use = _calls(100, pools=2)
    few = Use(use.pools, use.amounts, np.array([100_000, BORROWERS * 1_000]))
    (found,) = prices(_sampled(), [few])
    assert found.prices[0] > 0
    assert found.prices[1] == 0
    assert found.expected[0] <= 100_000 < found.expected[1]


def test_nothing_of_what_is_scarce_is_given_away_evenly() -> None:
    """Even exploration alone would fill the cap: it is left to what is worth its price."""
    uses = [_calls(5)]
    (used,) = _used(_sampled(even=PARTS // 2), uses)
    assert used <= 5


def test_the_best_arm_comes_first_and_nobody_elses_moves() -> None:
    values = np.array([0, 5, 5, 7, 1, 2])
    order = best_first(values, np.array([0, 3, 4]), np.array([3, 1, 2]))
    assert values[order].tolist() == [5, 0, 5, 7, 2, 1]
    assert sorted(order.tolist()) == list(range(6))

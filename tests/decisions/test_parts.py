"""Probabilities in whole parts: a softmax beside an even share, the same on every machine."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions import parts as module
from decisions.parts import PARTS, drawn, parts


def _softmax(values: np.ndarray, starts: np.ndarray, temperatures: np.ndarray) -> np.ndarray:
    """As a book has it, borrower by borrower."""
    ends = [*starts[1:], len(values)]
    found = []
    for start, end, temperature in zip(starts, ends, temperatures, strict=True):
        weights = np.exp((values[start:end] - values[start]) / temperature)
        found.append(weights / weights.sum())
    return np.concatenate(found)


def _problem(borrowers: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    chance = np.random.default_rng(seed)
    counts = chance.integers(1, 9, borrowers)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    values = chance.integers(-3_000, 3_000, counts.sum())
    for start, count in zip(starts, counts, strict=True):
        values[start : start + count] = -np.sort(-values[start : start + count])
    return values, starts, chance.integers(1, 2_000, borrowers)


def test_the_parts_are_those_of_a_softmax_to_a_thousandth() -> None:
    values, starts, temperatures = _problem(2_000, seed=7)
    found = parts(values, starts, temperatures, even=0) / PARTS
    assert np.abs(found - _softmax(values, starts, temperatures)).max() < 1e-3


def test_the_even_share_is_shared_evenly_among_what_is_explored() -> None:
    values, starts, temperatures = _problem(500, seed=8)
    explored = np.random.default_rng(9).random(len(values)) < 0.7
    shares = parts(values, starts, temperatures, even=PARTS // 20, explored=explored)
    for start, end in zip(starts, [*starts[1:], len(values)], strict=True):
        among = explored[start:end].sum()
        if among:
            assert (shares[start:end][explored[start:end]] >= PARTS // 20 // among).all()
    assert (np.add.reduceat(shares, starts) == PARTS).all()


@settings(max_examples=50)
@given(st.lists(st.integers(-(10**13), 10**13), min_size=1, max_size=8), st.integers(0, 10**10), st.integers(0, PARTS))
def test_the_parts_always_add_up_and_a_better_arm_never_has_less(values: list[int], temperature: int, even: int) -> None:
    ordered = np.array(sorted(values, reverse=True))
    shares = parts(ordered, np.array([0]), np.array([temperature]), even=even)
    assert shares.sum() == PARTS
    assert (shares >= even // len(values)).all()
    assert (np.diff(shares) <= 0).all()


def test_a_borrowers_parts_do_not_hang_on_who_stands_beside_her_nor_on_how_many_at_a_time() -> None:
    values, starts, temperatures = _problem(300, seed=10)
    whole = parts(values, starts, temperatures, even=30_000_000)
    before = module.ARMS_AT_ONCE
    try:
        module.ARMS_AT_ONCE = 5  # type: ignore[misc]
        assert np.array_equal(parts(values, starts, temperatures, even=30_000_000), whole)
    finally:
        module.ARMS_AT_ONCE = before  # type: ignore[misc]
    end = starts[1]
    assert np.array_equal(parts(values[:end], starts[:1], temperatures[:1], even=30_000_000), whole[:end])


def test_I8_the_parts_are_the_same_bytes_in_every_version_of_every_library() -> None:  # the invariant's own name
    """Frozen: if this fails, no earlier decision of a model replays any more."""
    values, starts, temperatures = _fixed()
    shares = parts(values, starts, temperatures, even=50_000_000)
    assert sha256(shares.astype("<i8").tobytes()).hexdigest() == FROZEN


def _fixed() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A problem of whole arithmetic alone, so that only `parts` can differ."""
    rows = np.arange(60)
    values = -((rows % 6) ** 3 * 137)
    return values, np.arange(0, 60, 6), 50 + 97 * np.arange(10)


FROZEN = "988233ea743c9387e4c27cd0c37c96fafbd62466f0f45a8833bd3bceec67e657"


def test_a_number_falls_on_the_arm_whose_parts_cover_it() -> None:
    shares = np.array([PARTS - 10, 10, 4, PARTS - 4])
    assert drawn(shares, np.array([PARTS - 11, 3])).tolist() == [0, 2]
    assert drawn(shares, np.array([PARTS - 10, 4])).tolist() == [1, 3]

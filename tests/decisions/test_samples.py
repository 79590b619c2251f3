"""Samples: the same seed draws the same, whatever the order; every stratum has its share."""

from __future__ import annotations

import hashlib
import hmac
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.samples import Drawable, Stratum, draw, shares_of

DAY = date(2026, 3, 17)
STRATA = st.tuples(st.sampled_from(("US-NY", "TW", None)), st.sampled_from(("sms", "call")), st.sampled_from(("delivered", "no_answer")))


def contacts(strata: list[tuple[str | None, str, str]]) -> list[Drawable]:
    return [
        Drawable(business_date=DAY + timedelta(days=n % 3), event_id=n, jurisdiction=one[0], channel=one[1], outcome=one[2])
        for n, one in enumerate(strata, 1)
    ]


@given(st.lists(STRATA, min_size=1, max_size=60), st.integers(1, 70), st.randoms(use_true_random=False))
def test_the_order_in_which_they_are_read_makes_no_difference(
    strata: list[tuple[str | None, str, str]], size: int, shuffled: object
) -> None:
    population = contacts(strata)
    mixed = list(population)
    shuffled.shuffle(mixed)  # type: ignore[attr-defined]  # a random.Random
    drawn = draw(population, size=size, seed="march")
    assert draw(mixed, size=size, seed="march") == drawn
    assert len(drawn) == len(set(drawn)) == min(size, len(population))


@given(st.dictionaries(STRATA.map(lambda one: (str(one[0]), one[1], one[2])), st.integers(1, 500), min_size=1), st.integers(1, 400))
def test_each_stratum_gives_its_share_and_one_at_least_while_there_is_room(sizes: dict[Stratum, int], size: int) -> None:
    shares = shares_of(sizes, size)
    total = sum(sizes.values())
    assert sum(shares.values()) == min(size, total)
    assert all(0 <= shares[one] <= sizes[one] for one in sizes)
    if size >= len(sizes):
        assert min(shares.values()) >= 1
        # Beyond the one that each has, nobody is more than one away from her share.
        left, spread = size - len(sizes), total - len(sizes)
        if total > size:
            assert all(abs(shares[one] - 1 - left * (sizes[one] - 1) / spread) <= 1 for one in sizes)


def test_an_inspector_draws_it_again_with_a_few_lines_of_her_own() -> None:
    population = contacts([("TW", "sms", "delivered")] * 40)
    by_hand = sorted(
        population, key=lambda one: hmac.new(b"march", f"{one.business_date}:{one.event_id}".encode(), hashlib.sha256).digest()
    )
    assert draw(population, size=7, seed="march") == by_hand[:7]
    assert draw(population, size=7, seed="april") != by_hand[:7]


@pytest.mark.parametrize(("size", "seed"), [(0, "march"), (-1, "march"), (1, "")])
def test_no_size_and_no_seed_draw_nothing(size: int, seed: str) -> None:
    with pytest.raises(ValueError, match="a size and a seed"):
        draw(contacts([("TW", "sms", "delivered")]), size=size, seed=seed)

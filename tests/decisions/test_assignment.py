"""Who is held out or tried on: the same people every day, each in one place at most."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.strategy_files import strategy
from decisions.assignment import Group, Trial, UnassignableError, groups, line_key, treated_by
from decisions.parts import PARTS

LEARNED, LADDER = strategy("learned", "early"), strategy("static-ladder", "early")
KEY = line_key(b"an installation")
EVERYBODY = pl.Series(range(1, 20_001), dtype=pl.Int64)


def trial(name: str, first: float, last: float, **more: object) -> Trial:
    arms = (("champion", PARTS // 2, LADDER), ("challenger", PARTS // 2, LEARNED))
    return replace(Trial(name=name, first=round(first * PARTS), last=round(last * PARTS), arms=arms), **more)  # type: ignore[arg-type]


def by_party(found: list[Group]) -> dict[int, str]:
    return {party: group.name for group in found for party in group.party_ids}


def test_everybody_is_in_exactly_one_group() -> None:
    found = groups(EVERYBODY, LEARNED, [trial("a", 0.1, 0.3), trial("b", 0.3, 0.5)], key=KEY)
    assert sorted(party for group in found for party in group.party_ids) == EVERYBODY.to_list()
    sizes = {group.name: len(group.party_ids) / len(EVERYBODY) for group in found}
    for name, share in {"champion": 0.05, "minimum": 0.02, "experiment:a/champion": 0.1, "experiment:b/challenger": 0.1}.items():
        assert abs(sizes[name] - share) < 0.01
    assert groups(EVERYBODY, LADDER, key=None)[0].party_ids == EVERYBODY.to_list()


def test_nobody_moves_when_another_experiment_begins_or_ends() -> None:
    alone = by_party(groups(EVERYBODY, LEARNED, [trial("a", 0.1, 0.3)], key=KEY))
    beside = by_party(groups(EVERYBODY, LEARNED, [trial("b", 0.3, 0.5), trial("a", 0.1, 0.3)], key=KEY))
    assert {party for party, name in alone.items() if name.startswith("experiment:a")} == {
        party for party, name in beside.items() if name.startswith("experiment:a")
    }
    assert all(beside[party] == name for party, name in alone.items() if name != "ordinary")


def test_an_arm_of_one_experiment_says_nothing_of_the_arm_in_the_next_on_the_same_people() -> None:
    first = by_party(groups(EVERYBODY, LADDER, [trial("a", 0.0, 1.0)], key=KEY))
    second = by_party(groups(EVERYBODY, LADDER, [trial("b", 0.0, 1.0)], key=KEY))
    both = sum(first[party].endswith("/champion") and second[party].endswith("/champion") for party in first)
    assert abs(both / len(first) - 0.25) < 0.02


@settings(max_examples=20)
@given(st.integers(1, 10**9), st.sampled_from(["early", "mid", "late", "recovery"]))
def test_a_borrowers_group_is_the_same_alone_in_every_stage(party: int, stage: str) -> None:
    among = by_party(groups(pl.Series([party, party + 1, party + 2], dtype=pl.Int64), LEARNED, [trial("a", 0.1, 0.9)], key=KEY))
    assert treated_by(party, strategy("learned", stage), [trial("a", 0.1, 0.9)], key=KEY).name == among[party]


def test_two_that_want_the_same_borrowers_are_refused() -> None:
    with pytest.raises(UnassignableError, match="experiment:a/champion and experiment:b/champion want the same borrowers"):
        groups(EVERYBODY, LADDER, [trial("a", 0.1, 0.3), trial("b", 0.29, 0.5)], key=KEY)
    with pytest.raises(UnassignableError, match="minimum and experiment:a/champion"):
        groups(EVERYBODY, LEARNED, [trial("a", 0.06, 0.3)], key=KEY)
    with pytest.raises(UnassignableError, match="no key"):
        groups(EVERYBODY, LEARNED, key=None)


def test_a_stopped_arms_borrowers_get_the_first_arms_treatment_and_stay_in_their_arm() -> None:
    found = groups(EVERYBODY, LADDER, [trial("a", 0.1, 0.3, stopped=frozenset({"challenger"}))], key=KEY)
    stopped = next(group for group in found if group.name == "experiment:a/challenger")
    assert stopped.strategy.name == "static-ladder"


def test_whoever_is_tried_on_is_held_out_nowhere_else() -> None:
    found = groups(EVERYBODY, LADDER, [trial("a", 0.1, 0.3)], key=KEY)
    challenger = next(group for group in found if group.name == "experiment:a/challenger")
    assert challenger.strategy.learned is not None
    assert challenger.strategy.learned.hold_outs is None

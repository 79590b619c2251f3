"""Who is treated by which strategy: one number for each borrower, the same every day, and one line on which every share has its place.

A borrower's number lies in [0, 1) and never changes. Standing hold-outs lie at the line's beginning, each experiment between two
points of its file; no two may overlap. So nobody is in two of them, and nobody moves when another one begins or ends: what is
compared stays apart. Within an experiment a second number, of that experiment alone, says which of its arms she is in.

In:   ids of borrowers, a secret key of the installation, the hold-outs of a strategy, the experiments that run.
Out:  for each borrower the name of her group, and for each group the strategy that treats it.
Pure: no I/O, no clock; the only chance comes from the key.
Source: SCIENCE.md C1, 8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from decisions.draws import keyed_numbers
from decisions.parts import PARTS
from decisions.strategy import HoldOuts, Strategy

# Treated by the run's own strategy.
ORDINARY: Final = "ordinary"
CHAMPION: Final = "champion"
MINIMUM: Final = "minimum"
EXPERIMENT: Final = "experiment:"


class UnassignableError(ValueError):
    """Borrowers cannot be assigned: no key is given, or two shares of the line overlap. Says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """An experiment as far as it treats borrowers of one stage.

    Attributes:
        name: Of its file.
        first: Where its part of the line begins, parts of `PARTS`.
        last: Where it ends; the next one begins there.
        arms: (Arm, parts of `PARTS` of the experiment's borrowers, strategy); the parts add up to `PARTS`.
        stopped: Arms that were stopped: their borrowers are treated by the first arm's strategy, and stay theirs in the log.
    """

    name: str
    first: int
    last: int
    arms: tuple[tuple[str, int, Strategy], ...]
    stopped: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Borrowers who are treated alike.

    Attributes:
        name: `ordinary`, `champion`, `minimum`, or `experiment:NAME/ARM`.
        strategy: That treats them.
        party_ids: Who they are, ascending.
    """

    name: str
    strategy: Strategy
    party_ids: list[int]


def line_key(seed: bytes) -> bytes:
    """The key of an installation's line: it stays as long as the installation's seed does."""
    return blake2b(b"line", key=blake2b(seed).digest(), digest_size=16, person=b"tideover-line").digest()


def arm_group(trial: Trial, arm: str) -> str:
    """The group of the borrowers in an arm of an experiment."""
    return f"{EXPERIMENT}{trial.name}/{arm}"


def with_stopped(trials: Sequence[Trial], stopped: Mapping[str, Sequence[str]]) -> tuple[Trial, ...]:
    """The same, with the arms that were stopped: experiment → arms."""
    return tuple(replace(one, stopped=frozenset(stopped.get(one.name, ()))) for one in trials)


def asking(strategy: Strategy, trials: Sequence[Trial] = ()) -> list[tuple[str, Strategy]]:
    """Groups that a model has a say in, and their strategies: the run's own, then arms that are tried beside it and were not stopped."""
    arms = [(arm_group(trial, name), arm) for trial in trials for name, _, arm in trial.arms if name not in trial.stopped]
    return [(name, one) for name, one in ((ORDINARY, strategy), *arms) if one.learned is not None]


def who_asks(strategy: Strategy, trials: Sequence[Trial] = ()) -> Strategy | None:
    """The first strategy that a model has a say in: by its caps the whole run decides; None where ladders alone decide."""
    return next((one for _, one in asking(strategy, trials)), None)


def kinds_asked(strategy: Strategy, trials: Sequence[Trial] = ()) -> tuple[str, ...]:
    """Kinds of models that a strategy asks, or any arm that is tried beside it; each once."""
    return tuple(dict.fromkeys(kind for _, one in asking(strategy, trials) if one.learned for kind in one.learned.kinds))


def groups(party_ids: pl.Series, strategy: Strategy, trials: Sequence[Trial] = (), *, key: bytes | None) -> list[Group]:
    """Part borrowers by how they are treated.

    Args:
        party_ids: Int64, each once.
        strategy: Of the run.
        trials: Experiments that run in its stage.
        key: From `line_key`; None where nobody is held out and nothing is tried.

    Returns:
        Groups that have somebody in them, the ordinary ones first.

    Raises:
        UnassignableError: A key is needed and missing, or parts of the line overlap.
    """
    held = strategy.learned.hold_outs if strategy.learned else None
    ids = np.sort(party_ids.to_numpy())
    if held is None and not trials:
        return [Group(name=ORDINARY, strategy=strategy, party_ids=ids.tolist())]
    if key is None:
        raise UnassignableError("borrowers are held out or tried on, and no key says which: give the installation's (line_key)")
    places = _places(held, strategy, trials)
    numbers = keyed_numbers(ids, key)
    found, taken = [], np.zeros(len(ids), dtype=np.bool_)
    for first, last, options in places:
        inside = (numbers >= first) & (numbers < last)
        taken |= inside
        found += _split(ids[inside], options, key)
    ordinary = Group(name=ORDINARY, strategy=strategy, party_ids=ids[~taken].tolist())
    return [group for group in (ordinary, *found) if group.party_ids]


Option = tuple[str, int, Strategy]


def _places(held: HoldOuts | None, strategy: Strategy, trials: Sequence[Trial]) -> list[tuple[int, int, list[Option]]]:
    """The line's parts by where they begin, each with what its borrowers get."""
    places: list[tuple[int, int, list[Option]]] = []
    if held is not None:
        last = held.champion_parts + held.minimum_parts
        places.append((0, held.champion_parts, [(CHAMPION, PARTS, held.champion)]))
        places.append((held.champion_parts, last, [(MINIMUM, PARTS, minimum(strategy, held))]))
    for trial in trials:
        kept = trial.arms[0][2]
        options = [(arm_group(trial, arm), share, kept if arm in trial.stopped else treated) for arm, share, treated in trial.arms]
        places.append((trial.first, trial.last, options))
    places.sort(key=lambda place: (place[0], place[1]))
    for before, after in pairwise(places):
        if after[0] < before[1]:
            raise UnassignableError(f"{before[2][0][0]} and {after[2][0][0]} want the same borrowers: move one of them along the line")
    return places


def _split(ids: npt.NDArray[np.int64], options: Sequence[Option], key: bytes) -> list[Group]:
    if len(options) == 1:
        return [Group(name=options[0][0], strategy=_plain(options[0][2]), party_ids=ids.tolist())]
    own = blake2b(options[0][0].rpartition("/")[0].encode(), key=key, digest_size=16, person=b"tideover-arm").digest()
    ends = np.cumsum([share for _, share, _ in options])
    which = np.searchsorted(ends, keyed_numbers(ids, own), side="right")
    parted = [ids[which == number].tolist() for number in range(len(options))]
    return [
        Group(name=name, strategy=_plain(treated), party_ids=theirs) for (name, _, treated), theirs in zip(options, parted, strict=True)
    ]


def _plain(strategy: Strategy) -> Strategy:
    """Without hold-outs of its own: whoever is tried on is held out nowhere else."""
    return strategy if strategy.learned is None else replace(strategy, learned=replace(strategy.learned, hold_outs=None))


def minimum(strategy: Strategy, held: HoldOuts) -> Strategy:
    """The strategy with nothing left of it but what has to be said, by its ladder."""
    steps = tuple(step for step in strategy.steps if step.message in held.minimum_messages)
    return replace(strategy, learned=None, exploration=0.0, steps=steps)


def treated_by(party_id: int, strategy: Strategy, trials: Sequence[Trial] = (), *, key: bytes | None) -> Group:
    """The group of one borrower."""
    return groups(pl.Series([party_id], dtype=pl.Int64), strategy, trials, key=key)[0]

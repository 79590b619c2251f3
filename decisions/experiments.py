"""Experiments: what was promised before the first borrower was drawn, and what one may say of it at a look.

An experiment says beforehand how many borrowers each arm needs, on which dates it is looked at, and how much harm is too much. At a look
money is compared by a bound that holds at every look at once, and harm by one that stops the arm as soon as it is surely worse than the
margin allows. Nothing is promoted here: the verdict only says whether two people may be asked.

In:   what came of each borrower of each arm, as numbers in [0, 1] after scaling by bounds that the file names.
Out:  differences with bounds; a verdict.
Pure: arithmetic.
Source: SCIENCE.md C2; empirical-Bernstein bound: Maurer & Pontil 2009, theorem 4, for one look, and a union over looks (weight
        6/(π² k²) for the k-th) for any number of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import combinations
from typing import Final

import numpy as np
import numpy.typing as npt

from decisions.parts import PARTS

Floats = npt.NDArray[np.float64]

# Of a margin: what contacts are counted under.
CONTACTS: Final = "contacts"
WAITING: Final = "not enough borrowers yet"
STOPPED: Final = "stop: harm"
BETTER: Final = "better: two people may be asked to promote it"
OPEN: Final = "nothing can be said yet"
ENDED: Final = "ended without a difference that can be told"


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """How much worse than the champion an arm may be in something that harms.

    Attributes:
        name: complaints, opt_outs, contacts.
        margin: Per borrower, above the champion's mean.
        most: What is counted of one borrower is never more.
    """

    name: str
    margin: float
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One arm; the first one of an experiment is the champion.

    Attributes:
        name: Of the arm.
        parts: Of the experiment's borrowers, parts of `PARTS`.
        strategy: Its name.
    """

    name: str
    parts: int
    strategy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What was written down before it began.

    Attributes:
        name: Of its file.
        question: What it is to answer.
        stages: In which it treats borrowers.
        first: Its first business date.
        last: Its last one.
        line_first: Where its part of the line of borrowers begins, parts of `PARTS`.
        line_last: Where the next one's may begin.
        arms: The champion first.
        borrowers_min: Of each arm, before anything is said.
        horizon_days: After a borrower's first decision her outcome is frozen.
        looks: Dates on which it is looked at; empty = on any.
        alpha: How often all looks together may be wrong.
        money_most: Thousandths of what was owed count up to this share: 1.0 = all of it.
        margins: Of what harms.
        gap_max: Between two groups of an arm, by an attribute held apart, in contacts per borrower; None = not looked at.
    """

    name: str
    question: str
    stages: tuple[str, ...]
    first: date
    last: date
    line_first: int
    line_last: int
    arms: tuple[Arm, ...]
    borrowers_min: int
    horizon_days: int
    looks: tuple[date, ...]
    alpha: float
    money_most: float
    margins: tuple[Margin, ...]
    gap_max: float | None = None

    @property
    def champion(self) -> Arm:
        """What the others are held against."""
        return self.arms[0]

    def runs_on(self, day: date, stage: str) -> bool:
        """Whether it treats borrowers of a stage on a date."""
        return stage in self.stages and self.first <= day <= self.last

    def may_be_looked_at(self, day: date) -> bool:
        """Whether a look on a date was promised."""
        return not self.looks or day in self.looks


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """What came of an arm's borrowers whose horizon is over, one number each.

    Attributes:
        money: Share of what was owed that was paid, 0 to 1.
        harms: By name of the margin: counts.
        groups: Attribute and value → contacts of its borrowers who belong to that group.
    """

    money: Floats
    harms: Mapping[str, Floats] = field(default_factory=dict)
    groups: Mapping[tuple[str, str], Floats] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """An arm less the champion, per borrower.

    Attributes:
        name: money, or of a margin.
        value: Of the means.
        low: Below which it lies no more often than promised.
        high: Above which it lies no more often than promised.
    """

    name: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What may be said of an arm at a look.

    Attributes:
        arm: Its name.
        borrowers: Of it, and of the champion, whose horizon is over.
        differences: money first.
        says: One of this module's words.
        contacts_per_cure: Of it, and of the champion: contacts for each borrower who paid all; None = not counted, or nobody did.
        why: The margin that was passed, where it is stopped.
    """

    arm: str
    borrowers: tuple[int, int]
    differences: tuple[Difference, ...]
    says: str
    contacts_per_cure: tuple[float | None, float | None] = (None, None)
    why: str | None = None


def half_width(values: Floats, *, most: float, alpha: float) -> float:
    """How far the mean of independent numbers in [0, most] may lie from the true one, but for `alpha`, on one side.

    Maurer & Pontil: sqrt(2 V ln(2/α) / n) + 7 ln(2/α) / (3 (n - 1)), with V the sample variance, for numbers in [0, 1].
    """
    n = len(values)
    if n < 2:  # noqa: PLR2004  # one number has no variance
        return most
    said = math.log(2 / alpha)
    scaled = np.clip(values / most, 0.0, 1.0)
    return most * min(1.0, math.sqrt(2 * float(scaled.var(ddof=1)) * said / n) + 7 * said / (3 * (n - 1)))


def alpha_of_look(alpha: float, number: int) -> float:
    """What the k-th look may spend, so that all of them together, however many, spend no more than `alpha`."""
    return alpha * 6 / (math.pi**2 * number**2)


def difference(name: str, arm: Floats, champion: Floats, *, most: float, alpha: float) -> Difference:
    """Of two means, with a bound that is wrong no more often than `alpha` on both sides together."""
    value = float(np.clip(arm, 0, most).mean() - np.clip(champion, 0, most).mean()) if len(arm) and len(champion) else 0.0
    # Two means, two sides.
    wide = half_width(arm, most=most, alpha=alpha / 4) + half_width(champion, most=most, alpha=alpha / 4)
    return Difference(name=name, value=value, low=value - wide, high=value + wide)


def sure_gap(groups: Mapping[tuple[str, str], Floats], *, most: float, alpha: float) -> float:
    """By how much the means of two groups of one attribute surely lie apart, at most: the largest lower bound; 0 where none is sure.

    Args:
        groups: Attribute and value → a number for each borrower.
        most: Of one number.
        alpha: How often the bounds of all pairs together may be wrong.
    """
    pairs = [(one, other) for one, other in combinations(sorted(groups), 2) if one[0] == other[0]]
    bounds = [difference(CONTACTS, groups[one], groups[other], most=most, alpha=alpha / len(pairs)) for one, other in pairs]
    return max([0.0, *(bound for one in bounds for bound in (one.low, -one.high))])


def judged(experiment: Experiment, outcomes: Mapping[str, Outcomes], *, look: int, day: date) -> list[Verdict]:
    """What may be said of every arm but the champion at the k-th look.

    Args:
        experiment: As it was frozen.
        outcomes: Arm → what came of its borrowers.
        look: Number of this look, from 1.
        day: Its date.
    """
    alpha = alpha_of_look(experiment.alpha, look) / (len(experiment.arms) - 1)
    champion = outcomes[experiment.champion.name]
    # What harm may spend is shared by all that harms.
    shares = len(experiment.margins) + (experiment.gap_max is not None)
    most = max((one.most for one in experiment.margins if one.name == CONTACTS), default=1.0)
    found = []
    for arm in experiment.arms[1:]:
        theirs = outcomes[arm.name]
        money = difference("money", theirs.money, champion.money, most=experiment.money_most, alpha=alpha)
        harms = [
            difference(one.name, theirs.harms[one.name], champion.harms[one.name], most=one.most, alpha=alpha / max(shares, 1))
            for one in experiment.margins
        ]
        borrowers, per_cure = (len(theirs.money), len(champion.money)), (contacts_per_cure(theirs), contacts_per_cure(champion))
        gap = None if experiment.gap_max is None else sure_gap(theirs.groups, most=most, alpha=alpha / shares)
        says, why = _said(experiment, money, harms, borrowers, per_cure, day, gap)
        found.append(
            Verdict(arm=arm.name, borrowers=borrowers, differences=(money, *harms), says=says, contacts_per_cure=per_cure, why=why)
        )
    return found


def contacts_per_cure(outcomes: Outcomes) -> float | None:
    """Contacts for each borrower who paid all that was owed; None = contacts are not counted, or nobody did."""
    cured = int((outcomes.money >= 1).sum())
    contacts = outcomes.harms.get(CONTACTS)
    return None if contacts is None or not cured else float(contacts.sum()) / cured


def _said(
    experiment: Experiment,
    money: Difference,
    harms: Sequence[Difference],
    borrowers: tuple[int, int],
    per_cure: tuple[float | None, float | None],
    day: date,
    gap: float | None,
) -> tuple[str, str | None]:
    """Harm is said at once, however few there are: its bound is wide while they are few.

    Contacts for each cure have no bound of their own: an arm that took more of them than the champion is not better, whatever it brought.
    """
    for one, margin in zip(harms, experiment.margins, strict=True):
        if one.low > margin.margin:
            return STOPPED, one.name
    if gap is not None and experiment.gap_max is not None and gap > experiment.gap_max:
        return STOPPED, "groups"
    if min(borrowers) < experiment.borrowers_min:
        return WAITING, None
    arm, champion = per_cure
    took_more = arm is not None and champion is not None and arm > champion
    if money.low > 0 and not took_more and all(one.high <= margin.margin for one, margin in zip(harms, experiment.margins, strict=True)):
        return BETTER, None
    return (ENDED if day >= experiment.last else OPEN), None


def line_share(experiment: Experiment) -> float:
    """Part of all borrowers."""
    return (experiment.line_last - experiment.line_first) / PARTS

"""Whose figures count: what the wallet shows, what she says, the floor of her country, what falls due here anyhow.

What she says wins, line by line. A wallet that shows too few days, or too little of what she says comes in, says nothing of her; then
only her own figures count, and all of them are needed.

In:   `Seen` or nothing, `Declared`, the floor, what is open and due; the terms.
Out:  `Means`: the figures, whose they are; the circumstances by which the rule decides, or that she has to be asked.
Pure: no I/O, no clock.
Source: SCIENCE.md E2; docs/adr/0046, 0047.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from decisions.affordability import Circumstances, Terms
from decisions.wallet_flows import WHOLE, Cycle, Seen

FiguresFrom = Literal["wallet", "borrower", "both"]
# What she has to say where the wallet says nothing.
ASKED: Final = ("income_minor", "essential_minor", "debts_minor", "cycle", "next_income_on")


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What a person says of her means, for 30 days; None = nothing.

    Attributes:
        income_minor: That comes in.
        essential_minor: That cannot wait.
        debts_minor: Paid to others.
        aside_minor: She wants to keep at least so much.
        cycle: How often money comes.
        next_income_on: When next.
        first_on: Day of the first payment.
        at_most_minor: No payment above it.
    """

    income_minor: int | None = None
    essential_minor: int | None = None
    debts_minor: int | None = None
    aside_minor: int | None = None
    cycle: Cycle | None = None
    next_income_on: date | None = None
    first_on: date | None = None
    at_most_minor: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """What is to be paid here.

    Attributes:
        currency: ISO 4217.
        open_minor: By the choice that is sought.
        due_minor: That falls due beside it within 30 days: other instalments and plans.
    """

    currency: str
    open_minor: int
    due_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What is known, and whose word it is.

    Attributes:
        figures_from: Whose figures count.
        essential_is_floor: The floor counts, since what was shown or said lies below it.
        circumstances: For the rule.
    """

    figures_from: FiguresFrom
    essential_is_floor: bool
    circumstances: Circumstances


def means(seen: Seen | None, declared: Declared, owed: Owed, *, floor: tuple[str, int] | None, today: date, terms: Terms) -> Means | None:
    """Put figures together.

    Args:
        seen: What the wallet shows; None = too little.
        declared: What she says.
        owed: What is to be paid.
        floor: (currency, minor) of her country; None = none is known, and the wallet alone is not enough.
        today: Where she is.
        terms: In force.

    Returns:
        None where she has to be asked first.
    """
    believed = seen if seen is not None and _sees_enough(seen, declared, terms) else None
    at_least = floor[1] if floor is not None and floor[0] == owed.currency else None
    says_all = all(getattr(declared, name) is not None for name in ASKED)
    if (believed is None or at_least is None) and not says_all:
        return None
    essential = _first(declared.essential_minor, believed.essential_minor if believed else 0)
    cycle = declared.cycle or (believed.cycle if believed else None)
    comes_on = declared.next_income_on or (believed.next_income_on if believed else None)
    if cycle is None or comes_on is None:
        return None
    return Means(
        figures_from=_whose(believed, declared, at_least or 0),
        essential_is_floor=at_least is not None and essential < at_least,
        circumstances=Circumstances(
            today=today,
            currency=owed.currency,
            open_minor=owed.open_minor,
            income_minor=_first(declared.income_minor, believed.income_minor if believed else 0),
            essential_minor=max(essential, at_least or 0),
            debts_minor=_first(declared.debts_minor, believed.debts_minor if believed else 0) + owed.due_minor,
            aside_minor=declared.aside_minor or 0,
            cycle=cycle,
            next_income_on=comes_on,
            first_on=declared.first_on,
            at_most_minor=declared.at_most_minor,
            has_floor=at_least is not None,
            balances=believed.balances if believed else None,
        ),
    )


def _sees_enough(seen: Seen, declared: Declared, terms: Terms) -> bool:
    return declared.income_minor is None or seen.income_minor * WHOLE >= declared.income_minor * terms.sees_percent_min


def _first(said: int | None, shown: int) -> int:
    return shown if said is None else said


def _whose(believed: Seen | None, declared: Declared, at_least: int) -> FiguresFrom:
    """A line that she leaves as the wallet has it is the wallet's."""
    if believed is None:
        return "borrower"
    shown = {**{name: getattr(believed, name) for name in ASKED}, "essential_minor": max(believed.essential_minor, at_least)}
    told = {name: getattr(declared, name) for name in ASKED}
    return "both" if any(said is not None and said != shown[name] for name, said in told.items()) else "wallet"

"""A purse: when money comes in, what is left of it, when the wallet is empty, and whether an instalment can be kept.

In:   a world's parameters, named chance, what comes in in 30 days.
Out:  what a resident really can pay (hidden), and what a wallet's operator would see.
Pure: yes. Sources: SCIENCE.md D; docs/town.md says which figures are assumed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from sandbox.chance import Chance
from sandbox.happenings import Plan

MONTH_DAYS = 30
# Only these run dry before the next income.
_RUN_DRY = frozenset({"timing", "hardship"})


@dataclass(frozen=True, slots=True)
class Purse:
    """What moves in a wallet.

    Attributes:
        every_days: From one income to the next.
        offset_days: Which day of that cycle it is.
        income_minor: In 30 days; 0 = nothing is known of it, and nothing follows from it.
        spare_minor: Of it, in 30 days, what is really free. Hidden.
        seen_spare_minor: The same as the wallet shows it, off by some.
    """

    every_days: int
    offset_days: int
    income_minor: int
    spare_minor: int
    seen_spare_minor: int

    def days_since_income(self, today: date) -> int:
        """0 = it comes today."""
        return (today.toordinal() - self.offset_days) % self.every_days

    def next_income_on(self, today: date) -> date:
        """After today."""
        return today + timedelta(days=self.every_days - self.days_since_income(today))


def draw_purse(chance: Chance, world: Mapping[str, float], key: str, temper: str, income_minor: int) -> Purse:
    """Somebody's purse.

    Args:
        chance: Of the world.
        world: Its parameters.
        key: Whose.
        temper: Why they are late.
        income_minor: In 30 days.
    """
    incomes = [(days, world[f"income_{name}_share"]) for days, name in (("7", "weekly"), ("14", "fortnightly"), ("30", "monthly"))]
    every = int(chance.pick(incomes, key, "income"))
    spread = world["spare_spread"]
    spare = income_minor * world[f"spare_{temper}"] * chance.within(1 - spread, 1 + spread, key, "spare")
    blur = world["wallet_blur"]
    return Purse(
        every_days=every,
        offset_days=int(chance.unit(key, "payday") * every),
        income_minor=income_minor,
        spare_minor=int(spare),
        seen_spare_minor=int(spare * chance.within(1 - blur, 1 + blur, key, "seen-spare")),
    )


def is_empty(purse: Purse, temper: str, today: date, world: Mapping[str, float]) -> bool:
    """Whether the wallet is in the last part of its cycle, in which some have nothing left."""
    return temper in _RUN_DRY and purse.days_since_income(today) >= purse.every_days * (1 - world["empty_wallet_share"])


def keeps_instalment(purse: Purse, plan: Plan, world: Mapping[str, float]) -> float:
    """Chance that an instalment is paid on its day: lower, the further the plan asks for more than is free."""
    amount = max(minor for _, minor in plan.payments)
    days = (plan.payments[1][0] - plan.payments[0][0]).days if len(plan.payments) > 1 else MONTH_DAYS
    ratio = (
        amount * MONTH_DAYS / max(1, days) / purse.spare_minor if purse.spare_minor > 0 else 1.0 if purse.income_minor == 0 else math.inf
    )
    return (
        world["plan_kept"] * math.exp(-min(50.0, world["plan_strain"] * max(0.0, ratio - 1)))
        if world["plan_strain"]
        else world["plan_kept"]
    )

"""Wallets of people who do not exist: what came in and went out on each of the last days, and what was left.

Four ways to earn: a salary each month, pay every two weeks, pay each week, a stall that sells most days. One in ten has used the wallet
for a few weeks only, so that little is known of her. What comes in goes out again, what cannot wait first.

In:   seed, whose wallet, the last day, roughly how much a month brings.
Out:  (day, kind, amount) rows, whole main units of the currency; kinds are those of a wallet's own books.
Pure: yes.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

from sandbox.chance import Chance

DAYS: Final = 90
NEW_DAYS: Final = 35
WEEK: Final = 7
MONTH: Final = 30
# Way to earn → days between two pay days, and its share of the people.
WAYS: Final = (("salary", 30, 0.45), ("salary", 14, 0.2), ("regular_income", 7, 0.15), ("sales", 1, 0.2))
IS_NEW: Final = 0.1
# Of what comes in: what cannot wait, what goes to other lenders; the rest can wait.
ESSENTIAL: Final = (0.35, 0.85)
DEBTS: Final = (0.0, 0.15)
# Of a month's money, what the wallet holds at the end.
HELD: Final = (0.1, 0.8)


def wallet(seed: int | str, owner: str, *, until: date, a_month: int) -> list[tuple[date, str, int]]:
    """The days of one wallet; the same for the same seed and owner."""
    chance = Chance(f"{seed}")
    days = NEW_DAYS if chance.unit("new", owner) < IS_NEW else DAYS
    since = until - timedelta(days=days - 1)
    way = chance.pick([(f"{number}", share) for number, (_, _, share) in enumerate(WAYS)], "way", owner)
    kind, every, _ = WAYS[int(way)]
    brings = max(1, round(a_month * chance.within(0.6, 1.8, "brings", owner)))
    rows = [*_income(chance, owner, kind, every, brings, since, until), *_spending(chance, owner, brings, since, until)]
    rows.append((until, "balance", round(brings * chance.within(*HELD, "held", owner))))
    return [row for row in rows if row[2] > 0]


def _income(chance: Chance, owner: str, kind: str, every: int, brings: int, since: date, until: date) -> Iterator[tuple[date, str, int]]:
    day = until - timedelta(days=int(chance.unit("pay day", owner) * every))
    while day >= since:
        yield day, kind, round(brings * every / MONTH * chance.within(0.85, 1.15, "pay", owner, day))
        day -= timedelta(days=every)


def _spending(chance: Chance, owner: str, brings: int, since: date, until: date) -> Iterator[tuple[date, str, int]]:
    essential, debts = chance.within(*ESSENTIAL, "essential", owner), chance.within(*DEBTS, "debts", owner)
    day = until - timedelta(days=int(chance.unit("shopping day", owner) * WEEK))
    while day >= since:
        a_week = brings * WEEK / MONTH
        yield day, "essential", round(a_week * essential * chance.within(0.8, 1.2, "food", owner, day))
        yield day, "other", round(a_week * (1 - essential - debts) * chance.within(0.7, 1.3, "fun", owner, day))
        day -= timedelta(days=WEEK)
    for months in range(DAYS // MONTH):
        day = until - timedelta(days=months * MONTH + int(chance.unit("due day", owner) * MONTH))
        if day >= since:
            yield day, "debt", round(brings * debts)

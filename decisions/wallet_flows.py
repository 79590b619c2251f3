"""A wallet's flows: what somebody has to live on in a lean month, when money comes in, and how low a payment would have left her.

Rolling 30 days are taken because a month's pay may fall on either side of a month's end. The lean quarter of them speaks for what
comes in, the upper middle for what goes out: a guess that errs asks for less.

In:   flows of the last days by day and kind, the balance at their end.
Out:  `Seen`: the rule's figures; how often a payment would have left less than is to stay.
Pure: no I/O, no clock; whole minor units.
Source: SCIENCE.md E1, E2; docs/adr/0046, 0047.
"""

from __future__ import annotations

from calendar import monthrange
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count, pairwise
from typing import Final, Literal, get_args

# Comes in and is counted on; comes in and is not: nobody lives on a loan or a refund. Goes out and cannot wait; goes out otherwise.
# `debt` is paid to others: what is due to this lender the ledger knows better.
FlowKind = Literal[
    "salary", "sales", "regular_income", "loan_payout", "refund", "transfer_in", "one_off_income",
    "essential", "debt", "other", "transfer_out", "balance",
]  # fmt: skip
FLOW_KINDS: Final[tuple[str, ...]] = get_args(FlowKind)
INCOME: Final = frozenset({"salary", "sales", "regular_income"})
COMES_IN: Final = INCOME | {"loan_payout", "refund", "transfer_in", "one_off_income"}
GOES_OUT: Final = frozenset({"essential", "debt", "other", "transfer_out"})
# What the wallet held at the end of a day; neither in nor out.
BALANCE: Final = "balance"

Cycle = Literal["weekly", "fortnightly", "monthly"]
CYCLES: Final[Mapping[str, int]] = {"weekly": 7, "fortnightly": 14, "monthly": 30}
MONTH_DAYS: Final = 30
WHOLE: Final = 100
WEEK_DAYS: Final = 7
QUARTER: Final = 4
# Half-way between two cycles a rhythm is taken for the longer one: a payment that comes too seldom for the plan hurts more.
WEEKLY_GAP_MAX: Final = 10
FORTNIGHTLY_GAP_MAX: Final = 21
# A day that brings less than this part of the best one is no pay day.
PAY_DAY_PART: Final = 4


@dataclass(frozen=True, slots=True)
class Flow:
    """All of one kind that moved on one day: amount in minor units, from 0 on."""

    on: date
    kind: str
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What a wallet shows of some days.

    Attributes:
        since: First day.
        until: Last day.
        flows: Of these days, in any order.
    """

    since: date
    until: date
    flows: tuple[Flow, ...]

    @property
    def days(self) -> int:
        """How many there are."""
        return (self.until - self.since).days + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Balances:
    """What a wallet held at the end of each day from one on, and what was spent that day on things that can wait."""

    since: date
    minor: tuple[int, ...]
    can_wait_minor: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a wallet shows of a person's means, for 30 days.

    Attributes:
        days: That it covers.
        income_minor: In a lean month; never above that of the last 30 days.
        essential_minor: That goes out and cannot wait, in a usual month.
        debts_minor: Paid to other lenders, in a usual month.
        cycle: How often money comes in.
        next_income_on: When it usually comes next.
        balances: Of each day; None = no balance is known.
    """

    days: int
    income_minor: int
    essential_minor: int
    debts_minor: int
    cycle: Cycle
    next_income_on: date
    balances: Balances | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """The same days over again, with a payment in each cycle.

    Attributes:
        days: That were replayed.
        short_days: On which less would have been left than is to stay.
        weeks: Whole weeks among them.
        good_weeks: Weeks without such a day.
    """

    days: int
    short_days: int
    weeks: int
    good_weeks: int


def seen(window: Window, *, today: date, days_min: int) -> Seen | None:
    """The rule's figures, as the wallet shows them.

    Args:
        window: Not beyond today.
        today: Where the person is.
        days_min: Of fewer days nothing is guessed.

    Returns:
        None where it covers too few days, or no income ever came in.
    """
    pay_days = _pay_days(window)
    if window.days < max(days_min, MONTH_DAYS) or not pay_days:
        return None
    cycle = _cycle(pay_days)
    income = sorted(_rolling(window, INCOME))
    return Seen(
        days=window.days,
        income_minor=min(income[(len(income) - 1) // QUARTER], _rolling(window, INCOME)[-1]),
        essential_minor=_upper_middle(_rolling(window, frozenset({"essential"}))),
        debts_minor=_upper_middle(_rolling(window, frozenset({"debt"}))),
        cycle=cycle,
        next_income_on=next(day for day in after(pay_days[-1], cycle) if day > today),
        balances=_balances(window),
    )


def income_of_last_month(window: Window) -> int:
    """What came in and is counted on, in the last 30 days."""
    return _rolling(window, INCOME)[-1] if window.days >= MONTH_DAYS else 0


def after(day: date, cycle: Cycle) -> Iterator[date]:
    """That day, and the same one of every later cycle: of a month, the same day of each next, or its last one."""
    for number in count():
        yield _months_later(day, number) if cycle == "monthly" else day + timedelta(days=number * CYCLES[cycle])


def replay(balances: Balances, amount_minor: int, pay_on: date, cycle: Cycle, *, keep_minor: int) -> Replay:
    """What would have been left at the end of each day, had a payment been taken in each cycle.

    What was spent on things that can wait gives way to a payment until it is made good; what cannot wait never does. So somebody who
    spends all she has on what cannot wait falls short further with each payment, and somebody with room does not.

    Args:
        balances: Of the last days.
        amount_minor: Of each payment.
        pay_on: A day on which one is taken; others are taken cycles before it.
        cycle: Between two.
        keep_minor: To stay at the end of every day.
    """
    taken_on = set(_before(pay_on, cycle, balances.since))
    missing, short = 0, []
    for number, (left, can_wait) in enumerate(zip(balances.minor, balances.can_wait_minor, strict=True)):
        missing += amount_minor * (balances.since + timedelta(days=number) in taken_on)
        missing -= min(missing, can_wait)
        short.append(left - missing < keep_minor)
    # The newest week is whole; what is over at the beginning is not counted.
    newest = short[::-1]
    weeks = [newest[start : start + WEEK_DAYS] for start in range(0, len(newest) - WEEK_DAYS + 1, WEEK_DAYS)]
    return Replay(days=len(short), short_days=sum(short), weeks=len(weeks), good_weeks=sum(not any(week) for week in weeks))


def _pay_days(window: Window) -> list[date]:
    """Days on which money that is counted on came in, without those that brought little."""
    by_day: Counter[date] = Counter()
    for flow in window.flows:
        if flow.kind in INCOME and window.since <= flow.on <= window.until:
            by_day[flow.on] += flow.amount_minor
    best = max(by_day.values(), default=0)
    return sorted(day for day, minor in by_day.items() if minor and minor * PAY_DAY_PART >= best)


def _cycle(pay_days: Sequence[date]) -> Cycle:
    gaps = [(later - earlier).days for earlier, later in pairwise(pay_days)]
    usual = _upper_middle(gaps) if gaps else MONTH_DAYS
    return "weekly" if usual <= WEEKLY_GAP_MAX else "fortnightly" if usual <= FORTNIGHTLY_GAP_MAX else "monthly"


def _rolling(window: Window, kinds: frozenset[str]) -> list[int]:
    """Sums of every 30 days on end, the oldest first."""
    daily = _daily(window, kinds)
    total = sum(daily[:MONTH_DAYS])
    sums = [total]
    for gone, come in zip(daily, daily[MONTH_DAYS:], strict=False):
        total += come - gone
        sums.append(total)
    return sums


def _daily(window: Window, kinds: frozenset[str]) -> list[int]:
    daily = [0] * window.days
    for flow in window.flows:
        if flow.kind in kinds and window.since <= flow.on <= window.until:
            daily[(flow.on - window.since).days] += flow.amount_minor
    return daily


def _upper_middle(values: Sequence[int]) -> int:
    return sorted(values)[len(values) // 2]


def _balances(window: Window) -> Balances | None:
    """The balance of each day: told, or worked out from the one that was told last and what moved since and before."""
    told = [flow for flow in window.flows if flow.kind == BALANCE and window.since <= flow.on <= window.until]
    if not told:
        return None
    last = max(told, key=lambda flow: flow.on)
    moved = [came - went for came, went in zip(_daily(window, COMES_IN), _daily(window, GOES_OUT), strict=True)]
    place = (last.on - window.since).days
    known = last.amount_minor
    minor = [known + sum(moved[place + 1 : day + 1]) - sum(moved[day + 1 : place + 1]) for day in range(window.days)]
    return Balances(since=window.since, minor=tuple(minor), can_wait_minor=tuple(_daily(window, frozenset({"other"}))))


def _before(day: date, cycle: Cycle, since: date) -> Iterator[date]:
    """That day and the same one of every cycle before it, down to a day."""
    number = 0
    while (one := _months_later(day, -number) if cycle == "monthly" else day - timedelta(days=number * CYCLES[cycle])) >= since:
        yield one
        number += 1


def _months_later(day: date, months: int) -> date:
    """The same day of another month, or that month's last."""
    whole = day.year * 12 + day.month - 1 + months
    year, month = divmod(whole, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))

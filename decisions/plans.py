"""How an agreed plan stands: kept, a payment late beyond what may be left out, or all of it paid.

In:   its payments, what came in since it was agreed, how many of them may be paid later, until when each counts as in time.
Out:  `active`, `late` or `completed`.
Pure: no I/O, no clock.
Source: DOMAIN.md, "payment plan"; SCIENCE.md E2; docs/adr/0048.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import accumulate
from typing import Final

from decisions.affordability import Payment

ACTIVE: Final = "active"
LATE: Final = "late"
COMPLETED: Final = "completed"


def stands(payments: Sequence[Payment], paid_minor: int, *, on: date, in_time_until: Sequence[date], skips: int, catch_up_days: int) -> str:
    """How a plan stands on a day.

    Args:
        payments: In order.
        paid_minor: What came in since it was agreed, without what went back.
        on: Local day.
        in_time_until: Of each payment, the last day on which it counts as in time.
        skips: So many payments may be behind.
        catch_up_days: For each of these, so long after the last payment's day; then all has to be there.
    """
    owed = list(accumulate(one.amount_minor for one in payments))
    if paid_minor >= owed[-1]:
        return COMPLETED
    behind = sum(until < on and paid_minor < due for due, until in zip(owed, in_time_until, strict=True))
    may_be_behind = skips if on <= in_time_until[-1] + timedelta(days=skips * catch_up_days) else 0
    return LATE if behind > may_be_behind else ACTIVE

"""Promises to pay: which give peace, until when a payment counts, and whether one was kept.

In:   what was promised, what was owed and what came in, by currency; the terms of config/promises.yaml.
Out:  yes or no; a state of `promise`.
Pure: no I/O, no clock.
Source: DOMAIN.md, "promise to pay".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

OPEN: Final = "open"
KEPT: Final = "kept"
PARTIAL: Final = "partial"
BROKEN: Final = "broken"
WITHDRAWN: Final = "withdrawn"
# What counts against the next pause: a promise that was moved to another day has given its peace, too.
USED_UP: Final = (BROKEN, WITHDRAWN)
WHOLE: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseTerms:
    """What a promise is worth.

    Attributes:
        ahead_days_max: Local days from the day it is made to the day that it names.
        amount_percent_min: Of what is past due.
        settlement_business_days: After the day that was named; what is posted until their end counts.
        kept_percent_min: Of what was promised.
        partial_percent_min: Of what was promised; ≤ `kept_percent_min`.
        watched_days: Days after its day in which a judgement is corrected by what becomes known later.
        broken_max: So many broken or moved promises within
        broken_within_days: so many days, and the next one gives no pause.
        reminder_days_before: Local days before its day on which it is kindly remembered; None = it is not.
    """

    ahead_days_max: int
    amount_percent_min: int
    settlement_business_days: int
    kept_percent_min: int
    partial_percent_min: int
    watched_days: int
    broken_max: int
    broken_within_days: int
    reminder_days_before: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StillPromised:
    """What of an open promise has not come in yet: what a reminder may truly name.

    Attributes:
        due_on: The day that was named.
        amount_minor: Never more than is owed at all; > 0.
        currency: ISO 4217.
    """

    due_on: date
    amount_minor: int
    currency: str


def still_promised(
    due_on: date, promised_minor: Mapping[str, int], paid_minor: Mapping[str, int], owed_minor: Mapping[str, int]
) -> StillPromised | None:
    """What is still open of a promise; None where nothing is, or not in one currency: a text names one amount.

    Args:
        due_on: The day that was named.
        promised_minor: Currency → what was promised.
        paid_minor: Currency → what was posted since, as far as it counts towards the promise.
        owed_minor: Currency → what is owed at all and not disputed: nobody is reminded of more.
    """
    left = {currency: min(amount - paid_minor.get(currency, 0), owed_minor.get(currency, 0)) for currency, amount in promised_minor.items()}
    still_open = [(currency, amount) for currency, amount in left.items() if amount > 0]
    if len(still_open) != 1:
        return None
    ((currency, amount_minor),) = still_open
    return StillPromised(due_on=due_on, amount_minor=amount_minor, currency=currency)


def gives_peace(due_on: date, amount_minor: int | None, terms: PromiseTerms, *, today: date, past_due_minor: int) -> bool:
    """Whether a promise is good enough to be waited for; any other is looked at by a person.

    Args:
        due_on: Local day that it names.
        amount_minor: In the currency of `past_due_minor`; None = all that is owed.
        terms: In force.
        today: Local day on which it is made.
        past_due_minor: What is past due on that day.
    """
    enough = amount_minor is None or amount_minor * WHOLE >= past_due_minor * terms.amount_percent_min
    return enough and today <= due_on <= today + timedelta(days=terms.ahead_days_max)


def judged(wanted_minor: Mapping[str, int], paid_minor: Mapping[str, int], terms: PromiseTerms, *, is_over: bool) -> str:
    """How a promise stands.

    Args:
        wanted_minor: Currency → what was promised. Where nothing was owed in the end, nothing is broken.
        paid_minor: Currency → what was posted in time.
        terms: In force.
        is_over: Whether no payment can arrive in time any more, and all that arrived is known.

    Returns:
        `kept` as soon as enough is there; once it is over, `partial` or `broken`; until then `open`.
    """
    wanted = {currency: amount for currency, amount in wanted_minor.items() if amount > 0}
    percents = [paid_minor.get(currency, 0) * WHOLE // amount for currency, amount in wanted.items()]
    if min(percents, default=WHOLE) >= terms.kept_percent_min and (wanted or is_over):
        return KEPT
    if not is_over:
        return OPEN
    return PARTIAL if min(percents) >= terms.partial_percent_min else BROKEN

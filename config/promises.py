"""Reads config/promises.yaml: when a promise to pay gives peace, and when it counts as kept.

In:   the file.
Out:  `decisions.promises.PromiseTerms`.
Pure: no; reads one file.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from config.load import ConfigError, Day, Strict, read
from decisions.promises import PromiseTerms

PROMISES_FILE: Final = Path(__file__).with_name("promises.yaml")
Percent = Annotated[int, Field(ge=1, le=100)]
Count = Annotated[int, Field(ge=1)]


class ValidForm(Strict):
    """Which promises give peace, as written."""

    ahead_days_max: Count
    amount_percent_min: Percent


class KeptForm(Strict):
    """When a promise counts as kept, as written."""

    settlement_business_days: Count
    percent_min: Percent
    partial_percent_min: Percent
    watched_days: Count


class PlanForm(Strict):
    """When a plan is offered in place of a pause, as written."""

    broken: Count
    within_days: Count


class PromisesForm(Strict):
    """The file, as written."""

    owner: str
    reviewed_on: Day
    valid: ValidForm
    kept: KeptForm
    plan_offered_after: PlanForm
    reminder_days_before: Count | None


def promise_terms(path: Path = PROMISES_FILE) -> PromiseTerms:
    """Read the terms of a promise.

    Raises:
        ConfigError: The file is not of that form, or a promise would be kept before it is partly kept.
    """
    form = read(path, PromisesForm)
    if form.kept.partial_percent_min > form.kept.percent_min:
        raise ConfigError(path, None, "kept.partial_percent_min", "above percent_min: what is kept is never only partly kept")
    return PromiseTerms(
        ahead_days_max=form.valid.ahead_days_max,
        amount_percent_min=form.valid.amount_percent_min,
        settlement_business_days=form.kept.settlement_business_days,
        kept_percent_min=form.kept.percent_min,
        partial_percent_min=form.kept.partial_percent_min,
        watched_days=form.kept.watched_days,
        broken_max=form.plan_offered_after.broken,
        broken_within_days=form.plan_offered_after.within_days,
        reminder_days_before=form.reminder_days_before,
    )


@lru_cache(maxsize=1)
def promise_terms_in_force() -> PromiseTerms:
    """The shipped file's terms, read once a process."""
    return promise_terms()

"""Reads config/affordability.yaml: by which rule plans are offered, and what a household needs at least in each country.

In:   the file.
Out:  `decisions.affordability.Terms`; how long she is left in peace; the policy as the ledger keeps it.
Pure: no; reads one file.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from config.load import Day, Document, Strict, checked, parse
from config.policies import AFFORDABILITY_FILE, Policy
from config.zones import zone_tables
from decisions.affordability import Money, Terms
from decisions.money import NotAnAmountError, UnknownCurrencyError, to_minor
from decisions.wallet_flows import MONTH_DAYS

DAYS_A_YEAR: Final = 365
MONTHS_A_YEAR: Final = 12
Count = Annotated[int, Field(ge=1)]
Percent = Annotated[int, Field(ge=1, le=100)]
Text = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanPolicy:
    """All that the file says.

    Attributes:
        terms: Of the rule.
        choosing_days: So long she is left in peace while she chooses.
        late_days: Business days that a payment of a plan may take to be posted.
        broken_days: So long after a plan was found late, and nobody's case any more, it is broken.
        reminder_days_before: A payment is kindly remembered; None = it is not.
    """

    terms: Terms
    choosing_days: int
    late_days: int
    broken_days: int
    reminder_days_before: int | None


class WalletForm(Strict):
    """When a wallet is believed, as written."""

    days: Annotated[int, Field(ge=MONTH_DAYS)]
    covered_days_min: Annotated[int, Field(ge=MONTH_DAYS)]
    age_days_max: Count
    sees_percent_min: Percent


class ExtensionForm(Strict):
    """When all is paid at once, as written."""

    days_max: Count


class FirstForm(Strict):
    """When the first payment may be, as written."""

    min: Count
    max: Count


class PlanForm(Strict):
    """How a plan may look, as written."""

    days_max: Count
    first_days: FirstForm
    smaller_percents: tuple[Annotated[int, Field(ge=1, le=99)], ...]
    skip_every: Annotated[int, Field(ge=2)]
    income_fall_percent: Percent
    choosing_days: Count
    late_days: Count
    broken_days: Count
    reminder_days_before: Count | None


class MoneyForm(Strict):
    """What is small in one currency, as written."""

    aside_min: Text
    instalment_min: Text
    rounded_to: Text
    granted_max: Text


class FloorForm(Strict):
    """What a household needs at least, as written."""

    currency: Text
    a_month: Text
    source: Text
    read_on: Day
    confidence: Literal["read", "recalled"]


class AffordabilityForm(Strict):
    """The file, as written."""

    owner: Text
    reviewed_on: Day
    wallet: WalletForm
    share_percent: Percent
    aside_percent: Percent
    short_days_percent_max: Annotated[int, Field(ge=0, le=50)]
    extension: ExtensionForm
    plan: PlanForm
    money: dict[str, MoneyForm]
    floors: dict[str, FloorForm]


def plan_policy(path: Path = AFFORDABILITY_FILE) -> PlanPolicy:
    """Read the file.

    Raises:
        ConfigError: It is not of that form; a country, currency or amount does not exist; a payment is rounded to nothing.
    """
    document = parse(path)
    form = checked(document, document.plain, AffordabilityForm)
    if form.plan.first_days.max < form.plan.first_days.min:
        raise document.error(["plan", "first_days", "max"], "below min")
    if form.wallet.covered_days_min > form.wallet.days:
        raise document.error(["wallet", "covered_days_min"], "above days: no wallet would ever be believed")
    terms = Terms(
        window_days=form.wallet.days,
        covered_days_min=form.wallet.covered_days_min,
        age_days_max=form.wallet.age_days_max,
        sees_percent_min=form.wallet.sees_percent_min,
        share_percent=form.share_percent,
        aside_percent=form.aside_percent,
        short_days_percent_max=form.short_days_percent_max,
        extension_days_max=form.extension.days_max,
        plan_days_max=form.plan.days_max,
        first_days_min=form.plan.first_days.min,
        first_days_max=form.plan.first_days.max,
        smaller_percents=form.plan.smaller_percents,
        skip_every=form.plan.skip_every,
        income_fall_percent=form.plan.income_fall_percent,
        money={currency: _money(document, currency, one) for currency, one in form.money.items()},
        floors={country: _floor(document, country, one) for country, one in form.floors.items()},
    )
    return PlanPolicy(
        terms=terms,
        choosing_days=form.plan.choosing_days,
        late_days=form.plan.late_days,
        broken_days=form.plan.broken_days,
        reminder_days_before=form.plan.reminder_days_before,
    )


def affordability_terms(path: Path = AFFORDABILITY_FILE) -> Terms:
    """The rule's terms alone.

    Raises:
        ConfigError: As above.
    """
    return plan_policy(path).terms


@lru_cache(maxsize=1)
def plan_policy_in_force() -> PlanPolicy:
    """The shipped file's, read once a process."""
    return plan_policy()


@lru_cache(maxsize=1)
def affordability_policy() -> Policy:
    """The shipped file as the ledger keeps it, by its hash."""
    return Policy("affordability", "affordability", AFFORDABILITY_FILE.read_text("utf-8"))


def _money(document: Document, currency: str, form: MoneyForm) -> Money:
    minor = {name: _minor(document, ["money", currency, name], amount, currency) for name, amount in form.model_dump().items()}
    if minor["rounded_to"] < 1:
        raise document.error(["money", currency, "rounded_to"], "a payment is rounded to at least one minor unit")
    return Money(**minor)


def _floor(document: Document, country: str, form: FloorForm) -> tuple[str, int]:
    """For 30 days, rounded up."""
    if country not in zone_tables().countries:
        raise document.error(["floors", country], "is no country (ISO 3166-1, two letters)")
    a_month = _minor(document, ["floors", country, "a_month"], form.a_month, form.currency)
    return form.currency, -(-a_month * MONTHS_A_YEAR * MONTH_DAYS // DAYS_A_YEAR)


def _minor(document: Document, place: list[int | str], amount: str, currency: str) -> int:
    try:
        minor = to_minor(amount, currency)
    except UnknownCurrencyError:
        raise document.error(place[:2], "is no currency of ISO 4217 in use") from None
    except NotAnAmountError:
        raise document.error(place, "not a plain amount of that currency, such as 12.50") from None
    if minor < 0:
        raise document.error(place, "below zero")
    return minor

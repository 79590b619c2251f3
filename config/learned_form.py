"""The part `learned` of a strategy's file: what a model may weigh, what counts against a contact, who is held out.

In:   values that config/strategy_files.py has parsed.
Out:  `decisions.strategy.Learned`; amounts of the file's one currency become thousandths of a minor unit of each.
Pure: values only.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from config.load import Strict, Whole, decimal
from decisions.money import UnknownCurrencyError, minor_units
from decisions.parts import PARTS
from decisions.strategy import REACHABLE, Cap, Harm, HoldOuts, Learned, Peace, Strategy, Weights

PER_MILLION: Final = 1_000_000
THOUSANDTHS: Final = 1_000
Word = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Named = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")]


Number = Annotated[Decimal, decimal("a number like 0.02"), Field(ge=0)]
Positive = Annotated[Decimal, decimal("a number like 0.02"), Field(gt=0)]
Fraction = Annotated[Decimal, decimal("a number like 0.02"), Field(ge=0, le=1)]


class ContactForm(Strict):
    """What a contact counts for her peace alone, whether or not she complains: shares of what her creditor's median borrower owes."""

    written: Fraction
    spoken: Fraction


class MoneyForm(Strict):
    """Amounts in one currency, and what a unit of it is worth in others: to weigh by, never to charge by."""

    currency: str
    a_complaint_counts: Positive
    temperature: Positive
    costs: Mapping[str, Number]
    worth: Mapping[str, Positive]


class HarmForm(Strict):
    """How often a contact brings a complaint or an opt-out, where no model has learned it."""

    written: Fraction
    spoken: Fraction
    free_contacts: Annotated[Whole, Field(ge=0)]
    growth: Annotated[Decimal, decimal("a number like 0.02"), Field(ge=1, le=10)]


class CapForm(Strict):
    """What a creditor may use in a day."""

    name: Word
    channels: Annotated[tuple[str, ...], Field(min_length=1)]
    contacts_a_day: Annotated[Whole, Field(ge=1)] | None = None
    money_a_day: Positive | None = None

    @model_validator(mode="after")
    def _bounds_one_thing(self) -> Self:
        if (self.contacts_a_day is None) == (self.money_a_day is None):
            raise ValueError("give either contacts_a_day, or money_a_day")
        if unknown := sorted(set(self.channels) - set(REACHABLE)):
            raise ValueError(f"channels: nobody is reached through {unknown}")
        return self


class ChampionForm(Strict):
    """Borrowers who stay on another strategy."""

    share: Fraction
    strategy: Named


class MinimumForm(Strict):
    """Borrowers who are contacted no more than has to be."""

    share: Fraction
    messages: tuple[Word, ...] = ()


class HoldOutsForm(Strict):
    """Who is treated otherwise, to know what the policy is worth."""

    champion: ChampionForm
    minimum: MinimumForm

    @model_validator(mode="after")
    def _leaves_most(self) -> Self:
        if self.champion.share + self.minimum.share > Decimal("0.5"):
            raise ValueError("hold_outs: more than half of all borrowers are held out")
        return self


# Kinds of decisions/learning.KINDS by which a contact can be weighed: they look at what is done, and say what money or harm comes of it.
Paying = Literal["paid_7d", "paid_30d"]
Harming = Literal["harm_7d"]


class LearnedForm(Strict):
    """The part as written."""

    model: Paying
    harm_model: Harming | None = None
    money: MoneyForm
    a_contact_counts: ContactForm
    harm: HarmForm
    caps: tuple[CapForm, ...] = ()
    prices_from_borrowers: Annotated[Whole, Field(ge=1_000, le=50_000)]
    caps_are_filled_to: Annotated[Decimal, decimal("a number like 0.02"), Field(gt=0, le=1)]
    hold_outs: HoldOutsForm | None = None

    @model_validator(mode="after")
    def _weighs_what_it_can(self) -> Self:
        for currency in {self.money.currency, *self.money.worth}:
            try:
                minor_units(currency)
            except UnknownCurrencyError as unknown:
                raise ValueError(f"money: {unknown}") from None
        if missing := sorted(set(REACHABLE) - set(self.money.costs)):
            raise ValueError(f"money: costs says nothing of {missing}")
        if len({cap.name for cap in self.caps}) != len(self.caps):
            raise ValueError("caps: a name is given twice")
        return self


def learned(form: LearnedForm, champion: Strategy | None) -> Learned:
    """The values of a form, with the champion's strategy of the same stage (None where nobody is held out)."""
    money, harm = form.money, form.harm
    worth = {**money.worth, money.currency: Decimal(1)}
    # Of a major unit of the file's currency: thousandths of a minor unit of each.
    unit = {currency: rate * 10 ** minor_units(currency) * THOUSANDTHS for currency, rate in worth.items()}
    return Learned(
        model=form.model,
        harm_model=form.harm_model,
        weights={
            currency: Weights(
                harm=round(money.a_complaint_counts * each),
                temperature=max(1, round(money.temperature * each)),
                costs={channel: round(cost * each) for channel, cost in money.costs.items()},
                unit=round(each),
            )
            for currency, each in unit.items()
        },
        peace=Peace(
            written=round(form.a_contact_counts.written * PER_MILLION),
            spoken=round(form.a_contact_counts.spoken * PER_MILLION),
        ),
        harm=Harm(
            written=round(harm.written * PER_MILLION),
            spoken=round(harm.spoken * PER_MILLION),
            free=harm.free_contacts,
            growth=float(harm.growth),
        ),
        caps=tuple(_cap(cap, unit) for cap in form.caps),
        hold_outs=None if form.hold_outs is None or champion is None else _hold_outs(form.hold_outs, champion),
        sample_max=form.prices_from_borrowers,
        fill=round(form.caps_are_filled_to * 100),
    )


def _cap(cap: CapForm, unit: Mapping[str, Decimal]) -> Cap:
    bound = cap.money_a_day
    money: dict[str, Any] = {} if bound is None else {currency: round(bound * each) for currency, each in unit.items()}
    return Cap(name=cap.name, channels=frozenset(cap.channels), contacts=cap.contacts_a_day, money=money)


def _hold_outs(form: HoldOutsForm, champion: Strategy) -> HoldOuts:
    return HoldOuts(
        champion_parts=round(form.champion.share * PARTS),
        champion=champion,
        minimum_parts=round(form.minimum.share * PARTS),
        minimum_messages=form.minimum.messages,
    )

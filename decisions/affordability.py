"""What somebody can pay without going short: the rule, the road that it leads to, and the choices that fit.

Granting may be automatic, refusing never is: whatever does not fit goes to a person. The rule sees money, days and nothing else of
anybody, so the same circumstances always get the same offer; less to live on never makes a payment larger; and what is paid in
the end is what is open now, to the minor unit, whichever choice is taken.

In:   `Circumstances`: figures for 30 days, what is open, when money comes; the terms of config/affordability.yaml.
Out:  `Offer`: road, choices, reasons made of the rule's own terms.
Pure: no I/O, no clock; whole minor units.
Source: SCIENCE.md E1 to E3; docs/adr/0046.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import islice
from typing import Final, Literal

from decisions.wallet_flows import CYCLES, MONTH_DAYS, WHOLE, Balances, Cycle, Replay, after
from decisions.wallet_flows import replay as replay_of

Road = Literal["extension", "plan", "review", "hardship"]
# A person looks at these.
TO_A_PERSON: Final = frozenset({"review", "hardship"})
EXTENSION: Final = "extension"
PLAN: Final = "plan"
REASONS_MAX: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """What the rule takes as small in one currency, in minor units.

    Attributes:
        aside_min: Always left aside.
        instalment_min: Below it a payment costs more than it brings.
        rounded_to: A payment is a whole multiple of it.
        granted_max: Plans of more are granted by a person.
    """

    aside_min: int
    instalment_min: int
    rounded_to: int
    granted_max: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What operations may change about the rule.

    Attributes:
        window_days: Of a wallet that are looked at.
        covered_days_min: Of fewer nothing is guessed.
        age_days_max: Since its last day; an older one is as good as none.
        sees_percent_min: Of what she says comes in; of less the wallet says nothing of her.
        share_percent: Of what remains that is asked for.
        aside_percent: Of what comes in that is left aside.
        short_days_percent_max: Of replayed days on which a payment may leave less than that.
        extension_days_max: From today to the income of which all is paid at once.
        plan_days_max: From the first payment to the last.
        first_days_min: From today to the first payment.
        first_days_max: As above, where she chooses another day.
        smaller_percents: Of the largest payment that fits: further choices.
        skip_every: Of so many payments, begun, one may be left out.
        income_fall_percent: A fall of more is a reason to look again.
        money: Currency → what is small in it; of another currency nothing is granted by itself.
        floors: Country → (currency, what a household needs at least for 30 days); elsewhere nothing is taken from the wallet alone.
    """

    window_days: int
    covered_days_min: int
    age_days_max: int
    sees_percent_min: int
    share_percent: int
    aside_percent: int
    short_days_percent_max: int
    extension_days_max: int
    plan_days_max: int
    first_days_min: int
    first_days_max: int
    smaller_percents: tuple[int, ...]
    skip_every: int
    income_fall_percent: int
    money: Mapping[str, Money]
    floors: Mapping[str, tuple[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """All that the rule knows of anybody.

    Attributes:
        today: Where she is.
        currency: ISO 4217.
        open_minor: What is to be paid: past due, and not disputed.
        income_minor: For 30 days, in a lean month.
        essential_minor: That cannot wait, never below the floor of her country.
        debts_minor: Other payments that are due, those of this lender among them.
        aside_minor: She wants to keep at least so much; 0 = what the rule leaves aside.
        cycle: How often money comes in.
        next_income_on: When next; after today.
        first_on: Day that she chose for the first payment; None = the day after money comes.
        at_most_minor: She wants no payment above it; None = she has not said.
        has_floor: Whether her country's floor is known; without it a person grants.
        balances: For the replay; None = the wallet says too little of her.
    """

    today: date
    currency: str
    open_minor: int
    income_minor: int
    essential_minor: int
    debts_minor: int
    aside_minor: int
    cycle: Cycle
    next_income_on: date
    first_on: date | None = None
    at_most_minor: int | None = None
    has_floor: bool = True
    balances: Balances | None = None


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment of a choice."""

    due_on: date
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One way to pay that fits.

    Attributes:
        kind: `extension` or `plan`.
        cycle: Between two payments.
        payments: In order; together what is open now.
        skips: So many of them may be left out.
        replay: How it would have gone in the last weeks; None = nobody knows.
    """

    kind: str
    cycle: Cycle
    payments: tuple[Payment, ...]
    skips: int
    replay: Replay | None

    @property
    def total_minor(self) -> int:
        """All that is paid by it."""
        return sum(one.amount_minor for one in self.payments)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """A sentence of the page and what it names: amounts in minor units, and counts.

    Attributes:
        name: Of the sentence.
        amounts: Gap → minor units.
        counts: Gap → a number of weeks or payments.
    """

    name: str
    amounts: Mapping[str, int]
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What the rule says.

    Attributes:
        road: Where it leads.
        aside_minor: That is left aside of 30 days' income.
        left_minor: What then remains of them; below zero = nothing does.
        payable_minor: What is asked for of it at most, in 30 days.
        choices: That fit, the smallest payment first; none where a person looks.
        reasons: Why, `REASONS_MAX` at most.
    """

    road: Road
    aside_minor: int
    left_minor: int
    payable_minor: int
    choices: tuple[Choice, ...]
    reasons: tuple[Reason, ...]


def offer(known: Circumstances, terms: Terms) -> Offer:
    """Apply the rule.

    Args:
        known: All that it sees. What is open is above zero.
        terms: In force.
    """
    small = terms.money.get(known.currency)
    aside = max(known.aside_minor, -(-known.income_minor * terms.aside_percent // WHOLE), small.aside_min if small else 0)
    left = known.income_minor - known.essential_minor - known.debts_minor - aside
    payable = max(0, left) * terms.share_percent // WHOLE
    found = Offer(road="hardship", aside_minor=aside, left_minor=left, payable_minor=payable, choices=(), reasons=())
    if payable == 0:
        return replace(found, reasons=(_income(known), _needs(known, aside), _reason("nothing_left")))
    if small is None or not known.has_floor:
        return replace(found, road="review", reasons=(_income(known), _needs(known, aside), _half(payable), _reason("person_grants")))
    # Of what comes in it does not depend: more of it must not make the last weeks look worse.
    keep = max(known.aside_minor, small.aside_min)
    first_on = first_payment_on(known, terms)
    whole = max(0, left) * CYCLES[known.cycle] // MONTH_DAYS
    largest = _rounded(payable * CYCLES[known.cycle] // MONTH_DAYS, small)
    if known.at_most_minor is not None:
        whole, largest = min(whole, known.at_most_minor), min(largest, _rounded(known.at_most_minor, small))
    extension = _extension(known, terms, whole, first_on, keep)
    plans = tuple(_plans(known, terms, small, largest, first_on, keep, at_once=extension is None))
    choices = ((extension,) if extension is not None else ()) + plans
    if not choices or known.open_minor > small.granted_max:
        reason = "person_grants" if choices else "too_long" if _is_too_little(known, terms, small, largest) else "would_run_short"
        return replace(found, road="review", reasons=(_income(known), _needs(known, aside), _half(payable), _reason(reason)))
    best = plans[-1] if plans else choices[0]
    reasons = [_income(known), _needs(known, aside), _half(payable)]
    if best.payments[0].amount_minor < min(largest, known.open_minor) and extension is None:
        reasons.append(_reason("smaller_is_safer"))
    elif best.replay is not None and best.replay.weeks:
        reasons.append(weeks_that_went_well(best.replay, keep))
    return replace(found, road="extension" if extension is not None else "plan", choices=choices, reasons=tuple(reasons[:REASONS_MAX]))


def first_payment_on(known: Circumstances, terms: Terms) -> date:
    """The day after money comes in, or the one that she chose; never so soon that nobody could be told before."""
    soonest = known.today + timedelta(days=terms.first_days_min)
    usual = next(day for day in after(known.next_income_on + timedelta(days=1), known.cycle) if day >= soonest)
    if known.first_on is None:
        return usual
    return min(max(known.first_on, soonest), known.today + timedelta(days=terms.first_days_max))


def weeks_that_went_well(replay: Replay, keep_minor: int) -> Reason:
    """The best sentence there is: in so many of the last weeks the payment would have left enough."""
    return _reason("weeks_went_well", {"amount": keep_minor}, {"weeks": replay.good_weeks, "of": replay.weeks})


def income_has_fallen(then_minor: int, now_minor: int, terms: Terms) -> bool:
    """Whether so much less comes in that a plan made before is looked at again."""
    return (then_minor - now_minor) * WHOLE > then_minor * terms.income_fall_percent


def skips_of(payments: int, terms: Terms) -> int:
    """So many payments of a plan may be left out."""
    return -(-payments // terms.skip_every) if payments > 1 else 0


def _extension(known: Circumstances, terms: Terms, whole: int, first_on: date, keep: int) -> Choice | None:
    """All at once from the next income, where that leaves all that is needed."""
    soon = (first_on - known.today).days <= terms.extension_days_max + 1
    if not soon or whole < known.open_minor:
        return None
    return _choice(known, terms, known.open_minor, first_on, keep, kind=EXTENSION)


def _plans(known: Circumstances, terms: Terms, small: Money, largest: int, first_on: date, keep: int, *, at_once: bool) -> Iterator[Choice]:
    """The largest payment that fits and would have gone well, and smaller ones; the smallest first, none twice.

    Of one payment alone only where all `at_once` is no choice of its own already.
    """
    fits = _largest_that_went_well(known, terms, small, min(largest, _rounded_up(known.open_minor, small)), first_on, keep)
    found: dict[int, Choice] = {}
    for percent in sorted({*terms.smaller_percents, WHOLE}):
        amount = _rounded(fits * percent // WHOLE, small)
        if _is_too_little(known, terms, small, amount):
            continue
        choice = _choice(known, terms, amount, first_on, keep, kind=PLAN)
        if choice is not None and (at_once or len(choice.payments) > 1):
            found[len(choice.payments)] = choice
    yield from found.values()


def _choice(known: Circumstances, terms: Terms, amount: int, first_on: date, keep: int, *, kind: str) -> Choice | None:
    """A choice; None where such a payment would have left too little too often."""
    replay = _replay(known, amount, first_on, keep)
    if replay is not None and not _went_well(replay, terms):
        return None
    number = -(-known.open_minor // amount)
    days = list(islice(after(first_on, known.cycle), number))
    payments = tuple(Payment(day, min(amount, known.open_minor - place * amount)) for place, day in enumerate(days))
    return Choice(kind=kind, cycle=known.cycle, payments=payments, skips=skips_of(number, terms), replay=replay)


def _largest_that_went_well(known: Circumstances, terms: Terms, small: Money, amount: int, first_on: date, keep: int) -> int:
    """At most that amount, and so much that the last weeks would have borne it: a larger payment never leaves more."""
    lowest, steps = 0, amount // small.rounded_to
    while lowest < steps:
        middle = (lowest + steps + 1) // 2
        replay = _replay(known, middle * small.rounded_to, first_on, keep)
        if replay is None or _went_well(replay, terms):
            lowest = middle
        else:
            steps = middle - 1
    return lowest * small.rounded_to


def _replay(known: Circumstances, amount: int, first_on: date, keep: int) -> Replay | None:
    return None if known.balances is None else replay_of(known.balances, amount, first_on, known.cycle, keep_minor=keep)


def _went_well(replay: Replay, terms: Terms) -> bool:
    return replay.short_days * WHOLE <= replay.days * terms.short_days_percent_max


def _is_too_little(known: Circumstances, terms: Terms, small: Money, amount: int) -> bool:
    """Whether a payment costs more than it brings, or takes too long."""
    return amount < min(max(small.instalment_min, 1), known.open_minor) or _days(known, amount) > terms.plan_days_max


def _days(known: Circumstances, amount: int) -> int:
    """Of a plan, counted in cycles as if there was one before the first payment."""
    return -(-known.open_minor // amount) * CYCLES[known.cycle]


def _rounded(amount: int, small: Money) -> int:
    return amount // small.rounded_to * small.rounded_to


def _rounded_up(amount: int, small: Money) -> int:
    return -(-amount // small.rounded_to) * small.rounded_to


def _reason(name: str, amounts: Mapping[str, int] | None = None, counts: Mapping[str, int] | None = None) -> Reason:
    return Reason(name=name, amounts=amounts or {}, counts=counts or {})


def _income(known: Circumstances) -> Reason:
    return _reason("income", {"amount": known.income_minor})


def _needs(known: Circumstances, aside: int) -> Reason:
    return _reason("needs", {"essential": known.essential_minor, "debts": known.debts_minor, "aside": aside})


def _half(payable: int) -> Reason:
    return _reason("half", {"amount": payable})

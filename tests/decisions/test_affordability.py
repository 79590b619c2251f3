"""What somebody can pay: the worked example, roads, choices; and what must hold of any circumstances."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.affordability import affordability_terms
from decisions.affordability import TO_A_PERSON, Circumstances, Offer, Road, income_has_fallen, offer, skips_of
from decisions.wallet_flows import CYCLES, Balances, Flow, Window, seen
from tests.plugins.portfolio import TODAY

TERMS = affordability_terms()
WORKED = Circumstances(
    today=TODAY,
    currency="USD",
    open_minor=13_000,
    income_minor=42_000,
    essential_minor=26_500,
    debts_minor=3_000,
    aside_minor=0,
    cycle="fortnightly",
    next_income_on=TODAY + timedelta(days=9),
)
amounts = st.integers(0, 400_000)


def circumstances() -> st.SearchStrategy[Circumstances]:
    """Any, with and without ninety days of balances."""
    days = 90
    ledger = st.lists(st.integers(-5_000, 80_000), min_size=days, max_size=days)
    balances = st.one_of(
        st.none(),
        st.builds(
            lambda minor, waits: Balances(since=TODAY - timedelta(days=days), minor=tuple(minor), can_wait_minor=tuple(waits)),
            ledger,
            st.lists(st.integers(0, 3_000), min_size=days, max_size=days),
        ),
    )
    return st.builds(
        Circumstances,
        today=st.just(TODAY),
        currency=st.sampled_from(["USD", "MXN", "JPY", "TND"]),
        open_minor=st.integers(1, 300_000),
        income_minor=amounts,
        essential_minor=amounts,
        debts_minor=st.integers(0, 50_000),
        aside_minor=st.integers(0, 20_000),
        cycle=st.sampled_from(sorted(CYCLES)),
        next_income_on=st.integers(1, 31).map(lambda days: TODAY + timedelta(days=days)),
        balances=balances,
    )


def largest(found: Offer) -> int:
    """Of a plan; 0 where there is none."""
    return max((choice.payments[0].amount_minor for choice in found.choices if choice.kind == "plan"), default=0)


def test_the_worked_example_is_six_payments_of_24_in_84_days_the_last_of_10() -> None:
    found = offer(WORKED, TERMS)
    assert (found.left_minor, found.aside_minor, found.payable_minor) == (10_400, 2_100, 5_200)
    plan = found.choices[-1]
    assert [one.amount_minor for one in plan.payments] == [2_400] * 5 + [1_000]
    assert plan.payments[0].due_on == WORKED.next_income_on + timedelta(days=1)
    assert len(plan.payments) * 14 == 84
    assert (found.road, plan.total_minor, plan.skips) == ("plan", WORKED.open_minor, 1)
    assert [(one.name, dict(one.amounts)) for one in found.reasons] == [
        ("income", {"amount": 42_000}),
        ("needs", {"essential": 26_500, "debts": 3_000, "aside": 2_100}),
        ("half", {"amount": 5_200}),
    ]


@pytest.mark.parametrize(
    ("change", "road", "reason"),
    [
        ({"income_minor": 26_000}, "hardship", "nothing_left"),
        ({"open_minor": 90_000}, "review", "too_long"),
        ({"currency": "TND"}, "review", "person_grants"),
        ({"open_minor": 4_800}, "extension", "half"),
        # What is left of two weeks would pay it, but they end too late.
        ({"open_minor": 4_800, "next_income_on": TODAY + timedelta(days=15)}, "plan", "half"),
        ({"open_minor": 4_900}, "plan", "half"),
    ],
)
def test_each_road_is_taken_for_its_reason(change: dict[str, object], road: str, reason: str) -> None:
    found = offer(replace(WORKED, **change), TERMS)  # type: ignore[arg-type]  # fields by name
    assert (found.road, found.reasons[-1].name) == (road, reason)
    assert (not found.choices) == (road in TO_A_PERSON)


def test_a_plan_that_would_have_left_too_little_gives_way_to_a_smaller_one_or_to_a_person() -> None:
    """Always 40 above what is to stay, and nothing spent that can wait: not two payments of 24, but four of 10 in the last weeks."""
    days = 56
    flat = Balances(since=TODAY - timedelta(days=days), minor=(2_100 + 4_000,) * days, can_wait_minor=(0,) * days)
    found = offer(replace(WORKED, balances=flat, open_minor=5_500), TERMS)
    assert largest(found) == 1_000
    assert found.reasons[-1].name == "smaller_is_safer"
    poor = replace(flat, minor=(2_000,) * days)
    assert offer(replace(WORKED, balances=poor), TERMS).reasons[-1].name == "would_run_short"
    waits = replace(flat, can_wait_minor=(200,) * days)
    easy = offer(replace(WORKED, balances=waits), TERMS)
    assert largest(easy) == 2_400
    assert (easy.reasons[-1].name, dict(easy.reasons[-1].counts)) == ("weeks_went_well", {"weeks": 8, "of": 8})


@given(circumstances(), st.integers(0, 100_000))
def test_less_income_never_makes_a_payment_larger(known: Circumstances, less: int) -> None:
    poorer = replace(known, income_minor=max(0, known.income_minor - less))
    before, now = (
        max((one.amount_minor for choice in offer(who, TERMS).choices for one in choice.payments), default=0) for who in (known, poorer)
    )
    assert now <= before
    assert offer(poorer, TERMS).payable_minor <= offer(known, TERMS).payable_minor


@given(circumstances())
def test_what_is_paid_is_what_is_open_within_the_limits_and_never_what_she_needs(known: Circumstances) -> None:
    found = offer(known, TERMS)
    assert found == offer(known, TERMS)
    assert (not found.choices) == (found.road in TO_A_PERSON)
    assert 1 <= len(found.reasons) <= 4
    small = TERMS.money.get(known.currency)
    for choice in found.choices:
        assert small is not None
        assert choice.total_minor == known.open_minor <= small.granted_max
        assert all(one.amount_minor > 0 for one in choice.payments)
        days = [one.due_on for one in choice.payments]
        assert days == sorted(set(days))
        assert days[0] >= known.today + timedelta(days=TERMS.first_days_min)
        assert (days[-1] - days[0]).days <= TERMS.plan_days_max
        share = found.payable_minor if choice.kind == "plan" else found.left_minor
        assert choice.payments[0].amount_minor * 30 <= share * CYCLES[choice.cycle]
        assert choice.replay is None or choice.replay.short_days * 100 <= choice.replay.days * TERMS.short_days_percent_max
    numbers = [len(choice.payments) for choice in found.choices if choice.kind == "plan"]
    assert numbers == sorted(numbers, reverse=True)
    assert len(set(numbers)) == len(numbers) <= 3


@given(circumstances())
def test_refusing_is_never_automatic(known: Circumstances) -> None:
    """Whoever is offered nothing that fits meets a person: no road ends with a machine's no."""
    said = offer(known, TERMS)
    assert said.choices or said.road in TO_A_PERSON
    assert set(get_args(Road)) - TO_A_PERSON == {"extension", "plan"}


def test_the_rule_sees_money_and_days_alone() -> None:
    """A field that a model or a look at a person could fill would be one more than these."""
    money = {
        "currency",
        "open_minor",
        "income_minor",
        "essential_minor",
        "debts_minor",
        "aside_minor",
        "at_most_minor",
        "has_floor",
        "balances",
    }
    days = {"today", "cycle", "next_income_on", "first_on"}
    assert {one.name for one in fields(Circumstances)} == money | days


@pytest.mark.parametrize(("chosen", "first"), [(1, TERMS.first_days_min), (20, 20), (400, TERMS.first_days_max)])
def test_another_day_is_hers_to_choose_within_limits(chosen: int, first: int) -> None:
    found = offer(replace(WORKED, first_on=TODAY + timedelta(days=chosen)), TERMS)
    assert {choice.payments[0].due_on for choice in found.choices} == {TODAY + timedelta(days=first)}


@pytest.mark.parametrize(("payments", "skips"), [(1, 0), (2, 1), (6, 1), (7, 2), (12, 2)])
def test_one_of_six_payments_may_be_left_out(payments: int, skips: int) -> None:
    assert skips_of(payments, TERMS) == skips


def test_a_fall_of_more_than_a_quarter_is_looked_at_again() -> None:
    assert not income_has_fallen(40_000, 30_000, TERMS)
    assert income_has_fallen(40_000, 29_999, TERMS)


# --- what a wallet shows -----------------------------------------------------------------------------------------------


def paid_every(days: int, amount: int, *, of: int = 90, kind: str = "salary") -> list[Flow]:
    return [Flow(TODAY - timedelta(days=back), kind, amount) for back in range(1, of + 1) if (back - 1) % days == 0]


def window(flows: list[Flow], days: int = 90) -> Window:
    return Window(since=TODAY - timedelta(days=days), until=TODAY - timedelta(days=1), flows=tuple(flows))


def test_the_lean_month_speaks_and_a_fall_is_caught_at_once() -> None:
    flows = [*paid_every(14, 20_000), *paid_every(7, 6_000, kind="essential"), *paid_every(30, 3_000, kind="debt")]
    found = seen(window([*flows, Flow(TODAY - timedelta(days=40), "loan_payout", 900_000)]), today=TODAY, days_min=60)
    assert found is not None
    assert (found.income_minor, found.essential_minor, found.debts_minor) == (40_000, 24_000, 3_000)
    assert (found.cycle, found.next_income_on) == ("fortnightly", TODAY + timedelta(days=13))
    fallen = [one for one in flows if one.kind != "salary" or one.on < TODAY - timedelta(days=20)]
    less = seen(window(fallen), today=TODAY, days_min=60)
    assert less is not None
    assert less.income_minor == 20_000


@pytest.mark.parametrize(("gap", "cycle"), [(1, "weekly"), (7, "weekly"), (14, "fortnightly"), (30, "monthly")])
def test_a_rhythm_is_the_one_of_the_days_that_bring_most(gap: int, cycle: str) -> None:
    found = seen(window([*paid_every(gap, 10_000), *paid_every(1, 500, kind="sales")]), today=TODAY, days_min=60)
    assert found is not None
    assert found.cycle == cycle
    assert TODAY < found.next_income_on <= TODAY + timedelta(days=31)


def test_of_too_few_days_or_without_income_nothing_is_guessed() -> None:
    assert seen(window(paid_every(7, 10_000), days=59), today=TODAY, days_min=60) is None
    assert seen(window(paid_every(7, 10_000, kind="refund")), today=TODAY, days_min=60) is None


def test_balances_of_every_day_follow_from_one_that_was_told() -> None:
    flows = [Flow(TODAY - timedelta(days=2), "salary", 700), Flow(TODAY - timedelta(days=1), "other", 200)]
    for told, minor in ((1, 600), (2, 800), (3, 100)):
        found = seen(
            window([*paid_every(7, 10_000), *flows, Flow(TODAY - timedelta(days=told), "balance", minor)]), today=TODAY, days_min=60
        )
        assert found is not None
        assert found.balances is not None
        assert found.balances.can_wait_minor[-1] == 200
        # The weekly 10,000 of the day before today comes on top.
        assert found.balances.minor[-3:] == ((100, 800, 10_600) if told != 1 else (-9_900, -9_200, 600))


def test_months_keep_their_day_and_end_where_they_end() -> None:
    known = replace(WORKED, cycle="monthly", today=date(2026, 1, 20), next_income_on=date(2026, 1, 30), open_minor=30_000)
    assert [one.due_on for one in offer(known, TERMS).choices[-1].payments][:3] == [date(2026, 1, 31), date(2026, 2, 28), date(2026, 3, 31)]

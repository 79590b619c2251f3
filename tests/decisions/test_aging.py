"""Ageing against a slow second opinion that counts day by day and pays coin by coin, and the promises that always hold."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.aging import aging_policy
from decisions.aging import COMPONENTS, AgingPolicy, Scheme, age, turning, unpaid_instalments
from decisions.aging_few import Known, age_one

POLICY = aging_policy()
START = date(2026, 1, 1)
AS_OF = START + timedelta(days=100)
FIRST_DAYS = {"standard": {"M1": 1, "M2": 31, "M3": 61, "M4+": 91}, "nano": {"B1": 1, "B4": 4, "B8": 8, "B16": 16, "B31": 31, "B61": 61}}
STAGES = {"early": 1, "mid": 31, "late": 61, "recovery": 91}


@dataclass(frozen=True)
class Loan:
    """One loan as plain values: amounts in the order of COMPONENTS, dates as they are."""

    instalments: list[tuple[date, tuple[int, int, int, int]]]
    payments: list[tuple[date, int]] = field(default_factory=list)
    pauses: list[tuple[date, date]] = field(default_factory=list)
    grace_days: int = 0
    status: str = "active"
    scheme: str = "standard"
    order: tuple[str, ...] = COMPONENTS
    plan: tuple[date, list[tuple[date, int]]] | None = None
    as_of: date = AS_OF


# Frames of plain loans: loan i has loan_id i.


def loan_frame(loans: list[Loan]) -> pl.DataFrame:
    return pl.DataFrame(
        [(i, loan.status, loan.as_of, loan.grace_days, loan.scheme, list(loan.order)) for i, loan in enumerate(loans)],
        schema={
            "loan_id": pl.Int64,
            "status": pl.String,
            "as_of": pl.Date,
            "grace_days": pl.Int32,
            "bucket_scheme": pl.String,
            "allocation_order": pl.List(pl.String),
        },
        orient="row",
    )


def instalment_frame(loans: list[Loan]) -> pl.DataFrame:
    schema = {"loan_id": pl.Int64, "due_on": pl.Date} | {f"{part}_minor": pl.Int64 for part in COMPONENTS}
    return pl.DataFrame([(i, due, *parts) for i, loan in enumerate(loans) for due, parts in loan.instalments], schema=schema, orient="row")


def payment_frame(loans: list[Loan]) -> pl.DataFrame:
    schema = {"loan_id": pl.Int64, "paid_on": pl.Date, "amount_minor": pl.Int64}
    return pl.DataFrame([(i, *payment) for i, loan in enumerate(loans) for payment in loan.payments], schema=schema, orient="row")


def pause_frame(loans: list[Loan]) -> pl.DataFrame:
    schema = {"loan_id": pl.Int64, "from_on": pl.Date, "to_on": pl.Date}
    return pl.DataFrame([(i, *pause) for i, loan in enumerate(loans) for pause in loan.pauses], schema=schema, orient="row")


def plan_frame(loans: list[Loan]) -> pl.DataFrame:
    schema = {"loan_id": pl.Int64, "agreed_on": pl.Date, "due_on": pl.Date, "amount_minor": pl.Int64}
    rows = [(i, loan.plan[0], *part) for i, loan in enumerate(loans) if loan.plan for part in loan.plan[1]]
    return pl.DataFrame(rows, schema=schema, orient="row")


def aged(*loans: Loan) -> list[dict[str, object]]:
    batch = list(loans)
    frames = (frame(batch) for frame in (loan_frame, instalment_frame, payment_frame, pause_frame, plan_frame))
    return age(*frames, policy=POLICY).to_dicts()


def listed(loan: Loan) -> pl.DataFrame:
    return unpaid_instalments(*(frame([loan]) for frame in (loan_frame, instalment_frame, payment_frame, pause_frame)), policy=POLICY)


def known(loan: Loan) -> Known:
    return Known(
        status=loan.status,
        grace_days=loan.grace_days,
        bucket_scheme=loan.scheme,
        instalments=[(due, sum(parts)) for due, parts in loan.instalments],
        payments=loan.payments,
        pauses=loan.pauses,
        plan=loan.plan,
    )


# The second opinion: a till that takes payments in the order of their days, and gives back from the top of the pile.


def happened(loan: Loan) -> list[tuple[date, int]]:
    known = [payment for payment in loan.payments if payment[0] <= loan.as_of]
    return sorted(known, key=lambda payment: (payment[0], payment[1] < 0))


def still_owed(loan: Loan) -> tuple[dict[tuple[int, str], int], int]:
    """What is open of each (instalment, component), and the credit."""
    owed = {
        (at, part): loan.instalments[at][1][COMPONENTS.index(part)]
        for at in sorted(range(len(loan.instalments)), key=lambda at: loan.instalments[at][0])
        for part in loan.order
    }
    pile: list[tuple[tuple[int, str] | None, int]] = []
    for _, amount in happened(loan):
        left = abs(amount)
        for slot in [*owed, None] if amount > 0 else []:
            taken = left if slot is None else min(left, owed[slot])
            if taken:
                pile.append((slot, taken))
                left -= taken
                if slot is not None:
                    owed[slot] -= taken
        while amount < 0 and left and pile:
            slot, taken = pile.pop()
            back = min(left, taken)
            left -= back
            if slot is not None:
                owed[slot] += back
            if taken > back:
                pile.append((slot, taken - back))
    return owed, sum(taken for slot, taken in pile if slot is None)


def unpaused_days(loan: Loan, due_on: date) -> int:
    days = (due_on + timedelta(days=i) for i in range((loan.as_of - due_on).days))
    return sum(not any(start <= day < end for start, end in loan.pauses) for day in days)


def last_reached(first_days: dict[str, int], days: int, otherwise: str | None) -> str | None:
    return max(((first, name) for name, first in first_days.items() if days >= first), default=(0, otherwise))[1]


def plan_days(loan: Loan) -> int | None:
    if loan.plan is None or loan.plan[0] > loan.as_of or loan.status not in {"active", "written_off"}:
        return None
    pile: list[tuple[bool, int]] = []
    for paid_on, amount in happened(loan):
        pile += [(paid_on >= loan.plan[0], 1)] * amount
        del pile[len(pile) + min(amount, 0) :]
    left = sum(coin for towards_plan, coin in pile if towards_plan)
    for due_on, amount in sorted(loan.plan[1], key=lambda part: part[0]):
        if amount > left:
            return max(0, (loan.as_of - due_on).days)
        left -= amount
    return 0


def second_opinion(at: int, loan: Loan) -> dict[str, object]:
    owed, credit = still_owed(loan)
    if loan.status not in {"active", "written_off"}:
        owed = {}
    unpaid = [(loan.instalments[i][0], minor) for (i, _), minor in owed.items() if minor]
    late = [(due, minor) for due, minor in unpaid if due < loan.as_of]
    oldest = min((due for due, _ in late), default=None)
    upcoming = min((due for due, _ in unpaid if due >= loan.as_of), default=None)
    delinquent = max(0, unpaused_days(loan, oldest) - loan.grace_days) if oldest else 0
    soon = oldest is None and upcoming is not None and (upcoming - loan.as_of).days <= 3
    stage = last_reached(STAGES, delinquent, "pre_due" if soon else None)
    in_plan = plan_days(loan)
    return {
        "loan_id": at,
        "as_of": loan.as_of,
        "days_past_due": (loan.as_of - oldest).days if oldest else 0,
        "delinquent_days": delinquent,
        "past_due_minor": sum(minor for _, minor in late),
        "outstanding_minor": sum(minor for _, minor in unpaid),
        "credit_minor": credit,
        "oldest_unpaid_due_on": oldest,
        "next_due_on": upcoming,
        "bucket": last_reached(FIRST_DAYS[loan.scheme], delinquent, "current"),
        "stage": stage,
        "plan_days_past_due": in_plan,
        "treatment": stage if in_plan is None else "in_plan",
    }


# Mostly within two weeks, so that dates meet, touch and overlap; sometimes far enough apart for every bucket.
days = st.one_of(st.integers(0, 6), st.integers(0, 14), st.integers(0, 120)).map(lambda days: START + timedelta(days=days))
amounts = st.integers(0, 40)


@st.composite
def payment_lists(draw: st.DrawFn) -> list[tuple[date, int]]:
    """Payments in any order, some of them returned in part or whole on the same or a later day."""
    made = draw(st.lists(st.tuples(days, st.integers(0, 120)), max_size=5))
    returned = [
        (paid_on + timedelta(days=draw(st.integers(0, 8))), -draw(st.integers(0, amount)))
        for paid_on, amount in made
        if draw(st.booleans())
    ]
    return draw(st.permutations(made + returned))


@st.composite
def loans(draw: st.DrawFn) -> Loan:
    plan = st.tuples(days, st.lists(st.tuples(days, amounts), min_size=1, max_size=3))
    return Loan(
        instalments=draw(st.lists(st.tuples(days, st.tuples(amounts, amounts, amounts, amounts)), max_size=4)),
        payments=draw(payment_lists()),
        pauses=[(min(pair), max(pair)) for pair in draw(st.lists(st.tuples(days, days), max_size=4))],
        grace_days=draw(st.integers(0, 10)),
        status=draw(st.sampled_from([*["active"] * 7, "written_off", "closed", "submitted", "overpaid"])),
        scheme=draw(st.sampled_from(sorted(FIRST_DAYS))),
        order=tuple(draw(st.permutations(COMPONENTS))),
        plan=draw(st.one_of(plan, plan, st.none())),
        as_of=draw(days),
    )


@settings(max_examples=200)
@given(st.lists(loans(), min_size=1, max_size=10))
def test_the_columns_agree_with_a_till_that_counts_day_by_day(batch: list[Loan]) -> None:
    assert aged(*batch) == [second_opinion(at, loan) for at, loan in enumerate(batch)]


@settings(max_examples=60)
@given(st.lists(loans(), min_size=5, max_size=15))
def test_one_loan_in_plain_values_is_aged_as_in_columns(batch: list[Loan]) -> None:
    few = [asdict(age_one(known(loan), policy=POLICY, as_of=loan.as_of)) for loan in batch]
    unpaid = [one.pop("unpaid_minor") for one in few]
    assert [{"loan_id": at, "as_of": batch[at].as_of} | one for at, one in enumerate(few)] == aged(*batch)
    frames = (frame(batch) for frame in (loan_frame, instalment_frame, payment_frame, pause_frame))
    assert unpaid_instalments(*frames, policy=POLICY).select("loan_id", "due_on", "unpaid_minor").rows() == [
        (at, due_on, minor)
        for at, loan in enumerate(batch)
        for (due_on, _), minor in sorted(zip(loan.instalments, unpaid[at], strict=True), key=lambda one: one[0][0])
        if minor
    ]


@given(st.lists(st.lists(st.tuples(days, days), max_size=6), min_size=1, max_size=4))
def test_paused_days_that_touch_or_overlap_count_once(pauses: list[list[tuple[date, date]]]) -> None:
    late = [
        Loan(
            instalments=[(START + timedelta(days=2), (0, 0, 0, 5))],
            pauses=[(min(pair), max(pair)) for pair in pairs],
            as_of=START + timedelta(days=18),
        )
        for pairs in pauses
    ]
    assert [answer["delinquent_days"] for answer in aged(*late)] == [unpaused_days(loan, START + timedelta(days=2)) for loan in late]


@given(payments=payment_lists(), agreed_on=days)
def test_a_plan_is_paid_by_what_came_since_it_was_agreed_and_did_not_go_back(payments: list[tuple[date, int]], agreed_on: date) -> None:
    plan = (agreed_on, [(START + timedelta(days=at), 25) for at in range(3, 13)])
    loan = Loan(instalments=[(START, (0, 0, 0, 900))], payments=payments, plan=plan)
    assert aged(loan)[0]["plan_days_past_due"] == plan_days(loan)
    assert age_one(known(loan), policy=POLICY, as_of=loan.as_of).plan_days_past_due == plan_days(loan)


@given(loans())
def test_each_unpaid_component_agrees_with_the_till(loan: Loan) -> None:
    owed, _ = still_owed(loan) if loan.status in {"active", "written_off"} else ({}, 0)
    by_row = [(due, {part: owed.get((at, part), 0) for part in COMPONENTS}) for at, (due, _) in enumerate(loan.instalments)]
    wanted = [
        (due, sum(parts.values()), *(parts[part] for part in COMPONENTS), max(0, (loan.as_of - due).days), unpaused_days(loan, due))
        for due, parts in sorted(by_row, key=lambda row: row[0])
        if any(parts.values())
    ]
    parts = [f"unpaid_{part}_minor" for part in COMPONENTS]
    assert listed(loan).select("due_on", "unpaid_minor", *parts, "days_past_due", "delinquent_days").rows() == wanted


@given(loans(), st.tuples(days, st.integers(0, 200)))
def test_no_payment_ever_makes_a_loan_later(loan: Loan, payment: tuple[date, int]) -> None:
    before, after = aged(loan, replace(loan, payments=[*loan.payments, payment]))
    for how_late in ("days_past_due", "delinquent_days", "past_due_minor", "outstanding_minor"):
        assert after[how_late] <= before[how_late]  # type: ignore[operator]  # both are integers
    assert (after["plan_days_past_due"] or 0) <= (before["plan_days_past_due"] or 0)  # type: ignore[operator]  # likewise


@given(loans(), st.integers(0, 40))
def test_more_grace_never_makes_a_loan_later(loan: Loan, more: int) -> None:
    before, after = aged(loan, replace(loan, grace_days=loan.grace_days + more))
    assert after["delinquent_days"] <= before["delinquent_days"]  # type: ignore[operator]  # both are integers


@given(loans(), st.tuples(days, days))
def test_another_pause_never_makes_a_loan_later(loan: Loan, pause: tuple[date, date]) -> None:
    before, after = aged(loan, replace(loan, pauses=[*loan.pauses, (min(pause), max(pause))]))
    assert after["delinquent_days"] <= before["delinquent_days"]  # type: ignore[operator]  # both are integers
    assert after["days_past_due"] == before["days_past_due"]


@given(loans(), days, st.integers(0, 100), st.integers(0, 100))
def test_splitting_a_payment_changes_nothing(loan: Loan, paid_on: date, one: int, other: int) -> None:
    whole = replace(loan, payments=[*loan.payments, (paid_on, one + other)])
    split = replace(loan, payments=[(paid_on, other), *loan.payments, (paid_on, one)])
    in_one, in_two = aged(whole, split)
    assert in_one | {"loan_id": None} == in_two | {"loan_id": None}


@given(loans(), st.integers(1, 200))
def test_a_last_payment_that_is_returned_is_as_if_never_paid(loan: Loan, amount: int) -> None:
    last_day = max((paid_on for paid_on, _ in loan.payments), default=loan.as_of)
    without, returned = aged(loan, replace(loan, payments=[*loan.payments, (last_day, amount), (last_day, -amount)]))
    assert without | {"loan_id": None} == returned | {"loan_id": None}


@given(loans())
def test_every_coin_is_owed_or_paid_or_credited(loan: Loan) -> None:
    (answer,) = aged(replace(loan, status="active"))
    due = sum(sum(parts) for _, parts in loan.instalments)
    assert answer["outstanding_minor"] - answer["credit_minor"] == due - sum(amount for _, amount in happened(loan))  # type: ignore[operator]  # integers


@given(loans())
def test_the_order_of_rows_means_nothing(loan: Loan) -> None:
    turned = replace(loan, instalments=loan.instalments[::-1], payments=loan.payments[::-1], pauses=loan.pauses[::-1])
    one, other = aged(loan, turned)
    assert one | {"loan_id": None} == other | {"loan_id": None}


def test_a_payment_recorded_late_re_ages_the_days_before() -> None:
    loan = Loan(instalments=[(START, (0, 0, 0, 50))], as_of=START + timedelta(days=10))
    backdated = replace(loan, payments=[(START, 50)])
    assert [answer["days_past_due"] for answer in aged(loan, backdated)] == [10, 0]


@given(loans())
def test_ageing_needs_no_more_of_an_instalment_than_its_sum(loan: Loan) -> None:
    instalments = instalment_frame([loan])
    sums = instalments.select("loan_id", "due_on", amount_minor=pl.sum_horizontal(f"{part}_minor" for part in COMPONENTS))
    loan_rows, *others = (frame([loan]) for frame in (loan_frame, payment_frame, pause_frame, plan_frame))
    assert age(loan_rows, sums, *others, policy=POLICY).equals(age(loan_rows, instalments, *others, policy=POLICY))


@pytest.mark.parametrize("days", range(8))
def test_late_loans_that_do_not_turn_keep_bucket_and_stage(days: int) -> None:
    late = [
        Loan([(AS_OF - timedelta(days=days_late), (0, 0, 0, 1))], grace_days=grace_days, scheme=scheme)
        for days_late in range(1, 131)
        for grace_days in (0, 5)
        for scheme in POLICY.schemes
    ]
    turned = set(turning(POLICY, days=days))
    for now, later in zip(aged(*late), aged(*(replace(loan, as_of=AS_OF + timedelta(days=days)) for loan in late)), strict=True):
        if (now["bucket"], now["delinquent_days"]) not in turned:
            assert (now["bucket"], now["stage"]) == (later["bucket"], later["stage"])
            assert now["delinquent_days"] == later["delinquent_days"] - days  # type: ignore[operator]  # a number


def test_turning_are_the_last_days_of_each_bucket_and_stage_and_grace() -> None:
    assert turning(POLICY, days=0) == [("current", 0)]
    assert turning(POLICY, days=1) == [
        ("current", 0), ("B1", 3), ("B4", 7), ("B8", 15), ("B16", 30), ("M1", 30), ("B31", 60), ("M2", 60), ("B61", 90), ("M3", 90),
    ]  # fmt: skip


def test_one_date_for_all_and_a_date_for_each_say_the_same() -> None:
    batch = [Loan(instalments=[(START, (1, 2, 3, 4))], payments=[(START, 5)])]
    frames = [frame(batch) for frame in (instalment_frame, payment_frame, pause_frame)]
    by_column = age(loan_frame(batch), *frames, policy=POLICY)
    assert age(loan_frame(batch).drop("as_of"), *frames, policy=POLICY, as_of=AS_OF).equals(by_column)


def test_a_loan_that_names_nothing_takes_the_defaults_of_the_policy() -> None:
    loan = pl.DataFrame({"loan_id": [7], "status": ["active"]})
    instalments = instalment_frame([Loan(instalments=[(START, (10, 10, 10, 10))])]).with_columns(loan_id=pl.lit(7, pl.Int64))
    payments = payment_frame([]).vstack(
        pl.DataFrame({"loan_id": [7], "paid_on": [START], "amount_minor": [25]}, schema=payment_frame([]).schema)
    )
    answer = age(loan, instalments, payments, policy=POLICY, as_of=AS_OF)
    rows = unpaid_instalments(loan, instalments, payments, policy=POLICY, as_of=AS_OF)
    assert answer.select("delinquent_days", "bucket", "stage").row(0) == (100, "M4+", "recovery")
    assert rows.select(f"unpaid_{part}_minor" for part in ("penalty", "fee", "interest", "principal")).row(0) == (0, 0, 5, 10)


def test_no_loans_give_no_rows_of_the_same_form() -> None:
    none, one = (
        age(*(frame(batch) for frame in (loan_frame, instalment_frame, payment_frame)), policy=POLICY)
        for batch in ([], [Loan(instalments=[])])
    )
    assert none.height == 0
    assert none.schema == one.schema


def test_rows_of_other_loans_are_ignored() -> None:
    shard, other = Loan(instalments=[(START, (0, 0, 0, 5))]), Loan(instalments=[(START, (0, 0, 0, 9))], payments=[(START, 3)])
    frames = [frame([shard, other]) for frame in (instalment_frame, payment_frame, pause_frame)]
    assert age(loan_frame([shard]), *frames, policy=POLICY)["outstanding_minor"].to_list() == [5]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (pl.lit(0, pl.Int64).alias("loan_id"), "given twice"),
        (pl.lit(None, pl.String).alias("status"), "2 without status"),
        (pl.lit(None, pl.Date).alias("as_of"), "2 without as_of"),
        (pl.lit("weekly").alias("bucket_scheme"), "unknown bucket scheme weekly"),
    ],
)
def test_a_loan_that_cannot_be_aged_is_refused_and_not_called_current(change: pl.Expr, reason: str) -> None:
    batch = [Loan(instalments=[]), Loan(instalments=[])]
    with pytest.raises(ValueError, match=reason):
        age(loan_frame(batch).with_columns(change), instalment_frame(batch), payment_frame(batch), policy=POLICY)


def test_one_loan_names_nothing_or_a_scheme_that_there_is() -> None:
    loan = Known(status="active", instalments=[(START, 40)], payments=[(START, 25)])
    answer = age_one(loan, policy=POLICY, as_of=AS_OF)
    assert (answer.delinquent_days, answer.bucket, answer.stage, answer.unpaid_minor) == (100, "M4+", "recovery", (15,))
    with pytest.raises(ValueError, match="unknown bucket scheme weekly"):
        age_one(replace(loan, bucket_scheme="weekly"), policy=POLICY, as_of=AS_OF)


def test_an_order_that_leaves_out_what_is_owed_is_refused() -> None:
    with pytest.raises(ValueError, match="leaves out a component"):
        listed(Loan(instalments=[(START, (0, 0, 5, 5))], order=("principal",)))


@pytest.mark.parametrize("first_days", [(), (0, 5), (5, 5), (5, 4), (-1,)])
def test_first_days_that_do_not_ascend_from_one_are_refused(first_days: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="positive and ascend"):
        Scheme(buckets=tuple((f"B{day}", day) for day in first_days), stages=(("early", 1),), pre_due_days=3)


@pytest.mark.parametrize(
    ("default_scheme", "allocation", "reason"), [("weekly", COMPONENTS, "default_scheme"), ("standard", ("fee", "fee"), "allocation")]
)
def test_a_policy_that_contradicts_itself_is_refused(default_scheme: str, allocation: tuple[str, ...], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        AgingPolicy(POLICY.schemes, default_scheme, allocation, POLICY.ageing_statuses)

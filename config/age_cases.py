"""Reads a case file of `tideover age`: borrowers' facts as a compliance officer writes them, into frames.

In:   a YAML or JSON file, a list of cases (CASES.md).
Out:  `AgeCases`: ids, the frames that decisions/aging.py ages, and what each case expects.
Pure: no; reads one file.

A field that is left out or null means "none" (no payments, no grace) where CASES.md lets it be left out; a fee, a penalty,
an interest or a principal that is left out is 0. An allocation may leave out only components that the loan does not have.
A plan whose status is left out is active: an unknown is never read in favour of contacting.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import polars as pl
from pydantic import AfterValidator, Field, model_validator

from config.aging import aging_policy
from config.load import ConfigError, Day, Strict, Whole, read
from decisions.aging import COMPONENTS, FIRST_DAYS_WRONG, AgingPolicy, first_days_ascend
from decisions.aging_cases import AgeFacts
from decisions.money import minor_units

# Far above any loan in any currency, far enough below 2^63 that thousands of them add up.
AMOUNT_MAX: Final = 10**15
DAYS_MAX: Final = 100_000

Component = Literal["penalty", "fee", "interest", "principal"]
Status = Literal["active", "written_off", "submitted", "approved", "rejected", "withdrawn", "closed", "overpaid"]
Owed = Annotated[Whole, Field(ge=0, le=AMOUNT_MAX)]
Paid = Annotated[Whole, Field(ge=-AMOUNT_MAX, le=AMOUNT_MAX)]
Days = Annotated[Whole, Field(ge=0, le=DAYS_MAX)]


def _known_currency(code: str) -> str:
    minor_units(code)
    return code


class Fact(Strict):
    """A fact in which null says the same as leaving the field out."""

    @model_validator(mode="before")
    @classmethod
    def null_is_left_out(cls, given: Any) -> Any:
        """Drop nulls; a required field is then missing."""
        return {field: value for field, value in given.items() if value is not None} if isinstance(given, dict) else given


class Instalment(Fact):
    """What falls due on one day."""

    due_on: Day
    principal: Owed = 0
    interest: Owed = 0
    fee: Owed = 0
    penalty: Owed = 0


class Payment(Fact):
    """Money that came (positive) or went back (negative)."""

    paid_on: Day
    amount: Paid


class Pause(Fact):
    """Days that do not age: [from, to)."""

    from_on: Day = Field(alias="from")
    to_on: Day = Field(alias="to")

    @model_validator(mode="after")
    def ends_after_it_starts(self) -> Self:
        """Refuse a pause that ends before it starts."""
        if self.to_on < self.from_on:
            raise ValueError("a pause cannot end (to) before it starts (from)")
        return self


class PlanInstalment(Fact):
    """What was agreed to fall due on one day."""

    due_on: Day
    amount: Owed


class Plan(Fact):
    """An agreed plan."""

    agreed_on: Day
    instalments: tuple[PlanInstalment, ...] = Field(min_length=1)
    status: Literal["active", "broken"] = "active"


class Loan(Fact):
    """The loan of a case."""

    currency: Annotated[str, AfterValidator(_known_currency)]
    instalments: tuple[Instalment, ...]
    payments: tuple[Payment, ...] = ()
    grace_days: Days = 0
    pauses: tuple[Pause, ...] = ()
    allocation: tuple[Component, ...] | None = None
    status: Status = "active"
    plan: Plan | None = None

    @model_validator(mode="after")
    def allocation_is_an_order(self) -> Self:
        """Refuse an order that names a component twice, or leaves out one that the loan has."""
        order = self.allocation
        if order is None:
            return self
        if len(set(order)) < len(order):
            raise ValueError("allocation names a component twice")
        left_out = [part for part in COMPONENTS if part not in order and any(getattr(row, part) for row in self.instalments)]
        if left_out:
            raise ValueError(f"allocation leaves out {', '.join(left_out)}, which the loan has")
        return self


class ExpectedInstalment(Strict):
    """A row of `by_instalment`; any subset of its fields."""

    due_on: Day | None = None
    days_past_due: Whole | None = None
    delinquent_days: Whole | None = None
    unpaid: Whole | None = None
    bucket: str | None = None


class Expected(Strict):
    """What the answer must say; any subset of its fields, where null is a value."""

    days_past_due: Whole | None = None
    delinquent_days: Whole | None = None
    past_due: Whole | None = None
    outstanding: Whole | None = None
    credit: Whole | None = None
    oldest_unpaid_due_on: Day | None = None
    next_due_on: Day | None = None
    bucket: str | None = None
    stage: str | None = None
    by_instalment: tuple[ExpectedInstalment, ...] | None = None
    plan_days_past_due: Whole | None = None
    treatment: str | None = None


def _first_days(days: tuple[int, ...]) -> tuple[int, ...]:
    if not first_days_ascend(days):
        raise ValueError(FIRST_DAYS_WRONG)
    return days


class AgeCase(Fact):
    """One case of the file."""

    id: str = Field(min_length=1)
    as_of: Day
    loan: Loan
    buckets: Annotated[tuple[Days, ...], AfterValidator(_first_days)] | None = None
    expect: Expected = Expected()


@dataclass(frozen=True, slots=True)
class AgeCases:
    """A case file, read.

    Attributes:
        ids: Of the cases, in the order of the file; case i is the loan with loan_id i.
        facts: The frames.
        expected: What each case's `expect` holds, in the words of the answer (dates as ISO text).
    """

    ids: list[str]
    facts: AgeFacts
    expected: list[dict[str, Any]]


def read_age_cases(path: Path) -> AgeCases:
    """Read a case file of `tideover age`.

    Raises:
        ConfigError: The file cannot be read, is not of the form in CASES.md, or gives an id twice.
    """
    cases = read(path, list[AgeCase])
    for case_id, times in Counter(case.id for case in cases).items():
        if times > 1:
            raise ConfigError(path, None, f"{case_id}: id", f"given to {times} cases")
    return AgeCases(
        ids=[case.id for case in cases],
        facts=_facts(cases, aging_policy()),
        expected=[case.expect.model_dump(mode="json", exclude_unset=True) for case in cases],
    )


def _facts(cases: list[AgeCase], policy: AgingPolicy) -> AgeFacts:
    schemes = []
    for case in cases:
        scheme, policy = (policy.default_scheme, policy) if case.buckets is None else policy.with_buckets(case.buckets)
        schemes.append(scheme)
    loans = list(enumerate(case.loan for case in cases))
    return AgeFacts(
        loans=_loans(cases, schemes, policy),
        instalments=pl.DataFrame(
            [(at, row.due_on, *(getattr(row, part) for part in COMPONENTS)) for at, loan in loans for row in loan.instalments],
            schema={"loan_id": pl.Int64, "due_on": pl.Date} | {f"{part}_minor": pl.Int64 for part in COMPONENTS},
            orient="row",
        ),
        payments=pl.DataFrame(
            [(at, row.paid_on, row.amount) for at, loan in loans for row in loan.payments],
            schema={"loan_id": pl.Int64, "paid_on": pl.Date, "amount_minor": pl.Int64},
            orient="row",
        ),
        pauses=pl.DataFrame(
            [(at, row.from_on, row.to_on) for at, loan in loans for row in loan.pauses],
            schema={"loan_id": pl.Int64, "from_on": pl.Date, "to_on": pl.Date},
            orient="row",
        ),
        plans=pl.DataFrame(
            [(at, plan.agreed_on, row.due_on, row.amount) for at, plan in _active_plans(loans) for row in plan.instalments],
            schema={"loan_id": pl.Int64, "agreed_on": pl.Date, "due_on": pl.Date, "amount_minor": pl.Int64},
            orient="row",
        ),
        policy=policy,
    )


def _active_plans(loans: list[tuple[int, Loan]]) -> list[tuple[int, Plan]]:
    return [(at, loan.plan) for at, loan in loans if loan.plan is not None and loan.plan.status == "active"]


def _loans(cases: list[AgeCase], schemes: list[str], policy: AgingPolicy) -> pl.DataFrame:
    orders = [case.loan.allocation or policy.allocation for case in cases]
    return pl.DataFrame(
        {
            "loan_id": range(len(cases)),
            "status": [case.loan.status for case in cases],
            "as_of": [case.as_of for case in cases],
            "grace_days": [case.loan.grace_days for case in cases],
            "bucket_scheme": schemes,
            "allocation_order": [list(order) for order in orders],
        },
        schema={
            "loan_id": pl.Int64,
            "status": pl.String,
            "as_of": pl.Date,
            "grace_days": pl.Int32,
            "bucket_scheme": pl.String,
            "allocation_order": pl.List(pl.String),
        },
    )

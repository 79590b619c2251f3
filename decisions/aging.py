"""Ageing: what a loan owes on a local business date, and how late it is.

One implementation over columns: a million loans of the ledger, a shard, and one case of `tideover age` take the same
way. Nothing is kept between dates, so backdated payments, returns and corrected instalments re-age a loan's history
by asking again.

In:   frames, joined by `loan_id` (Int64); rows of loans that are not in `loans` are ignored; order does not matter,
      except that among instalments of one due date the earlier row counts as the older one.
      loans        loan_id, status (String); optional: as_of (Date, where local dates differ), grace_days (integer),
                   bucket_scheme (String, a key of AgingPolicy.schemes), allocation_order (List[String])
      instalments  loan_id, due_on (Date), penalty_minor, fee_minor, interest_minor, principal_minor (Int64, ≥ 0); for `age`
                   their sum alone, amount_minor, does
      payments     loan_id, paid_on (Date), amount_minor (Int64; negative = returned)
      pauses       loan_id, from_on, to_on (Date): the days [from_on, to_on) do not age
      plans        loan_id, agreed_on, due_on (Date), amount_minor (Int64): the instalments of *active* plans
Out:  `age`: one row a loan; `unpaid_instalments`: one row for each instalment that is not fully paid.
Pure: no I/O, no clock; `as_of` is handed in.
Source: CASES.md "tideover age", DOMAIN.md "Money" and "bucket".

How the sentences of CASES.md are read here:
- A payment or a return dated after as_of has not happened yet; one dated on as_of has.
- Payments fill the oldest instalment first, so "a returned payment takes back what was paid last, first" is the same as
  filling with the net sum, whatever the order of the rows. Returns above all that was paid take back no more than that.
- Grace is subtracted once, from the loan's own delinquent days. An instalment's delinquent days and bucket are without
  it ("grace belongs to the loan, not to the instalment"); paused days are subtracted from both.
- A loan whose status does not age owes nothing and is late for nothing, has no next due date and no treatment; what was
  paid above its instalments stays visible as credit, because it belongs to the borrower.
- A plan counts from the day it was agreed on. Towards it count payments from that day on, its oldest instalment first;
  a return takes back what was paid last, so what was paid before the plan is taken back only after that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise
from typing import Final

import polars as pl

COMPONENTS: Final = ("penalty", "fee", "interest", "principal")
FIRST_DAYS_WRONG: Final = "first days must be positive and ascend"
DAYS_OF_A_LOAN: Final = 2**32  # as many as a Date can tell apart
CURRENT: Final = "current"
PRE_DUE: Final = "pre_due"
IN_PLAN: Final = "in_plan"

NO_PAUSES: Final = pl.DataFrame(schema={"loan_id": pl.Int64, "from_on": pl.Date, "to_on": pl.Date})
NO_PLAN_IS_LATE: Final = pl.DataFrame(schema={"loan_id": pl.Int64, "plan_days_past_due": pl.Int32})
NO_PLANS: Final = pl.DataFrame(schema={"loan_id": pl.Int64, "agreed_on": pl.Date, "due_on": pl.Date, "amount_minor": pl.Int64})


def first_days_ascend(days: Sequence[int]) -> bool:
    """Whether these can be the first days of buckets or stages: at least one, from day 1 on, each later than the last."""
    return len(days) > 0 and days[0] >= 1 and all(earlier < later for earlier, later in pairwise(days))


@dataclass(frozen=True, slots=True)
class Scheme:
    """How one kind of product names its lateness.

    Attributes:
        buckets: (name, first delinquent day) after `current`, ascending.
        stages: (name, first delinquent day) of the stages of treatment, ascending.
        pre_due_days: A payment that is at most so many days away is in the stage `pre_due`.
    """

    buckets: tuple[tuple[str, int], ...]
    stages: tuple[tuple[str, int], ...]
    pre_due_days: int

    def __post_init__(self) -> None:
        """Refuse first days that do not ascend from 1 on: a day would belong to two buckets, or to none."""
        for what, steps in (("buckets", self.buckets), ("stages", self.stages)):
            if not first_days_ascend([first_day for _, first_day in steps]):
                raise ValueError(f"{what}: {FIRST_DAYS_WRONG}")


@dataclass(frozen=True, slots=True)
class AgingPolicy:
    """What operations may change about ageing; the shipped values are in config/aging.yaml.

    Attributes:
        schemes: By name, as in the column `bucket_scheme`.
        default_scheme: For loans that name none.
        allocation: Order of the components inside an instalment, for loans that name none.
        ageing_statuses: Loans in another status owe nothing here.
    """

    schemes: Mapping[str, Scheme]
    default_scheme: str
    allocation: tuple[str, ...]
    ageing_statuses: frozenset[str]

    def __post_init__(self) -> None:
        """Refuse a default that is not there, and an order that leaves a component out."""
        if self.default_scheme not in self.schemes:
            raise ValueError(f"default_scheme {self.default_scheme} is not one of {sorted(self.schemes)}")
        if sorted(self.allocation) != sorted(COMPONENTS):
            raise ValueError(f"allocation must name each of {', '.join(COMPONENTS)} once")

    def with_buckets(self, first_days: Sequence[int]) -> tuple[str, AgingPolicy]:
        """Name of the scheme with exactly these buckets, and a policy that knows it.

        First days of the default scheme are the default scheme, with its names; any others are named `B<first day>`
        and keep the default's stages.

        Raises:
            ValueError: The days are not positive and ascending.
        """
        default = self.schemes[self.default_scheme]
        if [first_day for _, first_day in default.buckets] == list(first_days):
            return self.default_scheme, self
        buckets = tuple((f"B{first_day}", first_day) for first_day in first_days)
        name = ",".join(bucket for bucket, _ in buckets)
        return name, replace(self, schemes={**self.schemes, name: replace(default, buckets=buckets)})


def age(
    loans: pl.DataFrame,
    instalments: pl.DataFrame,
    payments: pl.DataFrame,
    pauses: pl.DataFrame = NO_PAUSES,
    plans: pl.DataFrame = NO_PLANS,
    *,
    policy: AgingPolicy,
    as_of: date | None = None,
) -> pl.DataFrame:
    """Age every loan. Frames as in the module's docstring.

    Args:
        loans: n rows, `loan_id` unique.
        instalments: Of these loans; a loan may have none.
        payments: Of these loans.
        pauses: May touch, overlap, be empty (from_on = to_on); each day counts once.
        plans: Instalments of active plans; at most one active plan a loan.
        policy: Schemes, allocation, statuses.
        as_of: Local business date for all loans; None = the column `as_of` of `loans`.

    Returns:
        n rows in the order of `loans`: loan_id, as_of, days_past_due, delinquent_days (Int32), past_due_minor,
        outstanding_minor, credit_minor (Int64), oldest_unpaid_due_on, next_due_on (Date, null = none), bucket, stage
        (String, stage null = none), plan_days_past_due (Int32, null = no active plan), treatment (String, `in_plan` or
        the stage).

    Raises:
        ValueError: A loan is given twice, has no status, no as_of, or an unknown bucket scheme.
    """
    facts = _loan_facts(loans, policy, as_of)
    paid = _paid(facts, payments)
    open_rows = _with_lateness(_unpaid(facts, instalments, paid), pauses)
    return _aged(facts, instalments, payments, plans, paid, open_rows, policy)


def _aged(
    facts: pl.DataFrame,
    instalments: pl.DataFrame,
    payments: pl.DataFrame,
    plans: pl.DataFrame,
    paid: pl.DataFrame,
    open_rows: pl.DataFrame,
    policy: AgingPolicy,
) -> pl.DataFrame:
    """What is open of each loan, by loan."""
    past_due = pl.col("days_past_due") > 0
    owed = (
        open_rows.lazy()
        .group_by("loan_id")
        .agg(
            outstanding_minor=pl.col("unpaid_minor").sum(),
            past_due_minor=pl.col("unpaid_minor").filter(past_due).sum(),
            oldest_unpaid_due_on=pl.col("due_on").filter(past_due).min(),
            next_due_on=pl.col("due_on").filter(~past_due).min(),
            days_past_due=pl.col("days_past_due").max(),
            # The oldest due date has the most days past due, and every later date at most as many paused ones.
            paused_days=pl.col("paused_days").max(),
        )
    )
    total = instalments.lazy().group_by("loan_id").agg(total_minor=_amount(instalments).sum())
    aged = (
        facts.lazy()
        .join(owed, on="loan_id", how="left", maintain_order="left")
        .join(total, on="loan_id", how="left", maintain_order="left")
        .join(paid.lazy(), on="loan_id", how="left", maintain_order="left")
        .with_columns(
            pl.col("outstanding_minor", "past_due_minor", "days_past_due", "paused_days", "total_minor", "paid_minor").fill_null(0)
        )
        .with_columns(
            delinquent_days=(pl.col("days_past_due") - pl.col("grace_days") - pl.col("paused_days")).clip(lower_bound=0),
            credit_minor=(pl.col("paid_minor") - pl.col("total_minor")).clip(lower_bound=0),
        )
        .with_columns(bucket=_bucket(policy), stage=_stage(policy))
        .join(_plan_lateness(facts, payments, plans).lazy(), on="loan_id", how="left", maintain_order="left")
        .with_columns(treatment=pl.when(pl.col("plan_days_past_due").is_not_null()).then(pl.lit(IN_PLAN)).otherwise("stage"))
    )
    return aged.select(
        "loan_id", "as_of", "days_past_due", "delinquent_days", "past_due_minor", "outstanding_minor", "credit_minor",
        "oldest_unpaid_due_on", "next_due_on", "bucket", "stage", "plan_days_past_due", "treatment",
    ).collect()  # fmt: skip


def turning(policy: AgingPolicy, *, days: int) -> list[tuple[str, int]]:
    """Buckets and delinquent days of late loans which cannot be told to keep bucket and stage over some days in which nothing happens.

    Nothing happens: no fact changes, no instalment falls due, no payment's, plan's or pause's day comes. Every other late loan keeps both,
    and only grows older. A row names its bucket and not its scheme, so whatever turns in one of the schemes with that bucket is here;
    and so is a loan within its grace, because how long that lasts is not in its row.

    Args:
        policy: Schemes.
        days: How many.
    """
    last = max(first_day for scheme in policy.schemes.values() for steps in (scheme.buckets, scheme.stages) for _, first_day in steps)
    late = (
        pl.DataFrame({"delinquent_days": range(1, last + 1)})
        .join(pl.DataFrame({"bucket_scheme": list(policy.schemes)}), how="cross")
        .with_columns(days_past_due="delinquent_days", next_due_on=pl.lit(None, pl.Date), as_of=pl.lit(None, pl.Date))
    )
    names = {"bucket": _bucket(policy), "stage": _stage(policy)}
    now, later = late.with_columns(**names), late.with_columns(pl.col("delinquent_days") + days).select(**names)
    turned = now.filter(now["bucket"].ne_missing(later["bucket"]) | now["stage"].ne_missing(later["stage"]))
    return [(CURRENT, 0), *turned.select("bucket", "delinquent_days").unique().sort("delinquent_days", "bucket").iter_rows()]


def unpaid_instalments(
    loans: pl.DataFrame,
    instalments: pl.DataFrame,
    payments: pl.DataFrame,
    pauses: pl.DataFrame = NO_PAUSES,
    *,
    policy: AgingPolicy,
    as_of: date | None = None,
) -> pl.DataFrame:
    """List what is still owed, instalment by instalment and component by component; for statements and offers.

    Args:
        loans: See `age`.
        instalments: See `age`.
        payments: See `age`.
        pauses: See `age`.
        policy: See `age`.
        as_of: See `age`.

    Returns:
        One row for each instalment with something unpaid, of loans that age, by loan_id and then oldest first: loan_id,
        due_on, unpaid_minor and the four parts that make it up (unpaid_penalty_minor, …; Int64), days_past_due (0 = not
        past due), delinquent_days (Int32; without the loan's grace), bucket, and what was asked for at first (penalty_minor, …).

    Raises:
        ValueError: As `age`; or an allocation order leaves out a component that is owed.
    """
    facts = _loan_facts(loans, policy, as_of)
    unpaid = _with_lateness(_unpaid(facts, instalments, _paid(facts, payments), keep=_component_columns()), pauses)
    return _listed(facts, unpaid, policy)


def _listed(facts: pl.DataFrame, unpaid: pl.DataFrame, policy: AgingPolicy) -> pl.DataFrame:
    """What is open of each instalment, by component."""
    return (
        _by_component(unpaid.join(facts.select("loan_id", "bucket_scheme", "allocation_order"), on="loan_id", maintain_order="left"))
        .with_columns(delinquent_days=(pl.col("days_past_due") - pl.col("paused_days")).clip(lower_bound=0))
        .with_columns(bucket=_bucket(policy))
        .select(
            "loan_id", "due_on", "unpaid_minor", *(f"unpaid_{part}_minor" for part in COMPONENTS),
            "days_past_due", "delinquent_days", "bucket", *_component_columns(),
        )
    )  # fmt: skip


def _component_columns() -> list[str]:
    return [f"{part}_minor" for part in COMPONENTS]


def _amount(instalments: pl.DataFrame) -> pl.Expr:
    return pl.col("amount_minor") if "amount_minor" in instalments.columns else pl.sum_horizontal(_component_columns())


def _loan_facts(loans: pl.DataFrame, policy: AgingPolicy, as_of: date | None) -> pl.DataFrame:
    """`loans` with every optional column filled in, checked."""
    defaults = {
        "as_of": pl.lit(as_of, pl.Date),
        "grace_days": pl.lit(0, pl.Int32),
        "bucket_scheme": pl.lit(policy.default_scheme),
        "allocation_order": pl.lit(list(policy.allocation), pl.List(pl.String)),
    }
    if as_of is not None:
        loans = loans.drop("as_of", strict=False)
    filled = loans.with_columns(default.alias(name) for name, default in defaults.items() if name not in loans.columns).select(
        pl.col("loan_id").cast(pl.Int64),
        "status",
        "as_of",
        pl.col("grace_days").cast(pl.Int32).fill_null(0),
        pl.col("bucket_scheme").fill_null(policy.default_scheme),
        pl.col("allocation_order").fill_null(defaults["allocation_order"]),
        ages=pl.col("status").is_in(sorted(policy.ageing_statuses)),
    )
    for needed in ("loan_id", "status", "as_of"):
        if filled[needed].has_nulls():
            raise ValueError(f"loans: {filled[needed].null_count()} without {needed}")
    if filled["loan_id"].is_duplicated().any():
        raise ValueError("loans: a loan_id is given twice")
    unknown = set(filled["bucket_scheme"].unique()) - policy.schemes.keys()
    if unknown:
        raise ValueError(f"loans: unknown bucket scheme {', '.join(sorted(unknown))}")
    return filled


def _paid(facts: pl.DataFrame, payments: pl.DataFrame) -> pl.DataFrame:
    """loan_id, paid_minor: net of returns, as known on as_of; below 0 where more went back than came."""
    return _until_as_of(facts, payments).group_by("loan_id").agg(paid_minor=pl.col("amount_minor").sum())


def _until_as_of(facts: pl.DataFrame, payments: pl.DataFrame) -> pl.DataFrame:
    """Payments that have happened by the loan's as_of."""
    dates = facts["as_of"].unique()
    if len(dates) == 1:  # one local date for the portfolio: a million rows need no join
        return payments.filter(pl.col("paid_on") <= dates[0])
    return payments.join(facts.select("loan_id", "as_of"), on="loan_id", maintain_order="left").filter(pl.col("paid_on") <= pl.col("as_of"))


def _unpaid(facts: pl.DataFrame, instalments: pl.DataFrame, paid: pl.DataFrame, keep: Sequence[str] = ()) -> pl.DataFrame:
    """loan_id, as_of, due_on, unpaid_minor (and what to `keep` of the instalments) of what is unpaid, oldest first in each loan."""
    ageing = facts.filter("ages").select("loan_id", "as_of").join(paid, on="loan_id", how="left")
    total, owed_so_far = pl.col("total_minor"), pl.col("owed_so_far")
    return (
        instalments.lazy()
        .select("loan_id", "due_on", *keep, total_minor=_amount(instalments))
        .join(ageing.lazy(), on="loan_id", maintain_order="left")
        .sort("loan_id", "due_on", maintain_order=True)
        # Running sum inside each loan, as the difference of one running sum over all: a window per loan costs five times as much.
        .with_columns(owed_so_far=total.cum_sum())
        .with_columns(owed_so_far - pl.when(_starts_loan()).then(owed_so_far - total).forward_fill())
        .with_columns(unpaid_minor=(owed_so_far - pl.col("paid_minor").fill_null(0)).clip(0, total))
        .filter(pl.col("unpaid_minor") > 0)
        .drop("total_minor", "owed_so_far", "paid_minor")
        .collect()
    )


def _with_lateness(unpaid: pl.DataFrame, pauses: pl.DataFrame) -> pl.DataFrame:
    """Add days_past_due and paused_days (Int32), both 0 for what is not past due."""
    if pauses.is_empty():
        return unpaid.with_columns(days_past_due=_days_after("due_on"), paused_days=pl.lit(0, pl.Int32))
    late = unpaid.with_row_index("row").with_columns(days_past_due=_days_after("due_on"))
    counted = _merged(pauses.join(unpaid, on="loan_id", how="semi"))
    first, end = pl.max_horizontal("from_on", "due_on"), pl.min_horizontal("to_on", "as_of")
    paused = (
        late.select("row", "loan_id", "due_on", "as_of")
        .join(counted, on="loan_id")
        .group_by("row")
        .agg(paused_days=(end - first).dt.total_days().clip(lower_bound=0).sum().cast(pl.Int32))
    )
    return late.join(paused, on="row", how="left", maintain_order="left").with_columns(pl.col("paused_days").fill_null(0)).drop("row")


def _days_after(due_on: str) -> pl.Expr:
    return (pl.col("as_of") - pl.col(due_on)).dt.total_days().clip(lower_bound=0).cast(pl.Int32)


def _starts_loan() -> pl.Expr:
    """Whether a row is the first of its loan, in rows sorted by loan."""
    return pl.col("loan_id").ne_missing(pl.col("loan_id").shift())


def _merged(pauses: pl.DataFrame) -> pl.DataFrame:
    """Pauses of each loan as spans without common days: where one starts after all earlier ones ended, a new span begins."""
    # Each loan gets days of its own, later than every day of the loans before it: then one running maximum serves them all.
    own_days = pl.col("loan_place") * DAYS_OF_A_LOAN
    starts, ends = (own_days + pl.col(day).cast(pl.Int32) for day in ("from_on", "to_on"))
    return (
        pauses.filter(pl.col("from_on") < pl.col("to_on"))
        .sort("loan_id", "from_on")
        .with_columns(loan_place=_starts_loan().cum_sum().cast(pl.Int64))
        .with_columns(span=(starts > ends.cum_max().shift()).fill_null(True).cum_sum())
        .group_by("span")
        .agg(pl.col("loan_id").first(), pl.col("from_on").min(), pl.col("to_on").max())
        .drop("span")
    )


def _steps(steps: Sequence[tuple[str, int]], otherwise: pl.Expr) -> pl.Expr:
    """Name of the last step whose first day is reached by `delinquent_days`."""
    named = otherwise
    for name, first_day in steps:
        named = pl.when(pl.col("delinquent_days") >= first_day).then(pl.lit(name)).otherwise(named)
    return named


def _bucket(policy: AgingPolicy) -> pl.Expr:
    return pl.coalesce(
        pl.when(pl.col("bucket_scheme") == name).then(_steps(scheme.buckets, pl.lit(CURRENT))) for name, scheme in policy.schemes.items()
    )


def _stage(policy: AgingPolicy) -> pl.Expr:
    days_ahead = (pl.col("next_due_on") - pl.col("as_of")).dt.total_days()
    return pl.coalesce(
        pl.when(pl.col("bucket_scheme") == name).then(
            _steps(
                scheme.stages,
                pl.when(pl.col("days_past_due") == 0, days_ahead <= scheme.pre_due_days).then(pl.lit(PRE_DUE)),
            )
        )
        for name, scheme in policy.schemes.items()
    )


def _by_component(unpaid: pl.DataFrame) -> pl.DataFrame:
    """Split what is unpaid over the components: what comes last in the loan's order is what is still open."""
    orders = unpaid["allocation_order"].unique()
    open_minor = pl.col("unpaid_minor")
    parts = unpaid.lazy().with_columns(pl.lit(None, pl.Int64).alias(f"unpaid_{part}_minor") for part in COMPONENTS)
    for order in orders:  # a handful in a portfolio
        here = pl.col("allocation_order") == pl.lit(list(order), pl.List(pl.String))
        after = pl.lit(0)
        for part in reversed(list(order)):
            amount = pl.col(f"{part}_minor")
            parts = parts.with_columns(
                pl.when(here).then((open_minor - after).clip(0, amount)).otherwise(f"unpaid_{part}_minor").alias(f"unpaid_{part}_minor")
            )
            after = after + amount
    split = parts.with_columns(pl.col(f"unpaid_{part}_minor").fill_null(0) for part in COMPONENTS).collect()
    if (split["unpaid_minor"] != split.select(pl.sum_horizontal(f"unpaid_{part}_minor" for part in COMPONENTS)).to_series()).any():
        raise ValueError("allocation_order leaves out a component that is owed")
    return split


def _plan_lateness(facts: pl.DataFrame, payments: pl.DataFrame, plans: pl.DataFrame) -> pl.DataFrame:
    """loan_id, plan_days_past_due: days since the oldest unpaid plan instalment was due, for loans that are in a plan."""
    if plans.is_empty():
        return NO_PLAN_IS_LATE
    in_force = plans.join(facts.filter("ages").select("loan_id", "as_of"), on="loan_id").filter(pl.col("agreed_on") <= pl.col("as_of"))
    agreed = in_force.select("loan_id", "agreed_on").unique()
    towards = (
        _until_as_of(facts, payments)
        .select("loan_id", "paid_on", "amount_minor")
        .join(agreed, on="loan_id")
        .filter(pl.col("paid_on") >= pl.col("agreed_on"))
        .sort("loan_id", "paid_on", pl.col("amount_minor") < 0)
        .with_columns(running=pl.col("amount_minor").cum_sum().over("loan_id"))
        .group_by("loan_id")
        # What a return takes beyond the plan's payments was paid before the plan, and is no debt of later plan payments.
        .agg(paid_minor=pl.col("running").last() - pl.min_horizontal(pl.col("running").min(), 0))
    )
    covered = pl.col("amount_minor").cum_sum().over("loan_id") <= pl.col("paid_minor").fill_null(0)
    return (
        in_force.join(towards, on="loan_id", how="left", maintain_order="left")
        .sort("loan_id", "due_on", maintain_order=True)
        .with_columns(days=pl.when(covered).then(0).otherwise(_days_after("due_on")))
        .group_by("loan_id")
        .agg(plan_days_past_due=pl.col("days").max().cast(pl.Int32))
    )

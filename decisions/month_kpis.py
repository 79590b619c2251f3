"""The figures of a month beyond roll rates: what survives, what comes in, how often people are contacted, what a hold-out shows.

In:   frames of counts and amounts, one row a loan, plan, borrower or day.
Out:  frames and values; each knows of how many it speaks, so that "too few" can be said in place of a number.
Pure: no I/O, no clock.
Source: SCIENCE.md F, with its corrections. Kaplan & Meier 1958 with Greenwood's variance on the log-log scale (Kalbfleisch & Prentice
        1980); Newcombe 1998, method 10, for a difference of shares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, log, sqrt
from typing import Final

import polars as pl

from decisions.facts import Schema
from decisions.kpis import Z_95, Share

SURVIVAL: Final[Schema] = {
    "day": pl.Int64,
    "at_risk": pl.Int64,
    "ended": pl.Int64,
    "survival": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One share less another.

    Attributes:
        value: In [-1, 1].
        low: Of the 95 % interval.
        high: Likewise.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How a count is spread over people, those with none included.

    Attributes:
        people: How many.
        mean: Of the count.
        p95: The smallest count that 95 % do not exceed.
        largest: Of one of them.
    """

    people: int
    mean: float
    p95: int
    largest: int


def kaplan_meier(lives: pl.DataFrame) -> pl.DataFrame:
    """Share that has not ended by each day on which one ended, of lives of which some were not seen to their end.

    Args:
        lives: `days` (Int64, ≥ 0: to the end, or to the last day seen), `ended` (Boolean).

    Returns:
        `SURVIVAL`, one row a day with an end. Who was last seen on a day counts as at risk on it.
    """
    rows = []
    survival, greenwood = 1.0, 0.0
    for day, ended, at_risk in (
        lives.group_by("days")
        .agg(ended=pl.col("ended").sum(), leaving=pl.len())
        .sort("days", descending=True)
        .with_columns(at_risk=pl.col("leaving").cum_sum())
        .sort("days")
        .filter(pl.col("ended") > 0)
        .select("days", "ended", "at_risk")
        .iter_rows()
    ):
        survival *= 1 - ended / at_risk
        greenwood += ended / (at_risk * (at_risk - ended)) if at_risk > ended else 0.0
        low, high = _log_log(survival, greenwood)
        rows.append((day, at_risk, ended, survival, low, high))
    return pl.DataFrame(rows, schema=SURVIVAL, orient="row")


def _log_log(survival: float, greenwood: float) -> tuple[float, float]:
    """95 % interval within 0 and 1; none is known where nothing survives."""
    if not 0 < survival < 1:
        return survival, survival
    reach = Z_95 * sqrt(greenwood) / abs(log(survival))
    return survival ** exp(reach), survival ** exp(-reach)


def difference(one: Share, other: Share) -> Difference | None:
    """One share less the other, with Newcombe's interval; None where one is of nobody."""
    if one.value is None or other.value is None or one.interval is None or other.interval is None:
        return None
    (low, high), (other_low, other_high) = one.interval, other.interval
    value = one.value - other.value
    return Difference(
        value=value,
        low=value - sqrt((one.value - low) ** 2 + (other_high - other.value) ** 2),
        high=value + sqrt((high - one.value) ** 2 + (other.value - other_low) ** 2),
    )


def spread(counts: Mapping[int, int]) -> Spread | None:
    """Mean, 95th percentile and largest of a count, from count → people; None of nobody."""
    people = sum(counts.values())
    if not people:
        return None
    reached, p95 = 0, 0
    for count in sorted(counts):
        reached += counts[count]
        if reached * 100 >= people * 95:
            p95 = count
            break
    return Spread(
        people=people,
        mean=sum(count * of for count, of in counts.items()) / people,
        p95=p95,
        largest=max(c for c, of in counts.items() if of),
    )


def flow_rates(before: Mapping[str, int], after: Mapping[str, int], buckets: Sequence[str]) -> dict[str, Share]:
    """Balance in each bucket at the end of a month, of the balance in the bucket before it a month earlier.

    Args:
        before: Bucket → balance a month earlier, minor units of one currency.
        after: Likewise, at the end.
        buckets: From early to late, without `current`.

    Returns:
        Later bucket → share; a bucket whose predecessor held nothing is left out. It may exceed 1: what stayed is in it too.
    """
    return {later: Share(after.get(later, 0), before.get(earlier, 0)) for earlier, later in pairwise(buckets) if before.get(earlier, 0)}


def liquidation(placed: pl.DataFrame, paid: pl.DataFrame, *, until_day: Mapping[str, int]) -> pl.DataFrame:
    """Paid so far of what was owed at the beginning, by day since then; one line a cohort, its denominator fixed at its beginning.

    Args:
        placed: `cohort`, `owed_minor`; one row a cohort, of one currency.
        paid: `cohort`, `day` (0 = the first), `paid_minor` (net of what was taken back).
        until_day: Cohort → last day that every loan of it has been seen on; later ones are left out.

    Returns:
        `cohort`, `day`, `paid_minor` (so far), `share`; by cohort and day, each day from 0 on.
    """
    lines = []
    for cohort, owed_minor in placed.select("cohort", "owed_minor").sort("cohort").iter_rows():
        last = until_day.get(cohort, -1)
        if last < 0 or owed_minor <= 0:
            continue
        days = pl.DataFrame({"day": range(last + 1)}, schema={"day": pl.Int64})
        mine = paid.filter(pl.col("cohort") == cohort).group_by("day").agg(pl.col("paid_minor").sum())
        lines.append(
            days.join(mine, on="day", how="left")
            .sort("day")
            .with_columns(paid_minor=pl.col("paid_minor").fill_null(0).cum_sum())
            .select(cohort=pl.lit(cohort), day="day", paid_minor="paid_minor", share=pl.col("paid_minor") / owed_minor)
        )
    schema: Schema = {"cohort": pl.String, "day": pl.Int64, "paid_minor": pl.Int64, "share": pl.Float64}
    return pl.concat(lines) if lines else pl.DataFrame(schema=schema)


def vintage(loans: pl.DataFrame) -> pl.DataFrame:
    """Share of each origination month's loans that were ever 30 days late, by months on book.

    Args:
        loans: `cohort`, `seen_months` (whole months on book so far), `late_months` (on book when first 30 late; null = never), `loans`
            (how many of that kind).

    Returns:
        `cohort`, `month`, `loans`, `ever_late`, `share`; up to the month that every loan of the cohort has reached.
    """
    rows = []
    for (cohort,), mine in loans.sort("cohort").group_by("cohort", maintain_order=True):
        whole = int(mine["loans"].sum())
        for month in range(min(mine["seen_months"].to_list()) + 1):
            late = int(mine.filter(pl.col("late_months") <= month)["loans"].sum())
            rows.append((cohort, month, whole, late, late / whole))
    schema: Schema = {"cohort": pl.String, "month": pl.Int64, "loans": pl.Int64, "ever_late": pl.Int64, "share": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def effective_share(weights: float, weighted: float, squares: float) -> Share:
    """A share of people who were drawn with unequal chances, as if of so many drawn evenly (Kish): whole numbers, rounded.

    Args:
        weights: Sum of 1 / chance.
        weighted: The same of those who count.
        squares: Sum of the squares of 1 / chance.
    """
    if squares <= 0:
        return Share(0, 0)
    people = weights**2 / squares
    return Share(round(weighted / weights * people), round(people))


def masked(counts: Sequence[int], least: int) -> list[int | None]:
    """Counts of people in a row whose sum is known, without those that are too few to be shown (null); nobody (0) is shown.

    Where a single one would be hidden it could be worked out from the sum, and the smallest of the others is hidden too.
    """
    hidden = {place for place, count in enumerate(counts) if 0 < count < least}
    if len(hidden) == 1:
        others = [(count, place) for place, count in enumerate(counts) if place not in hidden and count > 0]
        hidden |= {min(others)[1]} if others else set()
    return [None if place in hidden else count for place, count in enumerate(counts)]

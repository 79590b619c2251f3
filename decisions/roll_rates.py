"""Roll rates: which share of each bucket is in which bucket at a later date, by accounts and by balance.

In:   two snapshots of the same accounts, one row an account and period.
Out:  the roll-rate matrix in long form: one row for each pair of buckets.
Pure: no I/O, no clock.
Source: SCIENCE.md F, "Roll-rate matrix": R[i,j] = balance (or accounts) in bucket i at t0 that is in j at t1 / total in i
at t0. Denominators are frozen at t0, so rows sum to 1; that is why the end states (paid off, plan, written off) are buckets
too, and why an account that the later snapshot does not hold is an error and not left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl


def roll_rates(from_: pl.DataFrame, to_: pl.DataFrame, *, buckets: Sequence[str], on: Sequence[str] = ("loan_id",)) -> pl.DataFrame:
    """Roll-rate matrix from the buckets of `from_` to those of `to_`.

    Args:
        from_: n rows: the columns of `on`, bucket (String), balance_minor (Int64, of one currency; the balance at t0).
        to_: The columns of `on`, bucket. Accounts that `from_` does not hold (opened since) are ignored.
        buckets: All buckets, end states included, in the order in which the matrix is to be read.
        on: Columns that tell one account (and period, where several transitions are pooled) from another.

    Returns:
        len(buckets)² rows in the order of `buckets`: from_bucket, to_bucket, accounts (Int64), account_share (Float64, of
        from_bucket; null where from_bucket is empty), balance_minor (Int64), balance_share (likewise; null where the
        bucket's balance is 0).

    Raises:
        ValueError: A row of `from_` has no counterpart in `to_`; a key is repeated; a bucket is not listed, or null.
    """
    keys = list(on)
    for name, snapshot in (("from_", from_), ("to_", to_)):
        if snapshot.select(keys).is_duplicated().any():
            raise ValueError(f"{name}: an account is given twice in one period")
    moved = from_.select(*keys, "balance_minor", from_bucket="bucket").join(to_.select(*keys, to_bucket="bucket"), on=keys)
    if moved.height < from_.height:
        raise ValueError(f"to_: {from_.height - moved.height} accounts of from_ are missing; give them an end state")
    if not moved.select(pl.col("from_bucket", "to_bucket").is_in(list(buckets)).fill_null(False).all()).row(0) == (True, True):
        raise ValueError(f"a bucket is none of {', '.join(buckets)}")
    counted = moved.group_by("from_bucket", "to_bucket").agg(accounts=pl.len().cast(pl.Int64), balance_minor=pl.col("balance_minor").sum())
    every_pair = pl.DataFrame({"from_bucket": list(buckets)}).join(pl.DataFrame({"to_bucket": list(buckets)}), how="cross")
    return (
        every_pair.join(counted, on=["from_bucket", "to_bucket"], how="left", maintain_order="left")
        .with_columns(pl.col("accounts", "balance_minor").fill_null(0))
        .select(
            "from_bucket",
            "to_bucket",
            "accounts",
            _share("accounts").alias("account_share"),
            "balance_minor",
            _share("balance_minor").alias("balance_share"),
        )
    )


def _share(amount: str) -> pl.Expr:
    total = pl.col(amount).sum().over("from_bucket")
    return pl.when(total != 0).then(pl.col(amount) / total)

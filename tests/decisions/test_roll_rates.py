"""Roll rates, from the real panel of 30,000 card accounts (config/imports/data/README.md) and from small tables."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.roll_rates import roll_rates

PANEL = Path(__file__).parents[2] / "config" / "imports" / "data" / "uci_credit_card_taiwan.csv.gz"
# Column numbers run backwards from September (0, there is no 1); the panel's last month codes lateness otherwise.
MONTHS_APRIL_TO_AUGUST = {4: 6, 5: 5, 6: 4, 7: 3, 8: 2}
BUCKETS = ("current", "1-2 months", "3 months", "4+ months")


def months_late_as_bucket(status: pl.Expr) -> pl.Expr:
    return (
        pl.when(status <= 0)
        .then(pl.lit("current"))
        .when(status <= 2)
        .then(pl.lit("1-2 months"))
        .when(status == 3)
        .then(pl.lit("3 months"))
        .otherwise(pl.lit("4+ months"))
    )


@pytest.fixture(scope="module")
def months() -> pl.DataFrame:
    panel = pl.read_csv(PANEL)
    return pl.concat(
        panel.select(
            loan_id="ID",
            month=pl.lit(month),
            bucket=months_late_as_bucket(pl.col(f"PAY_{column}")),
            balance_minor=pl.col(f"BILL_AMT{column}").cast(pl.Int64) * 100,
        )
        for month, column in MONTHS_APRIL_TO_AUGUST.items()
    )


@pytest.fixture(scope="module")
def matrix(months: pl.DataFrame) -> pl.DataFrame:
    return roll_rates(
        months.filter(pl.col("month") < 8),
        months.filter(pl.col("month") > 4).with_columns(pl.col("month") - 1),
        buckets=BUCKETS,
        on=("loan_id", "month"),
    )


@pytest.mark.parametrize(
    ("from_bucket", "accounts", "shares_in_percent"),
    [
        ("current", 106_230, [95.1, 4.9, 0.0, 0.0]),
        ("1-2 months", 12_376, [30.2, 63.7, 6.1, 0.0]),
        ("3 months", 782, [16.5, 37.2, 17.3, 29.0]),
        ("4+ months", 612, [2.6, 25.0, 4.9, 67.5]),
    ],
)
def test_real_card_accounts_roll_as_published(
    matrix: pl.DataFrame, from_bucket: str, accounts: int, shares_in_percent: list[float]
) -> None:
    """April to August 2005, month to month: SCIENCE.md B."""
    row = matrix.filter(pl.col("from_bucket") == from_bucket)
    assert row["accounts"].sum() == accounts
    assert [round(100 * share, 1) for share in row["account_share"]] == shares_in_percent


def test_balances_of_real_card_accounts_are_all_in_the_matrix(matrix: pl.DataFrame, months: pl.DataFrame) -> None:
    assert matrix["balance_minor"].sum() == months.filter(pl.col("month") < 8)["balance_minor"].sum()
    assert matrix.group_by("from_bucket").agg(pl.col("balance_share").sum())["balance_share"].to_list() == pytest.approx([1, 1, 1, 1])


def snapshot(buckets: dict[int, str], balances: dict[int, int] | None = None) -> pl.DataFrame:
    return pl.DataFrame(
        [(loan, bucket, (balances or {}).get(loan, 100)) for loan, bucket in buckets.items()],
        schema={"loan_id": pl.Int64, "bucket": pl.String, "balance_minor": pl.Int64},
        orient="row",
    )


def test_shares_by_balance_weigh_an_account_by_what_it_owed_before() -> None:
    matrix = roll_rates(
        snapshot({1: "M1", 2: "M1"}, {1: 900, 2: 100}), snapshot({1: "current", 2: "M2"}, {1: 0, 2: 150}), buckets=("current", "M1", "M2")
    )
    of_m1 = matrix.filter(pl.col("from_bucket") == "M1")
    assert of_m1["account_share"].to_list() == [0.5, 0.0, 0.5]
    assert of_m1["balance_share"].to_list() == [0.9, 0.0, 0.1]


def test_an_empty_bucket_has_no_shares() -> None:
    matrix = roll_rates(snapshot({1: "current"}), snapshot({1: "current"}), buckets=("current", "M1"))
    assert matrix["account_share"].to_list() == [1.0, 0.0, None, None]


def test_an_account_opened_since_is_not_counted() -> None:
    matrix = roll_rates(snapshot({1: "current"}), snapshot({1: "current", 2: "M1"}), buckets=("current", "M1"))
    assert matrix["accounts"].sum() == 1


def test_an_account_that_vanished_is_an_error_and_not_a_cure() -> None:
    with pytest.raises(ValueError, match="1 accounts of from_ are missing"):
        roll_rates(snapshot({1: "M1", 2: "M1"}), snapshot({1: "M1"}), buckets=("current", "M1"))


def test_a_bucket_that_is_not_listed_is_an_error() -> None:
    with pytest.raises(ValueError, match="a bucket is none of current, M1"):
        roll_rates(snapshot({1: "M1"}), snapshot({1: "M9"}), buckets=("current", "M1"))


def test_an_account_given_twice_is_an_error() -> None:
    with pytest.raises(ValueError, match="given twice"):
        roll_rates(pl.concat([snapshot({1: "M1"})] * 2), snapshot({1: "M1"}), buckets=("current", "M1"))


@given(
    moves=st.dictionaries(
        st.integers(0, 50), st.tuples(st.sampled_from(BUCKETS), st.sampled_from(BUCKETS), st.integers(0, 10**9)), min_size=1
    )
)
def test_shares_of_a_bucket_sum_to_one_or_are_not_there(moves: dict[int, tuple[str, str, int]]) -> None:
    matrix = roll_rates(
        snapshot({loan: was for loan, (was, _, _) in moves.items()}, {loan: owed for loan, (_, _, owed) in moves.items()}),
        snapshot({loan: became for loan, (_, became, _) in moves.items()}),
        buckets=BUCKETS,
    )
    for share in ("account_share", "balance_share"):
        sums = matrix.group_by("from_bucket").agg(total=pl.col(share).sum(), known=pl.col(share).is_not_null().all()).filter("known")
        assert sums["total"].to_list() == pytest.approx([1.0] * sums.height)

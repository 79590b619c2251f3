"""The Taiwan panel: our own ageing of what is derived finds the status that the file gives, for everyone, every month."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from config.aging import aging_policy
from config.settings import HOUSE
from decisions.aging import age
from decisions.card_panel import COLUMNS, STATUSES, derive, statement_on

FILE = HOUSE / "config" / "imports" / "data" / "uci_credit_card_taiwan.csv.gz"


@pytest.fixture(scope="module")
def panel() -> pl.DataFrame:
    return pl.read_csv(FILE, infer_schema=False).with_row_index("line", 2).with_columns(pl.col("line").cast(pl.Int64))


def _amounts(rows: pl.DataFrame, **columns: str) -> pl.DataFrame:
    return rows.select(
        pl.col("loan").cast(pl.Int64).alias("loan_id"),
        *(pl.col(name).cast(pl.Int64).alias(to) for name, to in columns.items()),
    )


# A day in mid-month, the end of a long month, a leap day, and one whose six months cross two years.
@pytest.mark.parametrize("as_of", [date(2026, 3, 16), date(2026, 3, 31), date(2024, 2, 29), date(2027, 1, 5)])
def test_ageing_reproduces_every_accounts_status_at_each_of_six_statements(panel: pl.DataFrame, as_of: date) -> None:
    kinds, problems = derive(panel, as_of)
    assert problems.is_empty()
    assert kinds["parties"].height == 30_000
    due, paid = kinds["instalments"], kinds["payments"]
    instalments = _amounts(due, principal="principal_minor").with_columns(
        due["due_on"].str.to_date(), penalty_minor=0, fee_minor=0, interest_minor=0
    )
    payments = _amounts(paid, amount="amount_minor").with_columns(paid["paid_on"].str.to_date())
    loans = panel.select(pl.col("ID").cast(pl.Int64).alias("loan_id"), status=pl.lit("active"))
    for month, status in enumerate(STATUSES, start=1):
        on = pl.select(statement_on(month, as_of)).item()
        aged = age(loans, instalments, payments, policy=aging_policy(), as_of=on)
        months = panel[status].cast(pl.Int64).clip(lower_bound=0)
        wanted = months.replace_strict({0: "current", 1: "M1", 2: "M2", 3: "M3"}, default="M4+", return_dtype=pl.String)
        assert aged["bucket"].to_list() == wanted.to_list()
        # Not only the bucket: the oldest unpaid instalment fell due exactly so many months ago, in the month of its statement.
        late = aged.filter(months > 0)
        n = months.filter(months > 0)
        back = pl.DataFrame({"due_on": late["oldest_unpaid_due_on"], "n": n}).with_columns(
            statement=pl.lit(as_of).dt.offset_by(pl.format("{}mo", month - pl.col("n") - 6)),
            next_statement=pl.lit(as_of).dt.offset_by(pl.format("{}mo", month - pl.col("n") - 5)),
        )
        assert back.select(pl.col("due_on").is_between("statement", "next_statement", closed="none").all()).item()
        assert aged["credit_minor"].max() == 0


def test_the_demo_has_early_borrowers_on_every_day_of_the_first_month(panel: pl.DataFrame) -> None:
    kinds, _ = derive(panel, date(2026, 3, 16))
    due = kinds["instalments"].filter(pl.col("number") == "13")["due_on"].str.to_date()
    assert ((date(2026, 3, 16) - due).dt.total_days()).unique().sort().to_list() == list(range(1, 27))


def test_every_return_names_a_payment_of_its_account_and_as_much(panel: pl.DataFrame) -> None:
    kinds, _ = derive(panel, date(2026, 3, 16))
    payments = kinds["payments"]
    assert payments["external_id"].is_unique().all()
    returns = payments.filter(pl.col("state") == "reversed")
    joined = returns.join(payments, left_on=["loan", "reverses"], right_on=["loan", "external_id"], suffix="_paid")
    assert joined.height == returns.height > 0
    assert (joined["amount"].cast(pl.Int64) + joined["amount_paid"].cast(pl.Int64)).unique().to_list() == [0]
    assert (joined["paid_on_paid"] < joined["paid_on"]).all()


def test_the_files_own_numbers_are_kept(panel: pl.DataFrame) -> None:
    kinds, _ = derive(panel, date(2026, 3, 16))
    september = kinds["delinquency_snapshots"].filter(pl.col("as_of") == "2026-03-16")
    assert september["status_code"].to_list() == panel["PAY_0"].to_list()
    assert september["balance"].to_list() == panel["BILL_AMT1"].to_list()
    assert kinds["loans"]["principal"].to_list() == panel["LIMIT_BAL"].to_list()


def test_an_account_that_cannot_be_read_is_a_problem_and_not_a_guess() -> None:
    good = dict.fromkeys(COLUMNS, "0") | {"ID": "1", "LIMIT_BAL": "1000"}
    rows = pl.DataFrame([{"line": 2, **good}, {"line": 3, **good, "PAY_0": "9"}, {"line": 4, **good, "ID": "", "BILL_AMT3": "x"}])
    kinds, problems = derive(rows, date(2026, 3, 16))
    assert kinds["parties"]["line"].to_list() == [2]
    assert problems.select("line", "field").rows() == [(3, "PAY_0"), (4, "ID"), (4, "BILL_AMT3")]

"""The Taiwan card panel as a portfolio: instalments and payments that age exactly as the file says its accounts did.

The file has, for 30,000 card accounts, six months (April to September 2005) of pay status, statement and amount paid. It
has no due dates and no dated payments. This module makes both, so that at each of the six statement dates our own ageing
(decisions/aging.py) finds the status that the file gives: -2, -1 and 0 are current, n from 1 on is n months past due.

The file's own:  account number, credit limit (the loan's principal), the statements (balance of the snapshots), the
                 statuses (status_code of the snapshots).
Derived here:    all dates; instalments, their amounts and days; payments and returned payments. PAY_AMT, SEX, EDUCATION,
                 MARRIAGE, AGE and the default flag are not used.

The rule, for an account whose statement dates are s(1) … s(6), one month apart, s(6) = `as_of`:
- Instalment k falls due on d(k) = s(k) + w days; w is 2 to 27, fixed by the account number, so that accounts stand at
  different days. So n months past due at s(m) means 28n-27 to 31n-2 days since d(m-n): 1 to 29 for n = 1, 32 to 60 for 2,
  62 to 90 for 3, more than 92 from 4 on: the buckets M1, M2, M3, M4+.
- Its amount is the usual minimum payment: a twentieth of that month's statement, at least 1,000 (NT$). Instalments
  before April, needed where an account is already n months late then, take April's statement.
- At s(m) with status n, exactly the instalments up to m-1-max(n, 0) are paid. What has to be paid for that since the
  statement before is paid on d(m-1), one payment an instalment, in full.
- Where fewer instalments are paid than a month before (from current to 2 at once; the panel has almost no 1 before
  September), a month has aged a debt by more than a month: only a payment taken back can do that. So those payments are
  returned on d(m-1), and the instalments age again from their own due dates.

In:   texts of the file's columns; `as_of`.
Out:  texts for the kinds of rows of decisions/portfolio.py; problems as there.
Pure: no I/O, no clock.
Source: UCI Machine Learning Repository no. 350, Yeh & Lien 2009, Expert Systems with Applications 36(2), CC BY 4.0.
"""

from __future__ import annotations

from datetime import date
from typing import Final

import polars as pl

# April to September: the file numbers its months backwards, and has no PAY_1.
STATUSES: Final = ("PAY_6", "PAY_5", "PAY_4", "PAY_3", "PAY_2", "PAY_0")
STATEMENTS: Final = ("BILL_AMT6", "BILL_AMT5", "BILL_AMT4", "BILL_AMT3", "BILL_AMT2", "BILL_AMT1")
COLUMNS: Final = ("ID", "LIMIT_BAL", *STATUSES, *STATEMENTS)
MONTHS: Final = 6
STATUS_WORST: Final = 8
FIRST_INSTALMENT: Final = 1 - STATUS_WORST
LAG_DAYS_MIN: Final = 2
LAG_DAYS_COUNT: Final = 26
PAYMENT_SHARE: Final = 20
PAYMENT_MIN: Final = 1000


def derive(rows: pl.DataFrame, as_of: date) -> tuple[dict[str, pl.DataFrame], pl.DataFrame]:
    """Derive parties, loans, instalments, payments and snapshots.

    Args:
        rows: `line` (Int64) and COLUMNS (String).
        as_of: The day on which September's statement is to fall.

    Returns:
        Kind → `line` and texts by field; and the problems: line, field (a column of the file), value, reason.
    """
    accounts, problems = _read(rows, as_of)
    return {
        "parties": accounts.select("line", external_id="ID", locale=pl.lit("zh-Hant"), country=pl.lit("TW")),
        "loans": accounts.select(
            "line", external_id="ID", party="ID", product=pl.lit("credit_card"), currency=pl.lit("TWD"),
            principal="LIMIT_BAL", jurisdiction=pl.lit("TW"),
        ),
        "instalments": _instalments(accounts),
        "payments": _payments(accounts),
        "delinquency_snapshots": _snapshots(accounts),
    }, problems  # fmt: skip


def statement_on(month: int, as_of: date) -> pl.Expr:
    """Date of the statement of `month` (6 = September), as an expression."""
    return pl.lit(as_of).dt.offset_by(f"{month - MONTHS}mo")


def _read(rows: pl.DataFrame, as_of: date) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Accounts that can be read, with their months' numbers; and what is wrong with the others."""
    whole = r"^-?[0-9]{1,12}(\.0+)?$"
    status = rf"^-2$|^-1$|^[0-{STATUS_WORST}]$"
    checks = [("ID", r"^[0-9]{1,12}$", "not an account number"), ("LIMIT_BAL", r"^[0-9]{1,12}(\.0+)?$", "not a whole amount")]
    checks += [(name, status, f"not a pay status from -2 to {STATUS_WORST}") for name in STATUSES]
    checks += [(name, whole, "not a whole amount") for name in STATEMENTS]
    wrong = {name: ~pl.col(name).str.contains(form).fill_null(False) for name, form, _ in checks}
    problems = pl.concat(
        [
            rows.filter(wrong[name]).select("line", field=pl.lit(name), value=pl.col(name), reason=pl.lit(reason))
            for name, _, reason in checks
        ]
    ).sort("line", maintain_order=True)
    lag = LAG_DAYS_MIN + pl.col("ID").cast(pl.Int64) % LAG_DAYS_COUNT
    good = rows.filter(~pl.any_horizontal(wrong.values())).with_columns(lag=lag)
    paid = {month: month - 1 - pl.col(name).cast(pl.Int64).clip(lower_bound=0) for month, name in enumerate(STATUSES, start=1)}
    return good.with_columns(
        *(
            pl.col(name).str.replace(r"\..*", "").cast(pl.Int64).alias(f"statement{month}")
            for month, name in enumerate(STATEMENTS, start=1)
        ),
        *(statement_on(month, as_of).alias(f"on{month}") for month in range(FIRST_INSTALMENT, MONTHS + 1)),
        *(through.alias(f"paid{month}") for month, through in paid.items()),
        # The oldest instalment that is ever unpaid; an account that never is late begins with April's.
        first=pl.min_horizontal(pl.lit(1), *(through + 1 for through in paid.values())),
    ), problems  # fmt: skip


def _due_on(instalment: int) -> pl.Expr:
    return pl.col(f"on{instalment}") + pl.duration(days=pl.col("lag"))


def _due_amount(instalment: int) -> pl.Expr:
    return (pl.col(f"statement{max(instalment, 1)}") // PAYMENT_SHARE).clip(lower_bound=PAYMENT_MIN)


def _number(instalment: int) -> int:
    return instalment - FIRST_INSTALMENT + 1


def _day(day: pl.Expr) -> pl.Expr:
    return day.dt.strftime("%Y-%m-%d")


def _instalments(accounts: pl.DataFrame) -> pl.DataFrame:
    return pl.concat(
        [
            accounts.filter(pl.col("first") <= k).select(
                "line",
                loan="ID",
                number=pl.lit(str(_number(k))),
                due_on=_day(_due_on(k)),
                principal=_due_amount(k).cast(pl.String),
            )
            for k in range(FIRST_INSTALMENT, MONTHS + 1)
        ]
    )


def _payments(accounts: pl.DataFrame) -> pl.DataFrame:
    """One payment for each time an instalment becomes paid, one return for each time it becomes unpaid again."""
    parts: list[pl.DataFrame] = []
    for k in range(FIRST_INSTALMENT, MONTHS):
        owed = accounts.filter(pl.col("first") <= k)
        paid_before = pl.lit(False)
        last_paid = pl.lit(None, pl.Int64)
        for month in range(1, MONTHS + 1):
            paid = pl.col(f"paid{month}") >= k
            # What was paid before the panel begins was paid when it fell due.
            on = _due_on(min(k, 0) if month == 1 else month - 1)
            parts.append(_money(owed.filter(paid & ~paid_before), k, pl.lit(month), on))
            parts.append(_money(owed.filter(~paid & paid_before), k, last_paid, on, returned=True))
            last_paid = pl.when(paid & ~paid_before).then(pl.lit(month)).otherwise(last_paid)
            paid_before = paid
    return pl.concat(parts)


def _money(rows: pl.DataFrame, instalment: int, month: pl.Expr, on: pl.Expr, *, returned: bool = False) -> pl.DataFrame:
    payment = pl.concat_str("ID", pl.lit(f"-{_number(instalment)}-"), month.cast(pl.String))
    amount = _due_amount(instalment)
    return rows.select(
        "line",
        loan="ID",
        external_id=pl.concat_str(payment, pl.lit("-returned")) if returned else payment,
        amount=(-amount if returned else amount).cast(pl.String),
        state=pl.lit("reversed" if returned else "posted"),
        paid_on=_day(on),
        reverses=payment if returned else pl.lit(None, pl.String),
        reversal_reason=pl.lit("returned" if returned else None, pl.String),
    )


def _snapshots(accounts: pl.DataFrame) -> pl.DataFrame:
    return pl.concat(
        [
            accounts.select(
                "line",
                loan="ID",
                as_of=_day(pl.col(f"on{month}")),
                months_past_due=pl.col(status).cast(pl.Int64).clip(lower_bound=0).cast(pl.String),
                status_code=status,
                balance=statement,
            )
            for month, (status, statement) in enumerate(zip(STATUSES, STATEMENTS, strict=True), start=1)
        ]
    )

"""What may be learned from the Taiwan card panel: default in the month after it, and cure of those who are late.

The panel has no contacts and no dated payments; its months are columns. Its protected columns are never inputs: they are groups, for the
fairness table alone.

In:   the file's columns as numbers (`ID`, decisions/card_panel.COLUMNS, `PAY_AMT1` to `PAY_AMT6`, the label, the protected ones).
Out:  rows and kinds for decisions/learning.train.
Pure: no I/O, no clock.
Source: SCIENCE.md B; UCI Machine Learning Repository no. 350, Yeh & Lien 2009.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from decisions.learning import Kind
from decisions.models import Input

PROTECTED: Final = ("SEX", "EDUCATION", "MARRIAGE", "AGE")
DEFAULTED: Final = "default.payment.next.month"
_SEPTEMBER: Final = ("PAY_0", "PAY_2", "PAY_3", "PAY_4", "PAY_5", "PAY_6")
_JULY: Final = ("PAY_3", "PAY_4", "PAY_5", "PAY_6")
# From so many months on an account is late: 1 is hardly used before September.
LATE_MONTHS: Final = 2
ELDER_FROM: Final = 30

DEFAULT: Final = Kind(
    name="card_default",
    label="defaulted",
    horizon_days=30,
    arms=False,
    inputs=tuple(
        Input(name=name)
        for name in (
            "LIMIT_BAL",
            *_SEPTEMBER,
            *(f"BILL_AMT{month}" for month in range(1, 7)),
            *(f"PAY_AMT{month}" for month in range(1, 7)),
        )
    ),
)
CURE: Final = Kind(
    name="card_cure",
    label="cured",
    horizon_days=30,
    arms=False,
    inputs=tuple(
        Input(name=name)
        for name in ("LIMIT_BAL", *_JULY, *(f"BILL_AMT{month}" for month in range(3, 7)), *(f"PAY_AMT{month}" for month in range(3, 7)))
    ),
)


def default_rows(panel: pl.DataFrame) -> pl.DataFrame:
    """All accounts as they stood in September; `defaulted` in October."""
    inputs = [one.name for one in DEFAULT.inputs or ()]
    return panel.select(pl.col("ID").cast(pl.Int64).alias("party_id"), *inputs, defaulted=pl.col(DEFAULTED) == 1)


def cure_rows(panel: pl.DataFrame) -> pl.DataFrame:
    """Accounts that were late in July, with what was known then; `cured` = not late in August."""
    inputs = [one.name for one in CURE.inputs or ()]
    late = panel.filter(pl.col("PAY_3") >= LATE_MONTHS)
    return late.select(pl.col("ID").cast(pl.Int64).alias("party_id"), *inputs, cured=pl.col("PAY_2") <= 0)


def groups(panel: pl.DataFrame) -> pl.DataFrame:
    """`party_id`, `attribute`, `value`: sex, and age below and from 30 on; apart from what is learned from."""
    party = pl.col("ID").cast(pl.Int64).alias("party_id")
    sex = pl.col("SEX").cast(pl.Int64).replace_strict({1: "men", 2: "women"}, default="not said", return_dtype=pl.String)
    age = pl.when(pl.col("AGE") < ELDER_FROM).then(pl.lit("under 30")).otherwise(pl.lit("30 and more"))
    return pl.concat(
        [
            panel.select(party, attribute=pl.lit("sex"), value=sex),
            panel.select(party, attribute=pl.lit("age"), value=age),
        ]
    )

"""Statements: what is past due, instalment by instalment, as a letter or an email shows it.

In:   what ageing found to be unpaid, and the words for it in the reader's language.
Out:  the lines of each loan; the same as tables of a text (decisions/blocks.py), to the minor unit.
Pure: yes. The figures come from ageing alone, so that a statement and a stage can never disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, TypeAlias

from decisions.blocks import one_line, table_lines

# The gap that a whole account stands in.
BREAKDOWN: Final = "breakdown"
# Words that a text with a breakdown brings: what stands over each column, before each loan's own number, and beside the sums.
COLUMNS: Final = ("due_on", "principal", "interest", "fee", "penalty", "paid", "open")
MoneyWords: TypeAlias = Callable[[int, str], str]
DayWords: TypeAlias = Callable[[date], str]
RateWords: TypeAlias = Callable[[int], str]
BREAKDOWN_WORDS: Final = (*COLUMNS, "loan", "disputed", "total")
# Words that a text brings only where a law wants the contract's day and rate named (JP-21-LETTER).
CONTRACT_WORDS: Final = ("opened_on", "rate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One instalment that is past due: what was asked for by component, what was paid of it, what is open."""

    due_on: date
    principal_minor: int
    interest_minor: int
    fee_minor: int
    penalty_minor: int
    paid_minor: int
    open_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One loan's part.

    Attributes:
        reference: What the borrower knows the loan by.
        currency: ISO 4217.
        disputed_minor: The part that is disputed, and not asked for.
        lines: Oldest first.
        opened_on: Day of the contract; None = not known.
        apr_basis_points: Its rate a year, in hundredths of a percent; None = not known.
    """

    reference: str
    currency: str
    disputed_minor: int
    lines: tuple[Line, ...]
    opened_on: date | None = None
    apr_basis_points: int | None = None

    @property
    def asked_minor(self) -> int:
        """What is asked for: what is open, without what is disputed."""
        return sum(line.open_minor for line in self.lines) - self.disputed_minor

    def knows(self, words: Mapping[str, str]) -> bool:
        """Whether all is known that these words are to say of the contract."""
        known = {"opened_on": self.opened_on, "rate": self.apr_basis_points}
        return all(known[name] is not None for name in CONTRACT_WORDS if name in words)


def _of_contract(statement: Statement, words: Mapping[str, str], day: DayWords, rate: RateWords) -> list[str]:
    """What the words ask of a contract, and it knows."""
    known = {
        "opened_on": None if statement.opened_on is None else day(statement.opened_on),
        "rate": None if statement.apr_basis_points is None else rate(statement.apr_basis_points),
    }
    return [f"{words[name]} {value}" for name, value in known.items() if name in words and value is not None]


def lines_of(unpaid: Sequence[Mapping[str, Any]]) -> tuple[Line, ...]:
    """One loan's lines.

    Args:
        unpaid: Its rows of `decisions.aging.unpaid_instalments`; what is not past due is left out.
    """
    return tuple(
        Line(
            due_on=row["due_on"],
            principal_minor=row["principal_minor"],
            interest_minor=row["interest_minor"],
            fee_minor=row["fee_minor"],
            penalty_minor=row["penalty_minor"],
            paid_minor=sum(row[f"{part}_minor"] for part in ("principal", "interest", "fee", "penalty")) - row["unpaid_minor"],
            open_minor=row["unpaid_minor"],
        )
        for row in unpaid
        if row["days_past_due"] > 0
    )


def breakdown_blocks(
    statements: Sequence[Statement], words: Mapping[str, str], *, money: MoneyWords, day: DayWords, rate: RateWords = str
) -> str:
    """All loans as blocks of a text: each one's number, then its table with its sum.

    Args:
        statements: At least one, each with a line.
        words: `BREAKDOWN_WORDS`, and those of `CONTRACT_WORDS` that are to be said of each loan.
        money: Writes an amount of minor units in a currency.
        day: Writes a date.
        rate: Writes a rate in hundredths of a percent.

    Raises:
        ValueError: There is nothing to show, or a contract's day or rate is to be said and not known.
    """
    if not statements or not all(one.lines for one in statements):
        raise ValueError("a breakdown of nothing")
    if not all(one.knows(words) for one in statements):
        raise ValueError("a contract's day or rate is to be said, and not known")
    return "\n\n".join(f"{_head(one, words, day, rate)}\n\n{_of_loan(one, words, money, day)}" for one in statements)


def _head(statement: Statement, words: Mapping[str, str], day: DayWords, rate: RateWords) -> str:
    """What a loan is known by, and of its contract what the text says."""
    return " · ".join([f"{words['loan']} {one_line(statement.reference)}", *_of_contract(statement, words, day, rate)])


def _of_loan(statement: Statement, words: Mapping[str, str], money: MoneyWords, day: DayWords) -> str:
    def amount(minor: int) -> str:
        return money(minor, statement.currency)

    rows = [
        (
            day(line.due_on),
            *(amount(part) for part in (line.principal_minor, line.interest_minor, line.fee_minor, line.penalty_minor)),
            amount(line.paid_minor),
            amount(line.open_minor),
        )
        for line in statement.lines
    ]
    gap = ("",) * (len(COLUMNS) - 2)
    if statement.disputed_minor:
        rows.append((words["disputed"], *gap, f"−{amount(statement.disputed_minor)}"))
    rows.append((words["total"], *gap, amount(statement.asked_minor)))
    return table_lines([words[name] for name in COLUMNS], rows)

"""The figures by which a stage is judged, each defined once: cure, forward roll, kept promises, contacts per cured borrower, complaints.

In:   counts, and roll-rate matrices (decisions/roll_rates.py).
Out:  shares that know their numerator and denominator, so that nobody reads a percentage of five people as a fact.
Pure: no I/O, no clock.
Source: SCIENCE.md F, "KPIs", and its "Corrections from practice"; DOMAIN.md "roll rate / cure", "promise to pay". Interval: Wilson
        (1927), the score interval, at 95 %: it stays within 0 and 1, and is honest for few people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final, Literal

import polars as pl

# End states of a loan that is in no bucket any more. Only the first two are cures: a plan, a correction and a write-off are none.
CURRENT: Final = "current"
PAID_OFF: Final = "paid off"
IN_PLAN: Final = "in plan"
RE_AGED: Final = "re-aged"
WRITTEN_OFF: Final = "written off"
CLOSED: Final = "closed otherwise"
CURED: Final = (CURRENT, PAID_OFF)
END_STATES: Final = (IN_PLAN, RE_AGED, WRITTEN_OFF, CLOSED)
Z_95: Final = 1.959964

# Complaints, and what stands for those that nobody makes: what people answer to a message that should not have come.
COMPLAINTS: Final = ("complaint", "stop", "dispute", "wrong_person")
JUDGED: Final = ("kept", "partial", "broken")


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole.

    Attributes:
        part: How many.
        whole: Of how many.
    """

    part: int
    whole: int

    @property
    def value(self) -> float | None:
        """In [0, 1]; None of nothing."""
        return self.part / self.whole if self.whole else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Wilson's 95 % interval; None of nothing."""
        if not self.whole:
            return None
        share, count, square = self.part / self.whole, self.whole, Z_95**2
        middle = (share + square / (2 * count)) / (1 + square / count)
        reach = Z_95 / (1 + square / count) * sqrt(share * (1 - share) / count + square / (4 * count**2))
        return max(0.0, middle - reach), min(1.0, middle + reach)

    def __str__(self) -> str:
        """As people read it: "12.5 % (3 of 24)"; "–" of nothing."""
        return "–" if self.value is None else f"{100 * self.value:.1f} % ({self.part:,} of {self.whole:,})"


def roll_states(buckets: Sequence[str]) -> tuple[str, ...]:
    """All states of a roll-rate matrix in reading order: cured, ever later, then what left the buckets."""
    return (*CURED, *(bucket for bucket in buckets if bucket not in CURED), *END_STATES)


def cure_rate(matrix: pl.DataFrame, what: Literal["accounts", "balance_minor"] = "accounts") -> Share:
    """Accounts in arrears at t0 that are current or paid off at t1, of all in arrears at t0; re-aged and planned ones are no cures.

    Args:
        matrix: From `roll_rates`; rows that are not in arrears (current, written off, …) do not count.
        what: Counted, or weighed by what they owed at t0 (of one currency).
    """
    late = matrix.filter(~pl.col("from_bucket").is_in([*CURED, *END_STATES]))
    return Share(int(late.filter(pl.col("to_bucket").is_in(CURED))[what].sum()), int(late[what].sum()))


def forward_roll(matrix: pl.DataFrame, buckets: Sequence[str]) -> dict[str, Share]:
    """Of each bucket with accounts: the share that is in any later bucket at t1, or written off.

    Args:
        matrix: From `roll_rates`.
        buckets: From early to late, `current` first.
    """
    rolled: dict[str, Share] = {}
    for place, bucket in enumerate(buckets):
        row = matrix.filter(pl.col("from_bucket") == bucket)
        whole = int(row["accounts"].sum())
        if whole:
            worse = [*buckets[place + 1 :], WRITTEN_OFF]
            rolled[bucket] = Share(int(row.filter(pl.col("to_bucket").is_in(worse))["accounts"].sum()), whole)
    return rolled


def kept_rate(promises: Mapping[str, int]) -> Share:
    """Promises kept, of those that were due and judged; open ones stand apart, withdrawn ones were none.

    Args:
        promises: State → how many; judged (kept = at least 90 % posted within two settlement days) by the `promises` flow.
    """
    return Share(promises.get("kept", 0), sum(promises.get(state, 0) for state in JUDGED))


def contacts_per_cured(contacts: int, cured_borrowers: int) -> float | None:
    """Contacts made to a cohort from t0 to t1, by its borrowers who cured; None where nobody did."""
    return contacts / cured_borrowers if cured_borrowers else None


def per_thousand(count: int, of: int) -> float | None:
    """For rare things: how many of a thousand; None of nothing."""
    return 1000 * count / of if of else None

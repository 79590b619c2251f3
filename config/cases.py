"""Reads config/cases.yaml: the house's deadlines for what people are owed an answer to, and who answers.

In:   the file.
Out:  `decisions.cases.CaseTerms`.
Pure: no; reads one file.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from config.load import ConfigError, Day, Strict, read
from decisions.cases import CASE_KINDS, CaseKind, CaseTerms, HouseDays

CASES_FILE: Final = Path(__file__).with_name("cases.yaml")
Count = Annotated[int, Field(ge=1)]


class DaysForm(Strict):
    """The deadlines of one kind, as written."""

    acknowledge: Count
    answer: Count


class CasesForm(Strict):
    """The file, as written."""

    owner: Annotated[str, Field(min_length=1)]
    reviewed_on: Day
    business_days: dict[CaseKind, DaysForm]
    near_days: Count
    acknowledges: tuple[CaseKind, ...]


def case_terms(path: Path = CASES_FILE) -> CaseTerms:
    """Read the terms of cases.

    Raises:
        ConfigError: The file is not of that form, a kind has no deadlines, or would be answered before it is acknowledged.
    """
    form = read(path, CasesForm)
    if missing := [kind for kind in CASE_KINDS if kind not in form.business_days]:
        raise ConfigError(path, None, "business_days", f"says nothing of {missing[0]}")
    for kind, days in form.business_days.items():
        if days.answer < days.acknowledge:
            raise ConfigError(path, None, f"business_days.{kind}", "would be answered before it is acknowledged")
    return CaseTerms(
        owner=form.owner,
        days={kind: HouseDays(acknowledge=days.acknowledge, answer=days.answer) for kind, days in form.business_days.items()},
        near_days=form.near_days,
        acknowledges=frozenset(form.acknowledges),
    )


@lru_cache(maxsize=1)
def case_terms_in_force() -> CaseTerms:
    """The shipped file's terms, read once a process."""
    return case_terms()

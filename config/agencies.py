"""Reads config/agencies.yaml: when a loan may be placed with an agency.

In:   the file.
Out:  `decisions.placements.PlacementTerms`.
Pure: no; reads one file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from config.load import Day, Strict, Whole, read
from decisions.placements import PlacementTerms

AGENCIES_FILE: Final = Path(__file__).with_name("agencies.yaml")
Stage = Literal["early", "mid", "late", "recovery"]


class AgenciesForm(Strict):
    """The file, as written."""

    reviewed_on: Day
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]
    notice_days: Annotated[Whole, Field(ge=0, le=90)]
    days_max: Annotated[Whole, Field(ge=1, le=730)]
    licensed_by_region: tuple[Annotated[str, Field(pattern=r"^[A-Z]{2}$")], ...] = ()


def placement_terms(path: Path = AGENCIES_FILE) -> PlacementTerms:
    """Read the terms.

    Raises:
        ConfigError: The file is not of that form.
    """
    form = read(path, AgenciesForm)
    return PlacementTerms(
        stages=frozenset(form.stages),
        notice_days=form.notice_days,
        days_max=form.days_max,
        licensed_by_region=frozenset(form.licensed_by_region),
    )

"""Reads config/report.yaml: how many people a figure needs, and how few are not shown.

In:   the file.
Out:  `ReportPolicy`.
Pure: no; reads one file.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from config.load import Day, Strict, Whole, decimal, read

REPORT: Final = Path(__file__).with_name("report.yaml")
Count = Annotated[Whole, Field(ge=1)]


Ratio = Annotated[Decimal, decimal("a ratio like 1.25", r"[0-9](\.[0-9]+)?"), Field(gt=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPolicy:
    """All that the file says.

    Attributes:
        enough: Of fewer no rate is shown.
        cell_min: Fewer people than this are not shown.
        roll_days: Of a roll rate.
        roll_slack_days: That its first date may be earlier, where it was not aged.
        ratio_low: A group's figure, to everybody's.
        ratio_high: Likewise.
    """

    enough: int
    cell_min: int
    roll_days: int
    roll_slack_days: int
    ratio_low: float
    ratio_high: float


class ReportForm(Strict):
    """The file, as written. Never fewer than ten people: they could be known again."""

    owner: Annotated[str, Field(min_length=1)]
    reviewed_on: Day
    enough: Annotated[Whole, Field(ge=10)]
    cell_min: Annotated[Whole, Field(ge=10)]
    roll_days: Count
    roll_slack_days: Annotated[Whole, Field(ge=0)]
    ratio_low: Annotated[Ratio, Field(le=1)]
    ratio_high: Annotated[Ratio, Field(ge=1)]


def report_policy(path: Path = REPORT) -> ReportPolicy:
    """Read the file.

    Raises:
        ConfigError: It is not of that form.
    """
    form = read(path, ReportForm)
    return ReportPolicy(
        enough=form.enough,
        cell_min=form.cell_min,
        roll_days=form.roll_days,
        roll_slack_days=form.roll_slack_days,
        ratio_low=float(form.ratio_low),
        ratio_high=float(form.ratio_high),
    )

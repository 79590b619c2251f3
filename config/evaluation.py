"""Reads config/evaluation.yaml: how long a label takes to freeze, and when a log of decisions cannot tell.

In:   the file.
Out:  `EvaluationPolicy`, with `decisions.off_policy.Limits`.
Pure: no; reads one file.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from config.load import Day, Strict, Whole, read
from config.strategy_files import Share
from decisions.off_policy import Limits

EVALUATION: Final = Path(__file__).with_name("evaluation.yaml")
Count = Annotated[Whole, Field(ge=1)]
Text = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationPolicy:
    """All that the file says.

    Attributes:
        days: Of decisions, where nothing else is asked for.
        money_days: Of payments, complaints and contacts after a decision, its own day included.
        cured_days: After how many days it is looked whether a borrower has cured.
        posting_days: That payments get to be posted before a label is frozen.
        decisions_max: Of more, a part of the borrowers is taken.
        limits: When the log cannot tell.
    """

    days: int
    money_days: int
    cured_days: tuple[int, ...]
    posting_days: int
    decisions_max: int
    limits: Limits


class EvaluationForm(Strict):
    """The file, as written. What the log must say at least may be made stricter, never looser than SCIENCE.md C2."""

    owner: Text
    reviewed_on: Day
    days: Count
    money_days: Count
    cured_days: Annotated[tuple[Count, ...], Field(min_length=1)]
    posting_days: Annotated[Whole, Field(ge=0)]
    decisions_max: Count
    ess_min: Annotated[Whole, Field(ge=2000)]
    ess_share_min: Annotated[Share, Field(ge=Decimal("0.05"))]
    one_borrower_max: Annotated[Share, Field(gt=0, le=Decimal("0.02"))]
    unsupported_max: Annotated[Share, Field(le=Decimal("0.01"))]
    mean_weight_off_max: Annotated[Share, Field(gt=0, le=Decimal("0.2"))]
    mean_weight_errors_max: Annotated[Whole, Field(ge=2, le=6)]
    folds: Annotated[Whole, Field(ge=2)]
    bootstraps: Annotated[Whole, Field(ge=100)]


def evaluation(path: Path = EVALUATION) -> EvaluationPolicy:
    """Read the file.

    Raises:
        ConfigError: It is not of that form.
    """
    form = read(path, EvaluationForm)
    return EvaluationPolicy(
        days=form.days,
        money_days=form.money_days,
        cured_days=form.cured_days,
        posting_days=form.posting_days,
        decisions_max=form.decisions_max,
        limits=Limits(
            ess_min=form.ess_min,
            ess_share_min=float(form.ess_share_min),
            one_borrower_max=float(form.one_borrower_max),
            unsupported_max=float(form.unsupported_max),
            mean_weight_off_max=float(form.mean_weight_off_max),
            mean_weight_errors_max=form.mean_weight_errors_max,
            folds=form.folds,
            bootstraps=form.bootstraps,
        ),
    )

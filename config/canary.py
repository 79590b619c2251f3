"""Reads config/canary.yaml: how few go first where something is new, and what stops them.

In:   the file.
Out:  a `decisions.canary.Canary`.
Pure: no; reads one file.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from config.load import Strict, Whole, read
from config.strategy_files import Share
from decisions.canary import Canary, Limit

CANARY: Final = Path(__file__).with_name("canary.yaml")


class LimitForm(Strict):
    """One limit, as written."""

    share: Share
    people: Annotated[Whole, Field(ge=1)]


class LimitsForm(Strict):
    """Every measure has its limit: none may be left out by a slip."""

    opt_out: LimitForm
    wrong_person: LimitForm
    dispute: LimitForm
    undelivered: LimitForm


class CanaryForm(Strict):
    """The file, as written. A file may go to fewer and wait longer; never to more than 1 % or 200, nor not at all."""

    modes: tuple[Literal["sandbox", "allowlist", "live"], ...]
    allowlist_first: Literal["true", "false"]
    share: Annotated[Share, Field(gt=0, le=0.01)]
    contacts_max: Annotated[Whole, Field(ge=1, le=200)]
    wait_minutes: Annotated[Whole, Field(ge=10, le=1440)]
    stops_at: LimitsForm


def canary(path: Path | None = None) -> Canary:
    """Read the file.

    Raises:
        ConfigError: It is not of that form.
    """
    form = read(path or CANARY, CanaryForm)
    limits = {measure: getattr(form.stops_at, measure) for measure in LimitsForm.model_fields}
    return Canary(
        modes=form.modes,
        allowlist_first=form.allowlist_first == "true",
        share=float(form.share),
        contacts_max=form.contacts_max,
        wait=timedelta(minutes=form.wait_minutes),
        stops_at={measure: Limit(share=float(limit.share), people=limit.people) for measure, limit in limits.items()},
    )

"""Reads config/retention.yaml: how long records must be kept, and what ends by itself.

In:   the file.
Out:  `RetentionPolicy`.
Pure: no; reads one file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final, Literal, get_args

from pydantic import Field

from config.load import ConfigError, Day, Strict, Whole, read
from decisions.retention import HOUSE, RecordDuty

RETENTION: Final = Path(__file__).with_name("retention.yaml")
DAY_SECONDS: Final = 86_400
# Rules, caps and choices look back two years at most, and a month (tests/ledger/test_archive.py): they do not see the archive.
MONTHS_MIN: Final = 30
Ends = Literal[
    "raw_callbacks",
    "reply_windows",
    "words_of_calls",
    "page_sessions",
    "page_codes",
    "staff_sessions",
    "looks_of_staff",
    "files",
    "wallet_flows",
    "fairness_attributes",
    "lateness_day_by_day",
    "differences",
]


class DutyForm(Strict):
    """A duty, as written."""

    where: Annotated[str, Field(pattern=r"^(house|[A-Z]{2}(-[A-Z]{2,3})*)$")]
    years: Annotated[Whole, Field(ge=1, le=100)]
    source: Annotated[str, Field(min_length=1)]
    confidence: Literal["V1", "V2", "R"]


class PrefectForm(Strict):
    """How long Prefect's own server keeps what it wrote, and how many runs are to be expected of it."""

    runs_days: Annotated[Whole, Field(ge=1)]
    events_days: Annotated[Whole, Field(ge=1)]
    runs_max: Annotated[Whole, Field(ge=1)]

    def environment(self) -> dict[str, str]:
        """The settings of Prefect's server that say so; of itself it keeps runs for good."""
        return {
            "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "true",
            "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(self.runs_days * DAY_SECONDS),
            "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": f"P{self.events_days}D",
        }


class HistoryForm(Strict):
    """How much of what was decided and done the day's work has at hand."""

    months: Annotated[Whole, Field(ge=MONTHS_MIN)]


class RetentionForm(Strict):
    """The file, as written."""

    reviewed_on: Day
    records: tuple[DutyForm, ...]
    history: HistoryForm
    prefect: PrefectForm
    days: dict[Ends, Annotated[Whole, Field(ge=1)]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """What is kept how long.

    Attributes:
        records: Duties to keep records, the house's own among them.
        days: What ends by itself → days of the wall clock.
        history_months: So many whole months of history before the one that runs are at hand; older ones lie in the archive.
        prefect: What Prefect's own server keeps.
    """

    records: tuple[RecordDuty, ...]
    prefect: PrefectForm
    days: Mapping[str, int]
    history_months: int


def retention_policy(path: Path = RETENTION) -> RetentionPolicy:
    """Read how long what is kept.

    Raises:
        ConfigError: The file is not of that form, the house has no years, a place stands twice, or something has no days.
    """
    form = read(path, RetentionForm)
    places = [duty.where for duty in form.records]
    if HOUSE not in places:
        raise ConfigError(path, None, "records", "the house has no years of its own: whose place has no line would be kept for ever")
    if twice := sorted({place for place in places if places.count(place) > 1}):
        raise ConfigError(path, None, "records", f"{twice[0]} stands twice")
    if missing := [name for name in get_args(Ends) if name not in form.days]:
        raise ConfigError(path, None, "days", f"says nothing of {missing[0]}")
    records = tuple(RecordDuty(**duty.model_dump()) for duty in form.records)
    return RetentionPolicy(
        records=records,
        prefect=form.prefect,
        days={str(name): days for name, days in form.days.items()},
        history_months=form.history.months,
    )


@lru_cache(maxsize=1)
def retention_policy_in_force() -> RetentionPolicy:
    """The shipped file, read once a process."""
    return retention_policy()

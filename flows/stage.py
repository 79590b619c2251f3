"""What every stage's flow is to Prefect: its name, its runs' names, its patience, and how many shards go at once.

In:   the stage's name as operations read it ("pre-due").
Out:  the decorator of its flow; the types of its parameters.
Pure: values only; Prefect reads them when it loads a flow.
Source: PREFECT.md: a run name by `{as_of}` alone would print "None".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, ParamSpec, TypeAlias, TypeVar

from prefect import Flow, flow
from prefect.runtime import flow_run
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from pydantic import AfterValidator, Field

from config.settings import settings
from config.strategy_files import strategy_names
from flows.run_names import local_day
from tasks.record import business_zone

SECONDS_MAX = 4 * 3600
SHARDS_AT_ONCE = 2


def _there_is(named: str) -> str:
    if named not in strategy_names():
        raise ValueError(f"no strategy {named}: config/strategies has {', '.join(strategy_names())}")
    return named


def _has_a_clock(country: str) -> str:
    business_zone(country)
    return country


# A country without a clock of its own fails the run before it has a name, which is a date.
Country: TypeAlias = Annotated[str, Field(pattern="^[A-Z]{2}$", examples=["TW"]), AfterValidator(_has_a_clock)] | None
# Read when the flow is deployed, so that the form in the UI lists them.
Ladder: TypeAlias = Annotated[str, Field(json_schema_extra={"enum": [*strategy_names()]}), AfterValidator(_there_is)] | None
Limit: TypeAlias = Annotated[int, Field(ge=1)] | None
AskPeople: TypeAlias = Literal["as the strategy says", "required"]
RequestCode: TypeAlias = Annotated[str, Field(max_length=64)]
P = ParamSpec("P")
R = TypeVar("R")


def stage_flow(name: str) -> Callable[[Callable[P, R]], Flow[P, R]]:
    """Make a function the flow of a stage, whose runs are named by their date, so that the list in the UI reads as a calendar."""

    def run_name() -> str:
        asked = flow_run.parameters
        country = asked.get("country")
        day = asked.get("as_of") or local_day(country)
        return " ".join([name, *([country] if country else []), str(day)])

    return flow(
        name=name,
        flow_run_name=run_name,
        timeout_seconds=SECONDS_MAX,
        task_runner=task_runner(),
    )


def task_runner() -> TaskRunner[Any]:
    """What runs a stage's shards: threads of its own process, or the Dask cluster that TIDEOVER_DASK_SCHEDULER names.

    Raises:
        RuntimeError: A cluster is named, and the extra `dask` is not installed.
    """
    scheduler = settings().dask_scheduler
    if not scheduler:
        return ThreadPoolTaskRunner(max_workers=SHARDS_AT_ONCE)
    try:
        from prefect_dask.task_runners import DaskTaskRunner  # noqa: PLC0415  # an optional extra
    except ImportError as error:
        raise RuntimeError("TIDEOVER_DASK_SCHEDULER is set, and prefect-dask is not installed: the extra `dask` brings it") from error
    return DaskTaskRunner(address=scheduler)

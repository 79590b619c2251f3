"""Backfill: look at past dates again. Decide them again, catch up with those that an outage missed, or record what was learned late.

Each date is a step that the ledger knows: a backfill that was killed goes on where it was when it is started again with the
same parameters. Only "catch up" sends anything, and that by the stages' own flows, for today. Runs on a queue of its own
(prefect.yaml), so that it never delays today.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, cast
from uuid import UUID

from prefect import flow
from prefect.artifacts import create_progress_artifact, create_table_artifact, update_progress_artifact
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed
from pydantic import Field

from flows.early import early
from flows.late import late
from flows.mid import mid
from flows.pre_due import pre_due
from flows.recovery import recovery
from tasks.backfill import begin, close, do_date, table_of, take_back_planned
from tasks.backfill_requests import CatchUp, Request, ReRecord
from tasks.catch_up import TODAY_IS, foresee, today_of
from tasks.re_record import foresee_re_record

SECONDS_MAX: Final = 12 * 3600
WHOLE: Final = 100.0
STAGE_FLOWS: Final[Mapping[str, Callable[..., Any]]] = {"pre_due": pre_due, "early": early, "mid": mid, "late": late, "recovery": recovery}


class StagesUnfinished(RuntimeError):
    """The missed dates are recorded; today's runs of some stages did not come to their end. Run those again."""

    def __init__(self, why: Mapping[str, str]) -> None:
        said = "; ".join(f"{stage}: {reason}" for stage, reason in why.items())
        super().__init__(f"the missed dates are recorded; today's runs of some stages did not come to their end, run those again. {said}")
        self.stages = tuple(why)


def run_name() -> str:
    """Name the run by what it does and its dates."""
    asked = flow_run.parameters["request"]
    asked = asked if isinstance(asked, dict) else asked.model_dump(mode="json")
    return f"{asked['what']} {asked['first']} to {asked['last']}"


@flow(name="backfill", flow_run_name=run_name, timeout_seconds=SECONDS_MAX)
def backfill(request: Annotated[Request, Field(title="What is wanted")]) -> dict[str, Any] | State[Any]:
    """Look at past dates again.

    Args:
        request: Re-decide compares and sends nothing. Catch up records missed days and runs today's stages. Re-record lists what came late.

    Returns:
        Counts by date and in all; rows of people are in the ledger.

    Raises:
        BackfillRefused: It cannot be done as asked; nothing was begun.
        StagesUnfinished: The missed dates are recorded, but not all of today's runs came to their end.
    """
    if isinstance(request, CatchUp | ReRecord) and request.dry_run:
        return foretell(request)

    number, left = begin(request)
    said = f"backfill {number}: {len(left)} dates to do"
    progress = cast("UUID", create_progress_artifact(progress=0.0, key=f"backfill-{number}-progress", description=said))
    for done, day in enumerate(left, start=1):
        do_date(number, day)  # a date that is done stays done, whatever becomes of the others
        update_progress_artifact(progress, progress=WHOLE * done / len(left))

    if isinstance(request, CatchUp):
        take_back_planned(number)  # "the message of last Tuesday" is never sent
        treat_today(request)
    return close(number)


def treat_today(request: CatchUp) -> None:
    """Run today's stages as they run every day; where one ran already, it finds its work done.

    Raises:
        StagesUnfinished: One or more did not come to their end; the others did.
    """
    today = today_of(request)
    ended = {stage: STAGE_FLOWS[stage](as_of=today, country=request.country, return_state=True) for stage in request.stages}
    if broken := {str(stage): state.message or state.name for stage, state in ended.items() if not state.is_completed()}:
        raise StagesUnfinished(broken)


def foretell(request: CatchUp | ReRecord) -> State[Any]:
    """The dry run: show what would be found and sent; begin nothing."""
    if isinstance(request, CatchUp):
        told = foresee(request)
        rows = [{"date": day, **stages} for day, stages in told["missed"].items()]
        rows.append({"date": "today", **{stage: _would(found) for stage, found in told["today"].items()}})
    else:
        rows = [
            {"date": day.isoformat(), **row} for day, counts in foresee_re_record(request).items() for row in table_of("re_record", counts)
        ]
    create_table_artifact(key="backfill-dry-run", table=rows, description=f"**{run_name()}**: a dry run; nothing was written or sent")
    return Completed(name="DryRun", message="a dry run: the table says what would be done; nothing was written or sent")


def _would(found: Mapping[str, Any]) -> str:
    if found["was"] not in TODAY_IS.values():
        return f"{found['was']}: nothing more is sent"
    return "would contact " + (", ".join(f"{number} by {channel}" for channel, number in found["would_contact"].items()) or "nobody")

"""Early stage, 1 to 30 days past due: a kind reminder, easy ways to pay, time offered before any pressure.

What is sent to whom is said by config/strategies/static-ladder/early.yaml and config/rules/; this file only says in
which order things happen. Scheduled in prefect.yaml. Safe to run again for the same date: a second run finds its
campaign, plans and sends nothing twice, and brings the funnel up to date.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated

from prefect import flow, unmapped
from prefect.futures import wait
from prefect.runtime import flow_run
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import Field

from tasks.choose import choose
from tasks.pick import pick
from tasks.record import business_date, close_campaign, open_campaign
from tasks.send import send

STAGE = "early"


def run_name() -> str:
    """Name the run by its date, so that the list in the UI reads as a calendar."""
    return f"{STAGE} {flow_run.parameters.get('as_of') or business_date(flow_run.scheduled_start_time)}"


@flow(name=STAGE, flow_run_name=run_name, timeout_seconds=4 * 3600, task_runner=ThreadPoolTaskRunner(max_workers=2))  # type: ignore[arg-type]  # Prefect's stub wants a runner of a narrower future type
def early(
    as_of: date | None = None,
    preview: bool = False,  # noqa: FBT001, FBT002  # parameters of a flow are given by name, in the UI's form
    limit: Annotated[int, Field(ge=1)] | None = None,
) -> int:
    """Treat every borrower of the early stage once.

    Args:
        as_of: Local business date to treat the portfolio at. Empty = the date on which this run was due, in the portfolio's zone.
        preview: Decide and show, send nothing.
        limit: Treat at most so many borrowers, the same ones each time; empty = all.

    Returns:
        Id of the campaign run; results live in the ledger and in this run's artifacts.

    Raises:
        ShardsUnfinished: A shard neither finished nor was skipped. The run shows as failed while what did finish
            stands; run the flow again to complete it.
    """
    campaign = open_campaign(STAGE, as_of, preview=preview, limit=limit)
    shards = pick(campaign)

    wait(choose.map(shards, unmapped(campaign)))  # one failed shard does not stop the others
    if not preview:
        wait(send.map(shards, unmapped(campaign)))  # the gate checks every rule again, at this instant

    return close_campaign(campaign)  # asks the ledger what is missing, and raises

"""Hand: a part of another run's shards, on whatever worker is free (flows/hands.py).

Started by a stage's run, never by a schedule. Started by hand it does what is left of that run and no more: shards that are
decided are not decided again, and the gate sends only what people have said yes to.
"""

from __future__ import annotations

from typing import Annotated

from prefect import flow, get_run_logger, unmapped
from prefect.futures import wait
from prefect.runtime import flow_run
from pydantic import Field

from flows.hands import Doing, own_first
from flows.stage import SECONDS_MAX, task_runner
from tasks.choose import choose
from tasks.pick import shards_of
from tasks.send import send


class PartUnfinished(RuntimeError):
    """Shards of a part did not come to their end; the run that asked for this hand takes them."""


def _run_name() -> str:
    asked = flow_run.parameters
    return f"{asked.get('doing')} {asked.get('campaign_run_id')} part {asked.get('part')} of {asked.get('of')}"


@flow(name="hand", flow_run_name=_run_name, timeout_seconds=SECONDS_MAX, task_runner=task_runner())
def hand(
    campaign_run_id: Annotated[int, Field(ge=1)],
    doing: Doing,
    part: Annotated[int, Field(ge=0)] = 0,
    of: Annotated[int, Field(ge=1)] = 1,
) -> None:
    """Help a stage's run with its shards.

    Args:
        campaign_run_id: The campaign run, as the stage's run names it.
        doing: Decide (`choose`), or send what is decided and may be sent (`send`).
        part: Which of the parts this hand begins with, from 0; 0 is the stage's own.
        of: How many parts there are.

    Raises:
        PartUnfinished: A shard neither finished nor was skipped.
    """
    work = choose if doing == "choose" else send
    lanes = work.map(own_first(shards_of(campaign_run_id), part, of), unmapped(campaign_run_id))
    wait(lanes)
    if failed := sum(not lane.state.is_completed() for lane in lanes):
        raise PartUnfinished(f"{failed} of {len(lanes)} shards did not come to their end; the run that asked for this hand takes them")
    get_run_logger().info("%d shards looked after", len(lanes))

"""Hands: how a stage's run shares its shards with other workers of the pool.

A stage's run is one process on one machine. With TIDEOVER_HANDS above 1 it asks the pool for so many less one further runs (flows/hand.py).
Each begins with a part of its own and then takes what is left of the others', the last first: whoever comes too late, or dies, or never
starts, costs time and nothing else. That a shard is decided once and nobody is contacted twice is the ledger's doing, not this module's.

In:   the shards of a campaign run; the setting TIDEOVER_HANDS.
Out:  the order in which this run takes them itself; runs of the deployment `hand/any`.
Pure: `own_first` is; the rest asks Prefect's server.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Literal

from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.exceptions import PrefectException
from prefect.runtime import flow_run
from prefect.states import Cancelled

from config.settings import settings

DEPLOYMENT: Final = "hand/any"
Doing = Literal["choose", "send"]


def own_first(shards: Sequence[int], part: int, of: int) -> list[int]:
    """Every `of`-th shard from the `part`-th on (counted from 0), then all others, the last first."""
    mine = shards[part::of]
    return [*mine, *(shard for shard in reversed(shards) if shard not in mine)]


@contextmanager
def hands(doing: Doing, campaign_run_id: int, shards: Sequence[int]) -> Iterator[list[int]]:
    """Ask other workers to help while the block runs, and give the order in which to take the shards here.

    Hands that have not started when the block ends are called off.
    """
    of = min(settings().hands, len(shards))
    asked = [helping for part in range(1, of) if (helping := _ask(doing, campaign_run_id, part, of)) is not None]
    try:
        yield own_first(shards, 0, max(of, 1))
    finally:
        _call_off(asked)


def _ask(doing: Doing, campaign_run_id: int, part: int, of: int) -> FlowRun | None:
    """One hand; None where Prefect has none to give, which stops nothing."""
    parameters = {"campaign_run_id": campaign_run_id, "doing": doing, "part": part, "of": of}
    try:
        found = run_deployment(
            DEPLOYMENT,
            parameters=parameters,
            timeout=0,
            as_subflow=False,
            idempotency_key=f"{flow_run.id}-{flow_run.run_count}-{doing}-{part}",
        )
    except (PrefectException, OSError) as error:
        get_run_logger().warning("no hand for part %d of %d (%s): this run does its part too", part, of, type(error).__name__)
        return None
    assert isinstance(found, FlowRun)  # noqa: S101  # a coroutine only where a loop runs, and here none does
    return found


def _call_off(asked: Sequence[FlowRun]) -> None:
    if not asked:
        return
    try:
        with get_client(sync_client=True) as client:
            for one in asked:
                state = client.read_flow_run(one.id).state
                if state is not None and (state.is_scheduled() or state.is_pending()):
                    client.set_flow_run_state(one.id, Cancelled(message="all parts are done"))
    except (PrefectException, OSError) as error:
        get_run_logger().warning(
            "hands that are not needed any more were not called off (%s); they find nothing to do", type(error).__name__
        )

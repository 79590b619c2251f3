"""Queues on a real server with a real worker: a flood of runs for past dates does not keep today, or a stop, waiting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import StateType
from prefect.states import Pending, Running, Scheduled

from local.deploy import deploy
from tests.plugins.prefect_process import PrefectProcess

FLOOD = 10
TODAY_QUEUE, STOP_QUEUE, PAST_QUEUE = "today", "stop", "backfill"


@pytest.fixture(scope="module", autouse=True)
def deployed(prefect_process: PrefectProcess) -> None:
    """Everything, as it ships."""
    del prefect_process
    deploy()


@pytest.fixture
def client() -> Iterator[SyncPrefectClient]:
    """Of the module's server."""
    with get_client(sync_client=True) as talking:
        yield talking


def stand_in(client: SyncPrefectClient, queue: str, folder: Path) -> UUID:
    """A deployment of a flow that only ends, in a queue as it ships; what our flows do is no matter here."""
    (folder / "ends.py").write_text("from prefect import flow\n\n\n@flow(name='ends')\ndef ends() -> None:\n    pass\n")
    return client.create_deployment(
        client.create_flow_from_name("ends"),
        queue,
        entrypoint="ends.py:ends",
        pull_steps=[{"prefect.deployments.steps.set_working_directory": {"directory": str(folder)}}],
        work_pool_name="tideover",
        work_queue_name=queue,
    )


def test_a_flood_for_past_dates_keeps_neither_today_nor_a_stop_waiting(
    client: SyncPrefectClient, prefect_process: PrefectProcess, tmp_path: Path
) -> None:
    """Runs whose time is long past sort first in one queue (PREFECT.md, D); in their own they wait for one another."""
    past, today, stop = (stand_in(client, queue, tmp_path) for queue in (PAST_QUEUE, TODAY_QUEUE, STOP_QUEUE))
    long_ago = datetime.now(UTC) - timedelta(days=30)
    flood = [
        client.create_flow_run_from_deployment(past, state=Scheduled(scheduled_time=long_ago + timedelta(hours=hour))).id
        for hour in range(FLOOD)
    ]
    live = [client.create_flow_run_from_deployment(one).id for one in (today, stop)]
    # One look at the pool, then the worker ends what it took.
    worker = prefect_process.spawn("prefect", "worker", "start", "--pool", "tideover", "--run-once", "--limit", "4", log="worker.log")
    assert worker.wait(600) == 0, prefect_process.log("worker.log")[-3000:]
    states = {run: client.read_flow_run(run).state_type for run in (*flood, *live)}
    assert [states[run] for run in live] == [StateType.COMPLETED] * 2
    assert Counter(states[run] for run in flood) == {StateType.SCHEDULED: FLOOD - 1, StateType.COMPLETED: 1}


def test_a_second_run_of_a_stage_waits_and_is_not_lost(client: SyncPrefectClient) -> None:
    """`ENQUEUE`: two days' runs of one stage at once are one after the other."""
    early = client.read_deployment_by_name("early/daily")
    first, second = (client.create_flow_run_from_deployment(early.id).id for _ in range(2))
    client.set_flow_run_state(first, Pending())
    client.set_flow_run_state(first, Running())
    client.set_flow_run_state(second, Pending())
    waiting = client.read_flow_run(second)
    assert waiting.state is not None
    assert (waiting.state.type, waiting.state.name) == (StateType.SCHEDULED, "AwaitingConcurrencySlot")

"""One campaign, stopped and broken in every way that operations meet, on a real server and worker: nobody twice, nobody lost.

Its flow's process is killed; then the worker with it; then Prefect's server goes away and comes back; then a run is cancelled
as the UI does it; then a channel is paused through its deployment and resumed. After each the ledger says who was contacted,
and at the end the town's own record is compared with it.
"""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import time as time_of_day
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.deployments import run_deployment
from prefect.states import Cancelling
from sqlalchemy import text

from ledger.engine import connection
from local.demo import FIRST_DAY, audit, local, step
from tests.plugins.installation import Installation, installed, kill_all

ACCOUNTS = 1200
# Slow enough that a program can be killed in the middle of its work, however busy the machine; in the end as fast as it goes.
SLOWLY, QUICKLY = "1", "100"
SECONDS_MAX = 120
MORE = 3


@pytest.fixture(scope="module")
def installation(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A morning with a portfolio, everything running, slowly."""
    pace = pytest.MonkeyPatch()
    pace.setenv("TIDEOVER_SMS_PER_SECOND", SLOWLY)
    pace.setenv("TIDEOVER_RECONCILE_AFTER_SECONDS", "1")
    pace.setenv("TIDEOVER_PARK_AFTER_SECONDS", "3")
    with installed(server_url, tmp_path_factory.mktemp("survived"), accounts=ACCOUNTS) as running:
        _by_hand_only()
        step(running.town, local(FIRST_DAY, time_of_day(10)))
        yield running
    pace.undo()


def test_whatever_is_killed_cancelled_or_paused_nobody_is_contacted_twice_and_nobody_is_lost(installation: Installation) -> None:
    crashed = _start("early/daily", as_of=FIRST_DAY.isoformat())
    _more("of the first run")
    kill_all(installation.process("worker").children(recursive=True))
    _ended(crashed, StateType.CRASHED)

    _start("early/daily", as_of=FIRST_DAY.isoformat())
    _more("of the second run")
    installation.kill("worker")
    installation.start_again("worker")

    dispatched = _start("dispatch/every-few-minutes")
    _more("of dispatch")
    installation.kill("prefect")
    installation.start_again("prefect", health="/api/health")
    _more("after the server came back")
    _cancel(dispatched)

    _ended(_start("pause/now", because="a journey", by="a test", channel="sms"), StateType.COMPLETED)
    installation.kill("worker")
    os.environ["TIDEOVER_SMS_PER_SECOND"] = QUICKLY
    installation.start_again("worker")
    called = _called()
    _ended(_start("dispatch/every-few-minutes"), StateType.COMPLETED)
    assert _called() == called, "contacted while it was paused"
    assert _left() > 0
    _ended(_start("resume/now", by="a test"), StateType.COMPLETED)
    _ended(_start("dispatch/every-few-minutes"), StateType.COMPLETED)

    _wait(_settled, "the settling of what nobody knew the fate of, and the sending of what was never called")
    step(installation.town, local(FIRST_DAY, time_of_day(20)))
    received = Counter(message.blind_index for message in installation.town.received())
    assert received, "nobody was contacted"
    assert max(received.values()) == 1, "somebody was contacted twice"
    assert _count("state = 'parked'") == 0, "Twilio's list was there to be asked"
    assert _called() == len([message for message in installation.town.received() if message.channel == "sms"])
    assert audit(installation.town) == []


def _by_hand_only() -> None:
    """Switch the schedules off, as the UI's button does: what is broken here is broken at a chosen moment."""
    with get_client(sync_client=True) as client:
        for deployment in client.read_deployments():
            client.pause_deployment(deployment.id)


def _start(deployment: str, **parameters: Any) -> UUID:
    """Start a deployment's run, as the UI's button does."""
    run = run_deployment(deployment, parameters=parameters, timeout=0, as_subflow=False)
    assert isinstance(run, FlowRun)
    return run.id


def _ended(run: UUID, state: StateType) -> None:
    """Wait until a run has ended, and look how."""
    with get_client(sync_client=True) as client:

        def done() -> bool:
            found = client.read_flow_run(run).state
            return found is not None and found.is_final()

        _wait(done, f"the end of a run, {state.value}")
        found = client.read_flow_run(run).state
        assert found is not None
        assert found.type == state, found.message


def _wait(until: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS_MAX
    while not until():
        assert time.monotonic() < deadline, f"{what} did not come within {SECONDS_MAX} s; {_states()}"
        time.sleep(0.2)


def _more(what: str) -> None:
    """Wait until providers took some more."""
    before = _called()
    _wait(lambda: _called() >= before + MORE, f"messages {what}")


def _cancel(run: UUID) -> None:
    """As the UI's button does."""
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run, Cancelling())
    _ended(run, StateType.CANCELLED)


def _states() -> dict[str, int]:
    """For whoever reads why it failed."""
    with connection() as tx:
        rows = tx.execute(text("SELECT channel || ' ' || state AS what, count(*) AS number FROM attempt GROUP BY 1 ORDER BY 1"))
        states = {row.what: row.number for row in rows}
    with get_client(sync_client=True) as client:
        found = [(run.name, run.state) for run in client.read_flow_runs()]
        said = [
            line.message.splitlines()[0]
            for line in client.read_logs()
            if line.message.startswith("shard ") or line.level >= logging.WARNING
        ]
    return (
        states
        | {"said: " + " | ".join(said): len(said)}
        | {f"{name}: {state.name}, {state.message}": 1 for name, state in found if state is not None and state.name != "Scheduled"}
    )


def _settled() -> bool:
    """Whether no fate is open; asks the provider about those that are, and sends what surely was not called."""
    for deployment in ("reconcile/settle-unknown", "dispatch/every-few-minutes"):
        _ended(_start(deployment), StateType.COMPLETED)
    return _count("state = 'unknown'") == 0 == _left()


def _count(condition: str) -> int:
    with connection() as tx:
        return int(tx.execute(text(f"SELECT count(*) FROM attempt WHERE channel = 'sms' AND {condition}")).scalar_one())  # noqa: S608  # conditions of this file


def _called() -> int:
    return _count("state IN ('accepted', 'sent', 'delivered', 'read', 'replied')")


def _left() -> int:
    return _count("state IN ('planned', 'submitting')")

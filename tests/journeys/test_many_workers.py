"""A stage's run shared by the workers of one pool, on a real server: the work is divided, done once, and done although one is killed.

Who decided a shard is read from its log in Prefect; that it was decided once, and for everybody, from the ledger. Deciding six shards
takes less time than a worker takes to begin: so the shards' rows are held until whoever is to share them works at one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from subprocess import Popen
from uuid import UUID

import psutil
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.deployments import run_deployment
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings
from sqlalchemy import text

from config.settings import settings
from flows.stage import SHARDS_AT_ONCE
from ledger import clock
from ledger.engine import connection
from local.deploy import deploy
from tests.bench.portfolio import Wanted, fill_ledger
from tests.plugins.installation import kill_all
from tests.plugins.prefect_heard import tell_prefect
from tests.plugins.prefect_process import PrefectProcess, running_prefect, until

# Six shards, of 5,000 borrowers at least each.
BORROWERS, SHARDS = 30_000, 6
DAY = date(2026, 3, 10)
SECONDS_MAX = 300


@pytest.fixture
def pool(ledger_url: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[PrefectProcess]:
    """A portfolio that is late, a server with everything deployed, no worker yet."""
    del ledger_url
    fill_ledger(Wanted(borrowers=BORROWERS, as_of=DAY, countries=("TW",)))
    monkeypatch.setenv("TIDEOVER_HANDS", "4")
    settings.cache_clear()
    with (
        running_prefect(tmp_path_factory.mktemp("pool"), PREFECT_WORKER_QUERY_SECONDS="1") as server,
        temporary_settings({PREFECT_API_URL: server.api, PREFECT_HOME: server.folder}),
    ):
        deploy()
        with get_client(sync_client=True) as client:  # by hand only, as the UI's switch does it
            for deployment in client.read_deployments():
                client.pause_deployment(deployment.id)
        yield server
        tell_prefect()


def test_one_two_and_four_workers_share_a_run_and_one_of_them_may_be_killed(pool: PrefectProcess) -> None:
    alone = _played(pool, DAY, workers=1)
    assert set(alone.values()) == {0}, "no other worker is there"
    two = _played(pool, DAY + timedelta(days=1), workers=2)
    assert len(set(two.values())) == 2, "the second one decided nothing"
    four = _played(pool, DAY + timedelta(days=2), workers=4, killed=True)
    assert len(set(four.values())) >= 2, "whoever was left did not share"


def _played(pool: PrefectProcess, day: date, *, workers: int, killed: bool = False) -> dict[int, int]:
    """Run the early stage with so many workers; which of the run and its hands decided each shard."""
    with connection() as tx:
        clock.step(tx, datetime.combine(day, time(4), UTC))
    names = [f"worker {number} of {workers}.log" for number in range(workers)]
    started = [pool.spawn("prefect", "worker", "start", "--pool", "tideover", "--limit", "1", log=name) for name in names]
    run = run_deployment("early/daily", parameters={"as_of": day.isoformat(), "preview": True}, timeout=0, as_subflow=False)
    assert isinstance(run, FlowRun)
    with _held(day):
        # Whose run is running has not begun a shard yet: all have when each waits with as many as a process decides at once.
        until(lambda: _waiting() >= workers * SHARDS_AT_ONCE, seconds_max=SECONDS_MAX)
        assert len(_whoever_decides_beside(run.id, started)) == workers - 1
        if killed:
            kill_all(_whoever_decides_beside(run.id, started)[0])
    with get_client(sync_client=True) as client:
        until(lambda: (state := client.read_flow_run(run.id).state) is not None and state.is_final(), seconds_max=SECONDS_MAX)
        state = client.read_flow_run(run.id).state
        hands = [one for one in client.read_flow_runs() if one.parameters.get("campaign_run_id") == _campaign(day)]
        assert state is not None
        assert state.type == StateType.COMPLETED, state.message
        decided = {
            int(found[1]): number
            for number, one in enumerate([run, *sorted(hands, key=lambda hand: str(hand.id))])
            for log in client.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[one.id])))
            if (found := re.match(r"shard (\d+): \d+ borrowers", log.message))
        }
    for worker in started:
        if worker.poll() is None:
            kill_all([psutil.Process(worker.pid), *psutil.Process(worker.pid).children(recursive=True)])
    with connection() as tx:
        shards = tx.execute(
            text("SELECT s.shard, s.borrowers, s.planned + s.withheld AS decided FROM campaign_shard s WHERE campaign_run_id = :run"),
            {"run": _campaign(day)},
        ).all()
        people = tx.execute(
            text("SELECT count(*) AS decisions, count(DISTINCT party_id) AS people FROM decision WHERE campaign_run_id = :run"),
            {"run": _campaign(day)},
        ).one()
    assert len(shards) == SHARDS
    assert all(shard.borrowers == shard.decided for shard in shards)
    assert people.decisions == people.people == sum(shard.borrowers for shard in shards)
    return decided


@contextmanager
def _held(day: date) -> Iterator[None]:
    """No shard can be closed while this lasts."""
    cut = text("SELECT s.shard FROM campaign_shard s JOIN campaign_run r ON r.id = s.campaign_run_id WHERE r.business_date = :day")

    def shards() -> bool:
        with connection(read_only=True) as tx:
            return bool(tx.execute(cut, {"day": day}).all())

    until(shards, seconds_max=SECONDS_MAX)
    with connection() as tx:
        tx.execute(text(f"{cut.text} FOR UPDATE OF s"), {"day": day})
        yield


def _waiting() -> int:
    """How many sessions of this ledger wait for a lock."""
    with connection(read_only=True) as tx:
        return int(
            tx.execute(
                text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
            ).scalar_one()
        )


def _whoever_decides_beside(run: UUID, workers: Sequence[Popen[bytes]]) -> list[list[psutil.Process]]:
    """Workers that run a hand, each with what it started."""
    found = []
    with get_client(sync_client=True) as client:
        for worker in workers:
            program = psutil.Process(worker.pid)
            started = program.children(recursive=True)
            helping = {UUID(named) for child in started if (named := child.environ().get("PREFECT__FLOW_RUN_ID"))} - {run}
            states = [client.read_flow_run(one).state for one in helping]
            if any(state is not None and state.is_running() for state in states):
                found.append([program, *started])
    return found


def _campaign(day: date) -> int:
    with connection(read_only=True) as tx:
        return int(tx.execute(text("SELECT id FROM campaign_run WHERE business_date = :day"), {"day": day}).scalar_one())

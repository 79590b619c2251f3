"""A stage on a Dask cluster (the extra `dask`): what threads decide and send, a cluster's workers do."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import pytest
from distributed import LocalCluster
from prefect_dask.task_runners import DaskTaskRunner
from sqlalchemy import text

import flows.early
from config.settings import settings
from ledger.engine import connection
from tests.plugins.portfolio import TODAY, Portfolio, noon
from tests.plugins.sandbox_process import Sandbox


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalCluster]:
    """Two workers, processes of their own, and the settings that name them."""
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as running:  # type: ignore[no-untyped-call]  # distributed carries no types here
        monkeypatch.setenv("TIDEOVER_DASK_SCHEDULER", running.scheduler_address)
        settings.cache_clear()
        yield running
    monkeypatch.undo()
    settings.cache_clear()
    importlib.reload(flows.early)


@pytest.mark.usefixtures("prefect_server")
def test_a_cluster_decides_and_sends_and_each_person_is_contacted_once(
    portfolio: Portfolio, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("TIDEOVER_TWILIO_BASE_URL", sandbox.url)
    monkeypatch.setenv("TIDEOVER_TWILIO_ACCOUNT_SID", sandbox.account_sid)
    monkeypatch.setenv("TIDEOVER_TWILIO_AUTH_TOKEN", sandbox.auth_token)
    settings.cache_clear()
    portfolio.clock(noon("US"))
    sandbox.step(noon("US").isoformat())
    people = [portfolio.borrower(days_past_due=20, push=False) for _ in range(3)]
    # Workers are forked from here with this environment, and read it anew.
    request.getfixturevalue("cluster")
    early = importlib.reload(flows.early).early
    assert isinstance(early.task_runner, DaskTaskRunner)

    early(as_of=TODAY)
    early(as_of=TODAY)

    with connection() as tx:
        sent = tx.execute(text("SELECT party_id FROM attempt WHERE submitted_at IS NOT NULL ORDER BY party_id")).scalars().all()
    assert list(sent) == sorted(one.party_id for one in people)
    assert sum(sandbox.summary()["messages"].values()) == len(people)

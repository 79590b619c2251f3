"""Prefect's own database: what every server is told to remove, how many task runs a run may have, and what the morning says of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from prefect.settings.models.root import Settings as PrefectSettings

from config.retention import PrefectForm, retention_policy
from ledger.campaigns import SHARDS_MAX, shard_size
from tasks.prefect_kept import Kept, to_do

HOUSE = Path(__file__).resolve().parents[2]
POLICY = retention_policy().prefect
# Of a run besides its shards, each of which is chosen once and sent once (`python -m tests.bench prefect_growth` counts them).
BESIDE_SHARDS = 10
TASK_RUNS_MAX = 200


def test_prefect_understands_the_days_that_it_is_told(monkeypatch: Any) -> None:
    for name, value in POLICY.environment().items():
        monkeypatch.setenv(name, value)
    server = PrefectSettings().server
    assert server.services.db_vacuum.enabled_vacuum_types == {"events", "flow_runs", "orphans"}
    assert server.services.db_vacuum.retention_period.days == POLICY.runs_days
    assert server.events.retention_period.days == POLICY.events_days


def test_every_server_is_told_the_days_of_the_policy() -> None:
    wanted = POLICY.environment()
    lines = (HOUSE / "deploy/etc/prefect-server.env").read_text()
    assert {name: value for name, value in re.findall(r"^(\w+)=(\S+)$", lines, re.MULTILINE) if name in wanted} == wanted
    parts = list(yaml.safe_load_all((HOUSE / "deploy/kubernetes/prefect-server.yaml").read_text()))
    (server,) = [part for part in parts if part and part["kind"] in {"Deployment", "StatefulSet"}]
    (container,) = server["spec"]["template"]["spec"]["containers"]
    assert {one["name"]: one.get("value") for one in container["env"] if one["name"] in wanted} == wanted


def test_a_run_has_few_task_runs_however_many_borrowers_there_are() -> None:
    assert 2 * SHARDS_MAX + BESIDE_SHARDS <= TASK_RUNS_MAX
    for borrowers in (1_000_000, 10_000_000, 100_000_000):
        assert -(-borrowers // shard_size(borrowers)) <= SHARDS_MAX


def test_the_morning_is_told_of_what_prefect_should_have_removed_and_of_more_than_is_expected() -> None:
    policy = PrefectForm(runs_days=30, events_days=7, runs_max=100)
    assert list(to_do(Kept(runs=100, over=0), policy)) == []
    assert [item.what for item in to_do(Kept(runs=101, over=3), policy)] == [
        "Prefect's database keeps 3 runs for longer than 30 days: its retention is off, and it grows",
        "Prefect's database has 101 runs, more than the 100 that are expected",
    ]

"""What runs leave behind in Prefect's own database, and that its retention takes it away again.

`python -m tests.bench prefect_growth`: so many runs of the flow `early` as previews of a tiny ledger, back to back, each of another date, and
so many of `dispatch` with nothing to send, which starts every few minutes; against a Prefect server with the settings of production. Then
the rows of the first half are made older by SQL, since Prefect's rows carry real time, and the server is started once more: its own
vacuum has to remove that half and leave the other.

In:   `--runs`.
Out:  bytes a run and task runs a run, by flow and by table; an entry `prefect_growth` in build/bench.json.
Pure: no; measures.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from config.retention import retention_policy_in_force
from flows.dispatch import dispatch
from flows.early import early
from ledger.campaigns import shard_size
from tests.bench import book
from tests.bench.ground import address_of, apart, ground, machine, use
from tests.bench.harness import Sample, measured
from tests.bench.plan import LEDGER, TODAY, portfolio
from tests.bench.prefect import DATABASE, server

RUNS: Final = 365
BORROWERS: Final = 40
SETTLED_SECONDS_MAX: Final = 600
VACUUM_SECONDS_MAX: Final = 300
TASK_RUNS_MAX: Final = 200
EVENTS: Final = ("events", "event_resources")
A_MILLION: Final = 1_000_000
# Of prefect.yaml: dispatch, reconcile and core-delivery every five minutes, agencies every hour, a score a day.
RUNS_A_DAY: Final = 3 * 288 + 24 + 20


def main(arguments: Sequence[str]) -> int:
    """Run, count, let the retention run."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench prefect_growth", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=RUNS)
    runs: int = parser.parse_args(arguments).runs
    # A line for each step of each run says nothing here.
    os.environ["PREFECT_LOGGING_LEVEL"] = "INFO"
    logging.disable(logging.INFO)
    with ground() as environment:
        os.environ.update(environment)
        apart(partial(portfolio, BORROWERS))
        use(address_of(LEDGER))
        with server():
            _say(f"{runs} runs of early …")
            samples: list[Sample] = []
            before = _sizes()
            with measured(samples):
                for number in range(runs):
                    early(as_of=TODAY + timedelta(days=number), preview=True)
            _until(_stands_still, SETTLED_SECONDS_MAX)
            after_early = _sizes()
            task_runs = _count("SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM task_run GROUP BY flow_run_id) t")
            half = _count("SELECT count(*) FROM flow_run") // 2
            _say(f"{runs} runs of dispatch …")
            for _ in range(runs):
                dispatch()
            _until(_stands_still, SETTLED_SECONDS_MAX)
            after_dispatch = _sizes()
        kept = _retention(half)
    _report(runs, samples[0], task_runs, before, after_early, after_dispatch, kept)
    return 0 if kept["left"] == kept["expected"] else 1


def _retention(half: int) -> dict[str, int]:
    """Make the first half of all runs older than they are kept, and let the server's own vacuum run."""
    policy = retention_policy_in_force().prefect
    with _talking() as tx:
        all_runs = int(tx.execute(text("SELECT count(*) FROM flow_run")).scalar_one())
        keys = {"half": half, "by": timedelta(days=policy.runs_days + 1), "events": timedelta(days=policy.events_days + 1)}
        for statement in _MAKE_OLD:
            tx.execute(text(statement), keys)
    expected = all_runs - half
    with server(PREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS="5", PREFECT_SERVER_SERVICES_DB_VACUUM_ORPHAN_CLEANUP_LOOP_SECONDS="5"):
        _until(lambda: _count("SELECT count(*) FROM flow_run") <= expected and _count(_OLD_EVENTS) == 0, VACUUM_SECONDS_MAX)
        _until(_stands_still, SETTLED_SECONDS_MAX)
        left = _count("SELECT count(*) FROM flow_run")
        orphans = _count(_ORPHANS)
    with _talking() as tx:
        tx.execute(text("VACUUM FULL"))
    return {"runs": all_runs, "expected": expected, "left": left, "orphans": orphans, "bytes_left": _sizes()["all"]}


def _report(
    runs: int,
    sample: Sample,
    task_runs: int,
    before: dict[str, int],
    after_early: dict[str, int],
    after_dispatch: dict[str, int],
    kept: dict[str, int],
) -> None:
    grown, of_dispatch = _grown(before, after_early, runs), _grown(after_early, after_dispatch, runs)
    shards = -(-A_MILLION // shard_size(A_MILLION))
    # The tiny ledger has one shard, which a run that sends has twice: chosen and sent.
    at_a_million = task_runs - 1 + 2 * shards
    policy = retention_policy_in_force().prefect
    events = sum(of_dispatch.get(name, 0) for name in EVENTS)
    entry = {
        "name": "prefect_growth",
        "size": runs,
        "seconds": round(sample.seconds, 1),
        "cpu_seconds": round(sample.cpu_seconds, 1),
        "floor_seconds": 0,
        "ratio": at_a_million / TASK_RUNS_MAX,
        "peak_rss_bytes": sample.peak_rss_bytes,
        "unit": "runs",
        "ratio_means": f"task runs of a flow run at a million borrowers ÷ {TASK_RUNS_MAX}",
        "target": "≤ 1, and retention removes what is older than it is kept and nothing else",
        "met": at_a_million <= TASK_RUNS_MAX and kept["left"] == kept["expected"] and kept["orphans"] == 0,
        "bytes_a_run": grown["all"],
        "bytes_of_events_a_run": sum(grown.get(name, 0) for name in EVENTS),
        "bytes_a_run_of_dispatch": of_dispatch["all"],
        "bytes_of_events_a_run_of_dispatch": events,
        "bytes_a_run_by_table": dict(sorted(grown.items(), key=lambda item: -item[1])[1:9]),
        "task_runs_a_run": task_runs,
        "shards_at_a_million": shards,
        "task_runs_at_a_million": at_a_million,
        "runs_a_day": RUNS_A_DAY,
        "bytes_expected": RUNS_A_DAY * ((of_dispatch["all"] - events) * policy.runs_days + events * policy.events_days),
        "bytes_a_year_without_retention": RUNS_A_DAY * of_dispatch["all"] * 365,
        "retention": kept,
        "database_bytes": after_dispatch["all"],
    }
    book.add([{**entry, "at": datetime.now(UTC).isoformat(timespec="seconds"), "load": round(os.getloadavg()[0], 1), "machine": machine()}])
    sys.stdout.write(json.dumps(entry, ensure_ascii=False) + "\n")


def _grown(before: dict[str, int], after: dict[str, int], runs: int) -> dict[str, int]:
    """Bytes a run, by table."""
    return {name: round((size - before.get(name, 0)) / runs) for name, size in after.items()}


def _sizes() -> dict[str, int]:
    """Table → bytes with indexes; `all` → the database. Dead rows do not count: they are vacuumed first."""
    with _talking() as tx:
        tx.execute(text("VACUUM ANALYZE"))
        found = {
            row.relname: int(row.bytes)
            for row in tx.execute(text("SELECT relname, pg_total_relation_size(relid) AS bytes FROM pg_stat_user_tables"))
        }
        return {"all": int(tx.execute(text("SELECT pg_database_size(current_database())")).scalar_one()), **found}


def _count(statement: str) -> int:
    with _talking() as tx:
        return int(tx.execute(text(statement)).scalar_one())


def _stands_still() -> bool:
    """Whether nothing is written any more: Prefect writes task runs and events after the fact."""
    statement = "SELECT (SELECT count(*) FROM task_run) + (SELECT count(*) FROM events) + (SELECT count(*) FROM log) + (SELECT count(*) FROM flow_run)"
    before = _count(statement)
    time.sleep(5)
    return _count(statement) == before


def _until(true: Callable[[], Any], seconds_max: float) -> None:
    deadline = time.monotonic() + seconds_max
    while not true():
        if time.monotonic() > deadline:
            _say(f"not within {seconds_max:.0f} s")
            return
        time.sleep(1)


def _talking() -> Connection:
    url = make_url(address_of(DATABASE)).set(drivername="postgresql+psycopg")
    return create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT").connect()


def _say(words: str) -> None:
    sys.stderr.write(words + "\n")
    sys.stderr.flush()


_OLD_EVENTS: Final = "SELECT count(*) FROM events WHERE occurred < now() - interval '8 days'"
_ORPHANS: Final = """
    SELECT (SELECT count(*) FROM log l WHERE l.flow_run_id IS NOT NULL AND NOT EXISTS (SELECT FROM flow_run f WHERE f.id = l.flow_run_id))
         + (SELECT count(*) FROM artifact a WHERE a.flow_run_id IS NOT NULL AND NOT EXISTS (SELECT FROM flow_run f WHERE f.id = a.flow_run_id))
         + (SELECT count(*) FROM task_run t WHERE t.flow_run_id IS NOT NULL AND NOT EXISTS (SELECT FROM flow_run f WHERE f.id = t.flow_run_id))
"""
_MAKE_OLD: Final = (
    "UPDATE flow_run SET end_time = end_time - :by, start_time = start_time - :by FROM (SELECT id FROM flow_run ORDER BY created LIMIT :half) o WHERE o.id = flow_run.id AND :events IS NOT NULL",
    "UPDATE events SET occurred = occurred - CAST(:events AS interval) WHERE :half > 0 AND CAST(:by AS interval) IS NOT NULL",
    "UPDATE event_resources SET occurred = occurred - CAST(:events AS interval), updated = updated - CAST(:events AS interval) WHERE :half > 0 AND CAST(:by AS interval) IS NOT NULL",
)

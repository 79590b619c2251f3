"""Prefect: what orchestration costs in a run of ten shards.

The product is the flow `early` as a preview (everything but sending), run against a real Prefect server on the same
PostgreSQL: open, pick, ten `choose`, close, with their states, logs, events and artifacts. The floor is the same work by
the same functions called plainly, two shards at a time as the flow's task runner has it.

Not in it: the seconds between a schedule and the start of the process (a worker looks every few seconds), which are the
same for every size.

In:   a number of borrowers, every one of them 1 to 30 days late.
Out:  one result; its `ratio` is the share of the run that would not be there without Prefect.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection, HTTPException
from typing import Final

from prefect.context import refresh_global_settings_context
from prefect.logging import disable_run_logger
from sqlalchemy import text
from sqlalchemy.engine import make_url

from config.policies import policies
from config.settings import HOUSE
from flows.early import early
from ledger import schema
from ledger.campaigns import close_run, open_run
from ledger.engine import connection
from ledger.funnel import read_funnel
from tasks.choose import choose
from tasks.pick import pick
from tasks.pictures import funnel_picture
from tests.bench.ground import address_of, apart, use
from tests.bench.harness import Result, by_turns
from tests.bench.plan import AT, LEDGER, SHARDS_AT_ONCE, TODAY, forget, portfolio

ROUNDS: Final = 4
SECONDS_MAX: Final = 150.0
TARGET: Final = 0.10
# A run of one shard is hardly more than its orchestration.
TARGET_BORROWERS: Final = 100_000
DATABASE: Final = "bench_prefect"
# On a quiet machine it takes about twenty.
READY_SECONDS_MAX: Final = 240
STOP_SECONDS_MAX: Final = 15


def at(size: int) -> Iterator[Result]:
    """Measure with so many borrowers; fewer of them are fewer shards, of 5,000 borrowers at least."""
    borrowers = size
    apart(partial(portfolio, borrowers))
    use(address_of(LEDGER))
    with server():
        sides = by_turns(_orchestrated, _plainly, rounds=ROUNDS, seconds_max=SECONDS_MAX, before_product=forget, before_floor=forget)
    measured = sides.report()
    share = (measured["seconds"] - measured["floor_seconds"]) / measured["seconds"]
    with connection() as tx:
        shards = tx.scalar(text("SELECT count(*) FROM campaign_shard"))
    yield Result(
        name="prefect",
        size=borrowers,
        **measured,
        ratio=share,
        unit="borrowers",
        ratio_means="share of orchestration = (seconds − floor_seconds) ÷ seconds",
        target=f"≤ {TARGET:g}",
        met=share <= TARGET if borrowers >= TARGET_BORROWERS else None,
        more={**sides.spread(), "shards": shards},
    )


def _orchestrated() -> None:
    early(as_of=TODAY, preview=True)


def _plainly() -> None:
    with connection() as tx:
        run_id = open_run(tx, stage="early", business_date=TODAY, preview=True, borrowers_max=None, policies=policies("early"), at=AT)
    with disable_run_logger():
        shards = pick.fn(run_id)
        with ThreadPoolExecutor(SHARDS_AT_ONCE) as threads:
            list(threads.map(partial(choose.fn, campaign_run_id=run_id), shards))
    with connection() as tx:
        funnel = read_funnel(tx, run_id)
        close_run(tx, run_id, at=AT)
    funnel_picture(funnel, title="early")


@contextmanager
def server(**environment: str) -> Iterator[None]:
    """A Prefect server on a database of its own beside the ledger, as `make up` starts it, with these settings besides."""
    database = address_of(DATABASE)
    schema.create_database(database)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    os.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
    os.environ["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = (
        make_url(database).set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)
    )
    # Prefect read its settings when it was imported.
    refresh_global_settings_context()
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(
        command,
        cwd=HOUSE,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            _wait(process, port)
            yield
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < deadline and server.poll() is None:
        try:
            client = HTTPConnection("127.0.0.1", port, timeout=2)
            client.request("GET", "/api/health")
            if client.getresponse().status == 200:
                return
        except (OSError, HTTPException):
            time.sleep(0.3)
    ended = server.poll()
    raise RuntimeError(
        f"the Prefect server does not answer within {READY_SECONDS_MAX} s" if ended is None else f"the Prefect server ended with {ended}"
    )

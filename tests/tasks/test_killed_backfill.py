"""kill -9 in the middle of a date: started again, a backfill comes to exactly what it would have come to undisturbed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from prefect.logging import disable_run_logger
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from config.policies import policies
from config.settings import settings
from ledger.backfills import Backfill, read_backfill
from ledger.campaigns import open_run
from ledger.engine import connection, engine_of
from tasks.backfill import STEPS, open_request
from tasks.backfill_requests import CatchUp, ReDecide, Request, ReRecord
from tasks.catch_up import take_back
from tasks.choose import choose
from tasks.pick import pick
from tests.plugins.portfolio import TODAY, Portfolio, noon

HOUSE = Path(__file__).parent.parent.parent
FIRST, SECOND, THIRD, LAST = (TODAY - timedelta(days=days) for days in (4, 3, 2, 1))
SECONDS_MAX = 60
ASKED: dict[str, Request] = {
    "re-decide": ReDecide(what="re-decide", first=FIRST, last=LAST, stages=("early",), facts="as known now"),
    "catch-up": CatchUp(what="catch-up", first=FIRST, last=LAST, stages=("early",), sundays=True),
    "re-record": ReRecord(what="re-record", first=FIRST, last=LAST),
}
# What each of them writes, without the numbers and instants that differ from one to the other.
WRITTEN = (
    "SELECT business_date, counts FROM backfill_step WHERE backfill_id = :id ORDER BY 1",
    "SELECT business_date, what, subject_id, before, after, booked_on FROM backfill_difference WHERE backfill_id = :id ORDER BY 1, 2, 3",
    "SELECT stage, business_date, state, caught_up_on, policy_hashes, seed FROM campaign_run ORDER BY 1, 2",
    "SELECT * FROM loan_aging ORDER BY business_date, loan_id",
    "SELECT business_date, party_id, state FROM attempt ORDER BY 1, 2",
    "SELECT business_date, to_state, cause FROM attempt_transition ORDER BY attempt_id, id",
)


@pytest.fixture(autouse=True)
def _quietly(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TIDEOVER_BUSINESS_ZONE", "America/New_York")
    settings.cache_clear()
    with disable_run_logger():
        yield


@pytest.fixture
def days(portfolio: Portfolio) -> None:
    """Three borrowers; the first two days ran, the third broke off, on the last there was an outage; then payments came late."""
    people = [portfolio.borrower(days_past_due=days) for days in (8, 9, 12)]
    for day in (FIRST, SECOND, THIRD):
        portfolio.clock(noon("US", day))
        with connection() as tx:
            run = open_run(
                tx, stage="early", business_date=day, preview=False, borrowers_max=None, policies=policies("early"), at=noon("US", day)
            )
        for shard in pick.fn(run):
            choose.fn(shard, run)
    with connection() as tx:
        tx.execute(text("UPDATE attempt SET state = 'expired' WHERE business_date < :on"), {"on": THIRD})
    for who, paid_on in zip(people, (FIRST, SECOND, THIRD), strict=True):
        portfolio.payment(who.loan_id, 10_500, paid_on=paid_on - timedelta(days=1))
    portfolio.clock(noon("US"))


@pytest.fixture
def copy(ledger_url: str, days: None) -> Iterator[str]:
    """Address of a second ledger that is the same."""
    del days
    engine_of(ledger_url).dispose()
    url = make_url(ledger_url).set(drivername="postgresql+psycopg")
    name = f"{url.database}_copy"
    admin = create_engine(url.set(database="postgres"), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with admin.connect() as tx:
        # A database in which anybody is cannot be copied; the fixture that empties ledgers keeps a session.
        tx.execute(text("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = :name"), {"name": url.database})
        tx.execute(text(f'CREATE DATABASE "{name}" TEMPLATE "{url.database}"'))
    address = make_url(ledger_url).set(database=name).render_as_string(hide_password=False)
    yield address
    engine_of(address).dispose()
    with admin.connect() as tx:
        tx.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.mark.parametrize("what", ASKED)
def test_killed_in_the_middle_and_started_again_it_comes_to_the_same(copy: str, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    backfill = open_request(ASKED[what])
    assert done_when_killed(backfill) == [FIRST, SECOND]
    assert open_request(ASKED[what]).id == backfill.id
    killed = carried_to_its_end(backfill.id)

    monkeypatch.setenv("TIDEOVER_DATABASE_URL", copy)
    settings.cache_clear()
    undisturbed = carried_to_its_end(open_request(ASKED[what]).id)
    assert killed == undisturbed
    assert len(killed[0]) == 4
    assert any(killed[1:3])


def done_when_killed(backfill: Backfill) -> list[date]:
    """Let it run until it writes the third date, kill it there, and say which dates are done."""
    with connection() as tx:
        # Whoever writes this step waits for us, having done all of its work but the commit.
        tx.execute(text("INSERT INTO backfill_step (backfill_id, business_date) VALUES (:id, :on)"), {"id": backfill.id, "on": THIRD})
        child = subprocess.Popen([sys.executable, "-m", "tests.tasks.killed_backfill", str(backfill.id)], cwd=HOUSE, env=dict(os.environ))
        try:
            until(_WAITING, lambda waiting: waiting == 1, child)
        finally:
            child.kill()
            child.wait()
        tx.rollback()
    until(_OTHERS, lambda others: others == 0)
    with connection() as tx:
        return list(read_backfill(tx, backfill.id).done)


def until(query: str, met: Any, child: subprocess.Popen[bytes] | None = None) -> None:
    """Ask another connection until it is so."""
    ends = monotonic() + SECONDS_MAX
    while True:
        with connection() as tx:
            if met(tx.execute(text(query)).scalar_one()):
                return
        assert child is None or child.poll() is None, "it ended before it could be killed"
        assert monotonic() < ends, "it never came to the third date"
        sleep(0.05)


def carried_to_its_end(number: int) -> list[list[Any]]:
    with connection() as tx:
        backfill = read_backfill(tx, number)
    for day in backfill.left:
        STEPS[backfill.kind](backfill, day)
    if backfill.kind == "catch_up":
        take_back(backfill)
    with connection() as tx:
        return [[tuple(row) for row in tx.execute(text(query), {"id": number} if ":id" in query else {})] for query in WRITTEN]


_WAITING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%INSERT INTO backfill_step%'
"""
_OTHERS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
"""

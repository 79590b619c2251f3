"""Peer a: one Prefect task for each borrower, which reads its rows through SQLModel, decides, and writes; mapped over eight threads.

In:   the peers' tables; a Prefect server.
Out:  rows of `peer_decision`, and a task run for each borrower.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Final

from prefect import flow, task, unmapped
from prefect.cache_policies import NO_CACHE
from prefect.futures import wait
from prefect.task_runners import ThreadPoolTaskRunner
from sqlmodel import Session

from ledger.engine import engine
from tests.bench.peers.orm_loop import everything
from tests.bench.peers.rules import decide
from tests.bench.peers.tables import Borrower

THREADS: Final = 8


@task(retries=2, retry_delay_seconds=10, persist_result=False, cache_policy=NO_CACHE)
def plan_one(borrower_id: int, on: date, at: datetime) -> None:
    """Decide for one borrower."""
    with Session(engine()) as session:
        borrower = session.get_one(Borrower, borrower_id, options=everything())
        if (decision := decide(borrower, on, at)) is not None:
            session.merge(decision)
            session.commit()


@flow(name="one-task-a-borrower", task_runner=ThreadPoolTaskRunner(max_workers=THREADS))  # type: ignore[arg-type]  # Prefect's stub wants a runner of a narrower future type
def plan(borrower_ids: list[int], on: date, at: datetime) -> None:
    """Decide for these borrowers."""
    wait(plan_one.map(borrower_ids, unmapped(on), unmapped(at)))

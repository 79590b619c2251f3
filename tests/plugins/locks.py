"""Holding a process of the database still at a chosen place, and seeing who waits for whom."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from time import monotonic, sleep

from sqlalchemy import text

from ledger.engine import connection

WAIT_SECONDS_MAX = 20


@contextmanager
def held(table: str) -> Iterator[int]:
    """Whoever reads or writes this table waits; the process id of who holds it."""
    with connection() as tx:
        tx.execute(text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
        yield tx.execute(text("SELECT pg_backend_pid()")).scalar_one()


def waiting_for(pid: int, work: Future[object] | None = None) -> tuple[int, str]:
    """The process that waits for another's lock, and what it is doing; waits until there is one.

    Raises:
        AssertionError: Nobody waits; or the work that should have ended without waiting.
    """
    until = monotonic() + WAIT_SECONDS_MAX
    while monotonic() < until:
        # A transaction of its own each time: within one, what others do is seen as at the first look. So also for the query: the
        # first look may still show the one before, of somebody who waits by the time that is asked.
        with connection() as tx:
            waits = tx.execute(text("SELECT pid FROM pg_stat_activity WHERE :pid = ANY(pg_blocking_pids(pid))"), {"pid": pid}).scalar()
        if waits is not None:
            with connection() as tx:
                return waits, tx.execute(text("SELECT query FROM pg_stat_activity WHERE pid = :pid"), {"pid": waits}).scalar_one()
        if work is not None and work.done():
            raise AssertionError(f"it did not wait: {work.exception() or 'it is done'}")
        sleep(0.01)
    raise AssertionError("nobody waits")


def end(pid: int) -> None:
    """Cut a process of the database off, as a crash of its client's machine would."""
    with connection() as tx:
        tx.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})

"""What this process still has to tell Prefect's server, told before the server goes away.

Prefect keeps one worker for events and one for logs in a process, whatever server they talk to: one that was left to a server
that is gone would take the next server's events, and lose them, and draining it would never end.
"""

from __future__ import annotations

from typing import Final

from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker

SECONDS_MAX: Final = 30


def tell_prefect() -> None:
    """Tell it now; begin anew with whatever server comes next."""
    for worker in (APILogWorker, EventsWorker):
        worker.drain_all(timeout=SECONDS_MAX)
    # Both are forgotten: what could not be told in that time never will be.
    EventsWorker.reset_instances_for_fork()

"""The core system's steps: deliver what was agreed, ask what became of it, tell of what is late.

In:   the ledger; the core system that the settings name.
Out:  states and cases in the ledger; counts, in the log and as a table of the run.
Pure: no. Running it again, or twice at once, has no second effect.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

from prefect import get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from channels.core_system import CoreSystem, NoCoreSystemError
from gate.core import ask_all, deliver, tell_late, with_core_system
from gate.wallet import ask_about_all
from ledger import core_outbox
from ledger.engine import connection


class CoreAway(RuntimeError):
    """The core system did not answer; what waits is delivered, and asked about, by the next run."""

    def __init__(self, times: int) -> None:
        super().__init__(f"the core system did not answer {times} times; what waits is tried again by the next run")


@task(task_run_name="deliver to the core system", persist_result=False, cache_policy=NO_CACHE)
def deliver_due() -> dict[str, int]:
    """Deliver what is due, and open the cases of what is late.

    Returns:
        What the core system said → how often, and `late`. Without a core system nothing is delivered, and what waits becomes late.
    """
    became = _with_system(deliver)
    became["late"] = tell_late()
    get_run_logger().info("%s", in_words(became))
    return dict(+became)


@task(task_run_name="reconcile with the core system", persist_result=False, cache_policy=NO_CACHE)
def reconcile_all() -> dict[str, int]:
    """Deliver what is due, ask of all that is not ended, open the cases of what is late, and show how things stand.

    Raises:
        CoreAway: The core system did not answer; what was answered is kept.
    """
    became = _with_system(deliver) + _with_system(ask_all) + _with_system(deliver)
    became["late"] = tell_late()
    asked = asyncio.run(ask_about_all())
    with connection() as tx:
        standing = core_outbox.counts(tx)
    get_run_logger().info("%s; in all: %s; payments asked about: %s", in_words(became), in_words(standing), in_words(asked))
    create_table_artifact(
        key="core-instructions",
        description="Instructions to the core system by state; `tideover core list` names them. What is late or refused is a case.",
        table=[{"state": state.replace("_", " "), "instructions": found} for state, found in standing.items()],
    )
    if became["not_answered"]:
        raise CoreAway(became["not_answered"])
    return dict(+became)


def in_words(counts: Mapping[str, int]) -> str:
    """Counts as one line."""
    return ", ".join(f"{what.replace('_', ' ')} {found}" for what, found in sorted(counts.items()) if found) or "nothing"


def _with_system(work: Callable[[CoreSystem], Awaitable[Counter[str]]]) -> Counter[str]:
    try:
        return with_core_system(work)
    except NoCoreSystemError as error:
        get_run_logger().warning("%s", error)
        return Counter()

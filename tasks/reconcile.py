"""Reconcile's step: settle attempts whose fate is unknown by the provider's own list, park what cannot be settled.

In:   the ledger; the providers that the settings name.
Out:  counts, in the log and as a table of the run.
Pure: no. Running it again, or twice at once, settles nothing twice and sends nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Final

from prefect import get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from channels.registry import keyed_openers, list_openers
from gate.reconcile import ListFactory, Reconciled, reconcile
from ledger import overview
from ledger.engine import connection
from tasks.progress import WHOLE, Told, tell, watched

LISTS: Final[Mapping[str, ListFactory]] = {**list_openers(), **keyed_openers()}


class NobodyAnswered(RuntimeError):
    """A provider's list could not be read to its end; nothing was parked for that, and the next run asks again."""

    def __init__(self, code: str) -> None:
        super().__init__(f"a provider's list could not be read ({code}); what is unknown stays unknown, and the next run asks again")
        self.code = code


@task(task_run_name="settle what is unknown", retries=2, retry_delay_seconds=[30, 120], persist_result=False, cache_policy=NO_CACHE)
def settle_unknown() -> int:
    """Settle or park whatever has been unknown for long enough.

    Returns:
        Attempts that wait for a person.

    Raises:
        NobodyAnswered: A provider did not answer; what did get an answer is settled.
    """
    with connection() as tx:
        begun = overview.fates(tx)["unknown"]
    with watched(lambda: _progress(begun)) if begun else nullcontext():
        done = reconcile(LISTS)
    if begun:
        tell(WHOLE, in_words(done))
    get_run_logger().info("%s", in_words(done))
    if done.settled or done.parked:
        create_table_artifact(
            key="reconcile",
            description="What became of attempts whose fate was unknown. `tideover parked` lists those that wait for a person.",
            table=[{"became": state, "attempts": number} for state, number in sorted({**done.settled, **counted(done)}.items())],
        )
    if done.trouble is not None:
        raise NobodyAnswered(done.trouble)
    return done.parked_in_all


def _progress(begun: int) -> Told:
    """How many of those that were unknown are still."""
    with connection() as tx:
        left = min(begun, overview.fates(tx)["unknown"])
    return WHOLE * (1 - left / begun) if begun else 0.0, f"{left:,} of {begun:,} are still unknown"


def counted(done: Reconciled) -> dict[str, int]:
    """What was parked now, as a state beside the others."""
    return {"parked": done.parked} if done.parked else {}


def in_words(done: Reconciled) -> str:
    """A run's counts as one line of a log."""
    counts = {
        "called unknown": done.called_unknown,
        "never called, planned again": done.never_called,
        **{f"settled as {state}": number for state, number in sorted(done.settled.items())},
        "parked": done.parked,
        "still unknown": done.waiting,
        "wait for a person": done.parked_in_all,
        "questions": done.questions,
        "messages listed": done.listed,
    }
    return ", ".join(f"{what} {number}" for what, number in counts.items() if number) or "nothing is unknown"

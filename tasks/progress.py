"""Progress of long work in the Prefect UI: one bar a flow run, moved at most about once a second, never by a borrower.

In:   how far the work is, in percent and words; or a way to ask the ledger while the work goes on.
Out:  a progress artifact of the present flow run; nothing where there is none.
Pure: no. Seeing must never stop sending: a server that does not take a bar costs the bar.
Source: PREFECT.md D: an update takes about 30 ms.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final
from uuid import UUID

from prefect import get_run_logger
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.context import FlowRunContext, TaskRunContext
from prefect.runtime import flow_run

from ledger.campaigns import left_to_do
from ledger.engine import connection

SECONDS_BETWEEN: Final = 1.0
# The ledger is asked less often: at the end of a large run the count is over many rows.
SECONDS_BETWEEN_LOOKS: Final = 3.0
WHOLE: Final = 100.0
# A stage's run: ageing, deciding and sending take these parts of the bar, in percent.
AGED: Final = 15.0
DECIDED: Final = 45.0

Told = tuple[float, str]


class _Bar:
    """The bar of one flow run. Its shards share it, so it only ever moves forward."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._artifact: UUID | None = None
        self._percent = 0.0
        self._moved_at = -SECONDS_BETWEEN
        self._broken = False

    def move(self, percent: float, said: str) -> None:
        """Move it, unless it was moved just now; the end is always shown."""
        with self._lock:
            percent = max(self._percent, min(percent, WHOLE))
            if self._broken or (monotonic() - self._moved_at < SECONDS_BETWEEN and percent < WHOLE):
                return
            self._percent, self._moved_at = percent, monotonic()
            try:
                if self._artifact is None:
                    made = create_progress_artifact(percent, description=said)
                    assert isinstance(made, UUID)  # noqa: S101  # a coroutine only where a loop runs, and here none does
                    self._artifact = made
                else:
                    update_progress_artifact(self._artifact, percent, description=said)
            except Exception as error:  # noqa: BLE001  # whatever the server has: the work goes on without a bar
                self._broken = True
                get_run_logger().warning("progress is not shown any more (%s); the work goes on", type(error).__name__)


_bars: dict[str, _Bar] = {}
_bars_lock = threading.Lock()


def tell(percent: float, said: str) -> None:
    """Show how far the present flow run is.

    Args:
        percent: 0 to 100; less than was shown before changes the words only.
        said: In words and counts.
    """
    if FlowRunContext.get() is None and TaskRunContext.get() is None:
        return
    run = str(flow_run.id)
    with _bars_lock:
        bar = _bars.setdefault(run, _Bar())
    bar.move(percent, said)
    if percent >= WHOLE:
        with _bars_lock:
            _bars.pop(run, None)


@contextmanager
def watched(look: Callable[[], Told]) -> Iterator[None]:
    """Move the bar by what a look finds, every few seconds for as long as the block runs.

    Args:
        look: Asks how far the work is; called in a thread of its own. What it cannot find out is not shown.
    """
    if FlowRunContext.get() is None and TaskRunContext.get() is None:
        yield
        return
    over = threading.Event()

    def keep_looking() -> None:
        while not over.wait(SECONDS_BETWEEN_LOOKS):
            try:
                percent, said = look()
            except Exception as error:  # noqa: BLE001  # the database's bad moment is the work's own matter
                get_run_logger().debug("no look at the progress (%s)", type(error).__name__)
                continue
            tell(percent, said)

    # The thread belongs to the same run of a task, for Prefect too.
    thread = threading.Thread(target=contextvars.copy_context().run, args=(keep_looking,), name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def ageing(done: int, loans: int) -> None:
    """A stage's run ages the portfolio."""
    tell(AGED * done / max(loans, 1), f"ageing: {done:,} of {loans:,} loans")


def stage_progress(campaign_run_id: int) -> Told:
    """How far a stage's run is, by the ledger: first its shards are decided, then what they planned goes out."""
    with connection() as tx:
        left = left_to_do(tx, campaign_run_id)
    if left.undecided:
        done = left.shards - left.undecided
        return AGED + (DECIDED - AGED) * done / left.shards, f"choosing: {done} of {left.shards} shards, {left.planned:,} contacts planned"
    gone = max(0, left.planned - left.due)
    share = gone / left.planned if left.planned else 1.0
    # The end is said by whoever closes the run.
    return DECIDED + (WHOLE - 1 - DECIDED) * share, f"sending: {gone:,} of {left.planned:,} messages are out, withheld or for later"

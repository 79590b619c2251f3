"""The flow process made to be killed: Prefect's flows, one after the other, as their schedules would run them.

In:   the how-manieth start this is: every other one takes the day's run up again, as operations do after a crash.
Out:  the ledger moves on; one line for each thing that went wrong.
Pure: no. It ends with whoever started it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from itertools import chain, cycle
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from config.settings import settings
from flows.dispatch import dispatch
from flows.early import early
from flows.reconcile import reconcile
from gate.lane import LaneHalted
from ledger.campaigns import RunRefused
from tasks.dispatch import LanesUnfinished
from tasks.reconcile import NobodyAnswered
from tasks.record import ShardsUnfinished
from tests.chaos.plan import TODAY

REST_SECONDS: Final = 0.3
# What a database or a provider that is away, or a run that was cut short, leads to; anything else ends the process with its traceback.
EXPECTED: Final = (LaneHalted, LanesUnfinished, NobodyAnswered, RunRefused, ShardsUnfinished, SQLAlchemyError)


def main() -> None:
    """Go on until killed."""
    parent = os.getppid()
    assert settings().mode == "sandbox"
    begin: list[Callable[[], object]] = [lambda: early(as_of=TODAY)] if int(sys.argv[1]) % 2 else []
    turns: list[Callable[[], object]] = [reconcile, dispatch]
    for step in chain(begin, cycle(turns)):
        if os.getppid() != parent:
            return
        try:
            step()
        except EXPECTED as error:
            print(type(error).__name__, flush=True)  # noqa: T201  # the process's log; the error itself may be long
        time.sleep(REST_SECONDS)


if __name__ == "__main__":
    main()

"""A backfill in a process of its own, for the test that kills it in the middle of a date."""

from __future__ import annotations

import sys

from prefect.logging import disable_run_logger

from ledger.backfills import read_backfill
from ledger.engine import connection
from tasks.backfill import STEPS

if __name__ == "__main__":
    with connection() as tx:
        backfill = read_backfill(tx, int(sys.argv[1]))
    with disable_run_logger():
        for day in backfill.left:
            STEPS[backfill.kind](backfill, day)

"""The frame of a campaign run: which day it treats, and what operations are shown."""

from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl
import pytest

from ledger import clock
from ledger.engine import connection
from ledger.funnel import STEPS, Funnel
from tasks.pictures import funnel_picture
from tasks.record import ShardsUnfinished, business_date

# 17:30 on the second in UTC is half past one on the third in Taipei.
LATE = datetime(2026, 3, 2, 17, 30, tzinfo=UTC)


def _funnel(channels: int, reasons: int) -> Funnel:
    counts = {name: [5] * channels for name in [*STEPS, "waiting", "failed", "unknown", "segments"]}
    return Funnel(
        borrowers=10,
        withheld=reasons,
        by_channel=pl.DataFrame(
            {"channel": [f"c{number}" for number in range(channels)], **counts}, schema_overrides=dict.fromkeys(counts, pl.Int64)
        ),
        by_reason=pl.DataFrame(
            {"reason": [f"RULE-{number}" for number in range(reasons)], "borrowers": [1] * reasons},
            schema={"reason": pl.String, "borrowers": pl.Int64},
        ),
    )


def test_a_run_without_a_date_treats_the_local_day_of_the_simulated_clock(ledger_url: str) -> None:
    del ledger_url
    with connection() as tx:
        clock.step(tx, LATE)
    assert business_date(datetime(2030, 1, 1, tzinfo=UTC)) == date(2026, 3, 3)


def test_a_run_that_starts_late_treats_the_day_on_which_it_was_due(ledger_url: str) -> None:
    """Prefect hands over the scheduled instant in UTC: its date is not the business date (PREFECT.md, section D)."""
    del ledger_url
    assert business_date(datetime(2026, 3, 2, 23, 30, tzinfo=UTC)) == date(2026, 3, 3)
    assert business_date(datetime(2026, 3, 2, 15, 59, tzinfo=UTC)) == date(2026, 3, 2)


@pytest.mark.parametrize(("channels", "reasons"), [(0, 0), (1, 0), (2, 3), (2, 40)])
def test_the_picture_is_drawn_whatever_there_is_to_show(channels: int, reasons: int) -> None:
    assert funnel_picture(_funnel(channels, reasons), title="early 2026-03-02").startswith(b"\x89PNG\r\n")


def test_an_unfinished_run_says_what_is_left_and_what_to_do() -> None:
    error = ShardsUnfinished(7, {"shards": 2, "attempts": 5})
    assert "5 attempts, 2 shards" in str(error)
    assert "run the flow again" in str(error)

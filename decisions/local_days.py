"""Local days: on which date of a person's own calendar something happened.

In:   rows with `party_id` and `at`; borrowers.
Out:  the same rows with `contacted_on`.
Pure: no I/O, no clock; the tz database comes with Python.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl


def with_local_dates(rows: pl.DataFrame, borrowers: pl.DataFrame) -> pl.DataFrame:
    """Add the date on which each row's instant fell where the person lives.

    Args:
        rows: `party_id`, `at` (UTC) and any other columns.
        borrowers: decisions/facts.BORROWERS; rows of others are dropped.

    Returns:
        The rows, in any order, with `contacted_on: Date`. The zone is the known one, else the first plausible one, else UTC.
    """
    homes = borrowers.select("party_id", home=pl.coalesce("known_zone", pl.col("zones").list.first(), pl.lit("UTC")))
    placed = rows.join(homes, on="party_id")
    local = [
        group.drop("home").with_columns(contacted_on=pl.col("at").dt.convert_time_zone(_zone_or_utc(str(zone))).dt.date())
        for (zone,), group in placed.group_by("home")
    ]
    return pl.concat(local) if local else placed.drop("home").with_columns(contacted_on=pl.lit(None, dtype=pl.Date))


def _zone_or_utc(zone: str) -> str:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        return "UTC"
    return zone

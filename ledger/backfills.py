"""Backfills: past dates looked at again, one step a date, so that one that was broken off goes on where it was.

A step is written once: its counts and what it found to be different, in one transaction under a unique key. Whoever comes
second (the same backfill started twice) finds it done. Nothing is ever changed: a later backfill writes further rows.

In:   a connection inside a transaction; a request; for each date, counts and differences.
Out:  rows of `backfill`, `backfill_step`, `backfill_difference`.
Pure: no.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Any, Final, Literal

import polars as pl
from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql import bindparam

from decisions.facts import Schema
from ledger.frames import copy_in

Kind = Literal["re_decide", "catch_up", "re_record"]

DIFFERENCES: Final[Schema] = {
    "what": pl.String,  # as in `backfill_difference.what`
    "subject_id": pl.Int64,
    "before": pl.String,  # a JSON object, or null
    "after": pl.String,
    "booked_on": pl.Date,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """A backfill as it stands.

    Attributes:
        id: Of `backfill`.
        kind: re_decide, catch_up, re_record.
        request: What was asked for, as it was opened.
        first_on: First business date, included.
        last_on: Last business date, included.
        opened_at: Business instant.
        known_at: Wall clock: facts recorded until then are looked at.
        done: Date → counts of the steps that are done.
    """

    id: int
    kind: Kind
    request: Mapping[str, Any]
    first_on: date
    last_on: date
    opened_at: datetime
    known_at: datetime
    done: Mapping[date, Mapping[str, Any]]

    @property
    def dates(self) -> list[date]:
        """All of its dates, ascending."""
        return [self.first_on + timedelta(days=number) for number in range((self.last_on - self.first_on).days + 1)]

    @property
    def left(self) -> list[date]:
        """Dates that are not done, ascending."""
        return [day for day in self.dates if day not in self.done]


def open_backfill(
    connection: Connection, kind: Kind, request: Mapping[str, Any], *, first_on: date, last_on: date, at: datetime
) -> Backfill:
    """Open a backfill, or take up the one of the same request that is not finished.

    Args:
        connection: Inside a transaction.
        kind: Which.
        request: Everything that makes a difference to what it finds; JSON types.
        first_on: First business date.
        last_on: Last one, included.
        at: Business instant.
    """
    whole = json.dumps([kind, first_on.isoformat(), last_on.isoformat(), request], sort_keys=True, ensure_ascii=False)
    keys = {
        "kind": kind,
        "key": sha256(whole.encode()).hexdigest(),
        "request": request,
        "first": first_on,
        "last": last_on,
        "at": at,
    }
    connection.execute(_OPEN, keys)
    found = connection.execute(_FIND, keys).one()
    return read_backfill(connection, found.id)


def read_backfill(connection: Connection, backfill_id: int) -> Backfill:
    """One backfill, with the steps that are done.

    Raises:
        LookupError: There is none with this id.
    """
    row = connection.execute(_READ, {"id": backfill_id}).mappings().one_or_none()
    if row is None:
        raise LookupError(f"no backfill {backfill_id}")
    done = {step.business_date: step.counts for step in connection.execute(_STEPS, {"id": backfill_id})}
    return Backfill(**row, done=done)


def write_step(connection: Connection, backfill: Backfill, day: date, counts: Mapping[str, Any], differences: pl.DataFrame) -> bool:
    """Write one date's step with what it found; False where somebody else has written it, and nothing is written then.

    Args:
        connection: Inside the step's transaction.
        backfill: Whose.
        day: Its date.
        counts: JSON types; no person.
        differences: Columns `DIFFERENCES`, in any order.
    """
    if connection.execute(_STEP, {"id": backfill.id, "on": day, "counts": counts}).rowcount != 1:
        return False
    rows = differences.select(
        pl.lit(backfill.id).alias("backfill_id"), pl.lit(day).alias("business_date"), *(pl.col(name) for name in DIFFERENCES)
    )
    copy_in(connection, "backfill_difference", rows)
    return True


def finish_backfill(connection: Connection, backfill_id: int, *, at: datetime) -> None:
    """Say that all its dates are done; the same request opens another one then."""
    connection.execute(_FINISH, {"id": backfill_id, "at": at})


def read_differences(connection: Connection, backfill_id: int) -> list[dict[str, Any]]:
    """What a backfill found to be different, by date, kind and id."""
    return [dict(row) for row in connection.execute(_DIFFERENCES, {"id": backfill_id}).mappings()]


def wall_clock(connection: Connection) -> datetime:
    """The database's wall clock: up to where facts are known, for a look that keeps nothing."""
    found: datetime = connection.execute(_WALL_CLOCK).scalar_one()
    return found


def no_differences() -> pl.DataFrame:
    """A step that found nothing."""
    return pl.DataFrame(schema=DIFFERENCES)


_WALL_CLOCK = text("SELECT clock_timestamp()")
_OPEN = text("""
    INSERT INTO backfill (kind, key, request, first_on, last_on, opened_at, known_at)
    VALUES (:kind, :key, :request, :first, :last, :at, clock_timestamp())
    ON CONFLICT (key) WHERE finished_at IS NULL DO NOTHING
""").bindparams(bindparam("request", type_=JSONB))
_FIND = text("SELECT id FROM backfill WHERE key = :key AND finished_at IS NULL")
_READ = text("SELECT id, kind, request, first_on, last_on, opened_at, known_at FROM backfill WHERE id = :id")
_STEPS = text("SELECT business_date, counts FROM backfill_step WHERE backfill_id = :id ORDER BY business_date")
_STEP = text("""
    INSERT INTO backfill_step (backfill_id, business_date, counts) VALUES (:id, :on, :counts)
    ON CONFLICT (backfill_id, business_date) DO NOTHING
""").bindparams(bindparam("counts", type_=JSONB))
_FINISH = text("UPDATE backfill SET finished_at = :at WHERE id = :id AND finished_at IS NULL")
_DIFFERENCES = text("""
    SELECT business_date, what, subject_id, before, after, booked_on FROM backfill_difference
    WHERE backfill_id = :id ORDER BY business_date, what, subject_id
""")

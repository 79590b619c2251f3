"""Kill-switch drills: what was on its way when contact was stopped, and when the last message left.

In:   a connection inside a transaction; the channel that was stopped, or None for everything; wall-clock instants.
Out:  counts and seconds; rows of `drill`.
Pure: no; reads and writes the ledger.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import Connection, text

# In force at the gate within so long (docs/operate.md, "Stop everything"); a call that has begun goes on.
STOPS_WITHIN_SECONDS: Final = 1.0

Verdict = Literal["passed", "failed", "nothing_under_way"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drilled:
    """What a drill found.

    Attributes:
        what: `everything`, or the channel that was stopped.
        said_by: Who held it.
        pause_id: The pause; None where nothing was under way, so that nothing was stopped.
        paused_at: The database's wall clock when the pause was written, a moment before its commit.
        under_way: Messages whose intention was committed and whose call had not ended when contact was stopped.
        sent_after: Calls that were begun after that.
        last_send_seconds: From `paused_at` until the last of them was begun; 0 = none was.
        bound_seconds: Later than that no call may begin.
        verdict: What it comes to.
    """

    what: str
    said_by: str
    pause_id: int | None
    paused_at: datetime | None
    under_way: int
    sent_after: int
    last_send_seconds: float
    bound_seconds: float
    verdict: Verdict


def under_way(connection: Connection, channel: str | None) -> int:
    """Messages on their way at this moment, on a channel or on all."""
    return int(connection.execute(_UNDER_WAY, {"channel": channel}).scalar_one())


def written_at(connection: Connection, pause_id: int) -> datetime:
    """When a pause was written, by the database's wall clock."""
    found: datetime = connection.execute(_WRITTEN_AT, {"id": pause_id}).scalar_one()
    return found


def sent_since(connection: Connection, channel: str | None, since: datetime) -> tuple[int, float]:
    """Calls begun after an instant (wall clock), by their marks (ledger/calls.py): how many, and seconds until the last."""
    row = connection.execute(_SENT_SINCE, {"channel": channel, "since": since}).one()
    return int(row.sent), float(row.seconds)


def record(connection: Connection, drilled: Drilled, *, at: datetime) -> int:
    """Keep what a drill found; returns its number."""
    return int(connection.execute(_RECORD, {**asdict(drilled), "at": at}).scalar_one())


_UNDER_WAY = text("SELECT count(*) FROM attempt WHERE state = 'submitting' AND (CAST(:channel AS text) IS NULL OR channel = :channel)")
_WRITTEN_AT = text("SELECT recorded_at FROM pause WHERE id = :id")
_SENT_SINCE = text("""
    SELECT count(*) AS sent, coalesce(extract(epoch FROM max(called_at) - CAST(:since AS timestamptz)), 0) AS seconds
    FROM attempt WHERE called_at > :since AND (CAST(:channel AS text) IS NULL OR channel = :channel)
""")
_RECORD = text("""
    INSERT INTO drill (at, what, said_by, pause_id, paused_at, under_way, sent_after, last_send_seconds, bound_seconds, verdict)
    VALUES (:at, :what, :said_by, :pause_id, :paused_at, :under_way, :sent_after, :last_send_seconds, :bound_seconds, :verdict)
    RETURNING id
""")

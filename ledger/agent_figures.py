"""The phone team in figures: what waits, who called how much today, which call-backs are missed or due.

In:   a connection; instants.
Out:  counts and ids; nothing personal.
Pure: no; reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What waits for one reason: how many, how many of them now, how many were missed, since when the oldest waits."""

    reason: str
    waits: int
    due: int
    missed: int
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one agent did since an instant; `untold`: shown a number, and nothing told yet."""

    agent_id: int
    calls: int
    talks: int
    promises: int
    untold: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """A call-back that nobody has made yet."""

    task_id: int
    party_id: int
    until: datetime
    is_missed: bool


def waiting(tx: Connection, *, at: datetime) -> list[Waiting]:
    """What waits, by reason."""
    return [Waiting(**row) for row in tx.execute(_WAITING, {"at": at}).mappings()]


def load(tx: Connection, *, since: datetime) -> dict[int, Load]:
    """Agent's id → what she did since then; who did nothing is missing."""
    return {row["agent_id"]: Load(**row) for row in tx.execute(_LOAD, {"since": since}).mappings()}


def owed(tx: Connection, *, until: datetime, at_most: int = 60) -> list[Owed]:
    """Call-backs that are missed, or owed by then: the longest overdue first."""
    return [Owed(**row) for row in tx.execute(_OWED, {"until": until, "at_most": at_most}).mappings()]


_WAITING = text("""
    SELECT reason, count(*) AS waits, count(*) FILTER (WHERE opens_at <= :at) AS due, count(missed_at) AS missed, min(asked_at) AS since
    FROM call_task WHERE state IN ('waiting', 'taken') GROUP BY reason ORDER BY reason
""")
_LOAD = text("""
    SELECT c.agent_id, count(*) AS calls,
           count(*) FILTER (WHERE t.result = 'conversation' AND t.attempt_id = c.attempt_id) AS talks,
           count(*) FILTER (WHERE EXISTS (
               SELECT 1 FROM attempt a JOIN provider_event e ON e.token = a.token AND e.provider = 'phone_team'
               JOIN outcome o ON o.provider_event_id = e.id AND o.intent = 'promise'
               WHERE a.business_date = c.business_date AND a.id = c.attempt_id)) AS promises,
           count(*) FILTER (WHERE c.told_at IS NULL) AS untold
    FROM agent_call c JOIN call_task t ON t.id = c.task_id
    WHERE c.at >= :since GROUP BY c.agent_id
""")
_OWED = text("""
    SELECT id AS task_id, party_id, closes_at AS until, missed_at IS NOT NULL AS is_missed FROM call_task
    WHERE state IN ('waiting', 'taken') AND reason = 'callback' AND (missed_at IS NOT NULL OR closes_at <= :until)
    ORDER BY closes_at, id LIMIT :at_most
""")

"""Attempts that were submitted, with what the gate knew of each: to judge them again under another law.

In:   a connection; an interval of business instants.
Out:  a frame, one row an attempt; ids only.
Pure: no; reads.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import polars as pl

from decisions.facts import Schema, type_instant
from ledger.frames import Source, instant, read

SUBMITTED: Final[Schema] = {
    "attempt_id": pl.Int64,
    "campaign_run_id": pl.Int64,
    "business_date": pl.Date,
    "party_id": pl.Int64,
    "contact_point_id": pl.Int64,
    "channel": pl.String,
    "purpose": pl.String,
    "at": type_instant,  # business instant of the gate's verdict
    "known_at": type_instant,  # wall clock: facts recorded until then were seen
    "event_id": pl.Int64,  # the contact that it became
    "loans": pl.List(pl.Int64),
    "counterparty": pl.String,
}


def read_submitted(source: Source, *, since: datetime, until: datetime) -> pl.DataFrame:
    """Attempts that passed the gate in [since, until), ordered as they did; one that was surely never processed is left out.

    Args:
        source: Any connection.
        since: Business instant.
        until: Business instant.
    """
    return read(source, _SUBMITTED.format(since=instant(since), until=instant(until)), SUBMITTED)


# An attempt that was sent back is planned, or something else that never left; its contact was uncounted.
_SUBMITTED: Final = """
    SELECT a.id AS attempt_id, a.campaign_run_id, a.business_date, a.party_id, a.contact_point_id, a.channel, a.purpose,
           a.submitted_at AS at, (a.permit ->> 'issued_at')::timestamptz AS known_at, e.id AS event_id, e.loans, e.counterparty
    FROM attempt a
    JOIN LATERAL (
        SELECT id, loans, counterparty FROM contact_event
        WHERE attempt_business_date = a.business_date AND attempt_id = a.id AND about_event_id IS NULL
        ORDER BY id DESC LIMIT 1) e ON true
    WHERE a.submitted_at >= {since} AND a.submitted_at < {until} AND a.permit ? 'issued_at'
      AND a.state NOT IN ('planned', 'withheld', 'superseded', 'expired')
    ORDER BY a.submitted_at, a.id
"""

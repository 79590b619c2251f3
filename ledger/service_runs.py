"""A service's run: what was decided about the few people whom a service concerns, as one run that is open and closed at once.

In:   a connection inside a transaction; decisions.
Out:  a run with one shard, its decisions and planned attempts.
Pure: no; writes the ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime

import polars as pl
from sqlalchemy import Connection

from ledger import campaigns
from ledger.campaigns import Policy
from ledger.decisions_log import write_decisions


def write_service_run(
    tx: Connection,
    frame: pl.DataFrame,
    *,
    stage: str,
    business_date: date,
    scope: str,
    parties: Sequence[int],
    policies: Iterable[Policy],
    at: datetime,
    facts_known_at: datetime,
) -> tuple[int, int]:
    """Write a run whole; what is planned in it may be sent once the caller commits.

    Args:
        tx: Inside a transaction.
        frame: decisions/choose.DECISIONS, one row a person.
        stage: One of `ledger.tables.SERVICES`.
        business_date: Local date.
        scope: What it is about, as `message-7`; one run of it a date.
        parties: Whom it concerns.
        policies: What it was decided by.
        at: Business instant.
        facts_known_at: The database's wall clock before the facts were read.

    Returns:
        Id of the run, and how many attempts were planned.
    """
    run = campaigns.open_run(
        tx, stage=stage, business_date=business_date, scope=scope, preview=False, borrowers_max=None, policies=policies, at=at
    )
    campaigns.cut_whole(tx, run, parties)
    planned = write_decisions(tx, run, 1, frame, at=at, facts_known_at=facts_known_at)
    campaigns.close_run(tx, run, at=at)
    return run, planned

"""What ends by itself: rows that are older than config/retention.yaml keeps them, removed in batches.

In:   a connection inside a transaction of one batch; what, and how many days it is kept.
Out:  removed rows; how many there are to remove.
Pure: no. By the database's wall clock: a simulated day ends nothing.
"""

# ruff: noqa: S608  # statements are built from the constants below

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, text

from ledger import partitions

_OLD: Final = "< clock_timestamp() - make_interval(days => :days)"
# What → its table, and when a row of it is over. What was not heard yet is kept.
OVER: Final[Mapping[str, tuple[str, str]]] = {
    "raw_callbacks": (
        "provider_event_payload",
        f"t.received_at {_OLD} AND EXISTS (SELECT FROM provider_event e WHERE e.id = t.provider_event_id AND e.applied_at IS NOT NULL)",
    ),
    "reply_windows": ("person_wrote", f"EXISTS (SELECT FROM provider_event e WHERE e.id = t.provider_event_id AND e.received_at {_OLD})"),
    "words_of_calls": ("call_words", f"t.recorded_at {_OLD}"),
    "page_sessions": ("page_session", f"coalesce(t.ended_at, t.seen_at) {_OLD}"),
    "page_codes": ("page_code", f"t.asked_at {_OLD}"),
    "staff_sessions": ("staff_session", f"coalesce(t.ended_at, t.seen_at) {_OLD}"),
    "looks_of_staff": ("staff_view", f"t.at {_OLD}"),
    "files": (
        "person_file",
        f"t.recorded_at {_OLD} AND NOT EXISTS (SELECT FROM borrower_case c WHERE c.id = t.case_id AND c.state <> 'closed')",
    ),
    "wallet_flows": ("wallet_flow", f"t.recorded_at {_OLD}"),
    "fairness_attributes": ("fairness_attribute", f"t.recorded_at {_OLD}"),
    "lateness_day_by_day": ("loan_aging", "t.business_date < CAST(clock_timestamp() AS date) - CAST(:days AS integer)"),
    "differences": ("backfill_difference", f"t.recorded_at {_OLD}"),
}


def to_end(tx: Connection, what: str, *, days: int) -> int:
    """How many rows are over."""
    table, over = OVER[what]
    return int(tx.execute(text(f"SELECT count(*) FROM {table} t WHERE {over}"), {"days": days}).scalar_one())


def end(tx: Connection, what: str, *, days: int, at_most: int) -> int:
    """Remove a batch of rows that are over; how many."""
    table, over = OVER[what]
    if table not in partitions.PARTITIONED:
        return _end_rows(tx, table, over, days=days, at_most=at_most)
    # A month that is over as a whole goes as a table; of the one that is partly over, and of those before there were months, rows go.
    first = tx.execute(text("SELECT CAST(clock_timestamp() AS date) - CAST(:days AS integer)"), {"days": days}).scalar_one()
    gone = partitions.remove_before(tx, table, first)
    return gone + sum(_end_rows(tx, part.name, over, days=days, at_most=at_most) for part in partitions.parts(tx, table))


def _end_rows(tx: Connection, table: str, over: str, *, days: int, at_most: int) -> int:
    statement = (
        f"DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT t.ctid FROM {table} t WHERE {over} LIMIT :at_most FOR UPDATE SKIP LOCKED))"
    )
    return tx.execute(text(statement), {"days": days, "at_most": at_most}).rowcount

"""Dials by agents: what was to be said in each and was, whether it was recorded, and why not.

In:   a connection inside a transaction; a task of the queue and its attempt, an agent.
Out:  rows of `agent_call`.
Pure: no; reads and writes the ledger.
Source: docs/adr/0057.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import Connection, text

from decisions.recording import Recording
from ledger import vault
from ledger.call_queue import CallTask


def begin(
    tx: Connection,
    task: CallTask,
    attempt: tuple[date, int],
    *,
    agent_id: int,
    required: Sequence[str],
    recording: Recording,
    at: datetime,
) -> None:
    """Write down that an agent was shown a number, and what has to be said in the talk; once for each attempt."""
    keys = {
        "day": attempt[0],
        "id": attempt[1],
        "task": task.id,
        "agent": agent_id,
        "party": task.party_id,
        "at": at,
        "required": list(required),
        "way": recording.way,
        "rule": recording.jurisdiction,
    }
    tx.execute(_BEGIN, keys)


def purpose_of(tx: Connection, attempt: tuple[date, int]) -> str:
    """Purpose of an attempt."""
    return str(tx.execute(_PURPOSE, {"day": attempt[0], "id": attempt[1]}).scalar_one())


def required_of(tx: Connection, task: CallTask) -> tuple[str, ...] | None:
    """What has to be said in the dial of a task; None where nothing is written of it."""
    found = tx.execute(_REQUIRED, {"day": task.attempt_business_date, "id": task.attempt_id}).scalar()
    return None if found is None else tuple(found)


def tell(tx: Connection, task: CallTask, *, said: Sequence[str], because: str, at: datetime) -> None:
    """Write down what was said of it, and why not the rest; the first word counts."""
    encrypted, key_id = vault.encrypt_for(tx, task.party_id, because) if because else (None, None)
    keys = {"day": task.attempt_business_date, "id": task.attempt_id, "said": list(said), "why": encrypted, "key": key_id, "at": at}
    tx.execute(_TELL, keys)


_BEGIN = text("""
    INSERT INTO agent_call (business_date, attempt_id, task_id, agent_id, party_id, at, required, recording, recording_rule)
    VALUES (:day, :id, :task, :agent, :party, :at, :required, :way, :rule)
    ON CONFLICT (business_date, attempt_id) DO NOTHING
""")
_PURPOSE = text("SELECT purpose FROM attempt WHERE business_date = :day AND id = :id")
_REQUIRED = text("SELECT required FROM agent_call WHERE business_date = :day AND attempt_id = :id")
_TELL = text("""
    UPDATE agent_call SET said = :said, why_encrypted = CAST(:why AS bytea), why_key_id = :key, told_at = :at
    WHERE business_date = :day AND attempt_id = :id AND told_at IS NULL
""")

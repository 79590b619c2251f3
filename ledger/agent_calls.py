"""Dials by agents: what was to be said in each and was, whether it was recorded, and why not.

In:   a connection inside a transaction; a task of the queue and its attempt, an agent.
Out:  rows of `agent_call`.
Pure: no; reads and writes the ledger.
Source: docs/adr/0057.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, text

from decisions.recording import Recording
from ledger import vault
from ledger.call_queue import CallTask
from ledger.call_words import learned_since
from ledger.senders import sender_of

# How it stands with being put through; then Twilio's own word for how the colleague's leg ended.
RINGING: Final = "ringing"
UNKNOWN: Final = "unknown"
REFUSED: Final = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentCall:
    """A dial: what has to be said in it, whether it is recorded and by whose rule, and how she is put through (None = by hand)."""

    required: tuple[str, ...]
    recording: str
    recording_rule: str | None
    line: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridged:
    """Whom a colleague is put through to.

    Attributes:
        number: E.164.
        sender: What the phone there shows.
        locale: What the person speaks.
        may_record: It may be, when she is told so first.
    """

    number: str = field(repr=False)
    sender: str
    locale: str | None
    may_record: bool


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


def read(tx: Connection, task: CallTask) -> AgentCall | None:
    """What is written of the dial of a task; None where nothing is."""
    row = tx.execute(_READ, {"day": task.attempt_business_date, "id": task.attempt_id}).one_or_none()
    return (
        None
        if row is None
        else AgentCall(required=tuple(row.required), recording=row.recording, recording_rule=row.recording_rule, line=row.line)
    )


def required_of(tx: Connection, task: CallTask) -> tuple[str, ...] | None:
    """What has to be said in the dial of a task; None where nothing is written of it."""
    found = read(tx, task)
    return None if found is None else found.required


def tell(tx: Connection, task: CallTask, *, said: Sequence[str], because: str, at: datetime) -> None:
    """Write down what was said of it, and why not the rest; the first word counts."""
    encrypted, key_id = vault.encrypt_for(tx, task.party_id, because) if because else (None, None)
    keys = {"day": task.attempt_business_date, "id": task.attempt_id, "said": list(said), "why": encrypted, "key": key_id, "at": at}
    tx.execute(_TELL, keys)


def note_line(tx: Connection, attempt: tuple[date, int], *, line: str, provider_id: str | None) -> None:
    """Write down how she is put through."""
    tx.execute(_NOTE_LINE, {"day": attempt[0], "id": attempt[1], "line": line, "provider_id": provider_id})


def note_end(tx: Connection, token: UUID, *, provider_id: str, line: str) -> None:
    """Write down how the colleague's leg ended, in Twilio's word."""
    tx.execute(_NOTE_END, {"token": token, "provider_id": provider_id, "line": line})


def bridged(tx: Connection, token: UUID) -> Bridged | None:
    """Whom the colleague who has picked up is put through to.

    Returns:
        None where there is no such call, it was told already, or something about the person was learned since the gate said yes.
    """
    row = tx.execute(_BRIDGED, {"token": token}).one_or_none()
    if row is None or row.learned:
        return None
    number = vault.decrypt(row.value_encrypted, row.key_id)
    return Bridged(number=number, sender=row.sender, locale=row.locale, may_record=row.recording == "announce")


def note_recorded(tx: Connection, token: UUID) -> None:
    """Write down that a call is recorded from here on."""
    tx.execute(_RECORD, {"token": token})


_NOTE_LINE = text("""
    UPDATE agent_call SET line = :line, provider_id = :provider_id WHERE business_date = :day AND attempt_id = :id AND line IS NULL
""")
_ITS_ATTEMPT = "c.business_date = a.business_date AND c.attempt_id = a.id AND a.token = :token"
_NOTE_END = text(f"""
    UPDATE agent_call c SET line = :line FROM attempt a WHERE {_ITS_ATTEMPT} AND c.provider_id = :provider_id
""")  # noqa: S608  # the words above
_RECORD = text(f"""
    UPDATE agent_call c SET is_recorded = true FROM attempt a WHERE {_ITS_ATTEMPT}
""")  # noqa: S608  # as above
_BRIDGED = text(f"""
    SELECT v.value_encrypted, v.key_id, b.locale, {sender_of("r", "a")} AS sender, c.recording, {learned_since("a")} AS learned
    FROM agent_call c JOIN attempt a ON {_ITS_ATTEMPT}
    JOIN contact_point_version v ON v.contact_point_id = a.contact_point_id AND v.superseded_at IS NULL
    JOIN party p ON p.id = a.party_id JOIN creditor r ON r.id = p.creditor_id
    LEFT JOIN party_version b ON b.party_id = a.party_id AND b.superseded_at IS NULL
    WHERE c.told_at IS NULL AND a.state = 'submitting' AND a.called_at IS NOT NULL
""")  # noqa: S608  # as above
_BEGIN = text("""
    INSERT INTO agent_call (business_date, attempt_id, task_id, agent_id, party_id, at, required, recording, recording_rule)
    VALUES (:day, :id, :task, :agent, :party, :at, :required, :way, :rule)
    ON CONFLICT (business_date, attempt_id) DO NOTHING
""")
_PURPOSE = text("SELECT purpose FROM attempt WHERE business_date = :day AND id = :id")
_READ = text("SELECT required, recording, recording_rule, line FROM agent_call WHERE business_date = :day AND attempt_id = :id")
_TELL = text("""
    UPDATE agent_call SET said = :said, why_encrypted = CAST(:why AS bytea), why_key_id = :key, told_at = :at
    WHERE business_date = :day AND attempt_id = :id AND told_at IS NULL
""")

"""What was done about a person, day by day: what went to her, what was held back and why, and the days on which she was left alone.

In:   a connection; her party id.
Out:  ids, dates, channels, states, reasons; no value and no words.
Pure: no; reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Connection, text

SHOWN_MAX: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What was decided for a person on a day, and what became of it.

    Attributes:
        on: Business date.
        stage: Of treatment, or of a service run.
        contact: It was decided to contact her.
        reasons: Why not, or what was looked at.
        attempts: What was planned then.
    """

    on: date
    stage: str
    contact: bool
    reasons: tuple[str, ...]
    attempts: tuple[Tried, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One attempt.

    Attributes:
        id: Ours.
        channel: sms, ….
        message: Folder of its text.
        state: Where it stands.
        blocked_by: Rules that held it back; empty = none did.
        submitted_at: When the gate let it go; None = it did not.
    """

    id: int
    channel: str
    message: str
    state: str
    blocked_by: tuple[str, ...]
    submitted_at: datetime | None


def days_of(connection: Connection, party_id: int, *, at_most: int = SHOWN_MAX) -> list[Decided]:
    """Days on which something was decided for a person, the newest first."""
    rows = connection.execute(_DAYS, {"party": party_id, "at_most": at_most}).mappings()
    return [
        Decided(
            on=row["business_date"],
            stage=row["stage"],
            contact=row["action"] == "contact",
            reasons=tuple(row["reasons"]),
            attempts=tuple(_tried(one) for one in row["attempts"]),
        )
        for row in rows
    ]


def attempts_of(connection: Connection, party_id: int, *, on: date | None = None, at_most: int) -> list[int]:
    """Ids of the attempts to reach a person that were planned, of one business date or all, the oldest first."""
    return list(connection.execute(_ATTEMPTS, {"party": party_id, "on": on, "at_most": at_most}).scalars())


def attempts_on(connection: Connection, on: date, *, at_most: int) -> list[int]:
    """Ids of a business date's attempts, in their order."""
    return list(connection.execute(_ON, {"on": on, "at_most": at_most}).scalars())


def party_of(connection: Connection, attempt_ids: Sequence[int]) -> dict[int, int]:
    """Attempt → whom it was to reach; those that do not exist are left out."""
    return {row.id: row.party_id for row in connection.execute(_PARTY_OF, {"ids": list(attempt_ids)})}


def _tried(row: dict[str, Any]) -> Tried:
    left = row["submitted_at"]
    return Tried(
        id=row["id"],
        channel=row["channel"],
        message=row["message"],
        state=row["state"],
        blocked_by=tuple(row["blocked_by"] or ()),
        submitted_at=None if left is None else datetime.fromisoformat(left),
    )


_DAYS = text("""
    SELECT d.business_date, d.stage, d.action, r.reasons, coalesce((
        SELECT jsonb_agg(jsonb_build_object('id', a.id, 'channel', a.channel, 'message', a.message, 'state', a.state,
                                            'blocked_by', a.permit -> 'blocked_by', 'submitted_at', a.submitted_at) ORDER BY a.id)
        FROM attempt a WHERE a.party_id = d.party_id AND a.business_date = d.business_date AND a.decision_id = d.id), '[]') AS attempts
    FROM whole.decision d JOIN reason_set r ON r.id = d.reason_set_id
    WHERE d.party_id = :party ORDER BY d.business_date DESC, d.id DESC LIMIT :at_most
""")
_ATTEMPTS = text("""
    SELECT id FROM attempt WHERE party_id = :party AND (CAST(:on AS date) IS NULL OR business_date = CAST(:on AS date))
    ORDER BY business_date, id LIMIT :at_most
""")
_ON = text("SELECT id FROM attempt WHERE business_date = :on ORDER BY id LIMIT :at_most")
_PARTY_OF = text("SELECT id, party_id FROM attempt WHERE id = ANY(:ids)")

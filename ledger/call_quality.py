"""Talks that a supervisor looks at: drawn by a keyed hash, scored point by point, never by whoever talked; the agent reads her own.

In:   a connection; a week, how many talks of each agent; scores of config/quality.yaml's points.
Out:  samples, rows of `call_score`.
Pure: no; reads and writes the ledger. The same week gives the same draw, and nobody can work out beforehand whom it takes.
Source: docs/adr/0058.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, text

from config.agents import Rubric
from ledger import vault

WEEK: Final = timedelta(days=7)
USE: Final = "quality sample"


class ScoreRefused(ValueError):
    """It was not written down: a word of ours says why, `own` or `scores`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A talk that was drawn; nothing in it is personal.

    Attributes:
        business_date: Of the attempt.
        attempt_id: Which.
        agent: Who talked.
        staff_id: Her number of the staff.
        at: When.
        per_cent: What the reader gave it; None = she has not looked yet.
    """

    business_date: date
    attempt_id: int
    agent: str
    staff_id: int | None
    at: datetime
    per_cent: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """A talk as a supervisor sees it.

    Attributes:
        business_date: Of the attempt.
        attempt_id: Which.
        agent: Who talked.
        staff_id: Her number of the staff.
        party_id: With whom.
        at: When.
        required: What had to be said.
        said: What was ticked.
        why: Why the rest was not said; None = nothing was missing, or nobody told.
        is_recorded: Whether there is a recording.
    """

    business_date: date
    attempt_id: int
    agent: str
    staff_id: int | None
    party_id: int
    at: datetime
    required: tuple[str, ...]
    said: tuple[str, ...]
    why: str | None = field(repr=False)
    is_recorded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """How somebody saw a talk."""

    business_date: date
    attempt_id: int
    at: datetime
    talked_at: datetime
    scored_by: str
    scores: Mapping[str, int]
    per_cent: int
    note: str | None = field(repr=False)


def drawn(tx: Connection, week: date, *, talks_a_week: int, staff_id: int, scored_by: str) -> list[Sample]:
    """The talks of a week that are looked at, by agent; without those of whoever looks.

    Args:
        tx: Any.
        week: Its first day.
        talks_a_week: Of each agent.
        staff_id: Who looks.
        scored_by: As her scores name her.
    """
    found = tx.execute(_TALKS, {"since": week, "until": week + WEEK, "staff": staff_id, "by": scored_by}).all()
    ranked = sorted(found, key=lambda row: (row.agent, vault.keyed(USE, f"{week} {row.business_date} {row.attempt_id}")))
    taken: Counter[str] = Counter()
    samples = []
    for row in ranked:
        taken[row.agent] += 1
        if taken[row.agent] <= talks_a_week:
            samples.append(Sample(**row._mapping))  # noqa: SLF001  # SQLAlchemy's public name for a row as a mapping
    return samples


def read(tx: Connection, business_date: date, attempt_id: int) -> Talk | None:
    """One talk; None where there is none of that number."""
    row = tx.execute(_TALK, {"day": business_date, "id": attempt_id}).one_or_none()
    if row is None:
        return None
    return Talk(
        business_date=business_date,
        attempt_id=attempt_id,
        agent=row.agent,
        staff_id=row.staff_id,
        party_id=row.party_id,
        at=row.at,
        required=tuple(row.required),
        said=tuple(row.said),
        why=None if row.why_encrypted is None else vault.decrypt(row.why_encrypted, row.why_key_id),
        is_recorded=row.is_recorded,
    )


def score(
    tx: Connection, talk: Talk, rubric: Rubric, scores: Mapping[str, int], *, staff_id: int, scored_by: str, note: str, at: datetime
) -> int:
    """Write down how somebody saw a talk; said again, the last word counts.

    Returns:
        The weighted share, in per cent.

    Raises:
        ScoreRefused: It is her own talk, or not every point has a number of the scale.
    """
    if talk.staff_id == staff_id:
        raise ScoreRefused("own")
    named = {point.name for point in rubric.points}
    if set(scores) != named or any(not rubric.worst <= given <= rubric.best for given in scores.values()):
        raise ScoreRefused("scores")
    per_cent = rubric.per_cent(scores)
    encrypted, key_id = vault.encrypt(note) if note else (None, None)
    keys: dict[str, Any] = {"day": talk.business_date, "id": talk.attempt_id, "by": scored_by, "per_cent": per_cent, "at": at}
    tx.execute(_SCORE, {**keys, "scores": json.dumps(dict(scores), sort_keys=True), "note": encrypted, "key": key_id})
    return per_cent


def of_agent(tx: Connection, agent_id: int) -> list[Scored]:
    """How an agent's talks were seen, the newest first."""
    return [
        Scored(
            business_date=row.business_date,
            attempt_id=row.attempt_id,
            at=row.at,
            talked_at=row.talked_at,
            scored_by=row.scored_by,
            scores=row.scores,
            per_cent=row.per_cent,
            note=None if row.note_encrypted is None else vault.decrypt(row.note_encrypted, row.note_key_id),
        )
        for row in tx.execute(_OF_AGENT, {"agent": agent_id})
    ]


_TALKS = text("""
    SELECT c.business_date, c.attempt_id, g.name AS agent, g.staff_id, c.at,
           (SELECT s.per_cent FROM call_score s
            WHERE s.business_date = c.business_date AND s.attempt_id = c.attempt_id AND s.scored_by = :by) AS per_cent
    FROM agent_call c JOIN agent g ON g.id = c.agent_id
    JOIN call_task t ON t.id = c.task_id AND t.attempt_business_date = c.business_date AND t.attempt_id = c.attempt_id
     AND t.result = 'conversation'
    WHERE c.business_date >= :since AND c.business_date < :until AND g.staff_id IS DISTINCT FROM :staff
""")
_TALK = text("""
    SELECT g.name AS agent, g.staff_id, c.party_id, c.at, c.required, c.said, c.why_encrypted, c.why_key_id, c.is_recorded
    FROM agent_call c JOIN agent g ON g.id = c.agent_id
    JOIN call_task t ON t.id = c.task_id AND t.attempt_business_date = c.business_date AND t.attempt_id = c.attempt_id
     AND t.result = 'conversation'
    WHERE c.business_date = :day AND c.attempt_id = :id
""")
_SCORE = text("""
    INSERT INTO call_score (business_date, attempt_id, scored_by, scores, per_cent, note_encrypted, note_key_id, at)
    VALUES (:day, :id, :by, CAST(:scores AS jsonb), :per_cent, CAST(:note AS bytea), :key, :at)
    ON CONFLICT ON CONSTRAINT call_score_once DO UPDATE
    SET scores = excluded.scores, per_cent = excluded.per_cent, note_encrypted = excluded.note_encrypted,
        note_key_id = excluded.note_key_id, at = excluded.at
""")
_OF_AGENT = text("""
    SELECT s.business_date, s.attempt_id, s.at, c.at AS talked_at, s.scored_by, s.scores, s.per_cent, s.note_encrypted, s.note_key_id
    FROM call_score s JOIN agent_call c ON c.business_date = s.business_date AND c.attempt_id = s.attempt_id
    WHERE c.agent_id = :agent ORDER BY s.at DESC, s.id DESC
""")

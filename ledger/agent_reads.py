"""What an agent reads of the person whom she is about to call: all that she said before, her promises, her open cases, her name.

In:   a connection; a party's id. Every look is noted by whoever asks (ledger/staff_views.py).
Out:  plain values, personal: for the agent's eyes, never logged.
Pure: no; reads.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

from sqlalchemy import Connection, text

from ledger import vault

HEARD_MAX: Final = 30
PROMISES_MAX: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Something that a person said, by whichever road.

    Attributes:
        at: When.
        channel: How.
        intent: What it was taken to mean.
        due_on: The day that she named.
        amount_minor: The amount that she named.
        currency: Of it.
        needs_person: Whether somebody still has to look at it.
        words: Hers; None where there are none, or where another person may have written them.
    """

    at: datetime
    channel: str
    intent: str
    due_on: date | None
    amount_minor: int | None
    currency: str | None
    needs_person: bool
    words: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promised:
    """A promise and what became of it."""

    due_on: date
    amount_minor: int | None
    currency: str | None
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCase:
    """A case that is not closed."""

    id: int
    kind: str
    answer_by: date


def heard(tx: Connection, party_id: int) -> list[Answer]:
    """What a person said, the newest first."""
    return [
        Answer(
            at=row.at,
            channel=row.channel,
            intent=row.intent,
            due_on=row.due_on,
            amount_minor=row.amount_minor,
            currency=row.currency,
            needs_person=row.waits,
            words=None if row.payload_encrypted is None else _words(vault.decrypt(row.payload_encrypted, row.key_id)),
        )
        for row in tx.execute(_HEARD, {"party": party_id, "at_most": HEARD_MAX})
    ]


def promises(tx: Connection, party_id: int) -> list[Promised]:
    """Her promises, the newest first."""
    return [Promised(**row) for row in tx.execute(_PROMISES, {"party": party_id, "at_most": PROMISES_MAX}).mappings()]


def open_cases(tx: Connection, party_id: int) -> list[OpenCase]:
    """Her cases that are not closed, the most urgent first."""
    return [OpenCase(**row) for row in tx.execute(_CASES, {"party": party_id}).mappings()]


def said_in_call(tx: Connection, attempt: tuple[date, int]) -> list[str]:
    """What was understood of what a person said in a call, in order."""
    return list(tx.execute(_IN_CALL, {"day": attempt[0], "id": attempt[1]}).scalars())


def _words(payload: str) -> str | None:
    fields = json.loads(payload)
    return fields.get("Body") or fields.get("ButtonText") or None


# What came from a number that several people have is shown to nobody who calls one of them: it may be another's.
_HEARD = text("""
    SELECT o.at, o.channel, o.intent, o.due_on, o.amount_minor, o.currency, o.needs_person AND o.handled_at IS NULL AS waits,
           p.payload_encrypted, p.key_id
    FROM outcome o
    LEFT JOIN provider_event_payload p ON p.provider_event_id = o.provider_event_id
     AND NOT EXISTS (SELECT 1 FROM outcome s WHERE s.provider_event_id = o.provider_event_id AND s.party_id <> o.party_id)
    WHERE o.party_id = :party ORDER BY o.at DESC, o.id DESC LIMIT :at_most
""")
_PROMISES = text("""
    SELECT due_on, amount_minor, currency, state FROM promise
    WHERE party_id = :party AND superseded_at IS NULL ORDER BY due_on DESC, id DESC LIMIT :at_most
""")
_CASES = text("SELECT id, kind, answer_by FROM borrower_case WHERE party_id = :party AND state <> 'closed' ORDER BY answer_by, id")
_IN_CALL = text("""
    SELECT o.intent FROM outcome o
    JOIN provider_event e ON e.id = o.provider_event_id AND e.provider = 'phone_team'
    JOIN attempt a ON a.token = e.token AND a.business_date = :day AND a.id = :id
    ORDER BY o.id
""")

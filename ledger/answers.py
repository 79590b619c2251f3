"""What a person's answer does to the facts: opt-outs, holds, ownership of a number, and the outcome that says so.

Every function here runs inside a transaction that holds the borrowers' lock (ledger/locks.py): a stop that is committed
before the gate's lock stops the send (invariant I4).

In:   a connection inside a transaction, what was understood, the business instant.
Out:  rows of `opt_out`, `hold`, `contact_value`, `outcome`.
Pure: no; writes the ledger.
Source: DOMAIN.md, "What the borrower's answer does".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, text

from ledger import outbox

# Only what a reply or the provider stopped can a reply start again: not a stop by letter, or one that was imported.
OURS = "reply"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One thing that one person's answer was taken to mean.

    Attributes:
        party_id: Who.
        event_id: The inbox row that it came in.
        attempt: (business date, id) of the message that it follows, or None.
        channel: The channel it came by.
        intent: One of the intents of decisions/replies.py, or `unclear`.
        because: The lexicon's phrase that decided; never the person's own words.
        needs_person: Whether somebody has to look.
        at: Business instant, UTC.
    """

    party_id: int
    event_id: int
    attempt: tuple[date, int] | None
    channel: str
    intent: str
    because: str | None
    needs_person: bool
    at: datetime


def record(connection: Connection, answer: Answer) -> None:
    """Write down what an answer was taken to mean."""
    business_date, attempt_id = answer.attempt or (None, None)
    connection.execute(
        _OUTCOME,
        {
            "party": answer.party_id,
            "business_date": business_date,
            "attempt": attempt_id,
            "event": answer.event_id,
            "channel": answer.channel,
            "intent": answer.intent,
            "because": answer.because,
            "needs_person": answer.needs_person,
            "at": answer.at,
        },
    )


def opt_out(connection: Connection, party_ids: Sequence[int], channels: Sequence[str], *, at: datetime, source: str = OURS) -> None:
    """Stop channels ("all" = every one) for these people, at all of their contact points.

    What is stopped already is not written again.
    """
    rows = [{"party_id": party_id, "channel": channel, "contact_point_id": None} for party_id in party_ids for channel in channels]
    outbox.opt_out_by_provider(connection, rows, at=at, source=source)


def opt_in(connection: Connection, party_id: int, channel: str, *, at: datetime) -> bool:
    """End a stop of one channel that a reply or the provider brought; False where none stands."""
    return connection.execute(_OPT_IN, {"party": party_id, "channel": channel, "at": at, "ours": OURS}).rowcount > 0


def hold(connection: Connection, party_id: int, kind: str, *, starts_at: datetime, until: datetime | None, source: str = OURS) -> bool:
    """Hold all contact with a person until an instant, or until somebody lifts it.

    Returns:
        False where a hold of that kind already reaches as far.
    """
    asked = {"party": party_id, "kind": kind, "starts_at": starts_at, "until": until, "source": source}
    return connection.execute(_HOLD, asked).rowcount > 0


def said_paid_since(connection: Connection, party_id: int, since: datetime) -> bool:
    """Whether this person has said since an instant that the payment was made."""
    return connection.execute(_SAID_PAID, {"party": party_id, "since": since}).scalar() is not None


def disown(connection: Connection, blind_index: bytes, *, at: datetime, source: str = OURS) -> None:
    """Say that a number belongs to none of our borrowers: it is blocked for every one of them."""
    asked = {"value": blind_index, "at": at, "source": source}
    connection.execute(_SUPERSEDE_OWNERSHIP, asked)
    connection.execute(_DISOWN, asked)


_OUTCOME = text("""
    INSERT INTO outcome (party_id, attempt_business_date, attempt_id, provider_event_id, channel, intent, because, needs_person, at)
    VALUES (:party, :business_date, :attempt, :event, :channel, :intent, :because, :needs_person, :at)
""")
# The stop itself stays as it was known; from now on its version with an end is in force.
_OPT_IN = text("""
    WITH old AS (
        UPDATE opt_out SET superseded_at = clock_timestamp()
        WHERE party_id = :party AND channel = :channel AND superseded_at IS NULL AND until IS NULL
          AND (source = :ours OR source LIKE 'provider:%')
        RETURNING *
    )
    INSERT INTO opt_out (effective_at, source, party_id, channel, contact_point_id, at, until)
    SELECT :at, :ours, party_id, channel, contact_point_id, at, :at FROM old
""")
_HOLD = text("""
    INSERT INTO hold (effective_at, source, party_id, all_liable, kind, starts_at, until)
    SELECT :starts_at, :source, :party, false, :kind, :starts_at, CAST(:until AS timestamptz)
    WHERE NOT EXISTS (
        SELECT 1 FROM hold h
        WHERE h.party_id = :party AND h.kind = :kind AND h.superseded_at IS NULL AND h.loan_id IS NULL AND h.channel IS NULL
          AND h.purpose IS NULL AND h.starts_at <= :starts_at AND (h.until IS NULL OR h.until >= CAST(:until AS timestamptz)))
""")
_SAID_PAID = text("SELECT 1 FROM outcome WHERE party_id = :party AND intent = 'paid' AND at >= :since LIMIT 1")
_SUPERSEDE_OWNERSHIP = text("""
    UPDATE contact_value SET superseded_at = clock_timestamp()
    WHERE blind_index = :value AND superseded_at IS NULL AND ownership <> 'wrong'
""")
_DISOWN = text("""
    INSERT INTO contact_value (effective_at, source, blind_index, ownership)
    SELECT :at, :source, :value, 'wrong'
    WHERE NOT EXISTS (SELECT 1 FROM contact_value v WHERE v.blind_index = :value AND v.superseded_at IS NULL)
""")

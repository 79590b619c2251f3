"""What a person's answer does to the facts: opt-outs, holds, ownership of a number, and the outcome that says so.

Every function here runs inside a transaction that holds the borrowers' lock (ledger/locks.py): a stop that is committed
before the gate's lock stops the send (invariant I4).

In:   a connection inside a transaction, what was understood, the business instant.
Out:  rows of `opt_out`, `hold`, `promise`, `contact_value`, `outcome`, `outcome_handled`; ends of `placement`.
Pure: no; writes the ledger.
Source: DOMAIN.md, "What the borrower's answer does".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, text

from decisions.words import CHANNELS
from ledger import outbox, placements

# Only what a reply or the provider stopped can a reply start again: not a stop by letter, or one that was imported.
OURS = "reply"
# The source of what a colleague wrote down; what a machine or a file brought has a source without a blank in it.
BY_HAND = "^[^:]+: "


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
        due_on: Local date that it names, or None.
        amount_minor: Amount that it names, or None.
        currency: Of the amount.
    """

    party_id: int
    event_id: int
    attempt: tuple[date, int] | None
    channel: str
    intent: str
    because: str | None
    needs_person: bool
    at: datetime
    due_on: date | None = None
    amount_minor: int | None = None
    currency: str | None = None


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
            "due_on": answer.due_on,
            "amount_minor": answer.amount_minor,
            "currency": answer.currency if answer.amount_minor is not None else None,
        },
    )


def in_danger(connection: Connection, *, since: datetime, at_most: int, besides: Sequence[int] = ()) -> list[int]:
    """Outcomes of people who wrote of danger since an instant, and that nobody has handled yet; ids, the longest waiting first."""
    return list(connection.execute(_IN_DANGER, {"since": since, "at_most": at_most, "besides": list(besides)}).scalars())


def handled(connection: Connection, outcome_id: int, *, by: str, done: str, at: datetime) -> bool | None:
    """Write down who handled an answer that waited for a person, and what was done; the first time ends its waiting.

    Returns:
        False where the same was written before; None where no such answer ever waited for a person.
    """
    asked = {"outcome": outcome_id, "by": by, "done": done, "at": at}
    if connection.execute(_END_WAITING, asked).one_or_none() is None:
        return None
    return connection.execute(_NOTE_HANDLED, asked).rowcount > 0


def opt_out(connection: Connection, party_ids: Sequence[int], channels: Sequence[str], *, at: datetime, source: str = OURS) -> None:
    """Stop channels ("all" = every one) for these people, at all of their contact points.

    What is stopped already is not written again.
    """
    rows = [{"party_id": party_id, "channel": channel, "contact_point_id": None} for party_id in party_ids for channel in channels]
    outbox.opt_out_by_provider(connection, rows, at=at, source=source)


def opt_in(connection: Connection, party_id: int, channel: str, *, at: datetime) -> bool:
    """End a stop of one channel that a reply or the provider brought; False where none stands.

    Of a stop of everything it opens this channel alone: the others stay stopped.
    """
    asked = {"party": party_id, "channel": channel, "at": at, "ours": OURS, "others": [name for name in CHANNELS if name != channel]}
    return connection.execute(_OPT_IN, asked).rowcount > 0


def hold(
    connection: Connection,
    party_id: int,
    kind: str,
    *,
    starts_at: datetime,
    until: datetime | None,
    loan_id: int | None = None,
    source: str = OURS,
) -> bool:
    """Hold all contact with a person, or about one loan, until an instant, or until somebody lifts it; call back what an agency has.

    Returns:
        False where a hold of that kind already reaches as far.
    """
    asked = {"party": party_id, "kind": kind, "starts_at": starts_at, "until": until, "loan": loan_id, "source": source}
    is_new = connection.execute(_HOLD, asked).rowcount > 0
    placements.recall_held(connection, [party_id], at=starts_at)
    return is_new


def written_by(connection: Connection, party_id: int, kind: str, *, at: datetime) -> list[str]:
    """Who wrote down the holds of a kind that stand, and that a colleague wrote (`NAME: how it is known`); their sources."""
    return list(connection.execute(_BY_COLLEAGUES, {"party": party_id, "kind": kind, "at": at, "by_hand": BY_HAND}).scalars())


def release(connection: Connection, party_id: int, kind: str, *, at: datetime, source: str) -> int:
    """End the holds of a kind that colleagues wrote down; how many. A case's, an import's or a promise's end as they are made to."""
    asked = {"party": party_id, "kind": kind, "at": at, "source": source, "by_hand": BY_HAND}
    return connection.execute(_RELEASE, asked).rowcount


def promise(
    connection: Connection,
    party_id: int,
    due_on: date,
    *,
    amount_minor: int | None,
    currency: str | None,
    at: datetime,
    loan_id: int | None = None,
) -> bool:
    """Write down what a person promised to pay by a local date, and for which loan where that is known.

    Returns:
        False where the same is promised already.
    """
    known = amount_minor if currency is not None else None
    asked = {"party": party_id, "loan": loan_id, "due_on": due_on, "amount": known}
    return connection.execute(_PROMISE, {**asked, "currency": currency if known else None, "at": at, "source": OURS}).rowcount > 0


def said_paid_since(connection: Connection, party_id: int, since: datetime) -> bool:
    """Whether this person has said since an instant that the payment was made."""
    return connection.execute(_SAID_PAID, {"party": party_id, "since": since}).scalar() is not None


def last_rail(connection: Connection, party_id: int) -> str | None:
    """The rail by which this person's last payment came, or None where none is known."""
    found: str | None = connection.execute(_LAST_RAIL, {"party": party_id}).scalar()
    return found


def disown(connection: Connection, blind_index: bytes, *, at: datetime, source: str = OURS) -> None:
    """Say that a number belongs to none of our borrowers: it is blocked for every one of them."""
    asked = {"value": blind_index, "at": at, "source": source}
    connection.execute(_SUPERSEDE_OWNERSHIP, asked)
    connection.execute(_DISOWN, asked)


_OUTCOME = text("""
    INSERT INTO outcome (party_id, attempt_business_date, attempt_id, provider_event_id, channel, intent, because, needs_person, at,
                         due_on, amount_minor, currency)
    VALUES (:party, :business_date, :attempt, :event, :channel, :intent, :because, :needs_person, :at, :due_on, :amount_minor, :currency)
""")
_IN_DANGER = text("""
    SELECT id FROM outcome
    WHERE intent = 'danger' AND needs_person AND handled_at IS NULL AND at > :since AND NOT id = ANY(CAST(:besides AS bigint[]))
    ORDER BY id LIMIT :at_most
""")
_END_WAITING = text("""
    UPDATE outcome SET handled_at = coalesce(handled_at, CAST(:at AS timestamptz)) WHERE id = :outcome AND needs_person RETURNING id
""")
_NOTE_HANDLED = text("""
    INSERT INTO outcome_handled (outcome_id, by, done, at) VALUES (:outcome, :by, :done, :at) ON CONFLICT (outcome_id, by, done) DO NOTHING
""")
# The stop itself stays as it was known; from now on its version with an end is in force. Of a stop of everything the other
# channels are stopped one by one instead.
_OPT_IN = text("""
    WITH old AS (
        UPDATE opt_out SET superseded_at = clock_timestamp()
        WHERE party_id = :party AND channel IN (:channel, 'all') AND superseded_at IS NULL AND until IS NULL
          AND (source = :ours OR source LIKE 'provider:%')
        RETURNING *
    )
    INSERT INTO opt_out (effective_at, source, party_id, channel, contact_point_id, at, until)
    SELECT CAST(:at AS timestamptz), :ours, party_id, channel, contact_point_id, at, CAST(:at AS timestamptz) FROM old
    UNION ALL
    SELECT o.at, :ours, o.party_id, c.name, o.contact_point_id, o.at, NULL
    FROM old o CROSS JOIN unnest(CAST(:others AS text[])) AS c(name)
    WHERE o.channel = 'all' AND NOT EXISTS (
        SELECT 1 FROM opt_out s WHERE s.party_id = o.party_id AND s.channel = c.name AND s.superseded_at IS NULL AND s.until IS NULL)
""")
_HOLD = text("""
    INSERT INTO hold (effective_at, source, party_id, loan_id, all_liable, kind, starts_at, until)
    SELECT :starts_at, :source, :party, CAST(:loan AS bigint), false, :kind, :starts_at, CAST(:until AS timestamptz)
    WHERE NOT EXISTS (
        SELECT 1 FROM hold h
        WHERE h.party_id = :party AND h.kind = :kind AND h.superseded_at IS NULL
          AND (h.loan_id IS NULL OR h.loan_id = :loan)
          AND h.channel IS NULL AND h.purpose IS NULL
          AND h.starts_at <= :starts_at AND (h.until IS NULL OR h.until >= CAST(:until AS timestamptz)))
""")
_BY_COLLEAGUES = text("""
    SELECT source FROM hold
    WHERE party_id = :party AND kind = :kind AND superseded_at IS NULL AND import_batch_id IS NULL AND source ~ :by_hand
      AND (until IS NULL OR until > :at)
    ORDER BY id
""")
# The hold itself stays as it was known; from now on its version with an end is in force.
_RELEASE = text("""
    WITH old AS (
        UPDATE hold SET superseded_at = clock_timestamp()
        WHERE party_id = :party AND kind = :kind AND superseded_at IS NULL AND import_batch_id IS NULL AND source ~ :by_hand
          AND (until IS NULL OR until > :at)
        RETURNING *
    )
    INSERT INTO hold (effective_at, source, party_id, loan_id, all_liable, kind, channel, purpose, starts_at, until)
    SELECT :at, :source, party_id, loan_id, all_liable, kind, channel, purpose, starts_at, greatest(CAST(:at AS timestamptz), starts_at)
    FROM old
""")
# Said of one loan and of none in particular, it is the same promise.
_PROMISE = text("""
    INSERT INTO promise (effective_at, source, party_id, loan_id, due_on, amount_minor, currency, state)
    SELECT :at, :source, :party, CAST(:loan AS bigint), :due_on, CAST(:amount AS bigint), :currency, 'open'
    WHERE NOT EXISTS (
        SELECT 1 FROM promise p
        WHERE p.party_id = :party AND p.due_on = :due_on AND p.state = 'open' AND p.superseded_at IS NULL
          AND (p.loan_id IS NULL OR CAST(:loan AS bigint) IS NULL OR p.loan_id = CAST(:loan AS bigint))
          AND p.amount_minor IS NOT DISTINCT FROM CAST(:amount AS bigint))
""")
_SAID_PAID = text("SELECT 1 FROM outcome WHERE party_id = :party AND intent = 'paid' AND at >= :since LIMIT 1")
_LAST_RAIL = text("""
    SELECT y.rail FROM loan_party lp JOIN payment y ON y.loan_id = lp.loan_id AND y.superseded_at IS NULL AND y.state = 'posted'
    WHERE lp.party_id = :party AND lp.superseded_at IS NULL AND y.rail IS NOT NULL
    ORDER BY y.paid_on DESC, y.id DESC LIMIT 1
""")
_SUPERSEDE_OWNERSHIP = text("""
    UPDATE contact_value SET superseded_at = clock_timestamp()
    WHERE blind_index = :value AND superseded_at IS NULL AND ownership <> 'wrong'
""")
_DISOWN = text("""
    INSERT INTO contact_value (effective_at, source, blind_index, ownership)
    SELECT :at, :source, :value, 'wrong'
    WHERE NOT EXISTS (SELECT 1 FROM contact_value v WHERE v.blind_index = :value AND v.superseded_at IS NULL)
""")

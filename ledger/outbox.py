"""The outbox: which planned attempts are due, and what the gate writes about those it lets go.

In:   a connection inside a transaction. Claiming is locking the borrower; everything else is read and written by later
      statements of the same transaction.
Out:  locked borrowers, planned attempts as they stand under the lock, rows of the contact log.
Pure: no; reads and writes the ledger.
Source: ARCHITECTURE.md, "The lock, written down once".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from decisions.planned import Planned
from ledger import vault
from ledger.senders import sender_of

EVERY_PARTY: Final = (0, 2**63 - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """An outbound contact that is about to be made, for the one log that all caps read."""

    planned: Planned
    loans: tuple[int, ...]
    counterparty: str
    jurisdiction: str | None
    commitment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DueLane:
    """A part of a run in which something has come due; `shard` is None for borrowers whom no shard holds."""

    campaign_run_id: int
    shard: int | None
    due: int


def wall_clock(connection: Connection) -> datetime:
    """The database's wall clock now: leases and deadlines are kept by it alone."""
    return connection.execute(_WALL_CLOCK).scalar_one()  # type: ignore[no-any-return]  # a timestamptz


def channels_planned(connection: Connection, *, campaign_run_id: int, parties: tuple[int, int]) -> set[str]:
    """Channels on which something is planned: no other is opened."""
    return set(connection.execute(_CHANNELS, {"run": campaign_run_id, "first": parties[0], "last": parties[1]}).scalars())


def lanes_due(connection: Connection, *, at: datetime, at_most: int) -> list[DueLane]:
    """Parts of any run, of any stage, in which something is due now, what expires first coming first.

    Args:
        connection: Any.
        at: Business instant: due is what may be sent after it, has not expired and is not paused.
        at_most: So many parts.
    """
    return [DueLane(**row._mapping) for row in connection.execute(_LANES_DUE, {"at": at, "at_most": at_most})]  # noqa: SLF001  # SQLAlchemy's public name for a row as a mapping


def claim_borrowers(
    connection: Connection,
    *,
    campaign_run_id: int,
    channel: str,
    parties: tuple[int, int],
    after: int,
    at: datetime,
    at_most: int,
    rank_max: str | None = None,
) -> list[int]:
    """Lock borrowers who have an attempt due on a channel, in the order of their ids, passing over whom another lane holds.

    Args:
        connection: Inside the transaction that will judge and write.
        campaign_run_id: Of which run.
        channel: sms, push, ...
        parties: First and last party id, both included.
        after: Only parties with a higher id.
        at: Business instant: due is what may be sent after it, has not expired and is not paused.
        at_most: How many.
        rank_max: Only whose rank in the run is no higher (`ledger.campaigns.Run.rank_max`); None = everybody.

    Returns:
        Party ids, ascending.
    """
    keys = {
        "run": campaign_run_id,
        "channel": channel,
        "first": max(parties[0], after + 1),
        "last": parties[1],
        "at": at,
        "at_most": at_most,
        "rank": rank_max,
    }
    return list(connection.execute(_CLAIM, keys).scalars())


def is_due(
    connection: Connection, *, campaign_run_id: int, channels: Iterable[str], parties: tuple[int, int], at: datetime, rank_max: str | None
) -> bool:
    """Whether anybody has an attempt due on one of these channels, held by another lane or not; arguments as of `claim_borrowers`."""
    keys = {
        "run": campaign_run_id,
        "channels": sorted(channels),
        "first": parties[0],
        "last": parties[1],
        "at": at,
        "rank": rank_max,
    }
    return bool(connection.execute(_IS_DUE, keys).scalar_one())


def read_planned(
    connection: Connection, *, campaign_run_id: int, party_ids: Sequence[int], channels: Iterable[str], at: datetime
) -> list[Planned]:
    """What is still planned and due for borrowers that are locked, and lock it: the lock order is borrower, then attempt."""
    keys = {"run": campaign_run_id, "parties": list(party_ids), "channels": list(channels), "at": at}
    rows = connection.execute(_PLANNED, keys).all()
    vault.learn(connection, [row.key_id for row in rows])
    return [Planned(**row._mapping) for row in rows]  # noqa: SLF001  # SQLAlchemy's public name for a row as a mapping


def count_waiting(connection: Connection, *, campaign_run_id: int, parties: tuple[int, int], at: datetime) -> tuple[int, int]:
    """(due but paused, planned for later) of a run's planned attempts."""
    keys = {"run": campaign_run_id, "first": parties[0], "last": parties[1], "at": at}
    row = connection.execute(_WAITING, keys).one()
    return row.paused, row.later


def log_contacts(connection: Connection, contacts: Sequence[Contact], *, at: datetime, batch_id: int) -> dict[int, dict[str, Any]]:
    """Write contacts that are about to be made; each counts at once. Attempt id → the event as written."""
    rows = [
        {
            "business_date": contact.planned.business_date,
            "party_id": contact.planned.party_id,
            "channel": contact.planned.channel,
            "loans": contact.loans,
            "contact_point_id": contact.planned.contact_point_id,
            "counterparty": contact.counterparty,
            "purpose": contact.planned.purpose,
            "attempt_id": contact.planned.id,
            "jurisdiction": contact.jurisdiction,
            "commitment": contact.commitment,
        }
        for contact in contacts
    ]
    written = connection.execute(_LOG, {"rows": json.dumps(rows, default=str), "at": at, "batch": batch_id}).mappings()
    return {row["attempt_id"]: dict(row) for row in written}


def uncount(connection: Connection, event_ids: Sequence[tuple[date, int]], *, at: datetime, batch_id: int) -> list[dict[str, Any]]:
    """Take contacts back that surely were not made: no cap counts them any more. The events as written."""
    keys = {"dates": [key[0] for key in event_ids], "ids": [key[1] for key in event_ids], "at": at, "batch": batch_id}
    return [dict(row) for row in connection.execute(_UNCOUNT, keys).mappings()]


def retire_contact_points(
    connection: Connection, contact_point_ids: Sequence[int], *, at: datetime, source: str, status: str = "invalid"
) -> None:
    """Write a new version of contact points that a provider called `invalid` or `unreachable`; the old one is superseded."""
    keys = {"ids": sorted(set(contact_point_ids)), "at": at, "source": source, "status": status}
    connection.execute(_RETIRE, keys)


def opt_out_by_provider(connection: Connection, opt_outs: Sequence[Mapping[str, Any]], *, at: datetime, source: str) -> None:
    """Write opt-outs that a provider told us of; the caller holds the borrowers' lock.

    Args:
        connection: Inside the transaction of the lock.
        opt_outs: `party_id`, `channel`, `contact_point_id` of each; what is already opted out is not written again.
        at: Business instant.
        source: Who said so.
    """
    connection.execute(_OPT_OUT, {"rows": json.dumps([dict(row) for row in opt_outs]), "at": at, "source": source})


_WALL_CLOCK = text("SELECT clock_timestamp()")
_CHANNELS = text("""
    SELECT DISTINCT channel FROM attempt WHERE campaign_run_id = :run AND state = 'planned' AND party_id BETWEEN :first AND :last
""")
_PAUSED = f"""EXISTS (
        SELECT 1 FROM pause w
        WHERE w.superseded_at IS NULL AND w.starts_at <= :at AND (w.until IS NULL OR w.until > :at)
          AND (w.creditor_id IS NULL OR w.creditor_id = p.creditor_id)
          AND (w.stage IS NULL OR w.stage = a.stage)
          AND (w.channel IS NULL OR w.channel = a.channel)
          AND (w.sender IS NULL OR w.sender = (SELECT {sender_of("s", "a")} FROM creditor s WHERE s.id = p.creditor_id))
          AND w.jurisdiction IS NULL)"""  # noqa: S608  # no text from outside
# What a person dials waits for her (gate/dial.py), not for a lane.
_LANES_DUE = text(f"""
    SELECT a.campaign_run_id, s.shard, count(*) AS due
    FROM attempt a
    JOIN campaign_run r ON r.id = a.campaign_run_id AND NOT r.preview AND r.state IN ('open', 'closed')
     AND r.approval IN ('none', 'approved')
     AND (r.canary IN ('none', 'passed') OR (r.canary = 'trying' AND md5(r.seed || ' ' || a.party_id) <= r.canary_rank))
    JOIN party p ON p.id = a.party_id
    LEFT JOIN campaign_shard s ON s.campaign_run_id = a.campaign_run_id AND a.party_id BETWEEN s.first_party_id AND s.last_party_id
    WHERE a.state = 'planned' AND a.channel <> 'call' AND a.send_after <= :at AND a.expires_at > :at AND NOT {_PAUSED}
    GROUP BY a.campaign_run_id, s.shard
    ORDER BY min(a.expires_at), a.campaign_run_id, s.shard LIMIT :at_most
""")  # noqa: S608  # no text from outside
_DUE = f"""FROM attempt a JOIN party p ON p.id = a.party_id
    WHERE a.campaign_run_id = :run AND a.state = 'planned' AND a.party_id BETWEEN :first AND :last
      AND a.send_after <= :at AND a.expires_at > :at AND NOT {_PAUSED}
      AND (CAST(:rank AS text) IS NULL
           OR md5((SELECT r.seed FROM campaign_run r WHERE r.id = :run) || ' ' || a.party_id) <= CAST(:rank AS text))"""  # noqa: S608  # no text from outside
# Locks only: the attempt may have been read before the wait of another, and is read again below.
_CLAIM = text(f"""
    SELECT a.party_id
    {_DUE} AND a.channel = :channel
    ORDER BY a.party_id LIMIT :at_most
    FOR UPDATE OF p SKIP LOCKED
""")
_IS_DUE = text(f"SELECT EXISTS (SELECT 1 {_DUE} AND a.channel = ANY(:channels))")
_PLANNED = text(f"""
    SELECT a.business_date, a.id, a.party_id, a.contact_point_id, a.channel, a.purpose, a.message, a.locale, a.token, a.send_after,
           a.expires_at, c.name AS creditor_name, c.role AS creditor_role, {sender_of("c", "a")} AS sender, v.value_encrypted, v.key_id,
           v.blind_index, c.licence AS creditor_licence
    FROM attempt a
    JOIN party p ON p.id = a.party_id
    JOIN creditor c ON c.id = p.creditor_id
    LEFT JOIN contact_point k ON k.id = a.contact_point_id AND k.party_id = a.party_id
    LEFT JOIN contact_point_version v ON v.contact_point_id = k.id AND v.superseded_at IS NULL
    WHERE a.campaign_run_id = :run AND a.party_id = ANY(:parties) AND a.channel = ANY(:channels) AND a.state = 'planned'
      AND a.send_after <= :at AND a.expires_at > :at AND NOT {_PAUSED}
    ORDER BY a.id
    FOR UPDATE OF a
""")  # noqa: S608  # no text from outside
_WAITING = text(f"""
    SELECT count(*) FILTER (WHERE a.send_after <= :at AND {_PAUSED}) AS paused, count(*) FILTER (WHERE a.send_after > :at) AS later
    FROM attempt a JOIN party p ON p.id = a.party_id
    WHERE a.campaign_run_id = :run AND a.state = 'planned' AND a.party_id BETWEEN :first AND :last
""")  # noqa: S608  # no text from outside
_LOG = text("""
    INSERT INTO contact_event (business_date, party_id, at, channel, direction, loans, contact_point_id, counterparty, purpose, result,
                               attempt_business_date, attempt_id, counts, jurisdiction, source, evidence_batch_id, commitment)
    SELECT r.business_date, r.party_id, :at, r.channel, 'outbound', r.loans, r.contact_point_id, r.counterparty, r.purpose, 'sent',
           r.business_date, r.attempt_id, true, r.jurisdiction, 'gate', :batch, r.commitment
    FROM jsonb_to_recordset(CAST(:rows AS jsonb))
        AS r(business_date date, party_id bigint, channel text, loans bigint[], contact_point_id bigint, counterparty text, purpose text,
             attempt_id bigint, jurisdiction text, commitment text)
    RETURNING *
""")
_UNCOUNT = text("""
    INSERT INTO contact_event (business_date, party_id, at, channel, direction, loans, contact_point_id, counterparty, purpose, result,
                               attempt_business_date, attempt_id, about_event_id, counts, uncounts, jurisdiction, source, evidence_batch_id)
    SELECT c.business_date, c.party_id, :at, c.channel, c.direction, c.loans, c.contact_point_id, c.counterparty, c.purpose, 'failed',
           c.attempt_business_date, c.attempt_id, c.id, false, true, c.jurisdiction, 'gate', :batch
    FROM contact_event c JOIN unnest(CAST(:dates AS date[]), CAST(:ids AS bigint[])) AS k(business_date, id) USING (business_date, id)
    RETURNING *
""")
_RETIRE = text("""
    WITH old AS (
        UPDATE contact_point_version SET superseded_at = clock_timestamp()
        WHERE contact_point_id = ANY(:ids) AND superseded_at IS NULL AND status NOT IN ('invalid', :status)
        RETURNING *
    )
    INSERT INTO contact_point_version (effective_at, source, import_batch_id, contact_point_id, value_encrypted, blind_index, key_id,
                                       country, zones, owner, employer_owned, verified_on, status, digest)
    SELECT :at, :source, import_batch_id, contact_point_id, value_encrypted, blind_index, key_id, country,
           zones, owner, employer_owned, verified_on, :status, digest
    FROM old
""")
_OPT_OUT = text("""
    INSERT INTO opt_out (effective_at, source, party_id, channel, contact_point_id, at)
    SELECT :at, :source, r.party_id, r.channel, r.contact_point_id, :at
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(party_id bigint, channel text, contact_point_id bigint)
    WHERE NOT EXISTS (
        SELECT 1 FROM opt_out o
        WHERE o.party_id = r.party_id AND o.channel = r.channel AND o.superseded_at IS NULL AND o.until IS NULL
          AND (o.contact_point_id IS NULL OR o.contact_point_id = r.contact_point_id))
""")

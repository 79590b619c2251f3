"""Notices that we sent: when each went out, when it arrived, whether it came back. Rules that wait for a notice read them.

A message whose name is one of `NOTICE_MESSAGES` is a notice of that kind. Its row follows its attempt: written when the provider has
taken it, corrected by what is told of it later. Each correction is a further version, like that of any fact.

In:   a connection inside the transaction that moves the attempts.
Out:  rows of `notice`, one for each loan that the message spoke of.
Pure: no; writes the ledger.
Source: CASES.md "notices"; decisions/rules/orders.py for what waits for them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Final

from sqlalchemy import Connection, text

from decisions.words import NOTICE_MESSAGES

# Once there, it was sent. Where it ends so before, it never was.
SENT: Final = frozenset({"accepted", "sent", "delivered", "read", "replied"})
RECEIVED: Final = frozenset({"delivered", "read", "replied"})
CAME_BACK: Final = frozenset({"undelivered", "failed"})


def follow(tx: Connection, moved: Iterable[tuple[date, int, str]], *, at: datetime) -> None:
    """Write down what moves of attempts say of notices; most attempts are none, and cost one look-up together.

    Args:
        tx: Inside the transaction that made the moves.
        moved: Business date, id and new state of each attempt.
        at: Business instant, UTC.
    """
    concerned = [(day, attempt_id, state) for day, attempt_id, state in moved if state in SENT | CAME_BACK]
    if not concerned:
        return
    days, ids, states = zip(*concerned, strict=True)
    keys = {"days": list(days), "ids": list(ids), "states": list(states), "kinds": sorted(NOTICE_MESSAGES), "at": at}
    if tx.execute(_ANY, keys).scalar_one():
        tx.execute(_FOLLOW, {**keys, "received": sorted(RECEIVED), "came_back": sorted(CAME_BACK)})


_MOVED = """
    attempt a JOIN unnest(CAST(:days AS date[]), CAST(:ids AS bigint[]), CAST(:states AS text[])) AS m(business_date, id, state)
      ON a.business_date = m.business_date AND a.id = m.id AND a.message = ANY(:kinds)"""
_ANY = text(f"SELECT EXISTS (SELECT FROM {_MOVED})")  # noqa: S608  # no text from outside
# What is told again changes nothing; a version is ended and the next one written by one statement.
_FOLLOW = text(f"""
    WITH said AS (
        SELECT a.party_id, l.loan_id, a.message AS kind, coalesce(a.submitted_at, :at) AS sent_at, m.state, 'attempt ' || a.id AS source,
               (CAST(:at AS timestamptz) AT TIME ZONE coalesce(v.known_zone, v.zones[1], 'UTC'))::date AS today
        FROM {_MOVED}
        LEFT JOIN party_version v ON v.party_id = a.party_id AND v.superseded_at IS NULL
        CROSS JOIN LATERAL (
            SELECT c.loans FROM contact_event c
            WHERE c.business_date = a.business_date AND c.attempt_business_date = a.business_date AND c.attempt_id = a.id
              AND c.about_event_id IS NULL AND c.direction = 'outbound' AND c.external_id IS NULL
            ORDER BY c.id DESC LIMIT 1) e
        CROSS JOIN LATERAL unnest(CASE WHEN cardinality(e.loans) > 0 THEN e.loans ELSE ARRAY[NULL::bigint] END) AS l(loan_id)
    ), known AS (
        SELECT s.*, n.id AS version, n.received_on, n.bounced
        FROM said s LEFT JOIN notice n ON n.party_id = s.party_id AND n.kind = s.kind AND n.loan_id IS NOT DISTINCT FROM s.loan_id
         AND n.source = s.source AND n.superseded_at IS NULL
    ), next AS (
        SELECT k.*, CASE WHEN k.state = ANY(:received) THEN coalesce(k.received_on, k.today) ELSE k.received_on END AS next_received_on,
               k.state = ANY(:came_back) AS next_bounced
        FROM known k WHERE k.version IS NOT NULL OR NOT k.state = ANY(:came_back)
    ), changed AS (
        SELECT * FROM next WHERE version IS NULL OR received_on IS DISTINCT FROM next_received_on OR bounced IS DISTINCT FROM next_bounced
    ), ended AS (
        UPDATE notice SET superseded_at = clock_timestamp() WHERE id IN (SELECT version FROM changed)
    )
    INSERT INTO notice (effective_at, source, party_id, loan_id, kind, sent_at, received_on, bounced)
    SELECT :at, source, party_id, loan_id, kind, sent_at, next_received_on, next_bounced FROM changed
""")  # noqa: S608  # no text from outside

"""Answers that are owed: who asked for help, or said stop for the first time, and has not been answered.

What a person wrote is applied first (ledger/replies.py); whether an answer is owed is read from what that left behind, so that
a crash in between, or a rule pack that cannot be read, never costs a stop.

In:   a connection; an instant, how long each kind of answer is still worth giving.
Out:  rows of ids and instants; the contact point at which the person wrote.
Pure: no; reads.
Source: docs/adr/0014; 47 CFR 64.1200(a)(12): one confirmation of a stop, within five minutes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, text

# What is owed → the kind of run (ledger/tables.py, SERVICES), which is the purpose too.
HELP: Final = "reply"
CONFIRM_STOP: Final = "confirmation"
# Where a person writes and is answered in writing, at the address that she wrote from.
WRITTEN: Final = ("sms", "whatsapp", "messenger", "rcs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Owed:
    """One answer.

    Attributes:
        service: `reply` or `confirmation`.
        business_date: The person's local date when it was asked for.
        event_id: Inbox row of what the person wrote.
        party_id: Who.
        contact_point_id: Where the person wrote from.
        channel: By which channel.
        locale: What the person reads; None = not known.
        creditor_role: Whose role decides which texts may be used.
        asked_at: Business instant, UTC.
    """

    service: str
    business_date: date
    event_id: int
    party_id: int
    contact_point_id: int
    channel: str
    locale: str | None
    creditor_role: str
    asked_at: datetime


def read_owed(connection: Connection, *, at: datetime, help_within: timedelta, stop_within: timedelta, at_most: int) -> list[Owed]:
    """Answers that are owed now, the oldest first; of each kind one a person and local day.

    Nobody is answered by a machine whose number is somebody else's too, who wrote something that a person has to read first
    (danger), or who said more than one thing; a person answers those.

    Args:
        connection: Any.
        at: Business instant.
        help_within: A question for help is answered within this time, or by a person.
        stop_within: A stop is confirmed within this time, or not at all.
        at_most: How many.
    """
    keys = {"at": at, "help_since": at - help_within, "stop_since": at - stop_within, "at_most": at_most, "channels": list(WRITTEN)}
    return [Owed(**row._mapping) for row in connection.execute(_OWED, keys)]  # noqa: SLF001  # SQLAlchemy's public name for a row as a mapping


# A stop that repeats a former one wrote no stop of its own, and is confirmed no second time.
_OWED = text("""
    WITH asked AS (
        SELECT CASE o.intent WHEN 'help' THEN 'reply' ELSE 'confirmation' END AS service,
               (o.at AT TIME ZONE coalesce(b.known_zone, b.zones[1], 'UTC'))::date AS business_date,
               o.provider_event_id AS event_id, o.party_id, c.contact_point_id, o.channel,
               coalesce(w.locale, b.locale) AS locale, r.role AS creditor_role, o.at AS asked_at
        FROM outcome o
        JOIN provider_event e ON e.id = o.provider_event_id
        JOIN party p ON p.id = o.party_id
        JOIN creditor r ON r.id = p.creditor_id
        JOIN party_version b ON b.party_id = o.party_id AND b.superseded_at IS NULL
        LEFT JOIN language_wish w ON w.party_id = o.party_id AND w.superseded_at IS NULL
        JOIN contact_event c ON c.party_id = o.party_id AND c.at = o.at AND c.direction = 'inbound' AND c.source = 'inbox'
         AND c.business_date BETWEEN (o.at AT TIME ZONE 'UTC')::date - 1 AND (o.at AT TIME ZONE 'UTC')::date + 1
         AND c.external_id = e.provider_id || ':' || o.party_id
        WHERE o.intent IN ('help', 'stop') AND o.at > least(CAST(:help_since AS timestamptz), CAST(:stop_since AS timestamptz))
          AND o.at > CASE o.intent WHEN 'help' THEN CAST(:help_since AS timestamptz) ELSE CAST(:stop_since AS timestamptz) END
          AND o.at <= :at AND o.channel = ANY(:channels) AND c.contact_point_id IS NOT NULL
          AND NOT EXISTS (
              SELECT 1 FROM outcome x WHERE x.provider_event_id = o.provider_event_id
                AND (x.party_id <> o.party_id OR x.intent = 'danger' OR (o.intent = 'help' AND x.intent <> 'help')))
          AND (o.intent = 'help' OR EXISTS (
              SELECT 1 FROM opt_out s WHERE s.party_id = o.party_id AND s.channel IN ('all', o.channel) AND s.at = o.at
                AND s.superseded_at IS NULL AND s.until IS NULL))
    )
    SELECT * FROM (
        SELECT DISTINCT ON (a.service, a.business_date, a.party_id) a.* FROM asked a
        WHERE NOT EXISTS (
            SELECT 1 FROM decision d WHERE d.business_date = a.business_date AND d.party_id = a.party_id AND d.stage = a.service)
        ORDER BY a.service, a.business_date, a.party_id, a.asked_at, a.event_id
    ) one ORDER BY asked_at, event_id LIMIT :at_most
""")

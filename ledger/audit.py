"""The auditor: was every message that a person received allowed? Asked of the ledger, in SQL of its own.

It starts from what the outside world says was received, not from what we think we sent, and recomputes the rules
without calling them: if planning and gate share a mistake, this can still see it (docs/adr/0003).

In:   received messages (channel, blind index of the address, instant, provider's id) and the limits in force.
Out:  one row for each message and rule that forbade it.
Pure: no; reads the ledger, writes only temporary tables.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from config.audit_limits import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One message as it reached a phone.

    Attributes:
        channel: sms or push.
        blind_index: Of the number or token it reached (ledger/vault.py).
        provider_id: The provider's id of it.
        at: Business instant, UTC.
    """

    channel: str
    blind_index: bytes
    provider_id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A message that should not have reached a person; ids only."""

    check: str
    provider_id: str
    party_id: int | None


def find_violations(connection: Connection, received: Iterable[Received], limits: Limits) -> list[Violation]:
    """Every message that a check forbids, a message once for each check.

    Args:
        connection: Of the ledger; temporary tables end with its transaction.
        received: What reached people.
        limits: From the packs in force.

    Returns:
        Violations in the order of the checks; empty when every message was allowed.
    """
    _load(connection, received, limits)
    parameters = {"a_day_max": limits.contacts_a_day_max, "a_week_max": limits.contacts_a_week_max}
    found: list[Violation] = []
    for check, statement in CHECKS.items():
        rows = connection.execute(text(statement), {name: value for name, value in parameters.items() if f":{name}" in statement})
        found.extend(Violation(check=check, provider_id=row.provider_id, party_id=row.party_id) for row in rows)
    return found


def _load(connection: Connection, received: Iterable[Received], limits: Limits) -> None:
    connection.execute(text("CREATE TEMP TABLE heard (channel text, blind_index bytea, provider_id text, at timestamptz) ON COMMIT DROP"))
    connection.execute(text("CREATE TEMP TABLE hours (country text, iso_day int, opens time, closes time) ON COMMIT DROP"))
    rows = [{"channel": r.channel, "blind_index": r.blind_index, "provider_id": r.provider_id, "at": r.at} for r in received]
    if rows:
        connection.execute(text("INSERT INTO heard VALUES (:channel, :blind_index, :provider_id, :at)"), rows)
    if limits.hours:
        connection.execute(
            text("INSERT INTO hours VALUES (:country, :iso_day, :opens, :closes)"),
            [{"country": h.country, "iso_day": h.iso_day, "opens": h.opens, "closes": h.closes} for h in limits.hours],
        )
    # The person behind each message, and the instant at which we let it go: what was recorded before that, we knew.
    connection.execute(
        text("""
        CREATE TEMP TABLE message ON COMMIT DROP AS
        SELECT h.channel, h.provider_id, h.at, h.blind_index, a.business_date, a.id AS attempt_id, a.contact_point_id, a.state, a.stage,
               coalesce(a.party_id, owner.party_id) AS party_id, submitted.recorded_at AS let_go_at
        FROM heard h
        LEFT JOIN attempt a ON a.provider_id = h.provider_id AND a.channel = h.channel
        LEFT JOIN LATERAL (
            SELECT p.party_id FROM contact_point_version v JOIN contact_point p ON p.id = v.contact_point_id
            WHERE v.blind_index = h.blind_index AND v.superseded_at IS NULL ORDER BY v.id LIMIT 1
        ) owner ON true
        LEFT JOIN LATERAL (
            SELECT max(t.recorded_at) AS recorded_at FROM attempt_transition t
            WHERE t.business_date = a.business_date AND t.attempt_id = a.id AND t.to_state = 'submitting'
        ) submitted ON true
    """)
    )
    connection.execute(text("CREATE INDEX ON message (party_id, at)"))
    connection.execute(text("ANALYZE message"))


CHECKS: dict[str, str] = {
    # A message that no attempt of ours explains, save one whose fate we ourselves call unknown.
    "without_attempt": """
        SELECT m.provider_id, m.party_id FROM message m
        WHERE m.attempt_id IS NULL AND NOT EXISTS (
            SELECT 1 FROM attempt a JOIN contact_point_version v ON v.contact_point_id = a.contact_point_id
            WHERE v.blind_index = m.blind_index AND a.channel = m.channel AND a.state IN ('submitting', 'unknown', 'parked'))
    """,
    "without_committed_intention": "SELECT m.provider_id, m.party_id FROM message m WHERE m.attempt_id IS NOT NULL AND m.let_go_at IS NULL",
    "called_not_sent_but_received": """
        SELECT m.provider_id, m.party_id FROM message m WHERE m.state IN ('planned', 'withheld', 'superseded', 'expired', 'rejected')
    """,
    "twice_for_one_attempt": """
        SELECT max(m.provider_id) AS provider_id, max(m.party_id) AS party_id FROM message m
        WHERE m.attempt_id IS NOT NULL GROUP BY m.business_date, m.attempt_id HAVING count(*) > 1
    """,
    "to_another_address": """
        SELECT m.provider_id, m.party_id FROM message m
        WHERE m.attempt_id IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM contact_point_version v WHERE v.contact_point_id = m.contact_point_id AND v.blind_index = m.blind_index)
    """,
    "unknown_zone": """
        SELECT m.provider_id, m.party_id FROM message m JOIN party_version p ON p.party_id = m.party_id AND p.superseded_at IS NULL
        WHERE p.known_zone IS NULL AND cardinality(p.zones) = 0
    """,
    "unknown_country": """
        SELECT m.provider_id, m.party_id FROM message m JOIN party_version p ON p.party_id = m.party_id AND p.superseded_at IS NULL
        WHERE NOT EXISTS (SELECT 1 FROM hours h WHERE h.country = p.country)
    """,
    "outside_hours": """
        SELECT DISTINCT m.provider_id, m.party_id
        FROM message m
        JOIN party_version p ON p.party_id = m.party_id AND p.superseded_at IS NULL
        CROSS JOIN LATERAL unnest(CASE WHEN p.known_zone IS NULL THEN p.zones ELSE ARRAY[p.known_zone] END) AS zone
        WHERE NOT EXISTS (
            SELECT 1 FROM hours h
            WHERE h.country = p.country AND h.iso_day = extract(isodow FROM m.at AT TIME ZONE zone)
              AND (m.at AT TIME ZONE zone)::time >= h.opens AND (m.at AT TIME ZONE zone)::time < h.closes)
    """,
    "after_stop": """
        SELECT DISTINCT m.provider_id, m.party_id FROM message m JOIN opt_out o ON o.party_id = m.party_id
        WHERE o.superseded_at IS NULL AND o.channel IN ('all', m.channel)
          AND (o.contact_point_id IS NULL OR o.contact_point_id = m.contact_point_id)
          AND (o.until IS NULL OR o.until > m.at) AND o.at <= m.at AND (m.let_go_at IS NULL OR o.recorded_at < m.let_go_at)
    """,
    "during_hold": """
        SELECT DISTINCT m.provider_id, m.party_id FROM message m
        JOIN hold h ON h.party_id = m.party_id AND h.loan_id IS NULL
        WHERE h.superseded_at IS NULL AND (h.channel IS NULL OR h.channel = m.channel) AND h.purpose IS NULL
          AND h.starts_at <= m.at AND (h.until IS NULL OR h.until > m.at) AND (m.let_go_at IS NULL OR h.recorded_at < m.let_go_at)
    """,
    "to_a_wrong_number": """
        SELECT DISTINCT m.provider_id, m.party_id FROM message m JOIN contact_value v ON v.blind_index = m.blind_index
        WHERE v.superseded_at IS NULL AND v.ownership IN ('wrong', 'reassigned', 'shared')
          AND (m.let_go_at IS NULL OR v.recorded_at < m.let_go_at)
    """,
    "too_many_a_day": """
        SELECT m.provider_id, m.party_id FROM (
            SELECT m.provider_id, m.party_id, row_number() OVER (
                PARTITION BY m.party_id, (m.at AT TIME ZONE coalesce(p.known_zone, p.zones[1], 'UTC'))::date ORDER BY m.at) AS nth
            FROM message m JOIN party_version p ON p.party_id = m.party_id AND p.superseded_at IS NULL) m
        WHERE m.nth > :a_day_max
    """,
    "too_many_a_week": """
        WITH local AS (
            SELECT m.provider_id, m.party_id, m.at, (m.at AT TIME ZONE coalesce(p.known_zone, p.zones[1], 'UTC'))::date AS on_day
            FROM message m JOIN party_version p ON p.party_id = m.party_id AND p.superseded_at IS NULL)
        SELECT a.provider_id, a.party_id FROM local a
        WHERE (SELECT count(*) FROM local b WHERE b.party_id = a.party_id AND b.at <= a.at AND b.on_day > a.on_day - 7) > :a_week_max
    """,
    "nothing_was_due": """
        SELECT m.provider_id, m.party_id FROM message m
        WHERE m.party_id IS NOT NULL AND m.let_go_at IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM loan_party lp
            WHERE lp.party_id = m.party_id AND lp.superseded_at IS NULL
              AND (SELECT coalesce(sum(i.principal_minor + i.interest_minor + i.fee_minor + i.penalty_minor), 0) FROM instalment i
                   WHERE i.loan_id = lp.loan_id AND i.superseded_at IS NULL AND i.due_on < m.business_date)
                > (SELECT coalesce(sum(y.amount_minor), 0) FROM payment y
                   WHERE y.loan_id = lp.loan_id AND y.superseded_at IS NULL AND y.state IN ('posted', 'reversed')
                     AND y.paid_on <= m.business_date AND y.recorded_at < m.let_go_at))
    """,
}

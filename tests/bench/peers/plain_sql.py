"""Peer c: one statement that does all of it in PostgreSQL, sent by psycopg.

In:   the peers' tables.
Out:  rows of `peer_decision`.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Final

from sqlalchemy import text

from ledger.engine import connection
from tests.bench.peers.rules import CONTACTS_MAX, GAP_DAYS, LATE_DAYS_MAX, SPAN_DAYS


def plan(on: date, at: datetime) -> None:
    """Decide for everybody."""
    keys = {"on": on, "at": at, "gap": GAP_DAYS, "span": SPAN_DAYS, "most": CONTACTS_MAX, "late_max": LATE_DAYS_MAX}
    with connection() as tx:
        tx.execute(_PLAN, keys)


_PLAN: Final = text("""
    WITH paid AS (
        SELECT loan_id, sum(amount_minor) AS minor FROM peer_payment GROUP BY loan_id
    ), owed AS (
        SELECT loan_id, due_on, sum(due_minor) OVER (PARTITION BY loan_id ORDER BY due_on) AS minor FROM peer_instalment
    ), late AS (
        SELECT l.borrower_id, CAST(:on AS date) - min(o.due_on) AS days
        FROM peer_loan l JOIN owed o ON o.loan_id = l.id LEFT JOIN paid p ON p.loan_id = l.id
        WHERE l.status = 'active' AND o.minor > coalesce(p.minor, 0) GROUP BY l.borrower_id
        HAVING CAST(:on AS date) - min(o.due_on) BETWEEN 1 AND :late_max
    ), past AS (
        SELECT c.borrower_id, bool_or(day > CAST(:on AS date) - :gap) AS gap, count(*) FILTER (WHERE day > CAST(:on AS date) - :span) AS recent
        FROM peer_past_contact c JOIN peer_borrower b ON b.id = c.borrower_id, LATERAL (SELECT (c.at AT TIME ZONE b.zone)::date AS day) d
        WHERE day <= CAST(:on AS date) GROUP BY c.borrower_id
    ), ladder (from_day, step, channel) AS (
        VALUES (1, 1, 'push'), (4, 2, 'sms'), (10, 3, 'push'), (14, 4, 'sms')
    ), way AS (
        SELECT DISTINCT ON (e.borrower_id) e.borrower_id, s.step, s.channel, p.id AS contact_point_id
        FROM late e
        JOIN ladder s ON s.from_day <= e.days
        JOIN peer_contact_point p ON p.borrower_id = e.borrower_id AND p.channel = s.channel
        JOIN peer_consent c ON c.borrower_id = e.borrower_id AND c.channel = s.channel
        WHERE NOT EXISTS (SELECT FROM peer_opt_out o WHERE o.borrower_id = e.borrower_id AND o.channel IN (s.channel, 'all'))
        ORDER BY e.borrower_id, s.step DESC
    ), why AS (
        SELECT e.borrower_id,
               CASE WHEN EXISTS (SELECT FROM peer_hold h WHERE h.borrower_id = e.borrower_id) THEN 'hold' WHEN t.gap THEN 'gap'
                    WHEN t.recent >= :most THEN 'cap' WHEN w.step IS NULL THEN 'no channel' END AS reason,
               w.step, w.channel, w.contact_point_id, CAST(:at AS timestamptz) AT TIME ZONE b.zone AS local, b.zone
        FROM late e JOIN peer_borrower b ON b.id = e.borrower_id LEFT JOIN past t USING (borrower_id) LEFT JOIN way w USING (borrower_id)
    )
    INSERT INTO peer_decision (borrower_id, business_date, reason, step, channel, contact_point_id, send_after)
    SELECT borrower_id, :on, reason, CASE WHEN reason IS NULL THEN step END, CASE WHEN reason IS NULL THEN channel END,
           CASE WHEN reason IS NULL THEN contact_point_id END,
           CASE WHEN reason IS NULL THEN
               CASE WHEN local::time >= '08:00' AND local::time < '21:00' THEN CAST(:at AS timestamptz)
                    ELSE ((local::date + CASE WHEN local::time >= '21:00' THEN 1 ELSE 0 END) + time '08:00') AT TIME ZONE zone END END
    FROM why
""")

"""Figures for whoever watches the machines: what is planned, let through, withheld, unknown, waiting, paused, audited.

Whoever plans and sends lives for minutes and has many copies; the ledger sees them all and outlives them. So the figures are
counted here, by few statements that touch the newest business date or a small partial index (docs/adr/0019).

In:   an open transaction.
Out:  topic → rows of labels and numbers. Labels come from closed lists: stages, channels, states, countries, rule ids;
      nothing of a person.
Pure: no; reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from psycopg.errors import QueryCanceled
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from ledger import clock

# A scrape must never be what keeps the database busy.
STATEMENT_SECONDS_MAX: Final = 5
REASONS_MAX: Final = 150

Rows = Sequence[Mapping[str, Any]]


def read_gauges(connection: Connection) -> dict[str, Rows]:
    """Count everything, now.

    Returns:
        The names of `TOPICS` → rows; seconds and instants (seconds since 1970) are floats, all else whole numbers. A topic whose
        statement took too long is missing.
    """
    connection.execute(text(f"SET LOCAL statement_timeout = '{STATEMENT_SECONDS_MAX}s'"))
    keys = {"at": clock.now(connection), "reasons_max": REASONS_MAX}
    figures: dict[str, Rows] = {}
    for topic, statement in TOPICS.items():
        try:
            with connection.begin_nested():
                figures[topic] = [dict(row) for row in connection.execute(statement, keys).mappings()]
        except OperationalError as error:
            if not isinstance(error.orig, QueryCanceled):
                raise
    return figures


# The newest business date of each part of the portfolio ('all', or a country): its own today, whatever its zone.
_NEWEST: Final = """
    WITH newest AS (
        SELECT r.id, r.scope, r.stage, r.business_date, r.opened_at, r.closed_at
        FROM campaign_run r
        JOIN (SELECT scope, max(business_date) AS day FROM campaign_run WHERE NOT preview GROUP BY scope) n
          ON n.scope = r.scope AND n.day = r.business_date
        WHERE NOT r.preview
    )
"""
TOPICS: Final = {
    "runs": text(f"""{_NEWEST}
        SELECT scope, stage, extract(epoch FROM opened_at)::float AS opened, (closed_at IS NOT NULL)::int AS closed
        FROM newest WHERE CAST(:at AS timestamptz) IS NOT NULL
    """),  # noqa: S608  # no text from outside
    "attempts": text(f"""{_NEWEST}
        SELECT n.scope, n.stage, a.channel, a.state, count(*) AS attempts
        FROM newest n JOIN attempt a ON a.business_date = n.business_date AND a.campaign_run_id = n.id
        GROUP BY n.scope, n.stage, a.channel, a.state ORDER BY 1, 2, 3, 4
    """),  # noqa: S608  # no text from outside
    "gate": text(f"""{_NEWEST}
        SELECT n.scope, n.stage, a.channel,
               count(*) FILTER (WHERE a.submitted_at IS NOT NULL) AS let_through,
               count(*) FILTER (WHERE a.state = 'withheld') AS withheld,
               count(*) FILTER (WHERE a.state = 'planned' AND a.send_after <= :at AND a.expires_at > :at) AS due,
               count(*) FILTER (WHERE a.state = 'planned' AND a.send_after > :at) AS later,
               coalesce(extract(epoch FROM CAST(:at AS timestamptz) - min(a.send_after)
                   FILTER (WHERE a.state = 'planned' AND a.send_after <= :at AND a.expires_at > :at)), 0)::float AS due_seconds
        FROM newest n JOIN attempt a ON a.business_date = n.business_date AND a.campaign_run_id = n.id
        GROUP BY n.scope, n.stage, a.channel ORDER BY 1, 2, 3
    """),  # noqa: S608  # no text from outside
    # A borrower with several reasons stands under each. What is beyond the most frequent ones is added up.
    "withheld": text(f"""{_NEWEST}, sets AS (
            SELECT n.scope, n.stage, d.reason_set_id, count(*) AS borrowers
            FROM newest n JOIN decision d ON d.campaign_run_id = n.id AND d.business_date = n.business_date
            WHERE d.action = 'no_contact' GROUP BY n.scope, n.stage, d.reason_set_id
        ), reasons AS (
            SELECT s.scope, s.stage, 'decision' AS said_by, unnest(r.reasons) AS reason, s.borrowers
            FROM sets s JOIN reason_set r ON r.id = s.reason_set_id
            UNION ALL
            SELECT n.scope, n.stage, 'gate', jsonb_array_elements_text(coalesce(a.permit -> 'blocked_by', '["unknown"]'::jsonb)), 1
            FROM newest n JOIN attempt a ON a.business_date = n.business_date AND a.campaign_run_id = n.id
            WHERE a.state = 'withheld'
        ), ranked AS (
            SELECT scope, stage, said_by, reason, sum(borrowers) AS borrowers,
                   row_number() OVER (ORDER BY sum(borrowers) DESC, reason) AS place
            FROM reasons GROUP BY scope, stage, said_by, reason
        )
        SELECT scope, stage, said_by, CASE WHEN place <= :reasons_max THEN reason ELSE 'other' END AS reason,
               sum(borrowers)::bigint AS borrowers
        FROM ranked GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
    """),  # noqa: S608  # no text from outside
    "fates": text("""
        SELECT count(*) FILTER (WHERE state = 'unknown') AS unknown,
               coalesce(extract(epoch FROM clock_timestamp() - min(call_deadline) FILTER (WHERE state = 'unknown')), 0)::float
                   AS unknown_seconds,
               count(*) FILTER (WHERE state = 'submitting' AND call_deadline < clock_timestamp()) AS overdue_calls,
               (SELECT count(*) FROM attempt WHERE state = 'parked') AS parked
        FROM attempt WHERE state IN ('submitting', 'unknown')
    """),
    "pace": text("""
        SELECT split_part(sender, ':', 1) AS channel,
               greatest(max(extract(epoch FROM free_at - clock_timestamp())), 0)::float AS ahead_seconds
        FROM sender_pace GROUP BY 1 ORDER BY 1
    """),
    "inbox": text("""
        SELECT count(*) AS waiting, coalesce(extract(epoch FROM clock_timestamp() - min(received_at)), 0)::float AS oldest_seconds
        FROM provider_event WHERE applied_at IS NULL
    """),
    "answers": text("SELECT count(*) AS waiting FROM outcome WHERE needs_person AND handled_at IS NULL"),
    # By UTC's date, which may be a day behind or ahead of the person's.
    "cases": text("""
        SELECT kind, count(*) AS open,
               count(*) FILTER (WHERE state IN ('open', 'acknowledged') AND (CAST(:at AS timestamptz) AT TIME ZONE 'UTC')::date
                   > CASE WHEN state = 'open' THEN least(acknowledge_by, answer_by) ELSE answer_by END) AS late,
               count(*) FILTER (WHERE state IN ('open', 'acknowledged')
                   AND (CAST(:at AS timestamptz) AT TIME ZONE 'UTC')::date > law_answer_by) AS unlawful
        FROM borrower_case WHERE state <> 'closed' GROUP BY kind ORDER BY kind
    """),
    "feeds": text("""
        SELECT kind, max(extract(epoch FROM CAST(:at AS timestamptz) - covers_until))::float AS age_seconds,
               count(*) FILTER (WHERE CAST(:at AS timestamptz) - covers_until > make_interval(secs => age_seconds_max)) AS stale
        FROM feed WHERE superseded_at IS NULL GROUP BY kind ORDER BY kind
    """),
    "pauses": text("""
        SELECT CASE WHEN num_nonnulls(creditor_id, stage, channel, jurisdiction, sender) = 0 THEN 'everything' ELSE 'a part' END AS what,
               count(*) AS pauses
        FROM pause WHERE superseded_at IS NULL AND starts_at <= :at AND (until IS NULL OR until > :at) GROUP BY 1 ORDER BY 1
    """),
    # One by hand over old days does not hide what the last night found.
    "audit": text("""
        SELECT violations, attempts, cardinality(warnings) AS not_looked_at, extract(epoch FROM recorded_at)::float AS finished
        FROM audit_result ORDER BY last DESC, id DESC LIMIT 1
    """),
    "invariants": text("""
        SELECT i.key AS invariant, (i.value = 'held')::int AS held
        FROM (SELECT invariants FROM audit_result ORDER BY last DESC, id DESC LIMIT 1) a, LATERAL jsonb_each_text(a.invariants) i ORDER BY 1
    """),
}

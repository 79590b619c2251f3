"""The auditor's checks of messages, each of which asks whether a message was allowed when it was let go.

A message is what a provider says it sent or a phone received, and what the ledger says was let go. Of the person, what counts is
what the ledger knew then: versions of facts are read as of the instant at which the attempt became `submitting`.

In:   temporary tables made by `load`: what was heard, the limits of the packs (config/audit_limits.py).
Out:  statements; each answers the messages that a check forbids.
Pure: `CHECKS` is; `load` writes temporary tables that end with the transaction.
Source: docs/adr/0003: nothing here is shared with the judge but the numbers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from config.audit_limits import Limits
from ledger.audit_check import Check
from ledger.senders import sender_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One message as it reached a phone, or as the provider lists it.

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


def load(connection: Connection, received: Iterable[Received], limits: Limits, period: tuple[date, date] | None) -> None:
    """Make the temporary tables that the checks read.

    Args:
        connection: Inside a transaction; the tables end with it.
        received: What was heard.
        limits: Of the period.
        period: First and last business date whose attempts are looked at too; None = only what was heard.
    """
    for statement in _TABLES:
        connection.execute(text(statement))
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy("COPY heard FROM STDIN") as copy:
        for one in received:
            copy.write_row((one.channel, one.blind_index, one.provider_id, one.at))
    # A colleague's own phone, which rings first; whom she is put through to is an attempt like any other.
    connection.execute(text("DELETE FROM heard h USING agent_call c WHERE c.provider_id = h.provider_id"))
    connection.execute(text("ANALYZE heard"))
    for statement, values in _limits(limits):
        connection.execute(text(statement), {"rows": json.dumps(values, default=str)})
    first, last = period or (None, None)
    places = {"members": sorted(limits.members), "territories": sorted(limits.territories), "countries": sorted(limits.countries)}
    for statement in (_LET_GO, _PERSON, _MESSAGE, _CONTACT):
        # Each statement gets the names that it uses.
        known: Mapping[str, Any] = {"first": first, "last": last, **places}
        connection.execute(text(statement), {name: value for name, value in known.items() if f":{name}" in statement})
    for statement in _INDEXES:
        connection.execute(text(statement))


def _limits(limits: Limits) -> Iterable[tuple[str, list[dict[str, Any]]]]:
    windows = [
        {**asdict(window.scope), "clock": window.clock, "calendar": window.calendar, "agreements": window.agreements}
        for window in limits.windows
    ]
    hours = [
        {
            "rule": window.scope.rule,
            "since": window.scope.since,
            "iso_day": one.iso_day,
            "opens": _clock(one.opens),
            "closes": _clock(one.closes),
        }
        for window in limits.windows
        for one in window.hours
    ]
    caps = [{**asdict(cap.scope), **{name: value for name, value in asdict(cap).items() if name != "scope"}} for cap in limits.caps]
    yield f"INSERT INTO window_rule SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r({_SCOPE}, {_WINDOW})", windows
    yield f"INSERT INTO window_hours SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r({_HOURS})", hours

    yield f"INSERT INTO cap_rule SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r({_SCOPE}, {_CAP})", caps
    yield (
        "INSERT INTO holiday SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(calendar text, day date)",
        [{"calendar": calendar, "day": day} for calendar, day in limits.holidays],
    )
    yield (
        "INSERT INTO hold_days SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(kind text, days int)",
        [{"kind": kind, "days": days} for kind, days in limits.hold_days],
    )


def _clock(minutes: int) -> str:
    """As PostgreSQL reads a time of day: 24:00 is its end."""
    return f"{minutes // 60:02}:{minutes % 60:02}"


_SCOPE: Final = (
    "rule text, jurisdiction text, roles text[], channels text[], purposes text[], except_purposes text[], parties text[],"
    " facts text[], products text[], except_products text[], layer_alone text, since date, until date"
)
_WINDOW: Final = "clock text, calendar text, agreements boolean"
_HOURS: Final = "rule text, since date, iso_day int, opens time, closes time"
_CAP: Final = (
    "counts_channels text[], directions text[], counts_purposes text[], counts_except_purposes text[], except_results text[],"
    " per text, unit text, number int, at_most int"
)
_TABLES: Final = (
    "CREATE TEMP TABLE heard (channel text, blind_index bytea, provider_id text, at timestamptz) ON COMMIT DROP",
    f"CREATE TEMP TABLE window_rule ({_SCOPE}, {_WINDOW}) ON COMMIT DROP",
    f"CREATE TEMP TABLE window_hours ({_HOURS}) ON COMMIT DROP",
    f"CREATE TEMP TABLE cap_rule ({_SCOPE}, {_CAP}) ON COMMIT DROP",
    "CREATE TEMP TABLE holiday (calendar text, day date) ON COMMIT DROP",
    "CREATE TEMP TABLE hold_days (kind text, days int) ON COMMIT DROP",
)
# The person behind each message, and the instant at which we let it go: what was recorded before that, we knew.
_LET_GO: Final = """
    CREATE TEMP TABLE let_go ON COMMIT DROP AS
    WITH wanted AS (
        SELECT h.channel, h.provider_id, h.at, h.blind_index, true AS heard, a.business_date, a.id AS attempt_id
        FROM heard h LEFT JOIN attempt a ON a.provider_id = h.provider_id AND a.channel = h.channel
        UNION ALL
        SELECT a.channel, a.provider_id, a.submitted_at, NULL, false, a.business_date, a.id
        FROM attempt a
        WHERE a.business_date BETWEEN CAST(:first AS date) AND CAST(:last AS date) AND a.submitted_at IS NOT NULL
          AND a.state IN ('submitting', 'accepted', 'sent', 'delivered', 'read', 'replied', 'undelivered', 'failed', 'unknown', 'parked')
          AND NOT EXISTS (SELECT 1 FROM heard h WHERE h.provider_id = a.provider_id AND h.channel = a.channel)
    )
    SELECT row_number() OVER () AS n, w.*, coalesce(a.submitted_at, w.at) AS counted_at, a.contact_point_id,
           a.state, a.error_code, a.stage, coalesce(a.purpose, 'collection') AS purpose,
           coalesce(a.party_id, owner.party_id) AS party_id, submitted.recorded_at AS let_go_at,
           coalesce(submitted.recorded_at, clock_timestamp()) AS known_at,
           coalesce(event.loans, '{}') AS loans, coalesce(event.counterparty, 'borrower') AS counterparty
    FROM wanted w
    LEFT JOIN attempt a ON a.business_date = w.business_date AND a.id = w.attempt_id
    LEFT JOIN LATERAL (
        SELECT p.party_id FROM contact_point_version v JOIN contact_point p ON p.id = v.contact_point_id
        WHERE v.blind_index = w.blind_index AND v.superseded_at IS NULL ORDER BY v.id LIMIT 1
    ) owner ON a.id IS NULL
    LEFT JOIN LATERAL (
        SELECT max(t.recorded_at) AS recorded_at FROM attempt_transition t
        WHERE t.business_date = a.business_date AND t.attempt_id = a.id AND t.to_state = 'submitting'
    ) submitted ON true
    LEFT JOIN LATERAL (
        SELECT c.loans, c.counterparty FROM contact_event c
        WHERE c.attempt_business_date = a.business_date AND c.attempt_id = a.id AND c.about_event_id IS NULL AND c.direction = 'outbound'
        ORDER BY c.id DESC LIMIT 1
    ) event ON true
"""
# By one pass over all versions: there is no index on those that are superseded. Of who is erased, the permit still says the zones.
_PERSON: Final = """
    CREATE TEMP TABLE person ON COMMIT DROP AS
    SELECT DISTINCT ON (m.n) m.n, v.country, v.region, v.facts,
           CASE WHEN v.known_zone IS NOT NULL THEN ARRAY[v.known_zone]
                WHEN EXISTS (SELECT 1 FROM erasure e WHERE e.party_id = m.party_id AND e.state = 'erased') THEN ARRAY(
                    SELECT jsonb_array_elements_text(a.permit -> 'zones') FROM attempt a
                    WHERE a.business_date = m.business_date AND a.id = m.attempt_id)
                ELSE v.zones END AS zones
    FROM let_go m JOIN party_version v ON v.party_id = m.party_id AND v.recorded_at <= m.known_at
     AND (v.superseded_at IS NULL OR v.superseded_at > m.known_at)
    ORDER BY m.n, v.id DESC
"""
_MESSAGE: Final = """
    CREATE TEMP TABLE message ON COMMIT DROP AS
    SELECT m.*, p.country, p.facts, coalesce(p.zones, '{}') AS zones, coalesce(p.zones[1], 'UTC') AS zone, c.role, y.creditor_id,
           p.country = ANY(CAST(:countries AS text[])) AS lawful_place,
           p.country = ANY(CAST(:countries AS text[])) AND NOT (p.country = ANY(CAST(:members AS text[]))) AS own_law,
           array_remove(ARRAY[
               'house',
               CASE WHEN p.country = ANY(CAST(:territories AS text[])) THEN 'US' ELSE p.country END,
               CASE WHEN p.country = ANY(CAST(:territories AS text[])) THEN 'US-' || p.country
                    WHEN starts_with(p.region, p.country || '-') THEN p.region ELSE p.country || '-' || p.region END,
               CASE WHEN p.country = ANY(CAST(:members AS text[])) THEN 'EU' END], NULL) AS attached
    FROM let_go m
    LEFT JOIN person p ON p.n = m.n
    LEFT JOIN party y ON y.id = m.party_id
    LEFT JOIN creditor c ON c.id = y.creditor_id
"""
# Everything that counts, of whoever got a message: the log, less what was taken back, and what was heard and is not in the log.
_CONTACT: Final = """
    CREATE TEMP TABLE contact ON COMMIT DROP AS
    SELECT e.party_id, e.at, e.recorded_at, e.channel, e.direction, coalesce(e.purpose, 'collection') AS purpose, e.counterparty,
           e.contact_point_id, e.loans, e.attempt_id, e.id AS event_id, ARRAY[e.result] || coalesce(later.results, '{}') AS results
    FROM contact_event e
    LEFT JOIN LATERAL (
        SELECT array_agg(r.result) AS results, bool_or(r.uncounts) AS uncounted FROM contact_event r
        WHERE r.party_id = e.party_id AND r.about_event_id = e.id
    ) later ON true
    WHERE e.party_id IN (SELECT party_id FROM let_go) AND e.about_event_id IS NULL AND e.counts
      AND (NOT coalesce(later.uncounted, false) OR EXISTS (SELECT 1 FROM let_go m WHERE m.heard AND m.attempt_id = e.attempt_id))
    UNION ALL
    SELECT m.party_id, m.at, m.known_at, m.channel, 'outbound', m.purpose, m.counterparty, m.contact_point_id, m.loans,
           m.attempt_id, NULL, ARRAY['sent']
    FROM let_go m
    WHERE m.heard AND m.party_id IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM contact_event e WHERE e.attempt_business_date = m.business_date AND e.attempt_id = m.attempt_id AND e.counts)
"""
_INDEXES: Final = ("CREATE INDEX ON message (party_id, at)", "CREATE INDEX ON contact (party_id, at)", "ANALYZE message", "ANALYZE contact")


def _known(alias: str) -> str:
    """The versions of a fact that the ledger had when the message was let go."""
    return f"{alias}.recorded_at < m.known_at AND ({alias}.superseded_at IS NULL OR {alias}.superseded_at > m.known_at)"


# Whether a rule looks at a message.
_LOOKS_AT: Final = """
    r.jurisdiction = ANY(m.attached) AND (m.role IS NULL OR m.role = ANY(r.roles)) AND m.channel = ANY(r.channels)
    AND (r.purposes IS NULL OR m.purpose = ANY(r.purposes)) AND NOT (m.purpose = ANY(r.except_purposes))
    AND (r.parties IS NULL OR m.counterparty = ANY(r.parties)) AND (r.facts IS NULL OR m.facts && r.facts)
    AND (r.layer_alone IS NULL OR (r.layer_alone = ANY(m.attached) AND NOT m.own_law))
    AND ((r.products IS NULL AND r.except_products = '{}') OR EXISTS (
        SELECT 1 FROM loan_version l
        WHERE l.superseded_at IS NULL AND (l.loan_id = ANY(m.loans) OR m.loans = '{}' AND l.loan_id IN (
              SELECT o.loan_id FROM loan_party o WHERE o.party_id = m.party_id AND o.superseded_at IS NULL))
          AND (r.products IS NULL OR l.product = ANY(r.products)) AND NOT (l.product = ANY(r.except_products))))
"""
# Whether a contact k still counts at the message m, by the rule's span; days are those of the person's first zone.
_STILL_COUNTS: Final = """
    CASE r.unit
        WHEN 'days' THEN (k.at AT TIME ZONE m.zone)::date > (m.counted_at AT TIME ZONE m.zone)::date - r.number
        WHEN 'minutes' THEN k.at > m.counted_at - make_interval(mins => r.number)
        WHEN 'months' THEN ((k.at AT TIME ZONE m.zone)::date + make_interval(months => r.number))::date
            > (m.counted_at AT TIME ZONE m.zone)::date
        WHEN 'week' THEN date_trunc('week', k.at AT TIME ZONE m.zone) = date_trunc('week', m.counted_at AT TIME ZONE m.zone)
        WHEN 'month' THEN date_trunc('month', k.at AT TIME ZONE m.zone) = date_trunc('month', m.counted_at AT TIME ZONE m.zone)
        ELSE true
    END
"""
_SAME: Final = """
    CASE r.per
        WHEN 'person' THEN k.counterparty = m.counterparty
        WHEN 'contact_point' THEN k.contact_point_id = m.contact_point_id
        WHEN 'debt' THEN k.counterparty = m.counterparty AND k.loans && m.loans
        WHEN 'account' THEN k.loans && m.loans
        ELSE true
    END
"""
_ROW: Final = "m.provider_id, m.party_id, m.attempt_id"

CHECKS: Final = (
    # A message that no attempt of ours explains, save one whose fate we ourselves call unknown, or whose provider's id we never learned:
    # the answer to the call was lost, and the person's own phone told us that it came.
    Check(
        name="without_attempt",
        invariant="I1",
        sql=f"""
        SELECT {_ROW}, NULL AS detail FROM message m
        WHERE m.attempt_id IS NULL AND NOT EXISTS (
            SELECT 1 FROM attempt a JOIN contact_point_version v ON v.contact_point_id = a.contact_point_id
            WHERE v.blind_index = m.blind_index AND a.channel = m.channel
              AND (a.state IN ('submitting', 'unknown', 'parked')
                   OR (a.provider_id IS NULL AND a.state IN ('accepted', 'sent', 'delivered', 'read', 'replied'))))
        """,
    ),
    Check(
        name="without_committed_intention",
        invariant="I1",
        sql=f"SELECT {_ROW}, NULL AS detail FROM message m WHERE m.attempt_id IS NOT NULL AND m.let_go_at IS NULL",
    ),
    Check(
        name="to_another_address",
        invariant="I1",
        sql=f"""
        SELECT {_ROW}, NULL AS detail FROM message m
        WHERE m.heard AND m.attempt_id IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM contact_point_version v WHERE v.contact_point_id = m.contact_point_id AND v.blind_index = m.blind_index)
        """,
    ),
    Check(
        name="called_not_sent_but_received",
        invariant="I2",
        sql=f"""
        SELECT {_ROW}, m.state AS detail FROM message m
        WHERE m.heard AND (m.state IN ('planned', 'withheld', 'superseded', 'expired', 'rejected') OR m.error_code = 'no_record')
        """,
    ),
    Check(
        name="twice_for_one_attempt",
        invariant="I2",
        sql="""
        SELECT max(m.provider_id) AS provider_id, max(m.party_id) AS party_id, m.attempt_id, count(*)::text AS detail FROM message m
        WHERE m.heard AND m.attempt_id IS NOT NULL GROUP BY m.business_date, m.attempt_id HAVING count(*) > 1
        """,
    ),
    Check(
        name="outside_hours",
        invariant="I3",
        sql=f"""
        SELECT DISTINCT {_ROW}, r.rule AS detail
        FROM message m
        JOIN window_rule r ON {_LOOKS_AT}
        CROSS JOIN LATERAL (
            SELECT bool_or(z.outside) AS somewhere, bool_and(z.outside) AS everywhere
            FROM (
                SELECT l.day >= r.since AND (r.until IS NULL OR l.day < r.until) AND NOT EXISTS (
                    SELECT 1 FROM window_hours h
                    WHERE h.rule = r.rule AND h.since = r.since AND l.clock >= h.opens AND l.clock < h.closes
                      AND h.iso_day = CASE WHEN r.calendar IS NOT NULL AND EXISTS (
                              SELECT 1 FROM holiday d
                              WHERE d.day = l.day AND d.calendar = coalesce(nullif(r.calendar, 'own_country'), m.country))
                          THEN 0 ELSE extract(isodow FROM l.day) END) AS outside
                FROM unnest(CASE WHEN r.clock IN ('every_plausible_zone', 'debtor_state') THEN m.zones ELSE ARRAY[r.clock] END) AS zone
                CROSS JOIN LATERAL (SELECT (m.at AT TIME ZONE zone)::date AS day, (m.at AT TIME ZONE zone)::time AS clock) l
            ) z
        ) o
        WHERE CASE r.clock WHEN 'debtor_state' THEN o.everywhere ELSE o.somewhere END
          AND NOT (r.agreements AND EXISTS (
              SELECT 1 FROM agreement g WHERE g.party_id = m.party_id AND g.requested_by = 'borrower' AND {_known("g")}))
        """,
    ),
    # Its one confirmation comes after a stop.
    Check(
        name="after_stop",
        invariant="I4",
        sql=f"""
        SELECT DISTINCT {_ROW}, o.channel AS detail FROM message m JOIN opt_out o ON o.party_id = m.party_id
        WHERE m.purpose NOT IN ('confirmation', 'one_time_code')
          AND o.channel IN ('all', m.channel) AND (o.contact_point_id IS NULL OR o.contact_point_id = m.contact_point_id)
          AND (o.until IS NULL OR o.until > m.at) AND o.at <= m.at AND {_known("o")}
        """,
    ),
    # Each stop is confirmed once: one that repeats it is not confirmed again.
    Check(
        name="confirmed_without_a_new_stop",
        invariant="I4",
        sql=f"""
        SELECT {_ROW}, NULL AS detail FROM message m
        WHERE m.purpose = 'confirmation' AND NOT EXISTS (
            SELECT 1 FROM opt_out o
            WHERE o.party_id = m.party_id AND o.channel IN ('all', m.channel) AND o.at <= m.counted_at
              AND o.at > coalesce((
                SELECT max(k.at) FROM contact k
                WHERE k.party_id = m.party_id AND k.channel = m.channel AND k.purpose = 'confirmation' AND k.direction = 'outbound'
                  AND k.attempt_id IS DISTINCT FROM m.attempt_id AND k.at <= m.counted_at), '-infinity'))
        """,
    ),
    Check(
        name="during_hold",
        invariant="I4",
        sql=f"""
        WITH held AS (
            SELECT m.n, h.id FROM message m JOIN hold h ON h.party_id = m.party_id AND (h.loan_id IS NULL OR m.loans = ARRAY[h.loan_id])
            UNION
            -- Somebody else's, which reaches all who stand for the loan; one that names no loan, for the loans that they share.
            SELECT m.n, h.id FROM message m JOIN hold h ON h.loan_id = m.loans[1] AND h.all_liable
            WHERE cardinality(m.loans) = 1 AND h.party_id <> m.party_id
            UNION
            SELECT m.n, h.id FROM message m
            JOIN loan_party o ON o.loan_id = m.loans[1] AND o.party_id <> m.party_id AND {_known("o")}
            JOIN hold h ON h.party_id = o.party_id AND h.loan_id IS NULL AND h.all_liable
            WHERE cardinality(m.loans) = 1
        )
        SELECT DISTINCT {_ROW}, h.kind AS detail FROM held JOIN message m ON m.n = held.n JOIN hold h ON h.id = held.id
        LEFT JOIN hold_days d ON d.kind = h.kind
        WHERE m.purpose = 'collection' AND (h.channel IS NULL OR h.channel = m.channel) AND (h.purpose IS NULL OR h.purpose = m.purpose)
          AND h.starts_at <= m.at AND (h.until IS NULL OR h.until > m.at) AND {_known("h")}
          AND (h.until IS NOT NULL OR d.days IS NULL OR m.at < h.starts_at + make_interval(days => d.days - 1))
        """,
    ),
    Check(
        name="to_a_wrong_number",
        invariant="I4",
        sql=f"""
        SELECT DISTINCT {_ROW}, v.ownership AS detail FROM message m
        LEFT JOIN contact_point_version p ON p.contact_point_id = m.contact_point_id AND {_known("p")}
        JOIN contact_value v ON v.blind_index = coalesce(m.blind_index, p.blind_index)
        WHERE v.ownership IN ('wrong', 'reassigned', 'shared') AND {_known("v")}
        """,
    ),
    # A pause takes effect within a second of its commit (docs/adr/0008).
    Check(
        name="while_paused",
        invariant="I4",
        sql=f"""
        SELECT DISTINCT {_ROW}, 'pause ' || w.id AS detail FROM message m
        JOIN pause w ON (w.creditor_id IS NULL OR w.creditor_id = m.creditor_id) AND (w.stage IS NULL OR w.stage = m.stage)
         AND (w.channel IS NULL OR w.channel = m.channel) AND (w.jurisdiction IS NULL OR w.jurisdiction = ANY(m.attached))
        JOIN creditor c ON c.id = m.creditor_id AND (w.sender IS NULL OR w.sender = {sender_of("c", "m")})
        WHERE m.let_go_at IS NOT NULL AND w.starts_at <= m.at AND (w.until IS NULL OR w.until > m.at) AND {_known("w")}
          AND w.recorded_at < m.let_go_at - interval '1 second'
        """,
    ),
    Check(
        name="nothing_was_due",
        invariant="I4",
        sql=f"""
        WITH owing AS (
            SELECT DISTINCT m.n, lp.loan_id FROM message m JOIN loan_party lp ON lp.party_id = m.party_id AND {_known("lp")}
        ), due AS (
            SELECT m.n, i.loan_id, sum(i.principal_minor + i.interest_minor + i.fee_minor + i.penalty_minor) AS minor
            FROM message m JOIN owing o ON o.n = m.n
            JOIN instalment i ON i.loan_id = o.loan_id AND i.due_on < m.business_date AND {_known("i")}
            GROUP BY m.n, i.loan_id
        ), paid AS (
            SELECT m.n, y.loan_id, sum(y.amount_minor) AS minor
            FROM message m JOIN owing o ON o.n = m.n JOIN payment y ON y.loan_id = o.loan_id AND y.state IN ('posted', 'reversed')
             AND y.paid_on <= m.business_date AND {_known("y")}
            GROUP BY m.n, y.loan_id
        )
        SELECT {_ROW}, NULL AS detail FROM message m
        WHERE m.party_id IS NOT NULL AND m.let_go_at IS NOT NULL AND m.purpose = 'collection' AND NOT EXISTS (
            SELECT 1 FROM due d LEFT JOIN paid p ON p.n = d.n AND p.loan_id = d.loan_id
            WHERE d.n = m.n AND d.minor > coalesce(p.minor, 0))
        """,
    ),
    Check(
        name="over_a_cap",
        invariant="I5",
        sql=f"""
        SELECT {_ROW}, r.rule AS detail
        FROM message m
        JOIN cap_rule r ON {_LOOKS_AT} AND (m.counted_at AT TIME ZONE m.zone)::date >= r.since
         AND (r.until IS NULL OR (m.counted_at AT TIME ZONE m.zone)::date < r.until)
        JOIN contact k ON k.party_id = m.party_id AND k.at <= m.counted_at AND k.recorded_at < m.known_at
         AND k.attempt_id IS DISTINCT FROM m.attempt_id
         AND (r.counts_channels IS NULL OR k.channel = ANY(r.counts_channels)) AND k.direction = ANY(r.directions)
         AND (r.counts_purposes IS NULL OR k.purpose = ANY(r.counts_purposes)) AND NOT (k.purpose = ANY(r.counts_except_purposes))
         AND NOT (k.results && r.except_results) AND {_SAME} AND {_STILL_COUNTS}
        WHERE m.attempt_id IS NOT NULL
        GROUP BY m.n, {_ROW}, r.rule, r.at_most
        HAVING count(*) >= r.at_most
        """,
    ),
    Check(
        name="unknown_zone",
        invariant="I11",
        sql=f"SELECT {_ROW}, NULL AS detail FROM message m WHERE m.party_id IS NOT NULL AND m.zones = '{{}}'",
    ),
    Check(
        name="unknown_jurisdiction",
        invariant="I11",
        sql=f"SELECT {_ROW}, m.country AS detail FROM message m WHERE m.party_id IS NOT NULL AND m.lawful_place IS NOT TRUE",
    ),
    Check(
        name="stale_payments",
        invariant="I11",
        sql=f"""
        SELECT {_ROW}, NULL AS detail FROM message m
        WHERE m.let_go_at IS NOT NULL AND m.purpose = 'collection' AND NOT EXISTS (
            SELECT 1 FROM feed f WHERE f.creditor_id = m.creditor_id AND f.kind = 'payments' AND {_known("f")}
              AND f.covers_until + make_interval(secs => f.age_seconds_max) > m.at)
        """,
    ),
    # Offered: delivered, or three tries over at least seven days on at least two contact points failed. Whoever was taken over late
    # is offered it by the first message of the stage itself, which is called onboarding.
    Check(
        name="harsher_without_the_milder",
        invariant="I12",
        sql=f"""
        SELECT {_ROW}, m.stage AS detail FROM message m
        JOIN (VALUES ('mid', 'early'), ('late', 'mid'), ('recovery', 'late')) AS s(stage, milder) ON s.stage = m.stage
        JOIN attempt own ON own.business_date = m.business_date AND own.id = m.attempt_id AND own.message <> 'onboarding'
        WHERE NOT EXISTS (
            SELECT 1 FROM attempt a
            WHERE a.party_id = m.party_id AND (a.stage = s.milder OR (a.stage = m.stage AND a.message = 'onboarding'))
              AND a.state IN ('delivered', 'read', 'replied') AND a.submitted_at < m.at)
          AND NOT EXISTS (
            SELECT 1 FROM attempt a
            WHERE a.party_id = m.party_id AND (a.stage = s.milder OR (a.stage = m.stage AND a.message = 'onboarding'))
              AND a.state IN ('undelivered', 'failed') AND a.submitted_at < m.at
            HAVING count(*) >= 3 AND count(DISTINCT a.contact_point_id) >= 2
               AND (max(a.submitted_at) AT TIME ZONE m.zone)::date - (min(a.submitted_at) AT TIME ZONE m.zone)::date >= 7)
        """,
    ),
)

"""How things stand: what is open, what is late, what waits for its hour or for a person, what falls due today.

In:   a connection; the business instant, a local date.
Out:  counts; instants; ids of runs and names of creditors. Nothing of a borrower.
Pure: no; reads, each time by an index or over what is open: a million borrowers make it no slower than the day's messages do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql import bindparam


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedAge:
    """A source of facts, and how old it is.

    Attributes:
        creditor: The creditor's own id.
        kind: payments, wallet_flows, contacts.
        covers_until: How far it reaches.
        age_seconds: Since then.
        age_seconds_max: Older than that, and nobody is contacted on its word.
    """

    creditor: str
    kind: str
    covers_until: datetime
    age_seconds: int
    age_seconds_max: int

    @property
    def is_late(self) -> bool:
        """Whether contact is withheld for it."""
        return self.age_seconds > self.age_seconds_max


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Answers that wait for a person.

    Attributes:
        intent: What they were taken to mean, or `promises_broken`: a plan is to be offered.
        people: How many.
        since: When the oldest came.
    """

    intent: str
    people: int
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """Promises that fall due.

    Attributes:
        promises: How many.
        minor: Currency → minor units named; a promise without an amount adds nothing.
    """

    promises: int
    minor: dict[str, int]


def feeds(connection: Connection, *, at: datetime) -> list[FeedAge]:
    """Every feed, the latest first."""
    return [FeedAge(**row) for row in connection.execute(_FEEDS, {"at": at}).mappings()]


def fates(connection: Connection) -> dict[str, int]:
    """Attempts whose fate is not known: `unknown` (reconcile asks) and `parked` (a person says), of any date."""
    return dict(connection.execute(_FATES).mappings().one())


def waiting_for_a_person(connection: Connection) -> list[Waiting]:
    """Answers that nobody has handled yet, the oldest first."""
    return [Waiting(**row) for row in connection.execute(_WAITING).mappings()]


def who_waits(connection: Connection, *, intent: str | None = None) -> list[dict[str, Any]]:
    """Each answer that waits: `answer` (its id), `borrower` (our id), `intent`, `channel`, `since`; the oldest first."""
    return [dict(row) for row in connection.execute(_WHO_WAITS, {"intent": intent}).mappings()]


def planned(connection: Connection, *, at: datetime) -> tuple[int, dict[datetime, int]]:
    """Messages due now; and those whose hour is still to come: the hour's beginning (UTC) → how many, in order."""
    rows = connection.execute(_PLANNED, {"at": at}).all()
    later = {row.hour: row.messages for row in rows if row.hour is not None}
    return sum(row.messages for row in rows if row.hour is None), later


def promises_due(connection: Connection, *, on: date) -> Due:
    """Open promises that name a date."""
    rows = connection.execute(_PROMISES, {"on": on}).all()
    return Due(promises=sum(row.promises for row in rows), minor={row.currency: row.minor for row in rows if row.currency and row.minor})


def promises_past(connection: Connection, *, on: date) -> int:
    """Open promises whose date has passed: still settling, or waiting for the feed."""
    return int(connection.execute(_PROMISES_PAST, {"on": on}).scalar_one())


def holds_ending(connection: Connection, *, since: datetime, until: datetime) -> dict[str, int]:
    """Holds that end in [since, until), by kind, most first: after that these people may be contacted again."""
    return {row.kind: row.holds for row in connection.execute(_HOLDS_ENDING, {"since": since, "until": until})}


def notices_ending(connection: Connection, *, on: date) -> int:
    """Notices whose time to object or to opt out ends on a date."""
    return int(connection.execute(_NOTICES_ENDING, {"on": on}).scalar_one())


def last_run_date(connection: Connection, *, before: date) -> date | None:
    """The last date before this one on which a stage ran."""
    found: date | None = connection.execute(_LAST_RUN_DATE, {"before": before}).scalar()
    return found


def left_in_peace_for(connection: Connection, reason: str, *, on: date) -> int:
    """People who were left in peace on a date for a reason, whatever else stood against it."""
    return int(connection.execute(_LEFT_IN_PEACE_FOR, {"reason": reason, "on": on}).scalar_one())


def last_volumes(connection: Connection, *, before: date) -> list[dict[str, Any]]:
    """Of each stage's last date before this one: `stage`, `business_date`, `borrowers`, `sent`."""
    return [dict(row) for row in connection.execute(_LAST_VOLUMES, {"before": before}).mappings()]


def portfolio(connection: Connection, *, at: datetime) -> dict[str, int]:
    """The portfolio in counts, named for people; late loans by bucket as of the last date that was aged."""
    counts = {str(name): int(count) for name, count in connection.execute(_PORTFOLIO, {"at": at}).mappings().one().items()}
    return counts | {f"loans in {row.bucket}": row.loans for row in connection.execute(_BUCKETS)}


def policies_of_last_runs(connection: Connection) -> dict[str, str]:
    """`kind/name` → hash, by which the last run of each stage decided."""
    known: dict[str, str] = {}
    for hashes in connection.execute(_LAST_POLICIES).scalars():
        known |= hashes
    return known


def keep_morning(connection: Connection, business_date: date, facts: Mapping[str, Any], *, at: datetime) -> None:
    """Keep how a morning stood; the first one of a date stays."""
    connection.execute(_KEEP_MORNING, {"on": business_date, "facts": facts, "at": at})


def morning_before(connection: Connection, business_date: date) -> tuple[date, dict[str, Any]] | None:
    """The last morning that was kept before this one."""
    row = connection.execute(_MORNING_BEFORE, {"on": business_date}).one_or_none()
    return None if row is None else (row.business_date, row.facts)


_FEEDS = text("""
    SELECT c.external_id AS creditor, f.kind, f.covers_until, f.age_seconds_max,
           extract(epoch FROM CAST(:at AS timestamptz) - f.covers_until)::bigint AS age_seconds
    FROM feed f JOIN creditor c ON c.id = f.creditor_id
    WHERE f.superseded_at IS NULL
    ORDER BY f.covers_until + make_interval(secs => f.age_seconds_max), c.external_id, f.kind
""")
_FATES = text("""
    SELECT (SELECT count(*) FROM attempt WHERE state = 'unknown') AS unknown,
           (SELECT count(*) FROM attempt WHERE state = 'parked') AS parked
""")
_WAITING = text("""
    SELECT CASE WHEN because = 'promises_broken' THEN because ELSE intent END AS intent,
           count(DISTINCT party_id) AS people, min(at) AS since
    FROM outcome WHERE needs_person AND handled_at IS NULL
    GROUP BY 1 ORDER BY since, 1
""")
_WHO_WAITS = text("""
    SELECT * FROM (
        SELECT id AS answer, party_id AS borrower, CASE WHEN because = 'promises_broken' THEN because ELSE intent END AS intent,
               channel, at AS since
        FROM outcome WHERE needs_person AND handled_at IS NULL) waiting
    WHERE CAST(:intent AS text) IS NULL OR intent = :intent
    ORDER BY since, answer
""")
_PLANNED = text("""
    SELECT CASE WHEN a.send_after > :at THEN date_trunc('hour', a.send_after) END AS hour, count(*) AS messages
    FROM attempt a JOIN campaign_run r ON r.id = a.campaign_run_id AND NOT r.preview AND r.state IN ('open', 'closed')
     AND r.approval IN ('none', 'approved')
    WHERE a.state = 'planned' AND a.expires_at > :at
    GROUP BY 1 ORDER BY 1
""")
_PROMISES = text("""
    SELECT currency, count(*) AS promises, coalesce(sum(amount_minor), 0)::bigint AS minor
    FROM promise WHERE superseded_at IS NULL AND state = 'open' AND due_on = :on GROUP BY currency ORDER BY currency
""")
_PROMISES_PAST = text("SELECT count(*) FROM promise WHERE superseded_at IS NULL AND state = 'open' AND due_on < :on")
_HOLDS_ENDING = text("""
    SELECT kind, count(*) AS holds FROM hold
    WHERE superseded_at IS NULL AND until >= :since AND until < :until AND starts_at < until
    GROUP BY kind ORDER BY holds DESC, kind
""")
_NOTICES_ENDING = text("SELECT count(*) FROM notice WHERE superseded_at IS NULL AND opt_out_by = :on")
_LAST_RUN_DATE = text("SELECT max(business_date) FROM campaign_run WHERE business_date < :before AND NOT preview")
_LEFT_IN_PEACE_FOR = text("""
    SELECT count(DISTINCT d.party_id) FROM decision d JOIN reason_set r ON r.id = d.reason_set_id
    WHERE d.business_date = :on AND d.action = 'no_contact' AND :reason = ANY(r.reasons)
""")
_LAST_VOLUMES = text("""
    SELECT r.stage, r.business_date,
           (SELECT coalesce(sum(s.borrowers), 0)::bigint FROM campaign_shard s WHERE s.campaign_run_id = ANY(r.ids)) AS borrowers,
           (SELECT count(*) FROM attempt a WHERE a.business_date = r.business_date AND a.campaign_run_id = ANY(r.ids)
                AND a.submitted_at IS NOT NULL) AS sent
    FROM (
        SELECT DISTINCT ON (stage) stage, business_date, array_agg(id) AS ids
        FROM campaign_run WHERE business_date < :before AND NOT preview
        GROUP BY stage, business_date ORDER BY stage, business_date DESC) r
""")
_PORTFOLIO = text("""
    SELECT (SELECT count(*) FROM party) AS borrowers,
           (SELECT count(*) FROM loan) AS loans,
           (SELECT count(*) FROM contact_point_version WHERE superseded_at IS NULL AND status = 'active') AS "contact points in use",
           (SELECT count(DISTINCT party_id) FROM opt_out WHERE superseded_at IS NULL AND at <= :at AND (until IS NULL OR until > :at))
               AS "people who stopped a channel",
           (SELECT count(DISTINCT party_id) FROM hold WHERE superseded_at IS NULL AND starts_at <= :at AND (until IS NULL OR until > :at))
               AS "people with a hold"
""")
_BUCKETS = text("""
    SELECT bucket, count(*) AS loans FROM loan_aging
    WHERE business_date = (SELECT max(business_date) FROM loan_aging) AND days_past_due > 0
    GROUP BY bucket ORDER BY min(delinquent_days)
""")
_LAST_POLICIES = text("""
    SELECT policy_hashes FROM (
        SELECT DISTINCT ON (stage) stage, business_date, id, policy_hashes FROM campaign_run
        ORDER BY stage, business_date DESC, id DESC) last
    ORDER BY business_date, id
""")
_KEEP_MORNING = text("""
    INSERT INTO morning (business_date, at, facts) VALUES (:on, :at, :facts) ON CONFLICT (business_date) DO NOTHING
""").bindparams(bindparam("facts", type_=JSONB))
_MORNING_BEFORE = text("SELECT business_date, facts FROM morning WHERE business_date < :on ORDER BY business_date DESC LIMIT 1")

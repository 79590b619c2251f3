"""What was recorded of a past date, and what is known of it now: ageing, fates of attempts, outcomes of contacts.

What was recorded stays: the rows of `loan_aging` are those by which people were treated that day. What a backfill found to be
otherwise stands beside them, and the latest of it is what counts as recorded for the next one.

In:   a connection; a business date; wall-clock instants of knowing.
Out:  frames; ids only.
Pure: no; reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

import polars as pl
from sqlalchemy import Connection, text

from decisions.facts import Schema, type_instant
from ledger.frames import Known, Source, ids_clause, instant, read

AGEING: Final[Schema] = {
    "loan_id": pl.Int64,
    "days_past_due": pl.Int32,
    "delinquent_days": pl.Int32,
    "past_due_minor": pl.Int64,
    "outstanding_minor": pl.Int64,
    "oldest_unpaid_due_on": pl.Date,
    "next_due_on": pl.Date,
    "bucket": pl.String,
    "stage": pl.String,
}
CONTACTS: Final[Schema] = {"attempt_id": pl.Int64, "at": type_instant, "loans": pl.List(pl.Int64)}
FATES: Final[Schema] = {"attempt_id": pl.Int64, "state": pl.String}
OUTCOMES: Final[Schema] = {"attempt_id": pl.Int64, "paid_within_7_days_minor": pl.Int64, "paid_within_30_days_minor": pl.Int64}
PROMISES: Final[Schema] = {"promise": pl.Int64, "party_id": pl.Int64, "due_on": pl.Date, "state": pl.String}


def recorded_ageing(source: Source, day: date, *, before: int | None = None) -> pl.DataFrame:
    """What is recorded of a date: as loans were aged then, and as backfills found since.

    Args:
        source: Any connection.
        day: Business date.
        before: Only by backfills with a lower id; None = by all.

    Returns:
        Columns `AGEING`, one row a loan that was late or nearly due, by loan.
    """
    which = "" if before is None else f"AND backfill_id < {before:d}"
    return read(source, _RECORDED.format(on=_day(day), which=which), AGEING).sort("loan_id")


def aged_before(connection: Connection, day: date) -> date | None:
    """The last date before this one as of which loans were aged."""
    found: date | None = connection.execute(_AGED_BEFORE, {"on": day}).scalar()
    return found


def known_before(connection: Connection, day: date) -> datetime | None:
    """With what a re-record of a date is compared: what was known at the last one; else, before the last import; None = neither was."""
    found: datetime | None = connection.execute(_KNOWN_BEFORE, {"on": day}).scalar()
    return found


def known_last(connection: Connection, day: date) -> datetime | None:
    """What the latest re-record of a date knew: one that knows less changes nothing; None = there was none."""
    found: datetime | None = connection.execute(_KNOWN_LAST, {"on": day}).scalar()
    return found


def contacts_of(source: Source, day: date) -> pl.DataFrame:
    """Contacts that attempts of a date became, with the loans that they were about; what surely never left is none."""
    return read(source, _CONTACTS.format(on=_day(day)), CONTACTS)


def fates_as_known(source: Source, day: date, known_at: datetime) -> pl.DataFrame:
    """Each attempt of a date that had left by then, with its state as known at an instant."""
    return read(source, _FATES.format(on=_day(day), known_at=instant(known_at)), FATES)


def outcomes_as_known(source: Source, day: date, known_at: datetime, *, today: date) -> pl.DataFrame:
    """What was paid on the loans of each contact of a date within 7 and 30 days after it, as known at an instant.

    A span that is not over says nothing yet: null. It is a label, no claim that the contact was the cause.
    """
    spans = {f"paid_{days}": "NULL::bigint" if (today - day).days <= days else _PAID.format(days=days) for days in (7, 30)}
    known = Known(known_at)
    paid = {name: part.format(known_y=known["y"], known_o=known["o"]) for name, part in spans.items()}
    return read(source, _OUTCOMES.format(on=_day(day), **paid), OUTCOMES)


def paid_on(source: Source, loans: Sequence[int], day: date) -> set[int]:
    """Those of some loans on which a payment of that very date is posted."""
    found = read(source, _PAID_ON.format(loans=ids_clause(loans), on=_day(day)), {"loan_id": pl.Int64})
    return set(found["loan_id"])


def currencies(source: Source, loans: Sequence[int]) -> dict[int, str]:
    """Loan → its currency."""
    found = read(source, _CURRENCIES.format(loans=ids_clause(loans)), {"loan_id": pl.Int64, "currency": pl.String})
    return dict(found.iter_rows())


def promises_of(source: Source, *, due_on: date | None = None, parties: Sequence[int] = ()) -> pl.DataFrame:
    """Promises as they stand: those that were for a day, or all of some people. `promise` is the id of its first version."""
    which = f"p.due_on = {_day(due_on)}" if due_on is not None else f"p.party_id {ids_clause(parties)}"
    return read(source, _PROMISES.format(which=which), PROMISES)


def ageing_policy_of(connection: Connection, day: date) -> str | None:
    """Hash of the order of ageing by which the date's runs, or the last ones before it, treated people."""
    found: str | None = connection.execute(_AGEING_POLICY, {"on": day}).scalar()
    return found


def _day(day: date) -> str:
    return f"'{day.isoformat()}'::date"


_RECORDED = """
    WITH latest AS (
        SELECT DISTINCT ON (subject_id) subject_id, after FROM backfill_difference
        WHERE business_date = {on} AND what = 'ageing' {which} ORDER BY subject_id, backfill_id DESC
    )
    SELECT a.loan_id, a.days_past_due, a.delinquent_days, a.past_due_minor, a.outstanding_minor, a.oldest_unpaid_due_on, a.next_due_on,
           a.bucket, a.stage
    FROM loan_aging a WHERE a.business_date = {on} AND NOT EXISTS (SELECT FROM latest l WHERE l.subject_id = a.loan_id)
    UNION ALL
    SELECT l.subject_id, (l.after ->> 'days_past_due')::integer, (l.after ->> 'delinquent_days')::integer,
           (l.after ->> 'past_due_minor')::bigint, (l.after ->> 'outstanding_minor')::bigint, (l.after ->> 'oldest_unpaid_due_on')::date,
           (l.after ->> 'next_due_on')::date, l.after ->> 'bucket', l.after ->> 'stage'
    FROM latest l WHERE l.after IS NOT NULL
"""
_AGED_BEFORE = text("SELECT max(business_date) FROM loan_aging WHERE business_date < :on")
_KNOWN_LAST = text("""
    SELECT max(b.known_at) FROM backfill b JOIN backfill_step s ON s.backfill_id = b.id
    WHERE b.kind = 're_record' AND s.business_date = :on
""")
_KNOWN_BEFORE = text("""
    SELECT coalesce(
        (SELECT max(b.known_at) FROM backfill b JOIN backfill_step s ON s.backfill_id = b.id
         WHERE b.kind = 're_record' AND s.business_date = :on),
        (SELECT max(started_at) FROM import_batch))
""")
_LEFT = "a.state NOT IN ('planned', 'withheld', 'superseded', 'expired', 'rejected')"
_CONTACTS = f"""
    SELECT DISTINCT ON (a.id) a.id AS attempt_id, e.at, e.loans
    FROM attempt a JOIN contact_event e ON e.attempt_business_date = a.business_date AND e.attempt_id = a.id AND e.about_event_id IS NULL
    WHERE a.business_date = {{on}} AND {_LEFT} ORDER BY a.id, e.id
"""  # noqa: S608  # our own words
_FATES = """
    SELECT t.attempt_id, t.to_state AS state FROM (
        SELECT DISTINCT ON (attempt_id) attempt_id, to_state FROM attempt_transition
        WHERE business_date = {on} AND recorded_at <= {known_at} ORDER BY attempt_id, id DESC) t
    WHERE t.to_state NOT IN ('planned', 'submitting', 'withheld', 'superseded', 'expired')
"""
_PAID = """coalesce((
        SELECT sum(y.amount_minor) FROM payment y
        WHERE y.loan_id = ANY(c.loans) AND {{known_y}} AND y.paid_on BETWEEN c.on_day AND c.on_day + {days}
          AND (y.paid_at IS NULL OR y.paid_at >= c.at)
          AND (y.state = 'posted' OR y.state = 'reversed' AND EXISTS (
              SELECT FROM payment o
              WHERE o.loan_id = y.loan_id AND o.external_id = y.reverses_external_id AND o.state = 'posted' AND {{known_o}}))
    ), 0)::bigint"""
_OUTCOMES = f"""
    SELECT c.attempt_id, {{paid_7}} AS paid_within_7_days_minor, {{paid_30}} AS paid_within_30_days_minor
    FROM (
        SELECT DISTINCT ON (a.id) a.id AS attempt_id, a.business_date AS on_day, e.at, e.loans
        FROM attempt a
        JOIN contact_event e ON e.attempt_business_date = a.business_date AND e.attempt_id = a.id AND e.about_event_id IS NULL
        WHERE a.business_date = {{on}} AND {_LEFT} ORDER BY a.id, e.id) c
    ORDER BY c.attempt_id
"""  # noqa: S608  # our own words
_PAID_ON = """
    SELECT DISTINCT y.loan_id FROM payment y
    WHERE y.loan_id {loans} AND y.paid_on = {on} AND y.state = 'posted' AND y.superseded_at IS NULL
"""
_CURRENCIES = "SELECT v.loan_id, v.currency FROM loan_version v WHERE v.loan_id {loans} AND v.superseded_at IS NULL"
_PROMISES = """
    SELECT (SELECT min(f.id) FROM promise f
            WHERE f.party_id = p.party_id AND f.due_on = p.due_on AND f.loan_id IS NOT DISTINCT FROM p.loan_id) AS promise,
           p.party_id, p.due_on, p.state
    FROM promise p WHERE {which} AND p.superseded_at IS NULL ORDER BY 1
"""
_AGEING_POLICY = text("""
    SELECT r.policy_hashes ->> 'ageing/ageing' FROM campaign_run r
    WHERE r.business_date <= :on AND r.caught_up_on IS NULL AND r.policy_hashes ? 'ageing/ageing'
    ORDER BY r.business_date DESC, r.id DESC LIMIT 1
""")

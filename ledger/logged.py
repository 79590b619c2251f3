"""The log of decisions as an evaluation reads it: what was chosen with which probability, and what came of it within days.

A label is what happened in a window of business days after the decision, by the dates of what happened: money by the day it was paid, a
complaint by the instant it was said. So it is the same whenever it is read, once the window and the time for posting are over.

In:   a connection; dates, stages, a creditor.
Out:  runs; frames of decisions and of labels, ids and amounts only.
Pure: no; reads.
Source: SCIENCE.md C2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl
from sqlalchemy import Connection, text

from decisions.facts import Schema, type_instant
from decisions.kpis import COMPLAINTS
from ledger.backfill_reads import DecidedRun
from ledger.frames import Source, read
from ledger.tables import SENDING_APPROVALS

LOGGED: Final[Schema] = {
    "party_id": pl.Int64,
    "channel": pl.String,  # null = no contact
    "contact_point_id": pl.Int64,
    "message": pl.String,
    "offer": pl.String,
    "probability": pl.Float64,
    "propensities": pl.String,
    "hour_slot": pl.Int32,
    "decided_at": type_instant,
    "facts_known_at": type_instant,
}
# Money that came in, by currency; a borrower with loans in two has two rows.
PAID: Final[Schema] = {"party_id": pl.Int64, "currency": pl.String, "paid_minor": pl.Int64}
ANSWERED: Final[Schema] = {"party_id": pl.Int64, "contacts": pl.Int64, "complained": pl.Boolean}


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much of a log there is.

    Attributes:
        decisions: That count: of runs that were sent.
        first: Their first date; None = there is none.
        last: Likewise.
    """

    decisions: int
    first: date | None
    last: date | None


def creditor_id(connection: Connection, external_id: str) -> int | None:
    """Our id of a creditor."""
    found: int | None = connection.execute(_CREDITOR, {"external_id": external_id}).scalar()
    return found


def extent(connection: Connection, *, since: date, until: date, stages: Sequence[str], creditor: int | None) -> Extent:
    """How much of the log lies in a time."""
    keys = {
        "since": since,
        "until": until,
        "stages": list(stages),
        "approvals": list(SENDING_APPROVALS),
        "creditor": creditor,
    }
    return Extent(**connection.execute(_EXTENT, keys).mappings().one())


def logged_runs(connection: Connection, *, since: date, until: date, stages: Sequence[str]) -> list[DecidedRun]:
    """Runs whose decisions were carried out: no preview, and nobody said no. By date, stage and part."""
    keys = {"since": since, "until": until, "stages": list(stages), "approvals": list(SENDING_APPROVALS)}
    return [DecidedRun(**row) for row in connection.execute(_RUNS, keys).mappings()]


def read_logged(source: Source, run: DecidedRun, *, creditor: int | None) -> pl.DataFrame:
    """What a run decided, columns `LOGGED`, by party."""
    which = "" if creditor is None else f" AND y.creditor_id = {creditor:d}"
    return read(source, _LOGGED.format(run=run.id, on=_day(run.business_date), which=which), LOGGED)


def read_paid(source: Source, run: DecidedRun, *, days: int) -> pl.DataFrame:
    """What a run's borrowers paid within so many days, the decision's own included, less what was taken back in them: `PAID`."""
    return read(source, _PAID.format(run=run.id, on=_day(run.business_date), days=days), PAID)


def read_answered(source: Source, run: DecidedRun, *, days: int) -> pl.DataFrame:
    """How often a run's borrowers were contacted within so many days, and whether they complained or said stop: `ANSWERED`."""
    words = ", ".join(f"'{intent}'" for intent in COMPLAINTS)
    return read(source, _ANSWERED.format(run=run.id, on=_day(run.business_date), days=days, complaints=words), ANSWERED)


def _day(on: date) -> str:
    return f"'{on.isoformat()}'::date"


_CREDITOR = text("SELECT id FROM creditor WHERE external_id = :external_id")
_SENT = "r.business_date BETWEEN :since AND :until AND r.stage = ANY(:stages) AND NOT r.preview AND r.approval = ANY(:approvals)"
_EXTENT = text(f"""
    SELECT count(*) AS decisions, min(d.business_date) AS first, max(d.business_date) AS last
    FROM campaign_run r JOIN decision d ON d.campaign_run_id = r.id AND d.business_date = r.business_date
    JOIN party y ON y.id = d.party_id
    WHERE {_SENT} AND (CAST(:creditor AS bigint) IS NULL OR y.creditor_id = :creditor)
""")  # noqa: S608  # our own words
_RUNS = text(f"""
    SELECT r.id, r.stage, r.business_date, r.scope, r.borrowers_max, r.seed, r.policy_hashes, d.decided_at, d.facts_known_at
    FROM campaign_run r
    JOIN LATERAL (
        SELECT max(decided_at) AS decided_at, max(facts_known_at) AS facts_known_at FROM decision
        WHERE business_date = r.business_date AND campaign_run_id = r.id) d ON d.decided_at IS NOT NULL
    WHERE {_SENT}
    ORDER BY r.business_date, r.stage, r.scope
""")  # noqa: S608  # as above
_LOGGED = """
    SELECT d.party_id, d.channel, d.contact_point_id, d.message, d.offer, d.probability, d.propensities::text AS propensities,
           d.hour_slot, d.decided_at, d.facts_known_at
    FROM decision d JOIN party y ON y.id = d.party_id
    WHERE d.business_date = {on} AND d.campaign_run_id = {run:d}{which}
      -- Held out or tried on: another strategy's log. Put off by a full cap: what was drawn was not done.
      AND NOT EXISTS (SELECT FROM reason_set s, unnest(s.reasons) one
                      WHERE s.id = d.reason_set_id AND (one = 'capped' OR one LIKE 'group:%'))
    ORDER BY d.party_id
"""
_PAID = """
    SELECT d.party_id, v.currency,
           coalesce(sum(p.amount_minor) FILTER (
               WHERE p.state IN ('posted', 'reversed') AND p.paid_on >= {on} AND p.paid_on < {on} + {days:d}), 0)::bigint AS paid_minor
    FROM decision d
    JOIN loan_party lp ON lp.party_id = d.party_id AND lp.superseded_at IS NULL AND lp.role IN ('borrower', 'co_borrower')
    JOIN loan_version v ON v.loan_id = lp.loan_id AND v.superseded_at IS NULL
    LEFT JOIN payment p ON p.loan_id = lp.loan_id AND p.superseded_at IS NULL
    WHERE d.business_date = {on} AND d.campaign_run_id = {run:d}
    GROUP BY d.party_id, v.currency ORDER BY d.party_id, v.currency
"""
_ANSWERED = """
    SELECT d.party_id,
           (SELECT count(*) FROM contact_event e
            WHERE e.party_id = d.party_id AND e.business_date >= {on} AND e.business_date < {on} + {days:d}
              AND e.direction = 'outbound' AND e.counts
              AND NOT EXISTS (
                SELECT FROM contact_event u
                WHERE u.business_date = e.business_date AND u.about_event_id = e.id AND u.party_id = e.party_id AND u.uncounts)
           ) AS contacts,
           EXISTS (SELECT FROM outcome o WHERE o.party_id = d.party_id AND o.intent IN ({complaints})
                     AND o.at >= d.decided_at AND o.at < d.decided_at + interval '{days:d} days')
           OR EXISTS (SELECT FROM opt_out s WHERE s.party_id = d.party_id AND s.superseded_at IS NULL
                     AND s.at >= d.decided_at AND s.at < d.decided_at + interval '{days:d} days') AS complained
    FROM decision d WHERE d.business_date = {on} AND d.campaign_run_id = {run:d} ORDER BY d.party_id
"""

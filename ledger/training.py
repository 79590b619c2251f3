"""What was decided, what was known then, and what came of it: the rows that models are learned from.

Each decision is read as of its own instants, the business one and the wall clock's, so that nothing that became known later can help to
predict it. What came of it counts within a window that ends so many days after the decision, and only once that day is over; it is what was
intended that counts, whether or not the gate let it through.

In:   an open connection; dates; the part of what was due that counts as paid.
Out:  `decisions.learning.TRAINING`.
Pure: no; reads.
Source: SCIENCE.md C2, "Reward delayed: freeze the label at day 7 and 30, never at read time".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import polars as pl
from sqlalchemy import Connection, text

from decisions.facts import Schema, type_instant
from decisions.features import features, local_slot
from decisions.learning import TRAINING
from decisions.models import NONE
from decisions.past import Past
from ledger.facts import read_facts
from ledger.frames import Ids, Known, Source, ids_clause, instant, read
from ledger.partitions import dated_from
from ledger.past import OWES, read_past

WEEK_DAYS: Final = 7
MONTH_DAYS: Final = 30
# Decisions are thinned by person, in parts of this.
SHARES: Final = 10_000
WHOLE: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Decisions that were made at the same instants, of a shard.

    Attributes:
        business_date: Of the decisions.
        stage: Of the run.
        campaign_run_id: The run.
        shard: Its part.
        decided_at: Business instant.
        facts_known_at: Wall clock.
        decisions: How many.
    """

    business_date: date
    stage: str
    campaign_run_id: int
    shard: int
    decided_at: datetime
    facts_known_at: datetime
    decisions: int


def batches(tx: Connection, *, since: date, until: date) -> list[Batch]:
    """Shards that were decided from one date to another, both included, oldest first."""
    rows = tx.execute(_BATCHES, {"since": since, "until": until}).mappings()
    return [Batch(**row) for row in rows]


def training_rows(
    source: Source,
    parts: list[Batch],
    *,
    on: date,
    paid_percent_min: int,
    rows_max: int,
    seed: int,
    known_at: datetime | None = None,
    progress: Callable[[int, int], None] = lambda _done, _parts: None,
) -> pl.DataFrame:
    """Read everything that may be learned from.

    Args:
        source: Either kind of connection.
        parts: From `batches`.
        on: Local date: windows that had not ended before it have no label.
        paid_percent_min: Of what was past due.
        rows_max: At most about so many decisions: of more, some people are left out, all their days, drawn by a keyed hash.
        seed: For whom is left out.
        known_at: What had become known until then; None = all.
        progress: Told after each part how many of how many are read.

    Returns:
        `decisions.learning.TRAINING`, by date and party.
    """
    total = sum(part.decisions for part in parts)
    share = SHARES if total <= rows_max else max(1, SHARES * rows_max // total)
    found = [pl.DataFrame(schema=TRAINING)]
    for number, part in enumerate(parts, start=1):
        found.append(_rows_of(source, part, on=on, paid_percent_min=paid_percent_min, share=share, seed=seed, known=Known(known_at)))
        progress(number, len(parts))
    return pl.concat(found).sort("at", "party_id")


def _rows_of(source: Source, part: Batch, *, on: date, paid_percent_min: int, share: int, seed: int, known: Known) -> pl.DataFrame:
    filled = {
        "on": _day(part.business_date),
        "run": part.campaign_run_id,
        "shard": part.shard,
        "decided_at": instant(part.decided_at),
        "facts_known_at": instant(part.facts_known_at),
        "share": share,
        "seed": seed,
        "parts": SHARES,
    }
    decided = read(source, _DECIDED.format(**filled), _DECIDED_COLUMNS)
    parties = decided["party_id"].to_list()
    facts = read_facts(
        source,
        parties=parties,
        at=part.decided_at,
        business_date=part.business_date,
        loans="now",
        known_at=part.facts_known_at,
        history_days=1,
    )
    past = read_past(source, facts=facts, at=part.decided_at, business_date=part.business_date, known_at=part.facts_known_at)
    rows = (
        decided.join(features(past, as_of=part.decided_at), on="party_id")
        .join(local_slot(past.people, decided.filter(pl.col("send_after").is_not_null())), on="party_id", how="left")
        .with_columns(
            at=pl.lit(part.decided_at, type_instant),
            # A model draws the slot; of a ladder it is where the planned instant falls.
            hour_slot=pl.coalesce("drawn_slot", "hour_slot"),
            channel=pl.col("channel").fill_null(NONE),
            offer=pl.col("offer").fill_null(NONE),
        )
    )
    labelled = rows.join(
        _labels(source, part, past, parties, on=on, paid_percent_min=paid_percent_min, known=known), on="party_id", how="left"
    )
    answered = pl.when(pl.col("was_sent")).then("was_answered")
    week_over = part.business_date + timedelta(days=WEEK_DAYS) <= on
    return labelled.with_columns(answered=answered if week_over else pl.lit(None, pl.Boolean)).select(
        pl.col(name).cast(kind) for name, kind in TRAINING.items()
    )


def _labels(source: Source, part: Batch, past: Past, parties: Ids, *, on: date, paid_percent_min: int, known: Known) -> pl.DataFrame:
    """What came about after a decision, of each person: null where the window has not ended, or there was nothing to be known of."""
    day = part.business_date
    filled: dict[str, Any] = {
        "who": ids_clause(parties),
        "on": _day(day),
        "week": _day(day + timedelta(days=WEEK_DAYS)),
        "month": _day(day + timedelta(days=MONTH_DAYS)),
        "from_at": instant(part.decided_at),
        "contacts_on": dated_from(part.decided_at),
        "week_at": instant(part.decided_at + timedelta(days=WEEK_DAYS)),
        "month_at": instant(part.decided_at + timedelta(days=MONTH_DAYS)),
        "known_then": instant(part.facts_known_at),
        "then": Known(part.facts_known_at),
        "known": known,
        "recorded_o": known.recorded("o"),
        "recorded_e": known.recorded("e"),
        "owing": "'borrower', 'co_borrower', 'guarantor'",
    }
    owed = OWES.format(**(filled | {"known": Known(part.facts_known_at)}))
    paid = read(source, _PAID.format(owed=owed, **filled), {"party_id": pl.Int64, "week_minor": pl.Int64, "month_minor": pl.Int64})
    said = read(source, _SAID.format(**filled), {"party_id": pl.Int64, "harmed": pl.Boolean, "contacted": pl.Boolean})
    promised = read(source, _PROMISED.format(**filled), {"party_id": pl.Int64, "promise_kept": pl.Boolean})
    planned = read(source, _PLANNED.format(owed=owed, **filled), {"party_id": pl.Int64, "plan_kept": pl.Boolean})
    due = past.loans.group_by("party_id").agg(due_minor=pl.col("past_due_minor").sum())
    enough = pl.max_horizontal(pl.col("due_minor") * paid_percent_min // WHOLE, pl.lit(1))
    week, month = (pl.lit(day + timedelta(days=days) <= on) for days in (WEEK_DAYS, MONTH_DAYS))
    return (
        past.people.select("party_id")
        .join(due, on="party_id")  # whoever owes nothing that is due has nothing to pay
        .join(paid, on="party_id", how="left")
        .join(said, on="party_id", how="left")
        .join(promised, on="party_id", how="left")
        .join(planned, on="party_id", how="left")
        .with_columns(pl.col("week_minor", "month_minor").fill_null(0), pl.col("harmed", "contacted").fill_null(False))
        .select(
            "party_id",
            paid_7d=pl.when(week).then(pl.col("week_minor") >= enough),
            paid_30d=pl.when(month).then(pl.col("month_minor") >= enough),
            harm_7d=pl.when(week).then("harmed"),
            self_cured_30d=pl.when(month & ~pl.col("contacted") & (pl.col("due_minor") > 0)).then(
                pl.col("month_minor") >= pl.col("due_minor")
            ),
            promise_kept=pl.when(month).then("promise_kept"),
            plan_kept=pl.when(month).then("plan_kept"),
        )
    )


def _day(on: date) -> str:
    return f"'{on.isoformat()}'::date"


_DECIDED_COLUMNS: Final[Schema] = {
    "party_id": pl.Int64,
    "probability": pl.Float64,
    "channel": pl.String,
    "offer": pl.String,
    "drawn_slot": pl.Int32,
    "send_after": type_instant,
    "was_sent": pl.Boolean,
    "was_answered": pl.Boolean,
}
_BATCHES = text("""
    SELECT d.business_date, d.stage, d.campaign_run_id, d.shard, d.decided_at, d.facts_known_at, count(*) AS decisions
    FROM decision d JOIN campaign_run r ON r.id = d.campaign_run_id AND NOT r.preview
    WHERE d.business_date BETWEEN :since AND :until
    GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 3, 4, 5
""")
# Of a contact: whether it left us within the day, and whether it was read, answered or talked within a week.
_DECIDED = """
    SELECT d.party_id, d.probability, d.channel, d.offer, d.hour_slot AS drawn_slot, a.send_after, a.submitted_at IS NOT NULL AS was_sent,
           EXISTS (
               SELECT FROM contact_event e
               WHERE e.attempt_business_date = a.business_date AND e.attempt_id = a.id AND e.result IN ('read', 'conversation')
                 AND e.at < d.decided_at + interval '7 days')
           OR EXISTS (
               SELECT FROM outcome o
               WHERE o.party_id = d.party_id AND o.attempt_business_date = a.business_date AND o.attempt_id = a.id
                 AND o.at < d.decided_at + interval '7 days') AS was_answered
    FROM decision d
    LEFT JOIN LATERAL (
        SELECT t.business_date, t.id, t.send_after, t.submitted_at FROM attempt t
        WHERE t.business_date = d.business_date AND t.decision_id = d.id AND t.party_id = d.party_id
        ORDER BY t.try_number LIMIT 1) a ON true
    WHERE d.business_date = {on} AND d.campaign_run_id = {run:d} AND d.shard = {shard:d}
      AND d.decided_at = {decided_at} AND d.facts_known_at = {facts_known_at}
      AND mod(hashint8extended(d.party_id, {seed:d}) & 9223372036854775807, {parts:d}) < {share:d}
    ORDER BY d.party_id
"""
# What was known when it was decided came about before, whatever day it bears.
_PAID = """
    SELECT m.party_id, coalesce(sum(y.amount_minor) FILTER (WHERE y.paid_on < {week}), 0)::bigint AS week_minor,
           sum(y.amount_minor)::bigint AS month_minor
    FROM ({owed}) m
    JOIN payment y ON y.loan_id = m.loan_id AND {known[y]} AND y.state = 'posted' AND y.paid_on >= {on} AND y.paid_on < {month}
    WHERE NOT EXISTS (SELECT FROM payment r WHERE r.loan_id = y.loan_id AND r.reverses_external_id = y.external_id AND {known[r]})
      AND NOT EXISTS (
        SELECT FROM payment b WHERE b.loan_id = y.loan_id AND b.external_id = y.external_id AND b.recorded_at <= {known_then})
    GROUP BY m.party_id
"""
_SAID = """
    SELECT p.id AS party_id,
           EXISTS (
               SELECT FROM outcome o
               WHERE o.party_id = p.id AND o.intent IN ('stop', 'complaint') AND o.at >= {from_at} AND o.at < {week_at} AND {recorded_o})
           OR EXISTS (
               SELECT FROM opt_out s WHERE s.party_id = p.id AND s.at >= {from_at} AND s.at < {week_at} AND {known[s]}) AS harmed,
           EXISTS (
               SELECT FROM contact_event e
               WHERE e.party_id = p.id AND e.direction = 'outbound' AND e.counts AND e.at >= {from_at} AND e.at < {month_at}
                 AND e.business_date >= {contacts_on} AND {recorded_e}) AS contacted
    FROM party p WHERE p.id {who}
"""
# Of a promise that was open then: how it stands since its day.
_PROMISED = """
    SELECT s.party_id, bool_and(n.state = 'kept') AS promise_kept
    FROM promise s
    JOIN promise n ON n.party_id = s.party_id AND n.loan_id IS NOT DISTINCT FROM s.loan_id AND n.due_on = s.due_on AND {known[n]}
    WHERE s.party_id {who} AND {then[s]} AND s.state = 'open' AND n.state IN ('kept', 'partial', 'broken')
    GROUP BY s.party_id
"""
_PLANNED = """
    SELECT m.party_id, bool_and(n.status IN ('active', 'completed')) AS plan_kept
    FROM ({owed}) m
    JOIN plan p ON p.loan_id = m.loan_id
    JOIN plan_version v ON v.plan_id = p.id AND {then[v]} AND v.status = 'active'
    JOIN LATERAL (
        SELECT w.status FROM plan_version w
        WHERE w.plan_id = p.id AND w.effective_at < {month_at} ORDER BY w.version DESC LIMIT 1) n ON true
    GROUP BY m.party_id
"""

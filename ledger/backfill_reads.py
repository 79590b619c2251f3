"""What a backfill reads of past dates: what was decided, by what, and who was in which stage as known at an instant.

In:   a connection; a business date.
Out:  frames and values; ids only.
Pure: no; reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

import polars as pl
from sqlalchemy import Connection, text

from decisions.aging import AgingPolicy
from decisions.facts import Schema, type_instant
from ledger.aging_facts import age_loans
from ledger.frames import Known, Source, ids_clause, read
from ledger.tables import STAGES

DECIDED: Final[Schema] = {
    "party_id": pl.Int64,
    "action": pl.String,
    "channel": pl.String,
    "contact_point_id": pl.Int64,
    "message": pl.String,
    "offer": pl.String,
    "locale": pl.String,
    "step": pl.Int32,
    "reasons": pl.List(pl.String),
    "decided_at": type_instant,
    "facts_known_at": type_instant,
}
STAGED: Final[Schema] = {"party_id": pl.Int64, "stage": pl.String, "country": pl.String}
_LIABLE: Final[Schema] = {"loan_id": pl.Int64, "party_id": pl.Int64, "country": pl.String}


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidedRun:
    """A campaign run that decided for somebody.

    Attributes:
        id: Of `campaign_run`.
        stage: early, ….
        business_date: Its date.
        scope: `all`, or the creditors' country.
        borrowers_max: It was for the first so many only; None = for all.
        seed: Of its draws.
        policy_hashes: `kind/name` → hash.
        decided_at: Business instant of its last shard.
        facts_known_at: Wall clock of its last shard.
    """

    id: int
    stage: str
    business_date: date
    scope: str
    borrowers_max: int | None
    seed: str
    policy_hashes: Mapping[str, str]
    decided_at: datetime
    facts_known_at: datetime


def decided_runs(connection: Connection, day: date, stages: Sequence[str]) -> list[DecidedRun]:
    """Runs of a date that decided for somebody, by stage and part."""
    rows = connection.execute(_RUNS, {"on": day, "stages": list(stages)}).mappings()
    return [DecidedRun(**row) for row in rows]


def policies_before(connection: Connection, stage: str, day: date) -> Mapping[str, str] | None:
    """What the stage's last run up to a date decided by: `kind/name` → hash; None = it had none."""
    found: Mapping[str, str] | None = connection.execute(_BEFORE, {"stage": stage, "on": day}).scalar()
    return found


def read_decided(source: Source, run: DecidedRun) -> pl.DataFrame:
    """What a run decided, columns `DECIDED`, by party."""
    return read(source, _DECIDED.format(on=f"'{run.business_date.isoformat()}'::date", run=run.id), DECIDED)


def staged_as_known(source: Source, chunks: Sequence[range], day: date, *, known_at: datetime | None, policy: AgingPolicy) -> pl.DataFrame:
    """Who was in which stage on a date: that of their worst loan, as known at an instant. Writes nothing.

    Args:
        source: Any connection.
        chunks: Of loans, from `ledger.aging_facts.loan_chunks`.
        day: Business date.
        known_at: Wall clock; None = now.
        policy: Schemes of buckets and stages.

    Returns:
        Columns `STAGED`, one row a borrower or co-borrower in a stage, by party; `country` is the creditor's.
    """
    parts = []
    for chunk in chunks:
        aged = age_loans(source, chunk, business_date=day, known_at=known_at, policy=policy).filter(pl.col("stage").is_in(STAGES))
        if not aged.is_empty():
            on = f"'{day.isoformat()}'::date"
            liable = read(source, _LIABLE_FOR.format(which=ids_clause(aged["loan_id"].to_list()), known=Known(known_at), on=on), _LIABLE)
            parts.append(aged.select("loan_id", "stage").join(liable, on="loan_id"))
    if not parts:
        return pl.DataFrame(schema=STAGED)
    severity = pl.col("stage").replace_strict(STAGES, range(len(STAGES)), return_dtype=pl.Int8)
    return (
        pl.concat(parts)
        .group_by("party_id")
        .agg(pl.col("country").first(), severity=severity.max())
        .with_columns(stage=pl.col("severity").replace_strict(range(len(STAGES)), STAGES, return_dtype=pl.String))
        .select(STAGED.keys())
        .sort("party_id")
    )


_RUNS = text("""
    SELECT r.id, r.stage, r.business_date, r.scope, r.borrowers_max, r.seed, r.policy_hashes, d.decided_at, d.facts_known_at
    FROM campaign_run r
    JOIN LATERAL (
        SELECT max(decided_at) AS decided_at, max(facts_known_at) AS facts_known_at FROM decision
        WHERE business_date = r.business_date AND campaign_run_id = r.id) d ON d.decided_at IS NOT NULL
    WHERE r.business_date = :on AND r.stage = ANY(:stages)
    ORDER BY r.stage, r.scope
""")
_BEFORE = text("""
    SELECT r.policy_hashes FROM campaign_run r
    WHERE r.stage = :stage AND r.business_date <= :on AND r.caught_up_on IS NULL AND r.policy_hashes <> '{}'::jsonb
    ORDER BY r.business_date DESC, r.id DESC LIMIT 1
""")
_DECIDED = """
    SELECT d.party_id, d.action, d.channel, d.contact_point_id, d.message, d.offer, d.locale, d.step, r.reasons, d.decided_at,
           d.facts_known_at
    FROM decision d JOIN reason_set r ON r.id = d.reason_set_id
    WHERE d.business_date = {on} AND d.campaign_run_id = {run:d} ORDER BY d.party_id
"""
_LIABLE_FOR = """
    SELECT DISTINCT lp.loan_id, lp.party_id, c.country
    FROM loan_party lp JOIN party p ON p.id = lp.party_id JOIN creditor c ON c.id = p.creditor_id
    WHERE lp.loan_id {which} AND {known[lp]} AND lp.role IN ('borrower', 'co_borrower')
      AND (lp.starts_on IS NULL OR lp.starts_on <= {on}) AND (lp.ends_on IS NULL OR lp.ends_on > {on})
"""

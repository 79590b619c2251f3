"""Experiments in the ledger: when one began and by which file, what came of each arm's borrowers, what was seen at each look.

In:   a connection inside a transaction; an experiment's name.
Out:  rows of `experiment_start`, `experiment_look`; outcomes as numbers, no person.
Pure: no; reads and writes the ledger.
Source: docs/adr/0087.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, Final

import polars as pl
from sqlalchemy import Connection, text

from decisions.assignment import EXPERIMENT
from decisions.choose import GROUP
from decisions.experiments import CONTACTS, Experiment, Floats, Outcomes
from decisions.facts import Schema
from ledger.campaigns import Policy, write_policies

# One row a borrower whose horizon is over.
SEEN: Final[Schema] = {
    "party_id": pl.Int64,
    "arm": pl.String,
    "owed_minor": pl.Int64,
    "paid_minor": pl.Int64,
    "complaints": pl.Int64,
    "opt_outs": pl.Int64,
    "contacts": pl.Int64,
}


def begin(tx: Connection, name: str, *, policy: Policy, day: date) -> str:
    """Freeze an experiment, unless it has begun; returns the hash of the file that it began with."""
    write_policies(tx, [policy])
    tx.execute(_BEGIN, {"name": name, "hash": policy.hash, "on": day})
    return str(tx.execute(_HASH, {"name": name}).scalar_one())


def started(tx: Connection) -> dict[str, tuple[str, date]]:
    """Experiments that have begun: name → hash of the file, first date."""
    return {row.name: (row.hash, row.started_on) for row in tx.execute(_STARTED)}


def stopped_arms(tx: Connection) -> dict[str, list[str]]:
    """Experiment → arms that were stopped at some look, by name."""
    return {row.name: sorted(row.arms) for row in tx.execute(_STOPPED)}


def looks(tx: Connection, name: str) -> list[dict[str, Any]]:
    """What was seen, oldest first: `looked_on`, `number`, `verdicts`, `stopped`."""
    return [dict(row) for row in tx.execute(_LOOKS, {"name": name}).mappings()]


def write_look(tx: Connection, name: str, *, day: date, number: int, verdicts: Mapping[str, Any], stopped: Sequence[str]) -> None:
    """Write down a look, once a date."""
    keys = {"name": name, "on": day, "number": number, "verdicts": json.dumps(dict(verdicts)), "stopped": list(stopped)}
    tx.execute(_LOOK, keys)


def read_outcomes(
    tx: Connection, experiment: Experiment, *, until: date, groups: Callable[[list[int]], pl.DataFrame] | None = None
) -> dict[str, Outcomes]:
    """What came of each arm's borrowers whose horizon ended before a date, counted from their first decision in it.

    Args:
        tx: Any.
        experiment: As it was frozen.
        until: The date.
        groups: People → `party_id`, `attribute`, `value`; asked only where the experiment says how far groups may lie apart.
    """
    rows = tx.execute(
        _SEEN,
        {
            "group": f"{GROUP}{EXPERIMENT}{experiment.name}/",
            "first": experiment.first,
            "last": experiment.last,
            "days": experiment.horizon_days,
            "until": until,
        },
    )
    seen = pl.DataFrame([tuple(row) for row in rows], schema=SEEN, orient="row")
    belongs = groups(seen["party_id"].to_list()) if groups is not None and experiment.gap_max is not None else None
    found = {}
    for arm in experiment.arms:
        theirs = seen.filter(pl.col("arm") == arm.name)
        owed = theirs["owed_minor"].clip(1, None)
        found[arm.name] = Outcomes(
            money=(theirs["paid_minor"].clip(0, None) / owed).clip(0, 1).to_numpy(),
            harms={one.name: theirs[one.name].cast(pl.Float64).to_numpy() for one in experiment.margins},
            groups={} if belongs is None else _by_group(theirs, belongs),
        )
    return found


def _by_group(theirs: pl.DataFrame, belongs: pl.DataFrame) -> dict[tuple[str, str], Floats]:
    each = theirs.select("party_id", pl.col(CONTACTS).cast(pl.Float64)).join(belongs, on="party_id").sort("attribute", "value")
    parts = each.partition_by("attribute", "value", as_dict=True, maintain_order=True)
    return {(str(attribute), str(value)): part[CONTACTS].to_numpy() for (attribute, value), part in parts.items()}


_BEGIN = text("INSERT INTO experiment_start (name, hash, started_on) VALUES (:name, :hash, :on) ON CONFLICT (name) DO NOTHING")
_HASH = text("SELECT hash FROM experiment_start WHERE name = :name")
_STARTED = text("SELECT name, hash, started_on FROM experiment_start ORDER BY name")
_STOPPED = text("SELECT name, array_agg(DISTINCT arm) AS arms FROM experiment_look, unnest(stopped) arm GROUP BY name ORDER BY name")
_LOOKS = text("SELECT looked_on, number, verdicts, stopped FROM experiment_look WHERE name = :name ORDER BY looked_on")
_LOOK = text("""
    INSERT INTO experiment_look (name, looked_on, number, verdicts, stopped)
    VALUES (:name, :on, :number, CAST(:verdicts AS jsonb), :stopped) ON CONFLICT (name, looked_on) DO NOTHING
""")
_SEEN = text("""
    WITH mine AS (
        SELECT d.party_id, substr(one, length(:group) + 1) AS arm, min(d.business_date) AS first_on, min(d.decided_at) AS first_at
        FROM decision d JOIN reason_set r ON r.id = d.reason_set_id CROSS JOIN LATERAL unnest(r.reasons) one
        JOIN campaign_run c ON c.id = d.campaign_run_id AND NOT c.preview
        WHERE d.business_date BETWEEN :first AND :last AND starts_with(one, :group)
        GROUP BY d.party_id, one
    )
    SELECT m.party_id, m.arm,
           coalesce((SELECT sum(a.past_due_minor) FROM loan_aging a
                     WHERE a.business_date = m.first_on AND a.party_id = m.party_id), 0)::bigint AS owed_minor,
           coalesce((SELECT sum(p.amount_minor) FROM payment p JOIN loan_party lp ON lp.loan_id = p.loan_id AND lp.superseded_at IS NULL
                     WHERE lp.party_id = m.party_id AND lp.role IN ('borrower', 'co_borrower') AND p.superseded_at IS NULL
                       AND p.state IN ('posted', 'reversed') AND p.paid_on >= m.first_on AND p.paid_on < m.first_on + :days), 0)::bigint
               AS paid_minor,
           (SELECT count(*) FROM outcome o WHERE o.party_id = m.party_id AND o.intent = 'complaint'
              AND o.at >= m.first_at AND o.at < m.first_at + make_interval(days => :days)) AS complaints,
           (SELECT count(*) FROM opt_out s WHERE s.party_id = m.party_id AND s.superseded_at IS NULL
              AND s.at >= m.first_at AND s.at < m.first_at + make_interval(days => :days)) AS opt_outs,
           (SELECT count(*) FROM contact_event e WHERE e.party_id = m.party_id AND e.direction = 'outbound' AND e.counts
              AND e.business_date >= m.first_on AND e.business_date < m.first_on + :days) AS contacts
    FROM mine m WHERE m.first_on + :days <= :until ORDER BY m.party_id
""")

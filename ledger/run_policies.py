"""What a run's decisions have in common beside its policies: the line of its borrowers, prices of what is scarce, experiments.

Found once, before the first shard is decided: whoever comes second finds it, and a replay reads it (I8).

In:   a connection inside a transaction; a run's id.
Out:  rows of `run_policy`, as `Common`, and of `shard_use`: how much of each capacity a run has planned so far.
Pure: no; reads and writes the ledger.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Final

import polars as pl
from sqlalchemy import Connection, text

from decisions.policy import NO_PRICES, USES, MedianOwed, PoolPrice, Prices

# By whom, in what and of which cap use is counted.
POOL: Final = ("creditor_id", "currency", "cap", "used")


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What all decisions of a run have in common.

    Attributes:
        line: Key of decisions/assignment.groups.
        prices: Of scarce capacity and of a contact.
        trials: Experiment → arms of it that were stopped by then.
    """

    line: bytes
    prices: Prices = NO_PRICES
    trials: Mapping[str, Sequence[str]] = field(default_factory=dict)


def read_common(tx: Connection, campaign_run_id: int) -> Common | None:
    """Of one run; None = nothing was written: a ladder alone decides it, or its first shard is still to come."""
    row = tx.execute(_READ, {"run": campaign_run_id}).one_or_none()
    if row is None:
        return None
    pools = tuple(PoolPrice(**pool) for pool in row.prices.get("pools", ()))
    # A run that was opened before a contact counted a share of what is owed has written down no medians.
    medians = tuple(MedianOwed(**median) for median in row.prices.get("medians", ()))
    prices = Prices(pools=pools, medians=medians, borrowers=row.prices.get("borrowers", 0))
    return Common(line=bytes.fromhex(row.line), prices=prices, trials=row.trials)


def keep_common(tx: Connection, campaign_run_id: int, found: Common, *, at: datetime) -> Common:
    """Write it, unless another shard has; returns what stands."""
    tx.execute(
        _KEEP,
        {
            "run": campaign_run_id,
            "line": found.line.hex(),
            "prices": json.dumps(asdict(found.prices)),
            "trials": json.dumps(dict(found.trials)),
            "at": at,
        },
    )
    stands = read_common(tx, campaign_run_id)
    return found if stands is None else stands


def lock_common(tx: Connection, campaign_run_id: int) -> None:
    """Let nobody else hold the run's contacts against its caps until this transaction ends."""
    tx.execute(_LOCK, {"run": campaign_run_id})


def used_so_far(tx: Connection, campaign_run_id: int) -> pl.DataFrame:
    """What the shards of a run that are decided use: `creditor_id`, `currency`, `cap`, `used` (decisions/policy.USES)."""
    rows = [tuple(row) for row in tx.execute(_USED, {"run": campaign_run_id})]
    return pl.DataFrame(rows, schema={name: USES[name] for name in POOL}, orient="row")


def keep_use(tx: Connection, campaign_run_id: int, shard: int, uses: pl.DataFrame) -> None:
    """Write down what a shard's contacts use, in the transaction that decides it.

    Args:
        tx: Holding the run's lock (`lock_common`).
        campaign_run_id: The run.
        shard: Its part.
        uses: decisions/policy.USES of the contacts that are made.
    """
    sums = uses.group_by(*POOL[:-1]).agg(pl.col("used").sum()).sort(*POOL[:-1])
    if not sums.is_empty():
        tx.execute(_KEEP_USE, [{"run": campaign_run_id, "shard": shard, **row} for row in sums.iter_rows(named=True)])


_READ = text("SELECT line, prices, trials FROM run_policy WHERE campaign_run_id = :run")
_KEEP = text("""
    INSERT INTO run_policy (campaign_run_id, line, prices, trials, found_at)
    VALUES (:run, :line, CAST(:prices AS jsonb), CAST(:trials AS jsonb), :at)
    ON CONFLICT (campaign_run_id) DO NOTHING
""")
_LOCK = text("SELECT FROM run_policy WHERE campaign_run_id = :run FOR UPDATE")
_USED = text("""
    SELECT creditor_id, currency, cap, sum(used)::bigint AS used FROM shard_use WHERE campaign_run_id = :run
    GROUP BY creditor_id, currency, cap
""")
_KEEP_USE = text("""
    INSERT INTO shard_use (campaign_run_id, shard, creditor_id, currency, cap, used)
    VALUES (:run, :shard, :creditor_id, :currency, :cap, :used) ON CONFLICT DO NOTHING
""")

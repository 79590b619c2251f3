"""Choose: what is done today for each borrower of a shard, and why.

In:   a shard's number and a campaign run's id; the shard's facts.
Out:  number of planned attempts; decisions and planned attempts in the ledger.
Pure: no; reads facts, calls decisions, writes: nothing else happens here.
"""

from __future__ import annotations

import polars as pl
from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from sqlalchemy import Connection

from config.message_files import message_texts
from config.strategy_files import strategy
from decisions.assignment import asking, who_asks
from decisions.choose import GROUP, defer
from decisions.facts import Facts
from decisions.messages import Texts
from decisions.policy import over_caps, uses_of
from decisions.strategy import Strategy
from ledger import clock
from ledger.campaigns import Run, read_run, read_shard, shard_borrowers
from ledger.decisions_log import write_decisions
from ledger.engine import arrow, connection
from ledger.law import law_in_force, texts_in_force
from ledger.outbox import wall_clock
from ledger.run_policies import keep_use, lock_common, used_so_far
from tasks.progress import stage_progress, tell
from tasks.weigh import Weighing, read_treated, weighed, weighing_of


@task(task_run_name="choose shard {shard}", retries=2, retry_delay_seconds=[10, 60], persist_result=False, cache_policy=NO_CACHE)
def choose(shard: int, campaign_run_id: int) -> int:
    """Decide for one shard of borrowers; write decisions and planned attempts in one transaction.

    Idempotent: a decided shard is read back and its count returned.

    Returns:
        Number of planned attempts.

    Raises:
        NoModelError: The strategy asks a model, and the run has none.
    """
    with connection() as tx:
        run = read_run(tx, campaign_run_id)
        part = read_shard(tx, campaign_run_id, shard)
        at, facts_known_at = clock.now(tx), wall_clock(tx)
        law, texts = law_in_force(tx), texts_in_force(tx, message_texts())
    if part.planned is not None:
        return part.planned
    treatment = strategy(run.strategy, run.stage)
    weighing = weighing_of(run, treatment, law.packs, texts, at=at)
    with arrow() as source:
        borrowers = shard_borrowers(source, run, part)
        facts = read_treated(source, borrowers, treatment, weighing.trials, at=at, business_date=run.business_date)
        decisions = weighed(
            source, facts, treatment, law.packs, texts, weighing, at=at, business_date=run.business_date, seed=run.seed.encode()
        )
    with connection() as tx:
        decisions = _held_to_caps(tx, run, shard, treatment, weighing, decisions, facts, texts)
        planned = write_decisions(tx, run.id, shard, decisions, at=at, facts_known_at=facts_known_at)
    if law.fault is not None:
        get_run_logger().error("shard %d: %s", shard, law.fault)
    tell(*stage_progress(run.id))
    get_run_logger().info("shard %d: %d borrowers, %d contacts planned", shard, len(borrowers), planned)
    return planned


def _held_to_caps(
    tx: Connection,
    run: Run,
    shard: int,
    treatment: Strategy,
    weighing: Weighing,
    decisions: pl.DataFrame,
    facts: Facts,
    texts: Texts,
) -> pl.DataFrame:
    """Put off whom a full cap leaves out, counting what other shards have planned; one shard at a time does this.

    Beside a ladder, which knows no caps, only the borrowers of arms with a model can be put off.
    """
    first = who_asks(treatment, weighing.trials)
    if first is None or first.learned is None or not first.learned.caps:
        return decisions
    held = decisions
    if treatment.learned is None:
        marks = [f"{GROUP}{name}" for name, _ in asking(treatment, weighing.trials)]
        held = decisions.filter(pl.col("reasons").list.set_intersection(marks).list.len() > 0)
    uses = uses_of(held, facts, first, texts)
    lock_common(tx, run.id)
    if read_shard(tx, run.id, shard).planned is not None:
        return decisions  # another one has decided it meanwhile, and its use is counted
    over = over_caps(uses, first.learned, used_so_far(tx, run.id))
    keep_use(tx, run.id, shard, uses.filter(~pl.col("party_id").is_in(over)))
    return defer(decisions, over)

"""Choose: what is done today for each borrower of a shard, and why.

In:   a shard's number and a campaign run's id; the shard's facts.
Out:  number of planned attempts; decisions and planned attempts in the ledger.
Pure: no; reads facts, calls decisions, writes: nothing else happens here.
"""

from __future__ import annotations

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from config.message_files import message_texts
from config.strategy_files import strategy
from decisions.choose import decide
from ledger import clock
from ledger.campaigns import read_run, read_shard, shard_borrowers
from ledger.decisions_log import write_decisions
from ledger.engine import arrow, connection
from ledger.facts import read_facts
from ledger.law import law_in_force, texts_in_force
from ledger.outbox import wall_clock
from tasks.progress import stage_progress, tell


@task(task_run_name="choose shard {shard}", retries=2, retry_delay_seconds=[10, 60], persist_result=False, cache_policy=NO_CACHE)
def choose(shard: int, campaign_run_id: int) -> int:
    """Decide for one shard of borrowers; write decisions and planned attempts in one transaction.

    Idempotent: a decided shard is read back and its count returned.

    Returns:
        Number of planned attempts.
    """
    with connection() as tx:
        run = read_run(tx, campaign_run_id)
        part = read_shard(tx, campaign_run_id, shard)
        at, facts_known_at = clock.now(tx), wall_clock(tx)
        law, texts = law_in_force(tx), texts_in_force(tx, message_texts())
    if part.planned is not None:
        return part.planned
    treatment = strategy(run.strategy, run.stage)
    with arrow() as source:
        borrowers = shard_borrowers(source, run, part)
        facts = read_facts(
            source,
            parties=borrowers,
            at=at,
            business_date=run.business_date,
            loans="planned",
            treated_by=treatment.looks_at,
            falls_back=treatment.falls_back,
            payments_since=treatment.payments_since(run.business_date),
        )
    decisions = decide(
        facts,
        treatment,
        law.packs,
        texts,
        at=at,
        business_date=run.business_date,
        seed=run.seed.encode(),
    )
    with connection() as tx:
        planned = write_decisions(tx, run.id, shard, decisions, at=at, facts_known_at=facts_known_at)
    if law.fault is not None:
        get_run_logger().error("shard %d: %s", shard, law.fault)
    tell(*stage_progress(run.id))
    get_run_logger().info("shard %d: %d borrowers, %d contacts planned", shard, len(borrowers), planned)
    return planned

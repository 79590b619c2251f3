"""Pick: which borrowers a stage looks at today.

Ages the portfolio as of the business date, set-based and in chunks, never as Python objects: the same code serves ten
loans and a million, and looks only at those that something may have changed. Then cuts the stage's borrowers into shards.

In:   a campaign run's id.
Out:  numbers of the run's shards; rows of `loan_aging` and `campaign_shard`.
Pure: no.
"""

from __future__ import annotations

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from ledger.aging_facts import age_portfolio
from ledger.campaigns import cut_shards, read_run, read_shards
from ledger.engine import connection
from tasks.progress import ageing


@task(task_run_name="pick for run {campaign_run_id}", retries=2, retry_delay_seconds=[10, 60], persist_result=False, cache_policy=NO_CACHE)
def pick(campaign_run_id: int) -> list[int]:
    """Age the portfolio and cut the stage's borrowers into shards.

    Idempotent: what is computed again replaces what an interrupted call left. Once a shard is decided, the day's ageing
    stands; the gate looks at each borrower as they are by then.

    Returns:
        Numbers of all shards of the run, the decided ones too (deciding them again finds them done). Empty when nobody
        is in the stage.
    """
    logger = get_run_logger()
    with connection() as tx:
        run = read_run(tx, campaign_run_id)
        decided = any(shard.decided_at is not None for shard in read_shards(tx, campaign_run_id))
    if not decided:
        aged = age_portfolio(run.business_date, progress=ageing)
        logger.info(
            "%d loans as of %s, %d of them aged anew, %d late or nearly due",
            aged.loans,
            run.business_date.isoformat(),
            aged.anew,
            aged.kept,
        )
    with connection() as tx:
        shards = cut_shards(tx, campaign_run_id)
        borrowers = sum(shard.borrowers for shard in read_shards(tx, campaign_run_id))
    logger.info("%d borrowers in stage %s, in %d shards", borrowers, run.stage, len(shards))
    return shards


def shards_of(campaign_run_id: int) -> list[int]:
    """Numbers of a run's shards, as they were cut.

    Raises:
        LookupError: There is no such run, or nobody has cut it yet.
    """
    with connection(read_only=True) as tx:
        read_run(tx, campaign_run_id)
        shards = [shard.shard for shard in read_shards(tx, campaign_run_id)]
    if not shards:
        raise LookupError(f"campaign run {campaign_run_id} has no shards: its stage's run cuts them")
    return shards

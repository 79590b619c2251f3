"""Dispatch's steps: close what is past its window, find what has come due, say what came of it.

In:   the ledger.
Out:  the parts of runs in which something is due, as ids; expired attempts.
Pure: no.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.events import emit_event

from config.load import ConfigError
from gate import answers, danger
from ledger import attempts, clock, outbox, run_approvals, run_narrowing
from ledger.engine import connection
from ledger.run_answers import withhold_rest
from tasks.calls import watch_calls
from tasks.canary import watch_canaries
from tasks.fall_back import fall_back

# As many task runs as one flow may have (ARCHITECTURE.md, "One borrower through one stage" 2); the next run takes the rest.
LANES_MAX: Final = 200
# Attempts that one transaction closes.
PAGE: Final = 5_000
# A person is called for whoever wrote of danger, again and again until somebody has handled it, for so long; then the morning says so.
CALLED_FOR: Final = timedelta(days=1)


class LanesUnfinished(RuntimeError):
    """Some lanes did not come to their end; what they did stands, and what they did not send is still planned."""

    def __init__(self, failed: int, of: int) -> None:
        super().__init__(f"{failed} of {of} lanes did not come to their end; what was not sent is still planned, and the next run takes it")
        self.failed, self.of = failed, of


@task(task_run_name="what is due", retries=2, retry_delay_seconds=[5, 30], persist_result=False, cache_policy=NO_CACHE)
def find_due() -> list[tuple[int | None, int]]:
    """Call people for whoever is in danger, close what is over, plan the answers that the portal has not sent; then find what is due.

    Returns:
        (shard, campaign run's id) of each part in which something is due, what expires first coming first.
    """
    call_a_person()
    expired = _expire()
    _finish_answers()
    watch_canaries()
    watch_calls()
    try:
        answers.plan_answers()
    except ConfigError as error:
        # Who waits for an answer waits for a person then; what is planned goes out all the same, or is stopped by the gate itself.
        get_run_logger().error("no answer was planned: %s", error)
    _fall_back()
    with connection() as tx:
        lanes = outbox.lanes_due(tx, at=clock.now(tx), at_most=LANES_MAX)
    get_run_logger().info("%d attempts due in %d parts of runs; %d past their window", sum(lane.due for lane in lanes), len(lanes), expired)
    return [(lane.shard, lane.campaign_run_id) for lane in lanes]


def call_a_person() -> int:
    """Say once a run of everybody who wrote of danger until somebody says that it is handled; the automation tells people, by the hour.

    Contact with them has stopped already, in the transaction that heard them, and the portal has told it once (portal/calling.py):
    this is the net under it. The event names an answer's id and nobody.

    Returns:
        How many wait.
    """
    waiting = danger.waiting(within=CALLED_FOR)
    for answer in waiting:
        emit_event(event=danger.PERSON_NEEDED, resource=danger.resource(answer))
    return len(waiting)


def _fall_back() -> None:
    """Plan the next channel for whom today's message surely did not reach; where that cannot be decided, tomorrow's run does."""
    try:
        planned = fall_back()
    except ConfigError as error:
        get_run_logger().error("no other channel was tried: %s", error)
        return
    if planned:
        get_run_logger().info("%d messages that did not arrive are tried by another channel", planned)


def _expire() -> int:
    """Close what is past its window, page by page; how many."""
    expired, page = 0, PAGE
    while page == PAGE:
        with connection() as tx:
            page = attempts.expire_planned(tx, campaign_run_id=None, at=clock.now(tx), at_most=PAGE)
        expired += page
    return expired


def _finish_answers() -> None:
    """Close what waited for people too long, and finish what an answer began and a killed run left."""
    with connection() as tx:
        lapsed = run_approvals.lapse(tx)
        unfinished = run_narrowing.unfinished_answers(tx)
    for campaign_run in unfinished:
        withhold_rest(campaign_run)
    for campaign_run in lapsed:
        get_run_logger().warning("campaign run %d waited for approval too long: nothing was sent; it can be started again", campaign_run)
        emit_event(
            event="tideover.approval.lapsed",
            resource={
                "prefect.resource.id": f"tideover.campaign-run.{campaign_run}",
                "prefect.resource.name": f"campaign run {campaign_run}",
            },
        )


def add_up(ended: Sequence[State[int]]) -> int:
    """Messages that providers took in all lanes.

    Raises:
        LanesUnfinished: A lane failed or was cancelled.
    """
    failed = sum(not state.is_completed() for state in ended)
    if failed:
        raise LanesUnfinished(failed, len(ended))
    return sum(state.result() for state in ended)

"""Promises' steps: judge what has come due and show what became of it; plan the reminders of those that are near.

In:   a local business date; the ledger.
Out:  states of promises, ends of holds, planned reminders; a table and a log line of counts.
Pure: no. Judging again, or twice at once, finds the same and writes nothing twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

from prefect import get_run_logger, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE

from config.promises import promise_terms
from decisions.service_messages import PROMISE_REMINDER
from ledger import clock, promises
from ledger.engine import connection
from tasks.service_messages import plan_service

# People whose locks one transaction holds.
PAGE: Final = 256

# What each count means to operations, in the order of the table.
MEANINGS: Final[Mapping[str, str]] = {
    "kept": "paid in time, at least 90 %; the pause ends with the day that was named",
    "partial": "at least half of it was paid in time; the stage goes on",
    "broken": "not paid in time; the stage goes on",
    "plan due": "people who broke or moved several promises: a person offers a plan, the next promise gives no pause",
    "open": "their day, or the days of settlement, are not over",
    "waiting for the feed": "over, but the payment feed does not reach that far: nothing is called broken until it does",
}


@task(task_run_name="judge promises {on}", retries=2, retry_delay_seconds=[10, 60], persist_result=False, cache_policy=NO_CACHE)
def judge_promises(on: date) -> dict[str, int]:
    """Judge every promise whose time has come.

    Args:
        on: Local business date.

    Returns:
        What became of them, as `MEANINGS` names it; zeros left out.

    Raises:
        ConfigError: config/promises.yaml cannot be read.
    """
    terms = promise_terms()
    counts: Counter[str] = Counter()
    after = 0
    while True:
        with connection() as tx:
            page = promises.waiting(tx, on=on, terms=terms, after=after, at_most=PAGE)
            counts += promises.judge(tx, page, on=on, at=clock.now(tx), terms=terms)
        if len(page) < PAGE:
            break
        after = page[-1]
    get_run_logger().info("%s: %s", on.isoformat(), ", ".join(f"{count} {what}" for what, count in counts.items()) or "nothing to judge")
    create_table_artifact(
        key="promises",
        description=f"Promises to pay, as judged on {on.isoformat()}. Numbers are in config/promises.yaml.",
        table=[{"became": what, "promises": counts[what], "meaning": meaning} for what, meaning in MEANINGS.items()],
    )
    return dict(counts)


@task(task_run_name="plan reminders {on}", retries=2, retry_delay_seconds=[10, 60], persist_result=False, cache_policy=NO_CACHE)
def plan_reminders(on: date) -> int:
    """Plan one kind reminder for everybody who is waited for and whose day is near; the next `dispatch` sends them.

    Idempotent: the reminders of a day are planned once.

    Args:
        on: Local business date on which they go out.

    Returns:
        How many are planned now.

    Raises:
        ConfigError: Terms, texts or rule packs cannot be read.
    """
    terms = promise_terms()
    if terms.reminder_days_before is None:
        return 0
    due_on = on + timedelta(days=terms.reminder_days_before)
    scope = f"due-{due_on:%Y%m%d}"
    with connection() as tx:
        near = promises.to_remind(tx, due_on, at=clock.now(tx))
        planned = plan_service(tx, near, PROMISE_REMINDER, stage="promise", scope=scope, purpose="reminder", on=on)
    get_run_logger().info("%s: %d promises are due on %s, %d reminders planned", on.isoformat(), near.height, due_on.isoformat(), planned)
    return planned

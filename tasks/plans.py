"""Plans' steps: judge how each agreed plan stands; plan the words that one is agreed, and the reminders of payments that are near.

In:   a local business date; the ledger; config/affordability.yaml.
Out:  states of plans, cases, ends of holds, planned messages; a table and a log line of counts.
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

from config.affordability import plan_policy
from decisions.service_messages import PLAN_REMINDER
from ledger import clock, plan_keeping
from ledger.engine import connection
from tasks.service_messages import plan_service

# What was agreed and could not be told for so long is old news.
TOLD_FOR: Final = timedelta(days=7)
# What each count means to operations, in the order of the table.
MEANINGS: Final[Mapping[str, str]] = {
    "completed": "all of it was paid; its pause ends",
    "active": "was late, and has caught up",
    "late": "more payments are missing than may be left out: a person talks with her first (a hardship case)",
    "broken": "late for long after a person had looked; its pause ends",
    plan_keeping.FALLEN: "so much less comes in that a person looks at the plan with her (a hardship case)",
    plan_keeping.WAITING: "a payment is missing, but the payment feed does not reach that far: nothing is called late until it does",
}


@task(task_run_name="judge plans {on}", retries=2, retry_delay_seconds=[10, 60], persist_result=False, cache_policy=NO_CACHE)
def judge_plans(on: date) -> dict[str, int]:
    """Judge every plan that is agreed and not over.

    Args:
        on: Local business date.

    Returns:
        What became of how many, as `MEANINGS` names it; zeros left out.

    Raises:
        ConfigError: config/affordability.yaml cannot be read.
    """
    policy, counts = plan_policy(), Counter[str]()
    with connection() as tx:
        found = plan_keeping.under_way(tx)
    for plan_id in found:
        # One transaction a plan, so that no lock is held over many people.
        with connection() as tx:
            became = plan_keeping.judge(tx, plan_id, policy, on=on, at=clock.now(tx))
        counts.update([became] if became else [])
    get_run_logger().info("%s: %s", on.isoformat(), ", ".join(f"{count} {what}" for what, count in counts.items()) or "all as before")
    create_table_artifact(
        key="plans",
        description=f"Plans that were agreed, as judged on {on.isoformat()}. Numbers are in config/affordability.yaml.",
        table=[{"became": what, "plans": counts[what], "meaning": meaning} for what, meaning in MEANINGS.items()],
    )
    return dict(counts)


@task(task_run_name="plan messages of plans {on}", retries=2, retry_delay_seconds=[10, 60], persist_result=False, cache_policy=NO_CACHE)
def plan_plan_messages(on: date) -> dict[str, int]:
    """Plan one message to whose plan was agreed, and one kind reminder to whose next payment is near; `dispatch` sends them.

    Idempotent: those of a day are planned once.

    Args:
        on: Local business date on which they go out.

    Returns:
        `agreed` and `reminders` → how many are planned now.

    Raises:
        ConfigError: Terms, texts or rule packs cannot be read.
    """
    before = plan_policy().reminder_days_before
    with connection() as tx:
        told = plan_keeping.to_tell(tx, agreed_since=clock.now(tx) - TOLD_FOR)
        agreed = plan_service(
            tx, told, plan_keeping.AGREED, stage=plan_keeping.STAGE, scope=f"agreed-{on:%Y%m%d}", purpose="plan_confirmation", on=on
        )
    with connection() as tx:
        # Whoever hears today that it is agreed needs no reminder on the same day.
        near = plan_keeping.to_remind(tx, on + timedelta(days=before)) if before is not None else told.clear()
        near = near.join(told, on="party_id", how="anti")
        reminders = plan_service(tx, near, PLAN_REMINDER, stage=plan_keeping.STAGE, scope=f"due-{on:%Y%m%d}", purpose="reminder", on=on)
    return {"agreed": agreed, "reminders": reminders}

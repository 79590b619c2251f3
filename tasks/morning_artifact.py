"""The morning page in the Prefect UI.

In:   the ledger; the Prefect server's schedules, and how many runs it keeps.
Out:  the artifact `morning`; how the morning stood, in the ledger.
Pure: no. The page holds counts, ids and names of creditors and policies, never a person.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client

from ledger.engine import connection
from ledger.outbox import wall_clock
from tasks.morning import end_of_day, keep, read_morning
from tasks.morning_items import Urgency
from tasks.morning_page import page
from tasks.prefect_kept import Kept, kept
from tasks.schedule import Scheduled, scheduled

KEY: Final = "morning"


def ask_prefect() -> tuple[list[Scheduled], Kept]:
    """What the server will start until the end of the local day, by its own clock, and how much it keeps of what it has done."""
    with connection() as tx:
        now: datetime = wall_clock(tx)
    with get_client(sync_client=True) as client:
        return scheduled(client, since=now, until=end_of_day(now)), kept(client, now=now)


@task(task_run_name="morning", retries=2, retry_delay_seconds=[5, 30], persist_result=False, cache_policy=NO_CACHE)
def show_morning() -> int:
    """Show the page, and keep how the morning stood.

    Returns:
        How many things somebody has to do.
    """
    found = read_morning(*ask_prefect())
    create_markdown_artifact(key=KEY, markdown=page(found), description=f"What has to be done on {found.day.isoformat()}, worst first.")
    keep(found)
    to_do = [item for item in found.items if item.urgency is not Urgency.KNOW]
    get_run_logger().info(
        "%s: %d things to do, %d of them now", found.day.isoformat(), len(to_do), sum(i.urgency is Urgency.NOW for i in to_do)
    )
    return len(to_do)

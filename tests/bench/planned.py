"""A ledger in which text messages are planned and due: what `gate`, `send` and `webhooks` begin with.

Of a ledger of any size only as many borrowers are late as the benchmark writes to: what is measured is the same work in a small
ledger and in a large one.

In:   a name, how many borrowers the ledger has, how many messages have to be planned.
Out:  the run's id.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Final

from prefect.logging import disable_run_logger
from sqlalchemy import text

from config.policies import policies
from ledger import clock
from ledger.campaigns import open_run
from ledger.engine import connection
from tasks.choose import choose
from tasks.pick import pick
from tests.bench.ground import new_ledger
from tests.bench.portfolio import Wanted, fill_ledger

TODAY: Final = date(2026, 3, 17)
NOON: Final = datetime(2026, 3, 17, 4, 0, tzinfo=UTC)
# The ladder's first step is a push: who is one to three days late gets no text message yet.
SPARE: Final = 1.2


def plan_texts(name: str, *, borrowers: int, messages: int) -> int:
    """Make a ledger of borrowers of Taiwan in which at least so many text messages are planned, by the product's own pick and choose.

    Raises:
        AssertionError: The ledger has too few borrowers for that.
    """
    new_ledger(name)
    fill_ledger(
        Wanted(
            borrowers=borrowers, as_of=TODAY, paid=2, countries=("TW",), with_push=False, late_share=min(1.0, messages * SPARE / borrowers)
        )
    )
    with connection() as tx:
        clock.step(tx, NOON)
        run_id = open_run(tx, stage="early", business_date=TODAY, preview=False, borrowers_max=None, policies=policies("early"), at=NOON)
    with disable_run_logger():
        for shard in pick.fn(run_id):
            choose.fn(shard, run_id)
    with connection() as tx:
        planned = tx.execute(text("SELECT count(*) FROM attempt WHERE channel = 'sms' AND state = 'planned'")).scalar_one()
    assert planned >= messages, f"{planned} messages planned of {messages}"
    return run_id

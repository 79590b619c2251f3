"""Reconcile: attempts of unknown fate settled or noted as not listed, and that the memory for it does not grow with their number.

Every second one stands in the provider's list, whose clock stands still, so that only the list without a date shows it; the others
wait for a second look. The floor is Twilio's own SDK that reads the same list and does nothing with it.

In:   borrowers of Taiwan with a mobile number, each with one unknown attempt of the same day and sender.
Out:  one result for each of two sizes; that of the larger says how much more memory it took.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import partial
from typing import Any, Final

import aiohttp
from sqlalchemy import text
from twilio.http.async_http_client import AsyncTwilioHttpClient  # type: ignore[import-untyped]  # twilio ships no py.typed
from twilio.rest import Client  # type: ignore[import-untyped]  # as above

from config.settings import HOUSE
from gate.reconcile import reconcile
from ledger import clock, vault
from ledger.engine import connection
from tasks.reconcile import LISTS
from tests.bench.ground import address_of, apart, new_ledger, use
from tests.bench.harness import Result, by_turns
from tests.bench.portfolio import Wanted, fill_ledger

ATTEMPTS: Final = 100_000
SMALLER: Final = 10
SECONDS_MAX: Final = 600.0
POSTED_AT_ONCE: Final = 32
MEMORY_GROWS_MAX: Final = 1.5
TODAY: Final = date(2026, 3, 17)
NOON: Final = datetime(2026, 3, 17, 4, 0, tzinfo=UTC)


def run(*, scale: int) -> Iterator[Result]:
    """Measure a tenth of the size, then the size.

    Args:
        scale: Divides the number of attempts.
    """
    before: int | None = None
    for attempts in (ATTEMPTS // scale // SMALLER, ATTEMPTS // scale):
        with _sandbox() as sandbox:
            result = _measure(sandbox, attempts, before)
        before = result.more["own_peak_rss_bytes"]
        yield result


def _measure(sandbox: dict[str, str], attempts: int, memory_before: int | None) -> Result:
    name = f"bench_reconcile_{attempts}"
    sender = apart(partial(_prepare, sandbox, attempts, name))
    os.environ.update(
        {
            "TIDEOVER_TWILIO_BASE_URL": sandbox["url"],
            "TIDEOVER_TWILIO_ACCOUNT_SID": sandbox["account_sid"],
            "TIDEOVER_TWILIO_AUTH_TOKEN": sandbox["auth_token"],
        }
    )
    use(address_of(name))
    done: list[Any] = []
    own: list[int] = []

    def product() -> None:
        done.append(reconcile(LISTS))
        # Of this process alone: PostgreSQL's caches fill up with what is read, whoever reads it.
        own.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)

    sides = by_turns(
        product,
        lambda: asyncio.run(_read(sandbox, sender)),
        rounds=1,
        seconds_max=SECONDS_MAX,
        warm_up=False,
    )
    # What the list does not show waits for a second look.
    assert (done[0].settled["accepted"], done[0].parked, done[0].waiting) == (attempts // 2, 0, attempts - attempts // 2), done
    report = sides.report()
    grows = None if memory_before is None else own[0] / memory_before
    return Result(
        name="reconcile",
        size=attempts,
        **report,
        ratio=report["seconds"] / report["floor_seconds"] if grows is None else grows,
        unit="attempts",
        ratio_means="seconds ÷ floor_seconds" if grows is None else f"peak memory of our process ÷ that of a {SMALLER}th of the attempts",
        target="none" if grows is None else f"≤ {MEMORY_GROWS_MAX:g}",
        met=grows is None or grows <= MEMORY_GROWS_MAX,
        more={
            **sides.spread(),
            "own_peak_rss_bytes": own[0],
            "questions": done[0].questions,
            "attempts_per_second": attempts / report["seconds"],
        },
    )


def _prepare(sandbox: dict[str, str], attempts: int, name: str) -> str:
    """Unknown attempts in the ledger, every second one at the provider; returns the sender."""
    new_ledger(name)
    fill_ledger(Wanted(borrowers=attempts, as_of=TODAY, countries=("TW",), with_push=False))
    with connection() as tx:
        clock.step(tx, NOON)
        keys = {"attempts": attempts, "day": TODAY, "noon": NOON}
        for statement in _UNKNOWN:
            tx.execute(text(statement), keys)
        assert tx.execute(text("SELECT count(*) FROM attempt")).scalar_one() == attempts
        sender: str = tx.execute(text("SELECT senders ->> 'sms' FROM creditor")).scalar_one()
        rows = tx.execute(_MESSAGES).all()
    numbers = [(vault.decrypt(bytes(row.value_encrypted), row.key_id), str(row.token)) for row in rows]
    asyncio.run(_post(sandbox, sender, numbers))
    return sender


async def _post(sandbox: dict[str, str], sender: str, numbers: list[tuple[str, str]]) -> None:
    waiting = iter(numbers)
    address = f"{sandbox['url']}/2010-04-01/Accounts/{sandbox['account_sid']}/Messages.json"
    async with aiohttp.ClientSession(
        headers={"Authorization": aiohttp.encode_basic_auth(sandbox["account_sid"], sandbox["auth_token"])}
    ) as session:

        async def work() -> None:
            for number, token in waiting:
                form = {"To": number, "From": sender, "Body": f"Late. https://pay.lantern.example/b/{token}"}
                async with session.post(address, data=form) as answer:
                    assert answer.status == 201

        await asyncio.gather(*(work() for _ in range(POSTED_AT_ONCE)))


async def _read(sandbox: dict[str, str], sender: str) -> None:
    """Read the list, as the SDK's documentation shows it."""
    http = AsyncTwilioHttpClient()
    client = Client(sandbox["account_sid"], sandbox["auth_token"], http_client=http)
    client.api.base_url = sandbox["url"]
    try:
        async for _ in await client.messages.stream_async(from_=sender, page_size=1000):
            pass
    finally:
        await http.close()


@contextmanager
def _sandbox() -> Iterator[dict[str, str]]:
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--at", NOON.isoformat()]
    with subprocess.Popen(command, cwd=HOUSE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready: dict[str, str] = json.loads(process.stdout.readline())
            yield ready
        finally:
            process.terminate()


_UNKNOWN: Final = (
    """
    INSERT INTO campaign_run (stage, business_date, scope, state, preview, seed, opened_at)
    VALUES ('early', :day, 'all', 'open', false, 's', :noon)
    """,
    "INSERT INTO reason_set (reasons) VALUES ('{}')",
    """
    INSERT INTO decision (business_date, campaign_run_id, shard, party_id, stage, step, action, channel, contact_point_id, message, locale,
                          score, probability, reason_set_id, decided_at, facts_known_at)
    SELECT :day, r.id, 0, k.party_id, 'early', 1, 'contact', 'sms', k.id, 'early_reminder', 'zh-Hant', 1, 1.0, s.id, :noon, :noon
    FROM campaign_run r, reason_set s,
         (SELECT party_id, min(id) AS id FROM contact_point WHERE kind = 'mobile' GROUP BY party_id ORDER BY party_id LIMIT :attempts) k
    """,
    """
    INSERT INTO attempt (business_date, decision_id, campaign_run_id, party_id, contact_point_id, stage, step, try_number, channel, purpose,
                         message, locale, state, token, send_after, expires_at, claim_id, call_deadline, submitted_at, provider, error_code)
    SELECT business_date, id, campaign_run_id, party_id, contact_point_id, stage, step, 1, channel, 'collection', message, locale, 'unknown',
           gen_random_uuid(), :noon, CAST(:noon AS timestamptz) + interval '8 hours', gen_random_uuid(),
           clock_timestamp() - interval '10 minutes', :noon, 'twilio', '20500'
    FROM decision
    """,
    "ANALYZE",
)
_MESSAGES: Final = text("""
    SELECT a.token, v.value_encrypted, v.key_id
    FROM attempt a JOIN contact_point_version v ON v.contact_point_id = a.contact_point_id AND v.superseded_at IS NULL
    WHERE a.id % 2 = 0 ORDER BY a.id
""")

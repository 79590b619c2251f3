"""Send: messages a second from planned attempts to receipts in the ledger, through gate, SDK and ledger.

The floor is Twilio's own asynchronous SDK with its own client, as its documentation shows it, against the same sandbox
process with the same number of calls at once and the same latency: it knows no rules, keeps no record, and sends texts that
stand ready in memory.

No callbacks: the sandbox's clock stands still, so it reports nothing while this is measured. Rates are set so high that
they never hold a message back. The sandbox is a process of its own and shares the machine's cores with both sides; its CPU
time and memory are not counted.

WhatsApp is measured as text messages are: the same attempts, made WhatsApp's after they were planned, to people who all wrote lately,
so that the gate looks each of them up.

In:   a number of borrowers of Taiwan, all with a mobile number, some thousand of them late enough for a text message, at an hour when all
      may be written to.
Out:  a result for each number of calls in flight; its `ratio` is our messages a second by the SDK's, `cpu_ratio` our CPU time by its.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from statistics import median
from typing import Final

from sqlalchemy import text
from twilio.http.async_http_client import AsyncTwilioHttpClient  # type: ignore[import-untyped]  # twilio ships no py.typed
from twilio.rest import Client  # type: ignore[import-untyped]  # as above

from channels.registry import WAYS, openers
from config.message_files import message_texts
from config.settings import HOUSE, settings
from decisions.messages import Texts
from gate import lane
from gate.lane import LaneReport, run_lane
from ledger import vault
from ledger.engine import connection
from tests.bench.ground import address_of, apart, new_ledger, use
from tests.bench.harness import Result, by_turns
from tests.bench.planned import NOON, SPARE, plan_texts

MESSAGES: Final = 5_000
# Fewer would measure how a lane begins and ends, not how it sends: a shard has 5,000 borrowers and more.
ROUNDS: Final = 3
SECONDS_MAX: Final = 180.0
# Name of the result → channel, calls in flight.
NAMES: Final = {"send": ("sms", 64), "send-256": ("sms", 256), "send-whatsapp": ("whatsapp", 64)}
SENDER: Final = "+15005550006"
LATENCY_MS: Final = 80
TARGET: Final = 0.9
CPU_TARGET: Final = 2.0
PLANNED: Final = "bench_send_planned"
PUBLIC_URL: Final = "http://127.0.0.1:9"
BODY: Final = "您好,您 3 月 1 日的款項尚未繳納。如已繳款,請不必理會。 https://pay.lantern.example"


@dataclass(frozen=True, slots=True)
class Planned:
    """What is to be sent: the shards of a run, one for each round, and the same numbers for the floor."""

    run_id: int
    shards: list[int]
    numbers: list[str]


def at(size: int) -> Iterator[Result]:
    """Measure in a ledger of so many borrowers."""
    messages = min(MESSAGES, int(size / SPARE) // (ROUNDS + 1))
    run_id = apart(partial(plan_texts, PLANNED, borrowers=size, messages=messages * (ROUNDS + 1)))
    for name, (channel, concurrency) in NAMES.items():
        with _sandbox() as sandbox:
            yield _measure(sandbox, size, messages, run_id, name, channel, concurrency)


def _measure(sandbox: dict[str, str], size: int, messages: int, run_id: int, name: str, channel: str, concurrency: int) -> Result:
    planned = apart(partial(_cut, messages, run_id, channel))
    _settings(sandbox, channel, concurrency)
    texts = _texts(channel)
    # The lane reads the texts of the files; those of the files say nothing on a channel that is only measured here.
    vars(lane)["message_texts"] = lambda: texts
    reports: list[LaneReport] = []
    shards = iter(planned.shards)

    def product() -> None:
        reports.append(run_lane(planned.run_id, shard=next(shards), channels={channel: openers()[channel]}))

    def floor() -> None:
        asyncio.run(_stock(sandbox, planned.numbers, channel, concurrency))

    sides = by_turns(product, floor, rounds=ROUNDS, seconds_max=SECONDS_MAX)
    assert all(report.accepted == messages for report in reports), "every message was taken"
    ratio = sides.report()["floor_seconds"] / sides.report()["seconds"]
    cpu_ratio = sides.report()["cpu_seconds"] / sides.spread()["floor_cpu_seconds"]
    phases = {phase: median(report.seconds[phase] for report in reports[1:]) for phase in reports[0].seconds}
    return Result(
        name=name,
        size=size,
        **sides.report(),
        ratio=ratio,
        unit="borrowers",
        ratio_means="messages a second ÷ the stock SDK's = floor_seconds ÷ seconds",
        target=f"≥ {TARGET:g}, at ≤ {CPU_TARGET:g} × its CPU time",
        met=ratio >= TARGET and cpu_ratio <= CPU_TARGET,
        more={
            **sides.spread(),
            "items": messages,
            "item": "messages",
            "messages_per_second": messages / sides.report()["seconds"],
            "floor_messages_per_second": messages / sides.report()["floor_seconds"],
            "latency_ms": LATENCY_MS,
            "concurrency": concurrency,
            "cpu_ratio": cpu_ratio,
            "phase_seconds": {phase: float(f"{seconds:.3g}") for phase, seconds in phases.items()},
        },
    )


def _cut(messages: int, run_id: int, channel: str) -> Planned:
    """One shard for each round and one for the warm-up, in a copy of the ledger."""
    rounds = ROUNDS + 1
    new_ledger("bench_send", like=PLANNED)
    shards, numbers = _shards_of(run_id, messages, rounds), _numbers(run_id, messages)
    if channel != "sms":
        _move_to(channel, run_id)
    return Planned(run_id, shards, numbers)


def _move_to(channel: str, run_id: int) -> None:
    """Make the planned text messages another channel's, of people who agreed to it and wrote an hour ago."""
    keys = {"run": run_id, "channel": channel, "sender": SENDER, "at": NOON - timedelta(hours=1)}
    with connection() as tx:
        for statement in _MOVE:
            tx.execute(statement, keys)


def _texts(channel: str) -> Texts:
    """The product's texts; where one has no words for the channel it says what its text message says."""
    texts = message_texts()
    by_key = {
        key: one if one.says(channel) or not one.says("sms") else replace(one, words={**one.words, channel: one.words["sms"]})
        for key, one in texts.by_key.items()
    }
    return replace(texts, by_key=by_key)


def _shards_of(run_id: int, messages: int, rounds: int) -> list[int]:
    """Cut the run's borrowers again, so that each shard has as many planned attempts as a round sends."""
    with connection() as tx:
        tx.execute(text("DELETE FROM campaign_shard WHERE campaign_run_id = :run"), {"run": run_id})
        shards = tx.execute(_SHARDS, {"run": run_id, "messages": messages, "rounds": rounds}).all()
    assert sorted(shard.borrowers for shard in shards) == [messages] * rounds, "enough borrowers are written to"
    return [int(shard.shard) for shard in shards]


def _numbers(run_id: int, messages: int) -> list[str]:
    with connection() as tx:
        rows = tx.execute(_NUMBERS, {"run": run_id, "messages": messages}).all()
    return [vault.decrypt(bytes(row.value_encrypted), row.key_id) for row in rows]


def _settings(sandbox: dict[str, str], channel: str, concurrency: int) -> None:
    os.environ.update(
        {
            "TIDEOVER_TWILIO_BASE_URL": sandbox["url"],
            "TIDEOVER_TWILIO_ACCOUNT_SID": sandbox["account_sid"],
            "TIDEOVER_TWILIO_AUTH_TOKEN": sandbox["auth_token"],
            "TIDEOVER_PUBLIC_URL": PUBLIC_URL,
            f"TIDEOVER_{channel.upper()}_CONCURRENCY": str(concurrency),
            f"TIDEOVER_{channel.upper()}_PER_SECOND": "100000",
        }
    )
    use(address_of("bench_send"))
    assert WAYS[channel].concurrency(settings()) == concurrency


async def _stock(sandbox: dict[str, str], numbers: list[str], channel: str, concurrency: int) -> None:
    """Send by the SDK alone: so many workers, each of which makes one call after the other."""
    prefix = "" if channel == "sms" else f"{channel}:"
    http = AsyncTwilioHttpClient()
    client = Client(sandbox["account_sid"], sandbox["auth_token"], http_client=http)
    client.api.base_url = sandbox["url"]
    waiting = iter(enumerate(numbers))

    async def work() -> None:
        for serial, number in waiting:
            await client.messages.create_async(
                to=f"{prefix}{number}",
                from_=f"{prefix}{SENDER}",
                body=BODY,
                validity_period=3600,
                status_callback=f"{PUBLIC_URL}/webhooks/twilio/status/{serial:032}",
            )

    try:
        await asyncio.gather(*(work() for _ in range(concurrency)))
    finally:
        await http.close()


@contextmanager
def _sandbox() -> Iterator[dict[str, str]]:
    """The sandbox with a latency, its clock standing at noon."""
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--at", NOON.isoformat(), "--latency-ms", str(LATENCY_MS)]
    with subprocess.Popen(command, cwd=HOUSE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready: dict[str, str] = json.loads(process.stdout.readline())
            yield ready
        finally:
            process.terminate()


_SHARDS: Final = text("""
    INSERT INTO campaign_shard (campaign_run_id, shard, first_party_id, last_party_id, borrowers, planned, withheld, decided_at)
    SELECT :run, part, min(party_id), max(party_id), count(*), count(*), 0, now()
    FROM (
        SELECT party_id, (row_number() OVER (ORDER BY party_id) - 1) / :messages AS part
        FROM attempt WHERE campaign_run_id = :run AND channel = 'sms'
    ) numbered
    WHERE part < :rounds GROUP BY part ORDER BY part
    RETURNING shard, borrowers
""")
_MOVE: Final = (
    text("UPDATE creditor SET senders = senders || jsonb_build_object(CAST(:channel AS text), CAST(:sender AS text))"),
    text("""
        INSERT INTO consent (party_id, channel, given_to, at, effective_at, source)
        SELECT DISTINCT party_id, :channel, 'creditor', CAST(:at AS timestamptz), CAST(:at AS timestamptz), 'bench'
        FROM attempt WHERE campaign_run_id = :run AND channel = 'sms'
    """),
    text("""
        WITH one AS (
            INSERT INTO provider_event (provider, provider_id, kind, status, at, times_received)
            SELECT 'twilio', 'SM' || a.id, 'inbound', 'received', :at, 1
            FROM attempt a WHERE a.campaign_run_id = :run AND a.channel = 'sms' RETURNING id, provider_id
        )
        INSERT INTO person_wrote (provider_event_id, sender, channel, blind_index, at)
        SELECT o.id, :sender, :channel, v.blind_index, :at
        FROM one o JOIN attempt a ON 'SM' || a.id = o.provider_id AND a.campaign_run_id = :run
        JOIN contact_point_version v ON v.contact_point_id = a.contact_point_id AND v.superseded_at IS NULL
    """),
    text("UPDATE attempt SET channel = :channel WHERE campaign_run_id = :run AND channel = 'sms'"),
    text("ANALYZE person_wrote"),
)
_NUMBERS: Final = text("""
    SELECT v.value_encrypted, v.key_id
    FROM attempt a JOIN contact_point_version v ON v.contact_point_id = a.contact_point_id AND v.superseded_at IS NULL
    WHERE a.campaign_run_id = :run ORDER BY a.party_id LIMIT :messages
""")

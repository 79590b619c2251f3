"""Webhooks: signed status callbacks a second, from the first call to the last attempt that has moved.

The portal runs as in production, a process for each core, and shares the machine with the client that calls it: the client
has its calls signed and ready in memory, keeps its connections open and speaks bare HTTP, so that it costs little. Every
message is spoken of twice, `sent` and `delivered`, in any order. Applied means: kept, and the attempt moved.

The floor is the same server with an application that reads a call's body and answers, and does nothing else.

In:   a number of borrowers of Taiwan, some thousand of whom were sent a text message each.
Out:  one result. Its `ratio` is callbacks a second by 1,500; besides, how long an answer takes at half that rate, measured
      from the moment at which a call was due, so that a slow answer does not hide the ones behind it.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha1
from itertools import count
from statistics import median, quantiles
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from sqlalchemy import text

from config.settings import HOUSE
from ledger.engine import connection
from tests.bench.ground import address_of, apart, use
from tests.bench.harness import Result, Sample, by_turns, measured
from tests.bench.planned import NOON, SPARE, plan_texts

CALLBACKS: Final = 20_000
ROUNDS: Final = 3
SECONDS_MAX: Final = 240.0
TARGET_PER_SECOND: Final = 1_500
ANSWER_MS_MAX: Final = 50.0
# At half the rate, so long.
STEADY_SECONDS: Final = 8
CONNECTIONS: Final = 64
WORKERS: Final = max(1, len(os.sched_getaffinity(0)))
STATUSES: Final = ("sent", "delivered")
START_SECONDS_MAX: Final = 60
APPLY_SECONDS_MAX: Final = 60
TOKEN: Final = "auth-token-of-nobody"  # noqa: S105  # made up
PUBLIC: Final = "https://hooks.lantern.example"


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that a provider took."""

    token: UUID
    provider_id: str


def at(size: int) -> Iterator[Result]:
    """Measure in a ledger of so many borrowers."""
    most = int(size / SPARE) * len(STATUSES)
    steady = min(STEADY_SECONDS * TARGET_PER_SECOND // 2, most // 3)
    callbacks = min(CALLBACKS, (most - steady) // (ROUNDS + 1))
    sent = apart(partial(_send, size, (callbacks * (ROUNDS + 1) + steady) // len(STATUSES)))
    use(address_of("bench_webhooks"))
    with server("portal.app:app") as portal, server("tests.bench.webhooks:answers") as bare:
        yield _measure(portal, bare, sent, size, callbacks, steady)


async def answers(scope: dict[str, object], receive: object, send: object) -> None:
    """The floor: an application that reads a body and says 204."""
    if scope["type"] != "http":
        return
    assert callable(receive)
    assert callable(send)
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def _measure(portal: int, bare: int, sent: Sequence[Sent], size: int, callbacks: int, steady: int) -> Result:
    calls = [_call(one, status) for one in sent for status in STATUSES]
    rounds = [calls[number * callbacks : (number + 1) * callbacks] for number in range(ROUNDS + 1)]
    waiting, applied = iter(rounds), count(callbacks, callbacks)

    def product() -> None:
        asyncio.run(_flood(portal, next(waiting)))
        _until_applied(next(applied))

    sides = by_turns(product, lambda: asyncio.run(_flood(bare, rounds[0])), rounds=ROUNDS, seconds_max=SECONDS_MAX)
    seconds = sides.report()["seconds"]
    done = len(sides.product) + 1
    at_half = calls[done * callbacks : done * callbacks + steady]
    samples: list[Sample] = []
    with measured(samples):
        latencies = asyncio.run(_pace(portal, at_half, per_second=TARGET_PER_SECOND / 2))
    _until_applied(done * callbacks + len(at_half))
    p99_ms = quantiles(latencies, n=100)[98] * 1000
    per_second = callbacks / seconds
    return Result(
        name="webhooks",
        size=size,
        **sides.report(),
        ratio=per_second / TARGET_PER_SECOND,
        unit="borrowers",
        ratio_means=f"callbacks applied a second ÷ {TARGET_PER_SECOND}",
        target=f"≥ 1, and p99 of the answer at {TARGET_PER_SECOND // 2} a second ≤ {ANSWER_MS_MAX:g} ms",
        met=per_second >= TARGET_PER_SECOND and p99_ms <= ANSWER_MS_MAX,
        more={
            **sides.spread(),
            "items": callbacks,
            "item": "callbacks",
            "callbacks_per_second": per_second,
            "floor_callbacks_per_second": callbacks / sides.report()["floor_seconds"],
            "answer_p50_ms": median(latencies) * 1000,
            "answer_p99_ms": p99_ms,
            "answer_max_ms": max(latencies) * 1000,
            "answers_measured": len(latencies),
            "cpu_seconds_at_half": samples[0].cpu_seconds,
            "workers": WORKERS,
            "connections": CONNECTIONS,
        },
    )


def _send(borrowers: int, messages: int) -> list[Sent]:
    """Plan by the product's own pick and choose, and leave the attempts as the gate leaves what a provider took."""
    prepare("bench_webhooks", borrowers, messages)
    with connection() as tx:
        rows = tx.execute(text("SELECT token, provider_id FROM attempt WHERE state = 'accepted' ORDER BY id LIMIT :n"), {"n": messages})
        found = [Sent(row.token, row.provider_id) for row in rows]
    assert len(found) == messages, "enough borrowers are written to"
    return found


def prepare(name: str, borrowers: int, messages: int | None = None) -> None:
    """Make a ledger of so many borrowers of Taiwan, at least `messages` of whom were sent a text message; by default whoever can be."""
    run_id = plan_texts(name, borrowers=borrowers, messages=int(borrowers / SPARE) if messages is None else messages)
    with connection() as tx:
        for statement in _TAKEN:
            tx.execute(text(statement), {"run": run_id, "at": NOON})


def _call(sent: Sent, status: str) -> bytes:
    """A status callback as Twilio makes it: signed, with the fields that it carries."""
    path = f"/webhooks/twilio/status/{sent.token}"
    fields = {
        "AccountSid": "AC" + "0" * 32,
        "ApiVersion": "2010-04-01",
        "From": "+15005550006",
        "MessageSid": sent.provider_id,
        "MessageStatus": status,
        "SmsSid": sent.provider_id,
        "SmsStatus": status,
        "To": "+886912345678",
    }
    said = f"{PUBLIC}{path}" + "".join(name + value for name, value in sorted(fields.items()))
    signature = base64.b64encode(hmac.digest(TOKEN.encode(), said.encode(), sha1)).decode()
    body = urlencode(fields)
    return (
        f"POST {path} HTTP/1.1\r\nHost: hooks.lantern.example\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"X-Twilio-Signature: {signature}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


async def _flood(port: int, calls: Sequence[bytes]) -> None:
    """As fast as so many connections are answered."""
    waiting = iter(calls)

    async def speak() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for call in waiting:
            await _said(reader, writer, call)
        writer.close()

    await asyncio.gather(*(speak() for _ in range(CONNECTIONS)))


async def _pace(port: int, calls: Sequence[bytes], *, per_second: float) -> list[float]:
    """At a steady rate, whatever the answers take; seconds from when each call was due to its answer."""
    began = time.perf_counter()
    waiting = iter(enumerate(calls))
    latencies: list[float] = []

    async def speak() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number, call in waiting:
            due = began + number / per_second
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            await _said(reader, writer, call)
            latencies.append(time.perf_counter() - due)
        writer.close()

    await asyncio.gather(*(speak() for _ in range(CONNECTIONS)))
    return latencies


async def _said(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, call: bytes) -> None:
    writer.write(call)
    answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 204"), answer[:20]


def _until_applied(callbacks: int) -> None:
    """Wait until so many callbacks have been applied since the beginning; every one has moved its attempt or come late."""
    deadline = time.monotonic() + APPLY_SECONDS_MAX
    while time.monotonic() < deadline:
        with connection() as tx:
            if tx.execute(_APPLIED).scalar_one() >= callbacks:
                return
        time.sleep(0.02)
    raise AssertionError("not all callbacks were applied")


@contextmanager
def server(application: str) -> Iterator[int]:
    """Serve an application with a process for each core; yields its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [sys.executable, "-m", "uvicorn", application, "--port", str(port), "--workers", str(WORKERS)]
    environment = {**os.environ, "TIDEOVER_TWILIO_AUTH_TOKEN": TOKEN, "TIDEOVER_PUBLIC_URL": PUBLIC, "TIDEOVER_DATABASE_PREPARES": "yes"}
    quiet = ["--log-level", "warning", "--no-access-log"]
    with subprocess.Popen([*command, *quiet], cwd=HOUSE, env=environment) as process:
        try:
            deadline = time.monotonic() + START_SECONDS_MAX
            while time.monotonic() < deadline and process.poll() is None:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            # Both processes listen on one socket: what the first does not take, the second does, once it is up.
            time.sleep(2)
            yield port
        finally:
            process.terminate()


_APPLIED: Final = text("SELECT count(*) FROM provider_event WHERE effect IN ('applied', 'late')")
_TAKEN: Final = (
    """UPDATE attempt SET state = 'accepted', provider = 'twilio', provider_id = 'SM' || replace(CAST(token AS text), '-', ''),
           submitted_at = :at, claim_id = token, call_deadline = :at
       WHERE campaign_run_id = :run AND channel = 'sms'""",
    """INSERT INTO attempt_transition (business_date, attempt_id, from_state, to_state, cause, at)
       SELECT business_date, id, 'planned', 'submitting', 'bench', :at FROM attempt WHERE campaign_run_id = :run AND state = 'accepted'""",
    """INSERT INTO contact_event (business_date, party_id, at, channel, direction, contact_point_id, counterparty, purpose, result,
                                  attempt_business_date, attempt_id, counts, source)
       SELECT business_date, party_id, :at, channel, 'outbound', contact_point_id, 'borrower', purpose, 'sent', business_date, id, true,
              'gate'
       FROM attempt WHERE campaign_run_id = :run AND state = 'accepted'""",
    # An inbox as it is on any day but the first: of a table that was seen empty the server keeps a plan for an empty one.
    """INSERT INTO provider_event (provider, provider_id, kind, status, at, times_received, applied_at, effect)
       SELECT 'twilio', 'SMbefore' || n, 'status', 'delivered', :at, 1, :at, 'before' FROM generate_series(1, 10000 + 0 * :run) n""",
    "ANALYZE",
)

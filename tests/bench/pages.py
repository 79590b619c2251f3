"""The borrower's page: how long an answer takes at 100 requests a second, the load client on the same machine.

The portal runs as in production, a process for each core. People look at what they owe, at who contacted them, at the page behind a link
and at a form, and send one: a thousand of them, of whom nothing is remembered between two looks. The client has its requests ready and
asks at a steady rate, whatever the answers take; an answer's time runs from the moment at which its request was due.

The floor is the same server with an application that says 204, asked in the same way.

In:   borrowers of Taiwan with an instalment that is late, each of whom was sent a text message; a thousand open pages.
Out:  one result. Its `ratio` is 100 ms by the 95th percentile; beside it the percentiles of each kind of page.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median, quantiles
from typing import Final
from urllib.parse import urlencode
from uuid import uuid4

from sqlalchemy import text

from ledger import browser_secrets
from ledger.engine import connection
from portal.pages import BASE, SESSION_COOKIE, guard_of
from tests.bench.ground import address_of, apart, use
from tests.bench.harness import Result, Sample, measured
from tests.bench.webhooks import CONNECTIONS, WORKERS, prepare, server

BORROWERS: Final = 100_000
# Enough of them for the rest to be written to.
SPARE: Final = 1.2
PEOPLE: Final = 1_000
PER_SECOND: Final = 100
SECONDS: Final = 30
WARM_SECONDS: Final = 5
TARGET_MS: Final = 100.0
# Of a hundred requests; one in ten says something.
MIX: Final = {"account": 40, "door": 20, "contacts": 20, "form": 10, "sent": 10}
NAME: Final = "bench_pages"


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody whose page is open."""

    secret: str
    token: str


def run(*, scale: int) -> Iterator[Result]:
    """Measure.

    Args:
        scale: Divides the number of borrowers.
    """
    borrowers = BORROWERS // scale
    readers = apart(partial(_open_pages, borrowers))
    use(address_of(NAME))
    with server("portal.app:app") as portal, server("tests.bench.webhooks:answers") as bare:
        yield _measure(portal, bare, readers, borrowers)


def _measure(portal: int, bare: int, readers: Sequence[Reader], borrowers: int) -> Result:
    draw = random.Random(1)  # noqa: S311  # the same mix in every run
    asyncio.run(_pace(portal, _requests(readers, draw, WARM_SECONDS)))
    floor = asyncio.run(_pace(bare, _requests(readers, draw, WARM_SECONDS)))
    samples: list[Sample] = []
    with measured(samples):
        answered = asyncio.run(_pace(portal, _requests(readers, draw, SECONDS)))
    assert not (wrong := Counter(status for _, _, status in answered if status not in {200, 303})), wrong
    taken = [seconds for _, seconds, _ in answered]
    by_kind: defaultdict[str, list[float]] = defaultdict(list)
    for kind, seconds, _ in answered:
        by_kind[kind].append(seconds)
    p95_ms = _percentile(taken, 95)
    return Result(
        name="pages",
        size=borrowers,
        seconds=samples[0].seconds,
        cpu_seconds=samples[0].cpu_seconds,
        floor_seconds=SECONDS,
        ratio=TARGET_MS / p95_ms,
        peak_rss_bytes=samples[0].peak_rss_bytes,
        unit="borrowers",
        ratio_means=f"{TARGET_MS:g} ms ÷ p95 of an answer at {PER_SECOND} requests a second",
        target="≥ 1",
        met=p95_ms <= TARGET_MS,
        more={
            "p50_ms": median(taken) * 1000,
            "p95_ms": p95_ms,
            "p99_ms": _percentile(taken, 99),
            "max_ms": max(taken) * 1000,
            "floor_p95_ms": _percentile([seconds for _, seconds, _ in floor], 95),
            "p95_ms_of": {kind: round(_percentile(some, 95), 1) for kind, some in sorted(by_kind.items())},
            "requests": len(taken),
            "cpu_ms_a_request": samples[0].cpu_seconds * 1000 / len(taken),
            "workers": WORKERS,
            "connections": CONNECTIONS,
        },
    )


def _percentile(taken: Sequence[float], percent: int) -> float:
    return quantiles(taken, n=100)[percent - 1] * 1000


def _open_pages(borrowers: int) -> list[Reader]:
    """As many borrowers, all written to; a thousand of them have their page open."""
    prepare(NAME, borrowers)
    secrets = [browser_secrets.draw() for _ in range(min(PEOPLE, borrowers // 2))]
    with connection() as tx:
        rows = tx.execute(_OPEN, {"hashes": [browser_secrets.hash_of(one) for one in secrets], "n": len(secrets)}).all()
        tx.execute(text("ANALYZE"))
    assert len(rows) == len(secrets), "enough borrowers are written to"
    return [Reader(secret=secrets[row.place - 1], token=str(row.token)) for row in rows]


def _requests(readers: Sequence[Reader], draw: random.Random, seconds: int) -> list[tuple[str, bytes]]:
    """A steady mix: kind and request."""
    kinds = draw.choices(list(MIX), weights=list(MIX.values()), k=PER_SECOND * seconds)
    return [(kind, _request(kind, draw.choice(readers))) for kind in kinds]


def _request(kind: str, reader: Reader) -> bytes:
    path = {
        "account": "account", "contacts": "contacts", "door": reader.token, "form": "do/more_time", "sent": "do/more_time",
    }[kind]  # fmt: skip
    head = f"Host: pay.lantern.example\r\nCookie: {SESSION_COOKIE}={reader.secret}\r\nAccept-Language: zh-TW\r\n"
    if kind != "sent":
        return f"GET {BASE}/{path} HTTP/1.1\r\n{head}\r\n".encode()
    body = urlencode({"guard": guard_of(reader.secret), "once": str(uuid4()), "reason": "下個月才有錢"})
    kept = f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n"
    return f"POST {BASE}/{path} HTTP/1.1\r\n{head}{kept}\r\n{body}".encode()


async def _pace(port: int, requests: Sequence[tuple[str, bytes]]) -> list[tuple[str, float, int]]:
    """Ask at a steady rate, whatever the answers take; kind, seconds from when each was due to its last byte, status."""
    began = time.perf_counter()
    waiting = iter(enumerate(requests))
    answered: list[tuple[str, float, int]] = []

    async def speak() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number, (kind, request) in waiting:
            due = began + number / PER_SECOND
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            writer.write(request)
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = next((int(line.partition(":")[2]) for line in head.splitlines() if line.startswith("content-length:")), 0)
            await reader.readexactly(length)
            answered.append((kind, time.perf_counter() - due, int(head.split()[1])))
        writer.close()

    await asyncio.gather(*(speak() for _ in range(CONNECTIONS)))
    return answered


_OPEN: Final = text("""
    WITH chosen AS (
        SELECT a.business_date, a.id, a.party_id, a.token, row_number() OVER (ORDER BY md5(a.id::text)) AS place
        FROM attempt a WHERE a.state = 'accepted' ORDER BY md5(a.id::text) LIMIT :n
    ), opened AS (
        INSERT INTO page_session (party_id, secret_hash, link_business_date, link_attempt_id)
        SELECT s.party_id, h.hash, s.business_date, s.id
        FROM chosen s JOIN unnest(CAST(:hashes AS bytea[])) WITH ORDINALITY AS h(hash, place) ON h.place = s.place
    )
    SELECT place, token FROM chosen ORDER BY place
""")

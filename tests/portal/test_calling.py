"""Danger that somebody wrote is told to Prefect's server by the portal itself, once, whatever becomes of the server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import pytest
from sqlalchemy import text

from gate import danger
from ledger import inbox
from ledger.answers import handled
from ledger.engine import connection
from ledger.inbox import Said
from portal.calling import LOOKS_BACK, Calling
from portal.webhooks import vocabulary
from tests.plugins.portfolio import Portfolio, noon

NUMBER = "+12125550167"


class AwayError(RuntimeError):
    """The server cannot be reached."""


class Server:
    """Hears of answers; or is away."""

    def __init__(self) -> None:
        self.told: list[int] = []
        self.is_away = False
        self.asked = asyncio.Event()

    async def tell(self, answers: Sequence[int]) -> None:
        self.asked.set()
        if self.is_away:
            raise AwayError
        self.told += answers


def write(*texts: str) -> list[int]:
    """Somebody writes; the ids of the dangers, the oldest first."""
    with connection() as tx:
        known = tx.execute(text("SELECT count(*) FROM provider_event")).scalar_one()
    said = [
        Said(
            provider="twilio",
            provider_id=f"SM{known + number}",
            kind="inbound",
            status="received",
            token=None,
            error_code=None,
            fields={"From": NUMBER, "To": "+15005550006", "Body": body},
        )
        for number, body in enumerate(texts)
    ]
    inbox.receive(said, vocabulary())
    with connection() as tx:
        return list(tx.execute(text("SELECT id FROM outcome WHERE intent = 'danger' ORDER BY id")).scalars())


async def heard(calling: Calling, server: Server) -> None:
    """Let it hear, and wait until it has told or has nothing to tell."""
    server.asked.clear()
    calling.hear()
    with suppress(TimeoutError):
        async with asyncio.timeout(5):
            await server.asked.wait()
    await asyncio.sleep(0)


def test_danger_is_told_once_and_a_server_that_is_away_harms_nothing(portfolio: Portfolio) -> None:
    portfolio.clock(noon("US"))
    portfolio.borrower(number=NUMBER)
    (first,) = write("I want to die")
    server = Server()

    async def day() -> None:
        calling = Calling(server.tell)
        work = asyncio.create_task(calling.run())
        await heard(calling, server)
        assert server.told == [first]
        server.is_away = True
        second = (await asyncio.to_thread(write, "hello?", "my husband beats me"))[-1]
        await heard(calling, server)
        assert server.told == [first]
        server.is_away = False
        await heard(calling, server)
        assert server.told == [first, second]
        assert not work.done()
        work.cancel()

    asyncio.run(day())
    with connection() as tx:
        assert handled(tx, first, by="anna", done="called", at=noon("US"))
    assert first not in danger.waiting(within=LOOKS_BACK)


def test_what_is_told_names_an_answer_and_nobody() -> None:
    assert danger.resource(7) == {"prefect.resource.id": "tideover.answer.7", "prefect.resource.name": "answer 7"}


def test_without_a_server_the_portal_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PREFECT_API_URL", "TIDEOVER_PREFECT_API_URL"):
        monkeypatch.delenv(name, raising=False)

    async def some_time() -> None:
        work = asyncio.create_task(Calling().run())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not work.done()
        work.cancel()

    asyncio.run(some_time())

"""The portal: `uvicorn portal.app:app`. Webhooks today, pages and desks later.

In:   HTTP.
Out:  HTTP; and, while it runs, every row that was kept in the inbox and not applied is applied (ledger/inbox.py).
Pure: no.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from fastapi import FastAPI, Request, Response, status
from sqlalchemy.exc import SQLAlchemyError

from config.settings import settings
from ledger import inbox
from ledger.engine import connection
from portal import webhooks
from portal.receiver import NotKeptError, Receiver

_log = logging.getLogger(__name__)

# How long something may wait that a crash or a database out of reach left unapplied.
HEALING_SECONDS: Final = 15.0


@asynccontextmanager
async def living(portal: FastAPI) -> AsyncIterator[None]:
    """Receive what is said, and apply what waits in the inbox now and again, as long as the portal runs."""
    vocabulary = webhooks.vocabulary()
    portal.state.receiver = Receiver(vocabulary)

    async def heal() -> None:
        while True:
            with suppress(SQLAlchemyError):  # out of reach: next time
                await asyncio.to_thread(inbox.apply_waiting, vocabulary)
            await asyncio.sleep(HEALING_SECONDS)

    tasks = [asyncio.create_task(portal.state.receiver.run()), asyncio.create_task(heal())]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


app = FastAPI(title="tideover portal", docs_url=None, redoc_url=None, openapi_url=None, lifespan=living)
app.include_router(webhooks.router)


@app.exception_handler(NotKeptError)
async def say_not_kept(_: Request, error: NotKeptError) -> Response:
    """Whoever spoke is told that nobody heard; Twilio keeps a list of such calls."""
    _log.error("a webhook was refused: %s", error)
    return Response(status_code=status.HTTP_503_SERVICE_UNAVAILABLE)


@app.get("/health")
def health() -> dict[str, str | int]:
    """Whether the ledger is within reach, in which mode this runs, and how much waits in the inbox."""
    with connection() as tx:
        waiting = inbox.counts_waiting(tx)
    return {"status": "ok", "mode": settings().mode, "inbox_waiting": waiting}

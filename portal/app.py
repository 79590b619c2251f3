"""The portal: `uvicorn portal.app:app`. Webhooks today, pages and desks later.

In:   HTTP.
Out:  HTTP; and, while it runs, every row that was kept in the inbox and not applied is applied (ledger/inbox.py).
Pure: no.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from fastapi import FastAPI
from sqlalchemy.exc import SQLAlchemyError

from config.settings import settings
from ledger import inbox
from ledger.engine import connection
from portal import webhooks

# How long something may wait that a crash or a database out of reach left unapplied.
HEALING_SECONDS: Final = 15.0


@asynccontextmanager
async def healing(_: FastAPI) -> AsyncIterator[None]:
    """Apply what waits in the inbox, now and again, as long as the portal runs."""
    vocabulary = webhooks.vocabulary()

    async def heal() -> None:
        while True:
            with suppress(SQLAlchemyError):  # out of reach: next time
                await asyncio.to_thread(inbox.apply_waiting, vocabulary)
            await asyncio.sleep(HEALING_SECONDS)

    healer = asyncio.create_task(heal())
    yield
    healer.cancel()
    with suppress(asyncio.CancelledError):
        await healer


app = FastAPI(title="tideover portal", docs_url=None, redoc_url=None, openapi_url=None, lifespan=healing)
app.include_router(webhooks.router)


@app.get("/health")
def health() -> dict[str, str | int]:
    """Whether the ledger is within reach, in which mode this runs, and how much waits in the inbox."""
    with connection() as tx:
        waiting = inbox.counts_waiting(tx)
    return {"status": "ok", "mode": settings().mode, "inbox_waiting": waiting}

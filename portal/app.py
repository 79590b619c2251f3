"""The portal: `uvicorn portal.app:app`. Webhooks, the borrower's page, the staff's desks.

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

from config.log_lines import use_json
from config.settings import settings
from ledger import inbox
from portal import (
    account,
    acts,
    delivering,
    door,
    lender_webhooks,
    my_cases,
    my_data,
    my_needs,
    my_wishes,
    papers,
    paying,
    plans,
    reads,
    unsubscribe,
    watch,
    webhooks,
)
from portal.answering import Answering
from portal.calling import Calling
from portal.desk import rooms
from portal.limits import Limits
from portal.receiver import Receiver

# How long something may wait that a crash or a database out of reach left unapplied.
HEALING_SECONDS: Final = 15.0


@asynccontextmanager
async def living(portal: FastAPI) -> AsyncIterator[None]:
    """Receive what is said, and apply what waits in the inbox now and again, as long as the portal runs."""
    if settings().log == "json":
        use_json()
    vocabulary = webhooks.vocabulary()
    answering, calling = Answering(), Calling()

    def hear() -> None:
        answering.hear()
        calling.hear()

    portal.state.limits = Limits()
    portal.state.receiver = Receiver(vocabulary, on_message=hear)

    async def heal() -> None:
        while True:
            with suppress(SQLAlchemyError):  # out of reach: next time
                if await asyncio.to_thread(inbox.apply_waiting, vocabulary):
                    hear()
            await asyncio.sleep(HEALING_SECONDS)

    # portal/watch.py looks at them: a portal that hears and applies nothing must not look well.
    portal.state.works = {
        "receiver": asyncio.create_task(portal.state.receiver.run()),
        "healer": asyncio.create_task(heal()),
        "answering": asyncio.create_task(answering.run()),
        "calling": asyncio.create_task(calling.run()),
        "delivering": asyncio.create_task(delivering.run()),
    }
    yield
    for work in portal.state.works.values():
        work.cancel()
    await asyncio.gather(*portal.state.works.values(), return_exceptions=True)


app = FastAPI(title="tideover portal", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False, lifespan=living)
# First, so that nothing is tried before them.
app.router.routes[:0] = [
    *webhooks.routes,
    *lender_webhooks.routes,
    *unsubscribe.routes,
    *account.routes,
    *acts.routes,
    *my_cases.routes,
    *papers.routes,
    *my_data.routes,
    *paying.routes,
    *plans.routes,
    *my_needs.routes,
    *my_wishes.routes,
    *reads.routes,
    *door.routes,
    *rooms.routes,
]
# The menu of the desks (portal/desk/frame.py).
app.state.rooms = rooms.ROOMS

app.include_router(watch.router)

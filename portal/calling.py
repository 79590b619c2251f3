"""Calling a person at once: the moment somebody's danger is heard and kept, Prefect's server is told, and its automation tells people.

It runs beside the webhooks, after the commit that stopped all contact: whatever becomes of it, no webhook fails or waits. What
cannot be told now, `dispatch` tells within minutes.

In:   a word that somebody wrote.
Out:  an event for each answer of danger that this process has not told yet: ids only.
Pure: no; a task of the portal, which lives as long as it.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Final

from config.settings import settings
from gate import danger

_log = logging.getLogger(__name__)

# A portal that begins looks back so far: one that was killed may have heard and not told.
LOOKS_BACK: Final = timedelta(minutes=15)
TELLING_SECONDS_MAX: Final = 10.0

Tell = Callable[[Sequence[int]], Awaitable[None]]


class Calling:
    """One for each portal."""

    def __init__(self, tell: Tell | None = None) -> None:
        """Look once when it starts.

        Args:
            tell: Tells Prefect's server of answers; None = the server that the settings name, or nobody where they name none.
        """
        self._tell = tell
        self._heard = asyncio.Event()
        self._heard.set()
        self._told: list[int] = []

    def hear(self) -> None:
        """Somebody wrote, and it is applied."""
        self._heard.set()

    async def run(self) -> None:
        """Tell, whenever somebody has written of danger, until cancelled. Without a Prefect server only `dispatch` tells."""
        tell = self._tell or await to_prefect()
        while True:
            await self._heard.wait()
            self._heard.clear()
            if tell is None:
                continue
            try:
                waiting = await asyncio.to_thread(danger.waiting, within=LOOKS_BACK, besides=self._told)
                if waiting:
                    async with asyncio.timeout(TELLING_SECONDS_MAX):
                        await tell(waiting)
            except Exception as error:  # noqa: BLE001  # a ledger or a server that is away: dispatch tells
                # The class alone: a database's error repeats the values of its statement.
                _log.error("danger is told by dispatch (%s)", type(error).__name__)
                continue
            self._told = [*self._told, *waiting][-danger.AT_ONCE_MAX :]


async def to_prefect() -> Tell | None:
    """Tells the server that the settings name; Prefect is loaded before anybody is in danger, and where there is a server only."""
    address = settings().prefect_api_url
    if not address:
        _log.warning("no PREFECT_API_URL: danger is told by dispatch alone")
        return None
    clients = await asyncio.to_thread(importlib.import_module, "prefect.events.clients")
    schemas = await asyncio.to_thread(importlib.import_module, "prefect.events.schemas.events")

    async def tell(answers: Sequence[int]) -> None:
        # Each is confirmed by the server before the next; a connection that fails is not tried for minutes.
        async with clients.PrefectEventsClient(address, reconnection_attempts=0, checkpoint_every=1) as client:
            for answer in answers:
                await client.emit(
                    schemas.Event(event=danger.PERSON_NEEDED, resource=schemas.Resource.model_validate(danger.resource(answer)), payload={})
                )

    return tell

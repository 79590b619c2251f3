"""An ear for a gateway's statuses, while `tideover gateway check` plays: a small server that believes only what is signed.

In:   POSTs of the gateway that is checked.
Out:  what it told, by key.
Pure: no; listens where the operator says. The portal's own door is portal/webhooks.py.
Source: docs/gateway.md, "Statuses".
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import defaultdict
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from channels.signatures import SIGNATURE_HEADER, SigningKeys, is_signed


class Ear:
    """Hears statuses.

    Attributes:
        url: The address that the gateway is told.
        heard: Key → what was told of it, in the order in which it came.
        refused: How many were not signed as they should be, or say nothing.
    """

    def __init__(self, url: str, keys: SigningKeys) -> None:
        """Deaf until it is opened."""
        self.url = url
        self.heard: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self.refused = 0
        self._keys = keys
        self._more = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def open(self, host: str, port: int) -> None:
        """Listen. With port 0 any free one, which then stands in `url` for `{port}`.

        Raises:
            OSError: The address is taken, or not of this machine.
        """
        app = web.Application()
        app.router.add_post("/{rest:.*}", self._hear)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        self.url = self.url.replace("{port}", str(self._runner.addresses[0][1]))

    async def more(self, seconds: float) -> None:
        """Wait until something more is told, or the time is over."""
        self._more.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._more.wait(), max(0.0, seconds))

    async def close(self) -> None:
        """Listen no more."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _hear(self, request: web.Request) -> web.Response:
        body = await request.read()
        # Signed is the address as the gateway was told it, whatever a proxy made of it.
        parts = urlsplit(self.url)
        genuine = is_signed(
            self._keys,
            method="POST",
            target=parts.path + (f"?{parts.query}" if parts.query else ""),
            body=body,
            signature=request.headers.get(SIGNATURE_HEADER),
            at_seconds=time.time(),
        )
        try:
            said = json.loads(body) if genuine else None
        except ValueError:
            said = None
        if not isinstance(said, dict) or not isinstance(said.get("key"), str) or "status" not in said:
            self.refused += 1
            return web.Response(status=400 if genuine else 401)
        self.heard[said["key"]].append(said)
        self._more.set()
        return web.Response(status=204)

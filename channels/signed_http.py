"""The HTTP client to what is the lender's own (gateway, core system, wallet): bounded in time, open to one host, every request signed.

It never retries, never follows a redirect, asks no proxy of the environment and writes no log: what passes is personal.

In:   a path, a query or a body.
Out:  an `Answer`: status, headers, and the JSON object where there is one.
Pure: no; talks to the lender's systems, or to the sandbox on loopback.
Source: docs/gateway.md, docs/core.md, docs/wallet.md; docs/adr/0043.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from channels import Mode, allow_host
from channels.signatures import SIGNATURE_HEADER, sign_request
from config.signing_keys import read_signing_keys

CONNECT_SECONDS_MAX: Final = 3.0
# A page of a thousand messages is far below this.
ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back.

    Attributes:
        status: Of HTTP.
        headers: Case-insensitive.
        value: The JSON object of the body; None where there is none, or it is something else. It may be personal.
    """

    status: int
    headers: CIMultiDict[str]
    value: Mapping[str, Any] | None = field(repr=False)

    @property
    def code(self) -> str | None:
        """The other side's word for an error; None where it gave none that can be read."""
        error = None if self.value is None else self.value.get("error")
        code = error.get("code") if isinstance(error, dict) else None
        return code if isinstance(code, str) and code.isidentifier() else None


class SignedHttp:
    """One session for the life of whoever has it, bound to the loop of its first request."""

    def __init__(self, base_url: str, keys: str, *, mode: Mode, connections_max: int, seconds_max: float) -> None:
        """Prepare; connects with the first request.

        Args:
            base_url: Where it is, without `/v1`.
            keys: `KEYID:SECRET` pairs; the first signs.
            mode: Of the settings: the sandbox is on loopback, and nothing else is.
            connections_max: At once.
            seconds_max: For each call.

        Raises:
            ForbiddenHost: Its address is not one of this mode.
        """
        self._base, self._mode = base_url, mode
        # The lender's own host is what the settings say it is: what is guarded is that nothing leads anywhere else.
        self._host = urlsplit(base_url).hostname or ""
        self._keys = read_signing_keys(keys)
        self._connections_max, self._seconds_max = connections_max, seconds_max
        self._session: aiohttp.ClientSession | None = None
        allow_host(base_url, self._host, mode=mode)

    async def ask(self, path_and_query: str) -> Answer:
        """Ask a question, which changes nothing.

        Raises:
            aiohttp.ClientError, TimeoutError: As the transport found it.
        """
        return await self._request("GET", path_and_query, b"", lambda: None)

    async def tell(self, path: str, value: Mapping[str, Any], *, at_last: Callable[[], None] = lambda: None) -> Answer:
        """Ask for something to be done.

        Args:
            path: Behind the base.
            value: The JSON object of the body.
            at_last: Called when nothing but the call itself is left; what it raises stops the call.

        Raises:
            aiohttp.ClientError, TimeoutError: As the transport found it.
        """
        return await self._request("POST", path, json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(), at_last)

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _request(self, method: str, path_and_query: str, body: bytes, at_last: Callable[[], None]) -> Answer:
        url = allow_host(self._base + path_and_query, self._host, mode=self._mode)
        parts = urlsplit(url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        signature = sign_request(self._keys, method=method, target=target, body=body, at_seconds=time.time())
        session = self._session or self._open()
        at_last()
        headers = {SIGNATURE_HEADER: signature, **({"Content-Type": "application/json"} if body else {})}
        # As written: it was signed as written.
        async with session.request(method, URL(url, encoded=True), data=body or None, headers=headers, allow_redirects=False) as response:
            return Answer(status=response.status, headers=CIMultiDict(response.headers), value=await _object(response))

    def _open(self) -> aiohttp.ClientSession:
        """A session; made inside the loop that calls, as aiohttp wants it."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections_max),
            timeout=aiohttp.ClientTimeout(total=self._seconds_max, connect=min(CONNECT_SECONDS_MAX, self._seconds_max)),
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self._session


async def _object(response: aiohttp.ClientResponse) -> Mapping[str, Any] | None:
    """The body as a JSON object; None where it is none, is too long, or breaks off: the status alone then says what it can."""
    try:
        body = await response.content.read(ANSWER_BYTES_MAX)
        while not response.content.at_eof() and len(body) < ANSWER_BYTES_MAX:
            body += await response.content.read(ANSWER_BYTES_MAX - len(body))
        value = json.loads(body)
    except (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None

"""The HTTP client to a lender's own gateway: one session, bounded in time, open to one host, every request signed.

It never retries, never follows a redirect, asks no proxy of the environment and writes no log: what passes is personal.

In:   a path, a query or a body.
Out:  an `Answer`: status, headers, and the JSON object where there is one.
Pure: no; talks to the gateway, or to the sandbox on loopback.
Source: docs/gateway.md; PROVIDERS.md, "Ceiling and recipe".
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from channels import AccountHalted, NoPermit, Permit, allow_host
from channels.signatures import GATEWAY_HEADER, sign_for_gateway
from config.gateway_keys import read_gateway_keys
from config.settings import Settings

CONNECT_SECONDS_MAX: Final = 3.0
# A page of a thousand messages is far below this.
ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024


class NoGatewayError(AccountHalted):
    """A creditor's sender goes through the gateway, and TIDEOVER_GATEWAY_BASE_URL is not set."""

    def __init__(self) -> None:
        super().__init__(code="gateway_base_url_not_set")


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
        """The gateway's word for an error; None where it gave none that can be read."""
        error = None if self.value is None else self.value.get("error")
        code = error.get("code") if isinstance(error, dict) else None
        return code if isinstance(code, str) and code.isidentifier() else None


class GatewayHttp:
    """One session for the life of a channel or a list, bound to the loop of its first request."""

    def __init__(self, settings: Settings) -> None:
        """Prepare; connects with the first request.

        Raises:
            NoGatewayError: The settings name none.
            ForbiddenHost: Its address is not one of this mode.
        """
        if not settings.gateway_base_url:
            raise NoGatewayError
        self._base, self._mode = settings.gateway_base_url, settings.mode
        # The lender's own host is what the settings say it is: what is guarded is that nothing leads anywhere else.
        self._host = urlsplit(self._base).hostname or ""
        self._keys = read_gateway_keys(settings.gateway_keys.get_secret_value())
        self._connections_max, self._seconds_max = settings.gateway_concurrency, settings.call_seconds_max
        self._session: aiohttp.ClientSession | None = None
        allow_host(self._base, self._host, mode=self._mode)

    async def ask(self, path_and_query: str) -> Answer:
        """Ask a question, which reaches no person.

        Raises:
            aiohttp.ClientError, TimeoutError: As the transport found it.
        """
        return await self._request("GET", path_and_query, b"", None)

    async def post(self, path: str, value: Mapping[str, Any], permit: Permit | None) -> Answer:
        """Ask for something to be done to a person.

        Raises:
            NoPermit: Nobody gave leave.
            PermitExpired, NotMarked: Nor is it any that holds.
            aiohttp.ClientError, TimeoutError: As the transport found it.
        """
        if permit is None:
            raise NoPermit
        body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        return await self._request("POST", path, body, permit)

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _request(self, method: str, path_and_query: str, body: bytes, permit: Permit | None) -> Answer:
        url = allow_host(self._base + path_and_query, self._host, mode=self._mode)
        parts = urlsplit(url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        signature = sign_for_gateway(self._keys, method=method, target=target, body=body, at_seconds=time.time())
        session = self._session or self._open()
        if permit is not None:
            permit.refuse_if_not_marked()
            permit.refuse_if_late()
        headers = {GATEWAY_HEADER: signature, **({"Content-Type": "application/json"} if body else {})}
        # As written: it was signed as written.
        async with session.request(method, URL(url, encoded=True), data=body or None, headers=headers, allow_redirects=False) as response:
            return Answer(status=response.status, headers=CIMultiDict(response.headers), value=await _object(response))

    def _open(self) -> aiohttp.ClientSession:
        """A session; made inside the loop that sends, as aiohttp wants it."""
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

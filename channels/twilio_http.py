"""The HTTP client under twilio's own asynchronous client: one session, bounded in time, open to one host.

The SDK's client ignores its time-out, caps connections at 100, loses the response's headers and follows proxies of the
environment; this one does not. It never retries, never follows a redirect and writes no log: what passes is personal.

In:   requests as twilio's `Client` makes them.
Out:  twilio `Response` values; the headers also land in the call's own `Exchange`.
Pure: no; talks to the provider.
Source: PROVIDERS.md A1, A2 and "Ceiling and recipe".
"""

from __future__ import annotations

import base64
import logging
import re
from contextvars import ContextVar
from dataclasses import dataclass, field
from urllib.parse import urlencode

import aiohttp
from multidict import CIMultiDict
from twilio.http import AsyncHttpClient  # type: ignore[import-untyped]  # twilio ships no py.typed
from twilio.http.response import Response  # type: ignore[import-untyped]  # as above
from twilio.rest import Client  # type: ignore[import-untyped]  # as above

from channels import Mode, NoPermit, Permit, allow_host
from channels.codes import HTTP_REFUSED, HTTP_SERVER_ERROR
from config.settings import Settings

TWILIO_HOST = "api.twilio.com"
CONNECT_SECONDS_MAX = 3.0
_MESSAGING_SERVICE = re.compile(r"MG[0-9a-f]{32}")


@dataclass(slots=True)
class Exchange:
    """One call on the wire: the permit it is made on, and what came back.

    Attributes:
        permit: Checked as the last thing before the request leaves; None for a question that reaches no person.
        status: HTTP status, None while nothing came back.
        headers: Response headers, case-insensitive.
    """

    permit: Permit | None
    status: int | None = None
    headers: CIMultiDict[str] = field(default_factory=CIMultiDict)


# Set by the channel around one SDK call; each asyncio task has its own.
exchange_now: ContextVar[Exchange] = ContextVar("exchange_now")


class TwilioHttp(AsyncHttpClient):  # type: ignore[misc]  # twilio ships no types
    """One session for the life of a channel, bound to the loop of its first request."""

    def __init__(self, *, mode: Mode, connections_max: int, call_seconds_max: float) -> None:
        super().__init__(logging.getLogger(__name__), is_async=True, timeout=call_seconds_max)
        self._mode = mode
        self._connections_max = connections_max
        self._session: aiohttp.ClientSession | None = None

    async def request(
        self,
        method: str,
        uri: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # the SDK's signature; the session's own time-out holds
        allow_redirects: bool = False,  # noqa: FBT001, FBT002  # as above
    ) -> Response:
        """Make one request, once.

        Raises:
            ForbiddenHost: The address is not the one of this mode.
            PermitExpired: Too late to call.
            NoPermit: Without one only questions may be asked.
            aiohttp.ClientError, TimeoutError: As the transport found it.
        """
        del timeout, allow_redirects  # a redirect would carry a person's number to a host that nobody allowed
        url = allow_host(uri, TWILIO_HOST, mode=self._mode)
        own_headers = {**(headers or {}), **_authorization(auth)}
        session = self._session or self._open()
        exchange = exchange_now.get()
        if exchange.permit is not None:
            exchange.permit.refuse_if_not_marked()
            exchange.permit.refuse_if_late()
        elif method.upper() != "GET":
            raise NoPermit
        async with session.request(
            method,
            url,
            params=_query(params),
            data=urlencode(data, doseq=True).encode() if data else None,
            headers=own_headers,
            allow_redirects=False,
        ) as response:
            exchange.status = response.status
            exchange.headers = CIMultiDict(response.headers)
            return Response(response.status, await _text(response), response.headers)

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        """A session; made inside the loop that sends, as aiohttp wants it."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections_max),
            timeout=aiohttp.ClientTimeout(total=self.timeout, connect=min(CONNECT_SECONDS_MAX, self.timeout)),
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self._session


def _authorization(auth: tuple[str, str] | None) -> dict[str, str]:
    if auth is None:
        return {}
    return {"Authorization": "Basic " + base64.b64encode(f"{auth[0]}:{auth[1]}".encode()).decode()}


def _query(params: dict[str, object] | None) -> list[tuple[str, str]] | None:
    """Query parameters as pairs; the SDK leaves out what was not given by a value that is no text."""
    return [(name, str(value)) for name, value in params.items() if value is not None] if params else None


async def _text(response: aiohttp.ClientResponse) -> str:
    """The body; empty where a refusal's body breaks off, since its status alone already says that it is one."""
    try:
        return await response.text(errors="replace")
    except aiohttp.ClientPayloadError:
        if HTTP_REFUSED <= response.status < HTTP_SERVER_ERROR:
            return ""
        raise


def open_client(settings: Settings, *, connections_max: int | None = None) -> tuple[Client, TwilioHttp]:
    """Twilio's own client for the account of the settings, and the HTTP client under it, which its owner closes.

    Args:
        settings: Account and mode.
        connections_max: Connections at once; None = as many as text messages may be in flight.

    Raises:
        ForbiddenHost: `TIDEOVER_TWILIO_BASE_URL` is not a host of this mode.
    """
    allow_host(settings.twilio_base_url, TWILIO_HOST, mode=settings.mode)
    http = TwilioHttp(
        mode=settings.mode, connections_max=connections_max or settings.sms_concurrency, call_seconds_max=settings.call_seconds_max
    )
    # A non-empty environment of our own: with an empty one the SDK reads the process's, where TWILIO_EDGE and
    # TWILIO_REGION would rewrite the address.
    client = Client(settings.twilio_account_sid, settings.twilio_auth_token.get_secret_value(), http_client=http, environment={"_": ""})
    client.api.base_url = settings.twilio_base_url
    return client, http


def is_messaging_service(sender: str) -> bool:
    """Whether a sender is a messaging service, which chooses the number itself."""
    return _MESSAGING_SERVICE.fullmatch(sender) is not None

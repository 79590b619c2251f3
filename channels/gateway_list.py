"""Asking a lender's gateway what became of messages: by the key of one, or by time.

A question reaches no person, needs no permit and may be asked again.

In:   an attempt's token, or a time.
Out:  what the gateway holds; None where it says that it took no message under that key; or one `ChannelError`: nothing was learned.
Pure: no; talks to the gateway, or to the sandbox on loopback.
Source: docs/gateway.md, "Ask" and "List".
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

import aiohttp
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from channels import AccountHalted, ChannelError, ForbiddenHost, TryLater
from channels.codes import GATEWAY_RETRY_SECONDS, IN_PROGRESS, UNKNOWN_KEY, gateway_refusal, state_of
from channels.gateway import PROVIDER, is_id, segments_of
from channels.gateway_http import Answer, GatewayHttp
from channels.listed import Listed
from channels.signatures import SIGNATURE_SECONDS_MAX
from config.settings import Settings

PAGE_SIZE: Final = 1_000
OK: Final = 200
NOT_FOUND: Final = 404
QUESTIONS_MAX: Final = 4
REST_SECONDS_MAX: Final = 8.0


class GatewayList:
    """What a gateway holds; opened once in the loop that asks.

    Attributes:
        proof_after: So long after a call's deadline no request for it can be taken any more, whichever clock is ahead.
    """

    provider = PROVIDER
    page_size = PAGE_SIZE
    proof_after = timedelta(seconds=2 * SIGNATURE_SECONDS_MAX)

    def __init__(self, settings: Settings) -> None:
        """Prepare the client; connects with the first question.

        Raises:
            NoGatewayError: The settings name none.
            ForbiddenHost: Its address is not one of this mode.
        """
        self._http = GatewayHttp(settings)

    async def about(self, key: UUID) -> Listed | None:
        """What became of one message; None = the gateway says that it took none under this key.

        Raises:
            ChannelError: Nothing was learned; `in_progress` where it is at it just now.
        """
        answer = await self._ask(f"/v1/messages/{key}")
        if answer.status == NOT_FOUND:
            return None
        found = _listed(answer.value)
        if found.key != key:
            raise _unreadable()
        return found

    async def taken(self, *, since: datetime, until: datetime) -> AsyncGenerator[list[Listed], None]:
        """What was taken in [since, until), page by page, oldest first.

        Raises:
            ChannelError: Nothing more was learned.
        """
        cursor: str | None = None
        seen: set[str] = set()
        while True:
            where = {"since": since.isoformat(), "until": until.isoformat(), "limit": str(PAGE_SIZE)}
            answer = await self._ask("/v1/messages?" + urlencode(where if cursor is None else {**where, "cursor": cursor}))
            messages = (answer.value or {}).get("messages")
            cursor = (answer.value or {}).get("next")
            if not isinstance(messages, list) or not (cursor is None or (isinstance(cursor, str) and cursor not in seen)):
                raise _unreadable()
            yield [_listed(one) for one in messages]
            if cursor is None:
                return
            # A list that leads back to where it was would never end.
            seen.add(cursor)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.close()

    async def _ask(self, path_and_query: str) -> Answer:
        """Ask, a few times where that can help."""
        again = AsyncRetrying(
            stop=stop_after_attempt(QUESTIONS_MAX),
            wait=wait_random_exponential(multiplier=0.2, max=REST_SECONDS_MAX),
            retry=retry_if_exception(lambda error: isinstance(error, TryLater) and error.code != IN_PROGRESS),
            reraise=True,
        )
        return await again(self._answered, path_and_query)

    async def _answered(self, path_and_query: str) -> Answer:
        """The answer, or what stood in its way, without anything in it that was asked."""
        try:
            answer = await self._http.ask(path_and_query)
        except ForbiddenHost as error:
            trouble: ChannelError = AccountHalted(code=type(error).__name__)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            trouble = TryLater(code=type(error).__name__, retry_after_seconds=GATEWAY_RETRY_SECONDS)
        else:
            # Any other 404 is a wrong address or a proxy's: it says nothing about a message.
            if (answer.status == OK and answer.value is not None) or (answer.status == NOT_FOUND and answer.code == UNKNOWN_KEY):
                return answer
            trouble = _trouble(answer)
        raise trouble


def _trouble(answer: Answer) -> ChannelError:
    refusal = gateway_refusal(status=answer.status, code=answer.code, headers=answer.headers)
    if isinstance(refusal, AccountHalted):
        return refusal
    return TryLater(code=refusal.code, retry_after_seconds=GATEWAY_RETRY_SECONDS)


def _unreadable() -> ChannelError:
    return TryLater(code="unreadable_answer", retry_after_seconds=GATEWAY_RETRY_SECONDS)


def _listed(message: Any) -> Listed:
    """A gateway's line.

    Raises:
        ChannelError: It cannot be read: then the list proves nothing.
    """
    given: Mapping[str, Any] = message if isinstance(message, dict) else {}
    try:
        key, taken_at = UUID(str(given.get("key"))), datetime.fromisoformat(str(given.get("taken_at")))
    except ValueError:
        raise _unreadable() from None
    error = given.get("error")
    if not is_id(given.get("id")) or state_of(PROVIDER, str(given.get("status"))) is None or taken_at.tzinfo is None:
        raise _unreadable()
    return Listed(
        provider_id=str(given["id"]),
        status=str(given["status"]),
        error_code=error if isinstance(error, str) and error.isidentifier() else None,
        segments=segments_of(given),
        created_at=taken_at,
        to="",
        body="",
        key=key,
        channel=carrier if isinstance(carrier := given.get("carrier"), str) else None,
    )

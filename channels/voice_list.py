"""Asking Twilio what became of calls: its list, by recipient or by sender and time.

A call has no text, and Twilio gives back neither the callback's address nor that of its words: which of ours it is follows from
its number and its time alone (gate/matching.py).

In:   a number, or a sender and a time.
Out:  what the list shows, page by page; or one `ChannelError`: nothing was learned.
Pure: no; talks to Twilio, or to the sandbox on loopback.
Source: PROVIDERS.md A4, A8: a call that waits or rings has no `start_time` yet and is missing from a list by time.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Any

from twilio.rest.api.v2010.account.call import CallInstance  # type: ignore[import-untyped]  # twilio ships no py.typed

from channels.codes import call_status
from channels.listed import Listed
from channels.questions import ask
from channels.sms_list import OURS, PAGE_SIZE
from channels.twilio_http import open_client
from config.settings import Settings


class VoiceList:
    """Twilio's list of calls; opened once in the loop that asks."""

    provider = "twilio"
    page_size = PAGE_SIZE

    def __init__(self, settings: Settings) -> None:
        """Prepare the client; connects with the first question.

        Raises:
            ForbiddenHost: `TIDEOVER_TWILIO_BASE_URL` is not a host of this mode.
        """
        self._client, self._http = open_client(settings)

    def to(self, number: str, /) -> AsyncGenerator[list[Listed], None]:
        """Whenever one number was called, page by page: also what waits."""
        return self._pages(to=number)

    def sent(self, *, since: datetime, until: datetime, sender: str | None = None) -> AsyncGenerator[list[Listed], None]:
        """What one sender, or all, called in [since, until], page by page."""
        where = {} if sender is None else {"from_": sender}
        return self._pages(**where, start_time_after=since, start_time_before=until)

    def newest(self) -> AsyncGenerator[list[Listed], None]:
        """What was called or will be, newest first, page by page; the caller stops when it is old enough."""
        return self._pages()

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.close()

    async def _pages(self, **where: Any) -> AsyncGenerator[list[Listed], None]:
        page = await ask(lambda: self._client.calls.page_async(page_size=PAGE_SIZE, **where))
        while page is not None:
            # Who called us, and what Twilio dialled besides, is in the same list.
            yield [_listed(record) for record in page if str(record.direction) == OURS]
            page = await ask(page.next_page_async)


def _listed(record: CallInstance) -> Listed:
    return Listed(
        provider_id=str(record.sid),
        status=call_status(str(record.status), record.answered_by),
        error_code=None,
        segments=None,
        created_at=record.date_created,
        to=str(record.to),
        body="",
        textless=True,
    )

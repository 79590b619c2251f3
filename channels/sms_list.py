"""Asking Twilio what became of messages: its list, by recipient or by sender and time; of one channel of it at a time.

A question reaches no person, needs no permit and may be asked again. Twilio does not give back the callback's address, but
the text stands there, with the attempt's token in its link.

In:   a number, or a sender and a time.
Out:  what the list shows, page by page; or one `ChannelError`: nothing was learned.
Pure: no; talks to Twilio, or to the sandbox on loopback.
Source: PROVIDERS.md A3 (list), A8: a message that waits in Twilio's queue has no `date_sent` yet and is missing from a list by date.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Any, Final

from twilio.rest.api.v2010.account.message import MessageInstance  # type: ignore[import-untyped]  # twilio ships no py.typed

from channels import sms
from channels.listed import Listed
from channels.questions import ask
from channels.twilio_http import is_messaging_service, open_client
from channels.twilio_messages import Dialect
from config.settings import Settings

# Twilio's own maximum.
PAGE_SIZE: Final = 1_000
# The direction of what was sent because we asked for it.
OURS: Final = "outbound-api"


class MessageList:
    """Twilio's list of messages, of one channel; opened once in the loop that asks."""

    provider = "twilio"
    page_size = PAGE_SIZE

    def __init__(self, settings: Settings, dialect: Dialect) -> None:
        """Prepare the client; connects with the first question.

        Args:
            settings: Account and mode.
            dialect: Of the channel: the list holds the messages of all.

        Raises:
            ForbiddenHost: `TIDEOVER_TWILIO_BASE_URL` is not a host of this mode.
        """
        self._dialect = dialect
        self._client, self._http = open_client(settings)

    def to(self, number: str) -> AsyncGenerator[list[Listed], None]:
        """What was sent to one number, whenever, page by page: also what waits to be sent."""
        return self._pages(to=self._dialect.address(number))

    def sent(self, *, since: datetime, until: datetime, sender: str | None = None) -> AsyncGenerator[list[Listed], None]:
        """What one sender, or all, sent in [since, until], page by page; all too where a messaging service chooses the number."""
        return self._pages(**self._from(sender), date_sent_after=since, date_sent_before=until)

    def newest(self) -> AsyncGenerator[list[Listed], None]:
        """What was sent or will be, newest first, page by page; the caller stops when it is old enough."""
        return self._pages()

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.close()

    async def _pages(self, **where: Any) -> AsyncGenerator[list[Listed], None]:
        page = await ask(lambda: self._client.messages.page_async(page_size=PAGE_SIZE, **where))
        while page is not None:
            # The list holds what people wrote to us too, what Twilio answered them by itself, and what went by other channels.
            yield [_listed(record, self._dialect) for record in page if self._is_ours(record)]
            page = await ask(page.next_page_async)

    def _is_ours(self, record: MessageInstance) -> bool:
        return str(record.direction) == OURS and self._dialect.is_mine(str(record.to))

    def _from(self, sender: str | None) -> dict[str, str]:
        """The list's filter for a sender; a messaging service's own number is not known, so there is none."""
        return {} if sender is None or is_messaging_service(sender) else {"from_": self._dialect.address(sender)}


class SmsList(MessageList):
    """The list of text messages."""

    def __init__(self, settings: Settings) -> None:
        """Prepare the client; connects with the first question.

        Raises:
            ForbiddenHost: `TIDEOVER_TWILIO_BASE_URL` is not a host of this mode.
        """
        super().__init__(settings, sms.DIALECT)


def _listed(record: MessageInstance, dialect: Dialect) -> Listed:
    segments = str(record.num_segments)
    return Listed(
        provider_id=str(record.sid),
        status=str(record.status),
        error_code=None if record.error_code is None else str(record.error_code),
        segments=int(segments) if segments.isdecimal() and int(segments) else None,
        created_at=record.date_created,
        to=dialect.bare(str(record.to)),
        body=record.body or "",
    )

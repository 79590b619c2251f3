"""What a provider's list shows of what it took from us: how reconcile and audit ask, whoever the provider is.

A question reaches no person, needs no permit and may be asked again.

In:   nothing.
Out:  `Listed`, and the protocol of whatever lists it.
Pure: values only.
Source: PROVIDERS.md A3 (list), A8.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A message of ours as its provider shows it. What is personal in it is never shown.

    Attributes:
        provider_id: The provider's id.
        status: In the provider's words.
        error_code: The provider's, where it gave one.
        segments: None where they are not counted yet, or there are none.
        created_at: When the provider took it.
        to: The address; empty where the provider does not show it.
        body: The text as the provider got it; empty where it was redacted.
        key: The attempt's token, where the provider was given it as a key and shows it.
        channel: Where the provider carries several and says which.
        textless: There never was a text: it is a call.
    """

    provider_id: str
    status: str
    error_code: str | None
    segments: int | None
    created_at: datetime | None
    to: str = field(repr=False)
    body: str = field(repr=False)
    key: UUID | None = None
    channel: str | None = None
    textless: bool = False


class ProviderList(Protocol):
    """A provider that can be asked what it took; opened once in the loop that asks.

    Attributes:
        provider: Who is asked.
        page_size: Messages on a page.
    """

    provider: str
    page_size: int

    def to(self, address: str, /) -> AsyncGenerator[list[Listed], None]:
        """What was sent to one address, page by page: also what waits to be sent."""
        ...

    def sent(self, *, since: datetime, until: datetime, sender: str | None = None) -> AsyncGenerator[list[Listed], None]:
        """What one sender, or all, sent in [since, until], page by page."""
        ...

    def newest(self) -> AsyncGenerator[list[Listed], None]:
        """What was sent or will be, newest first, page by page."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


@runtime_checkable
class KeyedList(Protocol):
    """A provider that was given a key with each message and answers for one; opened once in the loop that asks.

    Attributes:
        provider: Who is asked.
        page_size: Messages on a page of its list.
        proof_after: So long after a call's deadline no request for it can be taken any more.
    """

    provider: str
    page_size: int
    proof_after: timedelta

    async def about(self, key: UUID, /) -> Listed | None:
        """What became of one message; None = the provider says that it took none under this key."""
        ...

    def taken(self, *, since: datetime, until: datetime) -> AsyncGenerator[list[Listed], None]:
        """What was taken in [since, until), whatever became of it, page by page."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...

"""Channels: how a message reaches a person. One file per channel, one protocol, real provider SDKs.

In:   a `Message` and a `Permit` that only the gate makes.
Out:  a `Receipt`: the provider took it and gave it an id; or one of the `ChannelError` family, which says what is
      known of the message's fate. Nothing here retries: only the gate knows whether a second call is allowed.
Pure: no; talks to providers.
Source: PROVIDERS.md A7 and B3 for the classes of errors.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, Protocol, TypeAlias
from urllib.parse import urlsplit

from config.settings import LOOPBACK_HOSTS

PERMIT_SECONDS_MAX = 5
Mode: TypeAlias = Literal["sandbox", "allowlist", "live"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """Leave to make one call, made by the gate after it committed its intention; valid for seconds.

    Attributes:
        attempt_id: The attempt that is `submitting`.
        issued_at: Wall clock of the commit, UTC.
        call_deadline: Wall clock after which no call may be made.
        called_at: The ledger's mark that the call is about to be made; None = it bears none yet, and no call may be made.
        rules: Ids of the rules that were checked.
        packs: Pack name → version hash.
    """

    attempt_id: int
    issued_at: datetime
    call_deadline: datetime
    called_at: datetime | None
    rules: tuple[str, ...]
    packs: tuple[tuple[str, str], ...]

    def refuse_if_late(self) -> None:
        """Raise when the permit's time is over.

        Raises:
            PermitExpired: No call may be made on it any more.
        """
        moment = datetime.now(UTC)
        if moment >= self.call_deadline or (moment - self.issued_at).total_seconds() > PERMIT_SECONDS_MAX:
            raise PermitExpired(attempt_id=self.attempt_id)

    def refuse_if_not_marked(self) -> None:
        """Raise when the ledger does not say that this call is about to be made.

        Raises:
            NotMarked: Nobody would know of the call.
        """
        if self.called_at is None:
            raise NotMarked(attempt_id=self.attempt_id)

    def refuse_if_foreign(self, message: Message) -> None:
        """Raise when the permit is not this message's.

        Raises:
            ForeignPermit: It is leave for another attempt.
        """
        if message.attempt_id != self.attempt_id:
            raise ForeignPermit(attempt_id=self.attempt_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Where a letter goes and where it comes back to; personal, never logged.

    Attributes:
        to: Lines as the post reads them: the name first, abroad the country last.
        sender: Lines of the sender's address, the creditor's name first.
        country: Where it goes (ISO 3166-1).
        is_abroad: It crosses a border.
    """

    to: tuple[str, ...] = field(repr=False)
    sender: tuple[str, ...]
    country: str
    is_abroad: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is to be said to one contact point.

    Attributes:
        attempt_id: The attempt that it belongs to; a permit is for one attempt.
        to: Number (E.164), push token, or whatever the channel addresses people by; personal, never logged.
        sender: The lender's sender id, number or messaging service.
        title: Heading where the channel has one, else empty.
        body: Text as the person reads it, or hears it.
        token: The attempt's random token; goes into callback addresses and the app's acknowledgement, says nothing.
        callback_url: Where the provider reports, or None.
        valid_seconds: After this the provider may no longer deliver: it ends inside the legal window.
        template: What the provider knows the words by (a content template, a DLT id); None = they are not registered.
        variables: What stands in the template's gaps: name and value, in its order.
        voicemail: What a machine may hear that answers a call; None = nothing is left with it.
        locale: In which its words are: what a screen reader, and the choice of a font, go by.
        envelope: Of a letter; None on every other channel.
    """

    attempt_id: int
    to: str
    sender: str
    title: str
    body: str
    token: str
    callback_url: str | None
    valid_seconds: int
    template: str | None = None
    variables: tuple[tuple[str, str], ...] = ()
    voicemail: str | None = None
    locale: str = ""
    envelope: Envelope | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The provider took the message."""

    provider: str
    provider_id: str
    status: str
    segments: int | None


class ChannelError(Exception):
    """The provider did not take the message, or we cannot know; carries codes, never a number or a text."""

    def __init__(self, *, code: str, attempt_id: int | None = None) -> None:
        super().__init__(f"{type(self).__name__} {code}")
        self.code = code
        self.attempt_id = attempt_id


class PermitExpired(ChannelError):
    """No call was made: the permit's time was over. Surely not processed."""

    def __init__(self, *, attempt_id: int) -> None:
        super().__init__(code="permit_expired", attempt_id=attempt_id)


class TryLater(ChannelError):
    """Surely not processed (429, connection refused before anything was sent): may be tried again."""

    def __init__(self, *, code: str, retry_after_seconds: float, attempt_id: int | None = None) -> None:
        super().__init__(code=code, attempt_id=attempt_id)
        self.retry_after_seconds = retry_after_seconds


class NeverWorks(ChannelError):
    """The provider refuses this content or configuration: no retry, tell operations."""


class ForeignPermit(NeverWorks):
    """No call was made: the permit is another attempt's. A bug of ours."""

    def __init__(self, *, attempt_id: int) -> None:
        super().__init__(code="foreign_permit", attempt_id=attempt_id)


class NotMarked(NeverWorks):
    """No call was made: the permit bears no mark of the ledger's. A bug of ours."""

    def __init__(self, *, attempt_id: int) -> None:
        super().__init__(code="not_marked", attempt_id=attempt_id)


class NotOnAllowlist(NeverWorks):
    """No call was made: in allowlist mode only staff may be reached. The gate withholds it before; this is the second guard."""

    def __init__(self, *, attempt_id: int) -> None:
        super().__init__(code="not_on_allowlist", attempt_id=attempt_id)


class AccountHalted(NeverWorks):
    """The provider refuses everything (credentials, suspension): stop the run."""


class BadAddress(ChannelError):
    """The provider refuses this contact point: retire it."""


class Unreachable(BadAddress):
    """Nothing that is sent to this contact point arrives (landline, no such handset): leave it, another channel may reach the person."""


class WindowClosed(ChannelError):
    """The provider lets nobody write to this person before she writes: this message is not sent, and not tried again."""


class OptedOut(ChannelError):
    """The provider knows that the person said stop: record it, never call again."""


class FateUnknown(ChannelError):
    """The call may or may not have been processed (time-out, 5xx, dropped connection): never sent again."""


def told(outcome: Receipt | ChannelError, permit: Permit) -> Receipt:
    """What a channel hands to the gate.

    Raised here and not where it was found: a library's own error quotes the number, and must not hang on ours.

    Raises:
        ChannelError: The outcome is one; it names the attempt.
    """
    if isinstance(outcome, ChannelError):
        outcome.attempt_id = permit.attempt_id
        raise outcome
    return outcome


class Channel(Protocol):
    """What the gate needs of a channel.

    A channel is opened once in the loop that sends, and sends many messages concurrently.
    """

    name: str
    provider: str

    async def send(self, message: Message, permit: Permit) -> Receipt:
        """Make one provider call, once.

        Raises:
            ChannelError: One of the family above; nothing else escapes.
        """
        ...

    async def close(self) -> None:
        """Let go of connections and threads."""
        ...


class NoPermit(RuntimeError):
    """Somebody tried to reach a person past the gate."""

    def __init__(self) -> None:
        super().__init__("a call that may reach a person needs a permit, and only the gate makes one")


class ForbiddenHost(RuntimeError):
    """Somebody pointed a channel at a host that this mode does not allow."""

    def __init__(self, host: str | None, allowed: str) -> None:
        super().__init__(f"refused to talk to host {host!r}: only {allowed}")


def allow_host(url: str, provider_host: str, *, mode: Mode) -> str:
    """Return `url` when its host is the one of this mode: loopback in the sandbox, the provider's own in the other modes.

    Raises:
        ForbiddenHost: It is another.
    """
    host = urlsplit(url).hostname
    if mode == "sandbox" and host not in LOOPBACK_HOSTS:
        raise ForbiddenHost(host, "loopback in sandbox mode")
    if mode != "sandbox" and host != provider_host:
        raise ForbiddenHost(host, f"{provider_host} in {mode} mode")
    return url

"""The outside world as a whole: clock, town, Twilio account, Firebase project, a lender's gateway, faults, webhooks.

In:   calls of the wire (app.py) and of the control API (control.py).
Out:  answers; posts to webhooks; what phones received; the wallet's payment feed.
Pure: no; holds all state, reads the real clock where told to, and posts.
"""

from __future__ import annotations

import asyncio
import heapq
import json
import time
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree as ET

from sandbox.calls import CallRecord, Calls
from sandbox.chance import Chance
from sandbox.core import Core, Told
from sandbox.faults import CALLBACK_FAULTS, CREATE_FAULTS, LIST_FAULTS, Fault, Faults
from sandbox.fcm import FcmError, Project, Push
from sandbox.gateway import BY_NUMBER, ENDS, Gateway, GatewayError, Taken
from sandbox.happenings import (
    Borrowed,
    Complained,
    Delivered,
    Event,
    Message,
    NotTaken,
    Opened,
    Paid,
    PickedUp,
    Replied,
    Ringing,
    Said,
    Seen,
    Sent,
    TookPlan,
    Undelivered,
)
from sandbox.issuer import Issuer
from sandbox.parameters import default_world, drawn_world
from sandbox.post import Post, Postman
from sandbox.signature import app_signature, gateway_signature, twilio_signature
from sandbox.social import CHANNELS, Button, bare, channel_of
from sandbox.switchboard import FORM, Switchboard
from sandbox.town import Town
from sandbox.twilio import Account, Record, TwilioError, conclude, shown_sender
from sandbox.wallet import Asked, Wallet

# The lender's own systems, whose webhooks are answered by a status alone.
OWN = frozenset({"gateway", "core", "wallet"})
# Posts that fall due within this much simulated time go out together; each address still hears its own in order.
WINDOW = timedelta(minutes=15)


class DropConnectionError(Exception):
    """The connection is to break without an answer."""


class ClockError(ValueError):
    """The clock cannot be set so."""


@dataclass(slots=True)
class Options:
    """What the sandbox was started with.

    Attributes:
        at: Where the clock starts; None: the real time.
        wall_clock: The clock runs with the real one instead of standing.
        settle_ms: Real milliseconds after which carriers have done with a message while the clock stands; None: they take
            simulated seconds, so that the next step shows what became of it.
        latency_ms, latency_jitter_ms: How long each call takes, half before and half after it has its effect.
        world: Town parameters that are set; with `drawn`, the others are drawn from their ranges.
        messages_max: Accepting more is refused (503), so that memory has an end.
    """

    account_sid: str
    auth_token: str
    app_secret: str
    project_id: str
    token_uri: str
    smtp_port: int = 0
    issuer_url: str = ""
    client_secret: str = ""
    gateway_keys: tuple[tuple[str, str], ...] = ()
    core_keys: tuple[tuple[str, str], ...] = ()
    wallet_keys: tuple[tuple[str, str], ...] = ()
    seed: str = "1"
    at: datetime | None = None
    wall_clock: bool = False
    settle_ms: float | None = None
    latency_ms: float = 0.0
    latency_jitter_ms: float = 0.0
    drawn: bool = False
    world: dict[str, float] = field(default_factory=dict)
    inbound_url: str | None = None
    acknowledgement_url: str | None = None
    gateway_inbound_url: str | None = None
    wallet_webhook_url: str | None = None
    messages_max: int = 1_000_000
    webhook_timeout_seconds: float = 10.0


class Received(NamedTuple):
    """What a phone received."""

    channel: str
    to: str
    sender: str
    title: str
    body: str
    data: dict[str, str] | None
    received_at: datetime
    provider_id: str


class World:
    """Everything outside. One task at a time plays events; calls may come in meanwhile."""

    def __init__(self, options: Options) -> None:
        """A world with an empty town."""
        self.options = options
        self.project = Project(project_id=options.project_id, token_uri=options.token_uri, seed=options.seed)
        self.postman = Postman(options.webhook_timeout_seconds)
        # Local ports of callers who wait for an answer to a message: who holds unfinished work (control.py).
        self.calling: set[int] = set()
        # Where the relay listens (relay.py); 0 until it does.
        self.smtp_port = 0
        self._late: set[asyncio.Task[object]] = set()
        self._resets = 0
        self._playing = asyncio.Lock()
        # Its key outlives a reset, as those who ask it keep what it says of itself.
        self.issuer = Issuer(options.issuer_url, options.client_secret, lambda: int(wall_seconds()))
        self._begin()

    def _begin(self) -> None:
        options = self.options
        start = datetime.now(UTC) if options.wall_clock or options.at is None else options.at
        values = (drawn_world if options.drawn else lambda _, settings: default_world(settings))(options.seed, options.world)
        self.town = Town(seed=options.seed, world=values, now=start, prompt=options.settle_ms is not None)
        self.account = Account(account_sid=options.account_sid, seed=options.seed)
        self.calls = Calls(account_sid=options.account_sid, seed=options.seed)
        self.switchboard = Switchboard(self.calls, self.town, self.postman, auth_token=options.auth_token, heard=self._hear)
        self._dialled: list[Post] = []
        self.project.restart(options.seed)
        self.issuer.put_fault(None)
        self.gateway = Gateway(keys=options.gateway_keys, seed=options.seed)
        self.core = Core(options.core_keys)
        self.wallet = Wallet(options.wallet_keys, seed=options.seed)
        self.faults = Faults(options.seed)
        self.received: list[Received] = []
        self.payments: list[Paid] = []
        self.counts: Counter[str] = Counter()
        self._pushes: dict[str, Push] = {}
        self._scheduled: list[tuple[datetime, int, Record]] = []
        self._noticed: list[Event] = []
        self._jitter = Chance(f"{options.seed} latency")
        self._calls = 0

    async def reset(self, changes: Mapping[str, Any]) -> None:
        """Begin anew: nobody lives here, nothing was sent, nothing is still to come. Credentials and webhooks stay."""
        async with self._playing:
            drawn_world(self.options.seed, changes.get("world", {}))
            for name, value in changes.items():
                setattr(self.options, name, value)
            self._resets += 1
            for task in self._late:
                task.cancel()
            self._begin()

    # Time

    @property
    def now(self) -> datetime:
        """What the sandbox's clock shows."""
        return datetime.now(UTC) if self.options.wall_clock else self.town.now

    @property
    def at_rest(self) -> bool:
        """Whether everything that is due by now has happened, and whoever is to hear of it has been told."""
        next_at = self.town.next_at()
        return not self._playing.locked() and not self.postman.under_way and (next_at is None or next_at > self.now)

    async def step(self, to: datetime) -> None:
        """Let simulated time pass; returns when every webhook that fell due has been posted.

        Raises:
            ClockError: Time would run backwards, or the clock runs by itself.
        """
        if self.options.wall_clock:
            raise ClockError("the clock runs with the real one")
        if to < self.town.now:
            raise ClockError(f"the clock stands at {self.town.now.isoformat()} and does not run backwards")
        async with self._playing:
            await self._play(to)

    async def settle(self) -> None:
        """Let what is due by now happen, unless something is being played already."""
        if not self._playing.locked():
            async with self._playing:
                await self._play(max(self.now, self.town.now))

    async def keep_settling(self) -> None:
        """Settle for ever; for clocks that run and carriers that take real milliseconds."""
        while True:
            await asyncio.sleep((self.options.settle_ms or 50.0) / 1000)
            if self.options.settle_ms is not None or self.options.wall_clock:
                await self.settle()

    async def _play(self, to: datetime) -> None:
        while True:
            window_end = to
            next_at = self.town.next_at()
            if next_at is not None:
                window_end = min(to, max(next_at, self.town.now) + WINDOW)
            if self._scheduled:
                window_end = min(window_end, max(self._scheduled[0][0], self.town.now))
            self._notice(window_end)
            self._hand_over_scheduled()
            events, self._noticed = self._noticed, []
            posts, self._dialled = self._dialled, []
            posts += [post for event in events for post in self._apply(event)]
            for post, answer in await self.postman.deliver(self._with_faults(posts)):
                if post.channel not in OWN:
                    self._answer_inbound(post, answer)
            if self.switchboard.is_talking:
                await self.postman.deliver(self._with_faults(await self.switchboard.talk()))
            if window_end >= to and not self._noticed:
                return

    def _notice(self, to: datetime) -> None:
        self._noticed.extend(self.town.advance(max(to, self.town.now)))

    def _hand_over_scheduled(self) -> None:
        while self._scheduled and self._scheduled[0][0] <= self.town.now:
            _, _, record = heapq.heappop(self._scheduled)
            if record.status == "scheduled":
                record.status, record.updated_at = "queued", self.town.now
                self._hand_over(record)

    # Twilio's side

    async def create_text(self, fields: Sequence[tuple[str, str]]) -> Record:
        """Take a text on, of any of Twilio's channels, as faults allow.

        Raises:
            TwilioError: It is refused, or a fault says so.
            DropConnectionError: A fault breaks the connection.
        """
        to = next((value for name, value in fields if name == "To"), "")
        fault = self._strike(channel_of(to), bare(to))
        await self._before_accepting(fault, refusal=_twilio_refusal)
        if len(self.account) >= self.options.messages_max:
            raise TwilioError(20503, 503, "the sandbox holds as many messages as it may")
        record = self.account.create(fields, self.now)
        if fault is not None and fault.fault == "undelivered":
            record.doomed_code = int(fault.code or 0)
        if fault is not None and fault.fault == "never_reported":
            record.callback_url = None
        if record.send_at is None:
            self._hand_over(record, at_once=fault is not None and fault.fault == "callback_before_response")
        else:
            heapq.heappush(self._scheduled, (record.send_at, record.serial, record))
        await self._after_accepting(fault, failure=TwilioError(20500, 500))
        return record

    def _hand_over(self, record: Record, *, at_once: bool = False) -> None:
        """Give a text to the carrier. In a running clock, what fell due before comes first."""
        if self.options.wall_clock:
            self._notice(self.now)
        self.town.submit(
            Message(
                message_id=record.sid,
                channel=record.channel,
                address=bare(record.to),
                sender=shown_sender(record),
                text=record.body,
                expires_at=self.town.now + record.expires_in,
                at_once=at_once,
                doomed=record.doomed_code is not None,
                buttons=record.buttons,
            )
        )

    def update_text(self, sid: str, fields: Sequence[tuple[str, str]]) -> Record:
        """Cancel or redact.

        Raises:
            TwilioError: As Account.update.
        """
        record = self.account.update(sid, fields, self.now)
        if record.status == "canceled":
            self.town.withdraw(sid)
        return record

    async def create_call(self, fields: Sequence[tuple[str, str]]) -> CallRecord:
        """Take a call on, as faults allow.

        Raises:
            TwilioError: It is refused, or a fault says so.
            DropConnectionError: A fault breaks the connection.
        """
        fault = self._strike("voice", next((value for name, value in fields if name == "To"), ""))
        await self._before_accepting(fault, refusal=_twilio_refusal)
        if len(self.calls) >= self.options.messages_max:
            raise TwilioError(20503, 503, "the sandbox holds as many calls as it may")
        record = self.calls.create(fields, self.now)
        if fault is not None and fault.fault == "never_reported":
            record.callback_url = None
        if self.options.wall_clock:
            self._notice(self.now)
        self._dialled += self.switchboard.dial(record)
        await self._after_accepting(fault, failure=TwilioError(20500, 500))
        return record

    def update_call(self, sid: str, fields: Sequence[tuple[str, str]]) -> CallRecord:
        """End a call.

        Raises:
            TwilioError: As Calls.update.
        """
        record = self.calls.update(sid, fields, self.now)
        self.town.withdraw(sid)
        return record

    def _hear(self, record: CallRecord, words: str) -> None:
        """Somebody, or a machine, heard something."""
        title = record.answered_by or ""
        self.received.append(Received("voice", record.to, record.sender, title, words, None, record.updated_at, record.sid))

    # FCM's side

    async def create_push(self, project_id: str, request: Any) -> Push:
        """Take a push on, as faults allow.

        Raises:
            FcmError: It is refused, or a fault says so.
            DropConnectionError: A fault breaks the connection.
        """
        message = request.get("message") if isinstance(request, dict) else None
        token = (message.get("token") or message.get("fid")) if isinstance(message, dict) else None
        fault = self._strike("push", token if isinstance(token, str) else "")
        await self._before_accepting(fault, refusal=_fcm_refusal)
        if len(self._pushes) >= self.options.messages_max:
            raise FcmError("UNAVAILABLE", "the sandbox holds as many messages as it may")
        push = self.project.accept(project_id, request, self.now)
        if not self.town.is_registered(push.token):
            raise FcmError("UNREGISTERED")
        if not push.validate_only:
            self._hand_over_push(push)
        await self._after_accepting(fault, failure=FcmError("INTERNAL"))
        return push

    def _hand_over_push(self, push: Push) -> None:
        self._pushes[push.name] = push
        self.counts["push accepted"] += 1
        if self.options.wall_clock:
            self._notice(self.now)
        text = f"{push.title}\n{push.body}"
        self.town.submit(
            Message(message_id=push.name, channel="push", address=push.token, sender="", text=text, expires_at=push.expires_at)
        )

    # The gateway's side

    async def create_by_gateway(self, body: bytes) -> tuple[Taken, bool]:
        """Take a message on, as faults allow; one whose key was used before is shown again. Whether it is new.

        Raises:
            GatewayError: It is refused, or a fault says so.
            DropConnectionError: A fault breaks the connection.
        """
        given = self.gateway.read(body)
        known = self.gateway.again(given, body)
        if known is not None:
            await self._latency()
            return known, False
        fault = self._strike("gateway", given["to"])
        with self.gateway.working_on(given["key"]):
            await self._before_accepting(fault, refusal=_gateway_refusal)
            if len(self.gateway) >= self.options.messages_max:
                raise GatewayError("not_taken", "the sandbox holds as many messages as it may")
            if given["carrier"] not in BY_NUMBER and not self.town.is_registered(given["to"]):
                raise GatewayError("invalid_address")
            taken = self.gateway.take(given, body, self.now)
        if fault is not None and fault.fault == "undelivered":
            taken.doomed_error = str(fault.code)
        if fault is not None and fault.fault == "never_reported":
            taken.callback_url = None
        self._hand_over_to_gateway(taken, at_once=fault is not None and fault.fault == "callback_before_response")
        await self._after_accepting(fault, failure=GatewayError("internal"))
        return taken, True

    def _hand_over_to_gateway(self, taken: Taken, *, at_once: bool) -> None:
        self.counts[f"gateway {taken.carrier} accepted"] += 1
        if self.options.wall_clock:
            self._notice(self.now)
        self.town.submit(
            Message(
                message_id=taken.id,
                # The town knows no calls of dialers and no inboxes: what comes by number is read like a text, the rest like a notification.
                channel=taken.carrier if taken.carrier in CHANNELS else "sms" if taken.carrier in BY_NUMBER else "push",
                address=taken.to,
                sender=taken.sender,
                text=f"{taken.title}\n{taken.body}".lstrip("\n"),
                expires_at=taken.expires_at,
                at_once=at_once,
                doomed=taken.doomed_error is not None,
            )
        )

    # Faults and latency

    async def before_listing(self, to: str, *, channel: str = "", refusal: Exception | None = None) -> None:
        """Whoever asks for the list waits like any caller, and may be refused.

        Raises:
            TwilioError: A fault says so; or what `refusal` is.
            DropConnectionError: A fault breaks the connection.
        """
        struck = channel or channel_of(to)
        fault = self.faults.strike(struck, bare(to), LIST_FAULTS) if self.faults else None
        await self._latency()
        if fault is None:
            return
        if fault.fault == "list_dropped":
            raise DropConnectionError
        raise refusal or TwilioError(20503, 503)

    def _strike(self, channel: str, to: str) -> Fault | None:
        return self.faults.strike(channel, to, CREATE_FAULTS) if self.faults else None

    async def _latency(self) -> None:
        if self.options.latency_ms or self.options.latency_jitter_ms:
            self._calls += 1
            spread = self.options.latency_jitter_ms
            await asyncio.sleep((self.options.latency_ms + self._jitter.within(-spread, spread, self._calls)) / 2000)

    async def _before_accepting(self, fault: Fault | None, *, refusal: Any) -> None:
        """Wait as a caller of this world waits.

        Raises:
            DropConnectionError: A fault breaks the connection, or the world that was asked is gone meanwhile.
        """
        asked_of = self._resets
        await self._wait_or_refuse(fault, refusal=refusal)
        if asked_of != self._resets:
            raise DropConnectionError

    async def _wait_or_refuse(self, fault: Fault | None, *, refusal: Any) -> None:
        await self._latency()
        if fault is None:
            return
        if fault.fault == "drop_before_accept":
            raise DropConnectionError
        if fault.fault in {"unavailable", "internal", "too_many_requests", "rejected"}:
            raise refusal(fault)
        if fault.fault == "delayed_accept":
            await asyncio.sleep(fault.seconds)

    async def _after_accepting(self, fault: Fault | None, *, failure: Exception) -> None:
        await self._latency()
        if fault is None:
            return
        if fault.fault == "accept_then_drop":
            raise DropConnectionError
        if fault.fault == "accept_then_500":
            raise failure
        if fault.fault == "delayed_answer":
            await asyncio.sleep(fault.seconds)
        if fault.fault == "callback_before_response":
            await self.settle()

    def _with_faults(self, posts: list[Post]) -> list[Post]:
        """The posts as they really go out: some lost, some twice, some late, some after the one that should follow."""
        if not self.faults:
            return posts
        out: list[Post] = []
        held: dict[str, Post] = {}
        for post in posts:
            is_own = post.channel in OWN
            is_status = post.about is None and (post.headers["Content-Type"] == FORM or is_own)
            channel, address = (post.channel, post.group) if is_own else (_twilio_channel(post), bare(post.group))
            fault = self.faults.strike(channel, address, CALLBACK_FAULTS) if is_status else None
            kind = fault.fault if fault is not None else ""
            if kind == "callback_reordered" and post.group not in held:
                held[post.group] = post
                continue
            if fault is not None and kind == "callback_late":
                self._post_late(post, fault.seconds)
            elif kind != "callback_lost":
                out.extend([post] * (2 if kind == "callback_duplicated" else 1))
            if post.group in held:
                out.append(held.pop(post.group))
        return out + list(held.values())

    def _post_late(self, post: Post, seconds: float) -> None:
        """Post it after so many real seconds, while everything else goes on."""

        async def carry() -> None:
            await asyncio.sleep(seconds)
            await self.postman.deliver([post])

        self._behind(carry())

    # What becomes of things

    def _apply(self, event: Event) -> list[Post]:
        """Write down what happened; returns what webhooks are to be told."""
        match event:
            case Complained() | TookPlan() | Borrowed() | Said() | Paid():
                # None of it comes by a webhook; payments are fetched, of the rest the summary tells.
                if isinstance(event, Paid):
                    self.payments.append(event)
                self.counts[f"payment {event.state}" if isinstance(event, Paid) else type(event).__name__.lower()] += 1
                return []
            case Ringing() | PickedUp() | NotTaken():
                if not isinstance(event, Ringing):
                    self.counts[f"call {event.by if isinstance(event, PickedUp) else event.reason}"] += 1
                return self.switchboard.apply(event)
            case _ if (taken := self.gateway.by_id(event.message.message_id)) is not None:
                return self._apply_to_gateway(event, taken)
            case Replied():
                return self._text_back(event)
            case _ if event.message.channel == "push":
                return self._apply_to_push(event)
            case _:
                return self._apply_to_text(event)

    def _apply_to_text(self, event: Sent | Delivered | Undelivered | Opened | Seen) -> list[Post]:
        record = self.account.fetch(event.message.message_id)
        if isinstance(event, Sent):
            conclude(record, "sent", event.at)
        elif isinstance(event, Seen):
            conclude(record, "read", event.at)
        elif isinstance(event, Undelivered):
            conclude(record, "undelivered", event.at, event.reason)
        else:
            conclude(record, "delivered", event.at)
            to, text = event.message.address, event.message.text
            self.received.append(Received(record.channel, to, shown_sender(record), "", text, None, event.at, record.sid))
        if record.status != "sent":
            self.counts[f"{record.channel} {record.status}"] += 1
        if record.callback_url is None:
            return []
        return [self._form_post(record.to, record.callback_url, self.account.callback_fields(record))]

    def _apply_to_push(self, event: Sent | Delivered | Undelivered | Opened | Seen) -> list[Post]:
        if isinstance(event, Opened):
            self.counts["push opened"] += 1
            return self._acknowledge(event.message, "opened", event.at)
        if not isinstance(event, Delivered):
            self.counts["push not shown"] += 1
            return []
        push = self._pushes[event.message.message_id]
        self.received.append(Received("push", push.token, "", push.title, push.body, push.data, event.at, push.name))
        self.counts["push shown"] += 1
        return self._acknowledge(event.message, "received", event.at)

    def _apply_to_gateway(self, event: Sent | Delivered | Undelivered | Opened | Seen | Replied, taken: Taken) -> list[Post]:
        if isinstance(event, Replied):
            self.counts[f"reply {event.intent}"] += 1
            return self._reply_by_gateway(carrier=taken.carrier, sender=taken.to, to=taken.sender, text=event.text, at=event.at)
        status, error = {Sent: "sent", Delivered: "delivered", Opened: "read", Seen: "read"}.get(type(event), ""), None
        if isinstance(event, Undelivered):
            status, error = ENDS[event.reason]
            error = taken.doomed_error or error
        if isinstance(event, Delivered):
            self.received.append(Received(taken.carrier, taken.to, taken.sender, taken.title, taken.body, None, event.at, taken.id))
        if not self.gateway.conclude(taken, status, event.at, error):
            return []
        if status != "sent":
            self.counts[f"gateway {taken.carrier} {status}"] += 1
        return [] if taken.callback_url is None else [self._gateway_post(taken.to, taken.callback_url, self.gateway.status_of(taken))]

    def _reply_by_gateway(self, *, carrier: str, sender: str, to: str, text: str, at: datetime) -> list[Post]:
        said = self.gateway.reply(carrier=carrier, from_=sender, to=to, text=text, at=at)
        self.counts["gateway inbound"] += 1
        url = self.options.gateway_inbound_url
        return [] if url is None else [self._gateway_post(sender, url, said, about=said["id"])]

    async def text_by_gateway(self, *, carrier: str, sender: str, to: str, text: str) -> None:
        """Someone writes through the gateway of their own accord, now (control API)."""
        await self.postman.deliver(self._reply_by_gateway(carrier=carrier, sender=sender, to=to, text=text, at=self.now))

    # The core system's and the wallet's side

    async def take_instruction(self, body: bytes) -> tuple[Told, bool]:
        """Take an instruction on, as faults allow; what is said later goes out behind the answer. Whether it is new.

        Raises:
            GatewayError: It is refused, or a fault says so.
            DropConnectionError: A fault breaks the connection.
        """
        fault = self._strike("core", "")
        await self._before_accepting(fault, refusal=_gateway_refusal)
        told, is_new = self.core.take(body, self.now)
        if is_new and self.core.manners.later:
            self._behind(self._answer_in_order(told, tuple(self.core.manners.later)))
        await self._after_accepting(fault, failure=GatewayError("internal"))
        return told, is_new

    async def _answer_in_order(self, told: Told, states: Sequence[str]) -> None:
        for state in states:
            await self.answer_instruction(told.key, state)

    async def answer_instruction(self, key: str, state: str, reason: str | None = None) -> None:
        """The core system comes so far with an instruction, and says so."""
        told = self.core.fetch(key)
        self.core.answer(told, state, self.now, reason)
        said = {"type": "instruction", **told.answer}
        await self._tell_own(self._own_post("core", self.options.core_keys, told.key, told.given["callback_url"], said))

    async def take_payment(self, body: bytes) -> tuple[Asked, bool]:
        """Take a payment on, as faults allow. Whether it is new.

        Raises:
            GatewayError: It is refused, or a fault says so.
            DropConnectionError: A fault breaks the connection.
        """
        fault = self._strike("wallet", "")
        await self._before_accepting(fault, refusal=_gateway_refusal)
        asked, is_new = self.wallet.take(body, self.now)
        await self._after_accepting(fault, failure=GatewayError("internal"))
        return asked, is_new

    async def conclude_payment(self, asked: Asked, status: str, error: str | None = None) -> None:
        """The wallet's owner pays or does not, or time is over; the lender is told before this returns."""
        if self.wallet.conclude(asked, status, self.now, error):
            await self._tell_payment(asked)

    async def pay_in_wallet(self, given: Mapping[str, Any]) -> None:
        """The wallet's owner pays in the wallet itself."""
        await self._tell_payment(self.wallet.pay_here(given, callback_url=self.options.wallet_webhook_url, now=self.now))

    async def return_payment(self, asked: Asked, reason: str, amount_minor: int) -> None:
        """Money that was paid goes back."""
        self.wallet.take_back(asked, reason, amount_minor, self.now)
        back = asked.returned or {}
        self.payments.append(Paid(self.now, back["id"], asked.loan, asked.currency, -amount_minor, self.now, "reversed", asked.id))
        await self._tell_payment(asked)

    async def _tell_payment(self, asked: Asked) -> None:
        if asked.status == "paid":
            # The lender's books show it with the next feed, under the wallet's own id.
            self.payments.append(Paid(self.now, asked.id, asked.loan, asked.currency, asked.amount_minor, self.now, "posted", None))
            self.town.paid_elsewhere(asked.loan, asked.amount_minor)
        self.counts[f"wallet {asked.status}"] += 1
        if asked.callback_url is not None:
            said = {"type": "payment", **{name: value for name, value in asked.shown("").items() if name != "confirm_url"}}
            await self._tell_own(self._own_post("wallet", self.options.wallet_keys, asked.id, asked.callback_url, said))

    async def _tell_own(self, post: Post) -> None:
        await self.postman.deliver(self._with_faults([post]))

    def _behind(self, work: Coroutine[Any, Any, object]) -> None:
        """Do something behind the answer to a request."""
        task: asyncio.Task[object] = asyncio.create_task(work)
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    def _gateway_post(self, group: str, url: str, said: Mapping[str, Any], about: str | None = None) -> Post:
        return self._own_post("gateway", self.options.gateway_keys, group, url, said, about)

    def _own_post(
        self, channel: str, keys: Sequence[tuple[str, str]], group: str, url: str, said: Mapping[str, Any], about: str | None = None
    ) -> Post:
        body = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
        parts = urlsplit(url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")

        def sign() -> dict[str, str]:
            key_id, secret = keys[0]
            return {"Tideover-Signature": gateway_signature(secret, key_id, int(wall_seconds()), method="POST", target=target, body=body)}

        return Post(group, url, body, {"Content-Type": "application/json"}, about, sign, channel)

    def _acknowledge(self, message: Message, what: str, at: datetime) -> list[Post]:
        """The lender's app tells the lender: it hands back the data that it was handed, and reads none of it."""
        if self.options.acknowledgement_url is None:
            return []
        body = json.dumps({"data": self._pushes[message.message_id].data, "event": what, "at": at.isoformat()}).encode()
        headers = {"Content-Type": "application/json", "X-Tideover-App-Signature": app_signature(self.options.app_secret, body)}
        return [Post(message.address, self.options.acknowledgement_url, body, headers)]

    def _text_back(self, event: Replied) -> list[Post]:
        about = self.account.fetch(event.message.message_id)
        self.counts[f"reply {event.intent}"] += 1
        if event.message.channel == "sms" and not event.message.sender.startswith("+"):
            # Nobody can answer a sender that is a word.
            return []
        ours, service_sid = event.message.sender, about.service_sid
        answers_sid = about.sid if about.channel != "sms" else None
        return self._inbound(
            sender=about.to, to=ours, text=event.text, service_sid=service_sid, at=event.at, tapped=event.tapped, answers_sid=answers_sid
        )

    async def text_from(
        self, *, sender: str, to: str, text: str, service_sid: str | None = None, tapped: Button | None = None, media: int = 0
    ) -> Record:
        """Someone writes, taps a button or sends a picture of their own accord, now (control API)."""
        posts = self._inbound(sender=sender, to=to, text=text, service_sid=service_sid, at=self.now, tapped=tapped, media=media)
        for post, answer in await self.postman.deliver(posts):
            self._answer_inbound(post, answer)
        return self.account.newest

    def _inbound(
        self,
        *,
        sender: str,
        to: str,
        text: str,
        service_sid: str | None,
        at: datetime,
        tapped: Button | None = None,
        answers_sid: str | None = None,
        media: int = 0,
    ) -> list[Post]:
        record = self.account.receive(
            sender=sender, to=to, text=text, service_sid=service_sid, now=at, tapped=tapped, answers_sid=answers_sid, media=media
        )
        self.counts[f"{record.channel} inbound"] += 1
        if self.options.inbound_url is None:
            return []
        fields = self.account.inbound_fields(record)
        return [self._form_post(sender, self.options.inbound_url, fields, about=record.sid)]

    def _form_post(self, group: str, url: str, fields: list[tuple[str, str]], about: str | None = None) -> Post:
        signature = twilio_signature(self.options.auth_token, url, fields)
        headers = {"Content-Type": FORM, "X-Twilio-Signature": signature, "User-Agent": "TwilioProxy/1.1"}
        return Post(group, url, urlencode(fields).encode(), headers, about)

    def _answer_inbound(self, post: Post, answer: str) -> None:
        """What a webhook's TwiML says to send back is sent, unless they just told us to stop."""
        inbound = self.account.fetch(post.about or "")
        for text in _twiml_messages(answer):
            record = self.account.answer(inbound, text, self.town.now)
            if self.account.is_stopped(record):
                record.status, record.error_code = "failed", 21610
            else:
                self._hand_over(record)

    # Showing

    def summary(self) -> dict[str, Any]:
        """Counts of everything, as integers; no address and no text."""
        statuses = Counter(record.status for record in self.account.records())
        paid = Counter[str]()
        for payment in self.payments:
            paid[payment.currency] += payment.amount_minor
        return {
            "at": self.now.isoformat(),
            "residents": self.town.residents,
            "owed_minor": self.town.owed_minor,
            "paid_minor": dict(paid),
            "payments": len(self.payments),
            "messages": dict(statuses),
            "calls": dict(Counter(record.status for record in self.calls.records())),
            "received": dict(Counter(row.channel for row in self.received)),
            "counts": dict(sorted(self.counts.items())),
            "webhooks": {"posted": self.postman.posted, "lost": self.postman.lost},
            "faults": self.faults.in_force,
        }


def _twilio_channel(post: Post) -> str:
    """The channel that a status of Twilio's is about."""
    return "voice" if b"CallSid=" in post.body else channel_of(post.group)


def wall_seconds() -> float:
    """Real time, for what does not follow the simulated clock: access tokens and their assertions."""
    return time.time()


def _twilio_refusal(fault: Fault) -> TwilioError:
    if fault.fault == "rejected":
        return TwilioError(int(fault.code or 0))
    code, status = {"unavailable": (20503, 503), "internal": (20500, 500), "too_many_requests": (20429, 429)}[fault.fault]
    return TwilioError(code, status)


def _fcm_refusal(fault: Fault) -> FcmError:
    if fault.fault == "rejected":
        return FcmError(str(fault.code))
    code = {"unavailable": "UNAVAILABLE", "internal": "INTERNAL", "too_many_requests": "QUOTA_EXCEEDED"}[fault.fault]
    return FcmError(code, retry_after_seconds=None if fault.fault == "internal" else fault.seconds)


def _gateway_refusal(fault: Fault) -> GatewayError:
    if fault.fault == "rejected":
        return GatewayError(str(fault.code))
    code = {"unavailable": "unavailable", "internal": "internal", "too_many_requests": "busy"}[fault.fault]
    return GatewayError(code, retry_after_seconds=fault.seconds if code == "busy" else None)


def _twiml_messages(answer: str) -> list[str]:
    """The texts of a TwiML answer's <Message> verbs; what is not TwiML says nothing."""
    if "<Message" not in answer:
        return []
    try:
        root = ET.fromstring(answer)  # noqa: S314  # from our own webhook on loopback
    except ET.ParseError:
        return []
    texts = []
    for message in root.iter("Message"):
        text = "".join(message.itertext()).strip()
        if text:
            texts.append(text)
    return texts

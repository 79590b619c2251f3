"""Does a gateway keep docs/gateway.md? Plays the page against it, and says of each rule whether it holds.

Only whom the operator names by hand is written to, with texts that say that they are a test: so no permit is asked for, and
nothing of the ledger is read. Requests that a gateway must refuse are such that it could not send them if it did not, or go
to the named addresses too.

In:   where the gateway is, keys, addresses; how long to wait for statuses.
Out:  a `Finding` for each rule.
Pure: no; talks to the gateway.
Source: docs/gateway.md; `tideover gateway check` is the only caller (tests/test_house.py).
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit
from uuid import uuid4

import aiohttp
from yarl import URL

from channels.codes import state_of
from channels.gateway import CARRIERS, PROVIDER, is_id
from channels.gateway_ear import Ear
from channels.signatures import SIGNATURE_HEADER, SIGNATURE_SECONDS_MAX, SigningKeys, sign_request

CALL_SECONDS_MAX: Final = 15.0
OK: Final = 200
CREATED: Final = 201
AT_ONCE: Final = 5
MESSAGES: Final = 3
VALID_SECONDS: Final = 600
CLOCK_SECONDS_MAX: Final = 30
PAGES_MAX: Final = 1_000
_ENDS: Final = frozenset({"delivered", "read", "undelivered", "failed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One rule of the page, and whether the gateway keeps it.

    Attributes:
        rule: In the page's words.
        holds: Whether it does.
        because: What was seen where it does not; no address and no text.
    """

    rule: str
    holds: bool
    because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a test message goes: `sms:+12125550142`."""

    carrier: str
    to: str = field(repr=False)

    @classmethod
    def read(cls, text: str) -> Address:
        """Read it.

        Raises:
            ValueError: It names no carrier, or no address.
        """
        carrier, _, to = text.partition(":")
        if carrier not in CARRIERS or not to:
            raise ValueError(f"an address is CARRIER:ADDRESS with a carrier of {', '.join(sorted(CARRIERS))}")
        return cls(carrier=carrier, to=to)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """An answer of the gateway."""

    status: int
    value: Any
    text: str = field(repr=False)

    @property
    def code(self) -> str:
        """The word for an error, or the status."""
        error = self.value.get("error") if isinstance(self.value, dict) else None
        return str(error.get("code")) if isinstance(error, dict) else ""

    def __str__(self) -> str:
        return f"{self.status} {self.code}".strip()


class BrokenRule(AssertionError):
    """What was seen is not what the page says."""


class NotTried(RuntimeError):
    """The gateway could not be reached at all."""


def messages_for(address: Address, sender: str, *, callback_url: str | None) -> list[dict[str, Any]]:
    """The test messages to one address, numbered, each under a key of its own."""
    return [
        {
            "key": str(uuid4()),
            "carrier": address.carrier,
            "to": address.to,
            "sender": sender,
            "title": "" if address.carrier == "sms" else "Test",
            "body": f"Test {number} of {MESSAGES} of a message gateway. Nothing is owed and nothing is to be done. 測試 ✓",
            "voicemail": None,
            "template": None,
            "variables": {},
            "valid_seconds": VALID_SECONDS,
            "callback_url": callback_url,
        }
        for number in range(1, MESSAGES + 1)
    ]


async def check_gateway(
    url: str,
    keys: SigningKeys,
    *,
    addresses: Sequence[Address] = (),
    sender: str = "TEST",
    ear: Ear | None = None,
    status_seconds: float = 60.0,
) -> list[Finding]:
    """Play the page against a gateway.

    Args:
        url: Where it is, without `/v1`.
        keys: That both sides know; the first signs.
        addresses: Who is written to; with none, only what reaches nobody is checked.
        sender: What stands in `sender`.
        ear: Hears statuses, where they are to be checked too.
        status_seconds: How long to wait for them.

    Raises:
        NotTried: It could not be reached.
    """
    session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CALL_SECONDS_MAX), trust_env=False)
    async with session:
        play = _Play(session, url.rstrip("/"), keys)
        await play.reach()
        await play.signatures()
        await play.questions()
        for address in addresses:
            await play.messages(address, sender, ear, status_seconds)
        return play.findings


class _Play:
    """One run through the page."""

    def __init__(self, session: aiohttp.ClientSession, url: str, keys: SigningKeys) -> None:
        self.findings: list[Finding] = []
        self._session, self._url, self._keys = session, url, keys

    async def reach(self) -> None:
        """Whether anybody is there.

        Raises:
            NotTried: Nobody is.
        """
        try:
            said = await self.call("GET", "/v1")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise NotTried(f"nobody answers at {self._url}/v1 ({type(error).__name__})") from None

        async def tells() -> None:
            _expect(said, 200)
            carriers = said.value.get("carriers")
            _demand(isinstance(carriers, list) and bool(carriers), "`carriers` is no list of carriers")
            away = abs((_instant(said.value, "time") - datetime.now(UTC)).total_seconds())
            _demand(away <= CLOCK_SECONDS_MAX, f"its clock is {away:.0f} s from this one; {CLOCK_SECONDS_MAX} s are bearable")

        await self.find("GET /v1 names carriers and a clock that is right", tells)

    async def signatures(self) -> None:
        """What is not signed as it should be is refused, before anything of it is read."""
        key_id, secret = self._keys[0]
        now = time.time()

        def signed(keys: SigningKeys, *, method: str = "GET", target: str = "", body: bytes = b"", at: float = now) -> str:
            return sign_request(keys, method=method, target=target or self._target("/v1"), body=body, at_seconds=at)

        old, early = now - SIGNATURE_SECONDS_MAX - 60, now + SIGNATURE_SECONDS_MAX + 60
        refused: list[tuple[str, str | None, str]] = [
            ("a request without a signature is refused", None, "bad_signature"),
            ("a forged signature is refused", signed([(key_id, secret[::-1] + "x")]), "bad_signature"),
            ("a signature that cannot be read is refused", "v1=0", "bad_signature"),
            ("a signature for another path is refused", signed(self._keys, target=self._target("/v1/messages")), "bad_signature"),
            ("a signature for another method is refused", signed(self._keys, method="POST"), "bad_signature"),
            ("a key that nobody knows is refused", signed([("nobody", secret)]), "unknown_key_id"),
            ("what was signed long ago is refused", signed(self._keys, at=old), "stale_timestamp"),
            ("what was signed in the future is refused", signed(self._keys, at=early), "stale_timestamp"),
        ]
        for rule, header, code in refused:
            await self.find(rule, self._refusal("GET", "/v1", b"", header, code))
        # Empty objects: a gateway that does not look at the signature still has nothing to send.
        body, path = b"{ }", "/v1/messages"
        other = signed(self._keys, method="POST", target=self._target(path), body=b"{}")
        await self.find("a body that was changed after it was signed is refused", self._refusal("POST", path, body, other, "bad_signature"))
        await self.find("an unsigned message is refused", self._refusal("POST", path, body, None, "bad_signature"))
        for one in self._keys:
            header = signed([one])
            await self.find(f"the key {one[0]} is believed", self._answer("/v1", header))

    async def questions(self) -> None:
        """What reaches nobody: unknown keys, malformed requests, empty lists."""

        async def unknown() -> None:
            _expect(await self.call("GET", f"/v1/messages/{uuid4()}"), 404, "unknown_key")

        async def whole() -> None:
            key = str(uuid4())
            # Without an address: even a gateway that takes it can send it to nobody.
            malformed: tuple[Any, ...] = ({}, {"key": key}, {"key": key, "carrier": "sms", "body": "x"}, [])
            for given in malformed:
                _expect(await self.call("POST", "/v1/messages", _json(given)), 400, "invalid_request")
            _expect(await self.call("POST", "/v1/messages", b"{"), 400, "invalid_request")
            _expect(await self.call("GET", f"/v1/messages/{key}"), 404, "unknown_key")

        async def large() -> None:
            said = await self.call("POST", "/v1/messages", _json({"key": str(uuid4()), "body": "x" * 70_000}))
            _demand(said.status in {400, 413}, f"a request of 70 kB was answered with {said}")

        async def empty() -> None:
            said = await self.call("GET", _list("1970-01-01T00:00:00+00:00", "1970-01-02T00:00:00+00:00"))
            _expect(said, 200)
            _demand(said.value.get("messages") == [] and said.value.get("next", 0) is None, "the list of a day in 1970 is not empty")

        async def bounds() -> None:
            for limit in ("0", "1001", "x"):
                path = _list("1970-01-01T00:00:00+00:00", "1970-01-02T00:00:00+00:00", limit=limit)
                _expect(await self.call("GET", path), 400, "invalid_request")
            _expect(await self.call("GET", _list("1970-01-01", "1970-01-02T00:00:00+00:00")), 400, "invalid_request")

        await self.find("a key that nobody used is unknown", unknown)
        await self.find("a malformed message is refused and uses no key", whole)
        await self.find("a request that is too large is refused", large)
        await self.find("a list of a time in which nothing was taken is empty", empty)
        await self.find("a list takes a limit from 1 to 1,000 and instants with an offset", bounds)

    async def messages(self, address: Address, sender: str, ear: Ear | None, status_seconds: float) -> None:
        """What is written to one address: three messages, however often they are asked for."""
        given = messages_for(address, sender, callback_url=None if ear is None else ear.url)
        one = _ToOne(self, address, given)
        on = f" ({address.carrier})"
        await self.find("a message is taken, with a receipt" + on, one.is_taken)
        if not one.told:
            return
        await self.find("the same message again gives the first receipt" + on, one.is_the_same_again)
        await self.find("another message under a used key is refused" + on, one.is_no_other)
        await self.find("what became of it is told by its key" + on, one.is_told)
        await self.find(f"{AT_ONCE} at once under one key are one message" + on, one.is_one_of_many)
        await self.find("a forged message is refused and uses no key" + on, one.is_not_forged)
        await self.find("a message that was refused may be sent under its key" + on, one.is_taken_after_a_refusal)
        await self.find("the list shows each once, page by page, and nobody's address" + on, one.is_listed)
        if ear is not None:
            await self.find("each status is signed, and tells of its own message" + on, lambda: _hear(ear, one.told, status_seconds))

    # How it is asked

    def _target(self, path: str) -> str:
        parts = urlsplit(self._url + path)
        return parts.path + (f"?{parts.query}" if parts.query else "")

    async def call(self, method: str, path: str, body: bytes = b"") -> _Said:
        """Ask as the page says: signed, now."""
        header = sign_request(self._keys, method=method, target=self._target(path), body=body, at_seconds=time.time())
        return await self._raw(method, path, body, header)

    async def _raw(self, method: str, path: str, body: bytes, header: str | None) -> _Said:
        headers = {"Content-Type": "application/json"} if body else {}
        async with self._session.request(
            method,
            URL(self._url + path, encoded=True),
            data=body or None,
            headers=headers if header is None else {**headers, SIGNATURE_HEADER: header},
            allow_redirects=False,
        ) as response:
            text = await response.text(errors="replace")
            try:
                value = json.loads(text)
            except ValueError:
                value = {}
            return _Said(status=response.status, value=value if isinstance(value, dict) else {}, text=text)

    async def refuses_a_forged(self, message: Mapping[str, Any]) -> None:
        """A whole message, signed with a secret that nobody has, is refused."""
        body, path = _json(message), "/v1/messages"
        forged = [(self._keys[0][0], self._keys[0][1][::-1] + "x")]
        header = sign_request(forged, method="POST", target=self._target(path), body=body, at_seconds=time.time())
        await self._refusal("POST", path, body, header, "bad_signature")()

    def _refusal(self, method: str, path: str, body: bytes, header: str | None, code: str) -> Callable[[], Awaitable[None]]:
        async def refused() -> None:
            said = await self._raw(method, path, body, header)
            _expect(said, 401, code)

        return refused

    def _answer(self, path: str, header: str) -> Callable[[], Awaitable[None]]:
        async def answered() -> None:
            _expect(await self._raw("GET", path, b"", header), 200)

        return answered

    async def find(self, rule: str, step: Callable[[], Awaitable[None]]) -> None:
        """Take a step, and write down whether the rule holds."""
        try:
            await step()
        except BrokenRule as broken:
            self.findings.append(Finding(rule=rule, holds=False, because=str(broken)))
        except (aiohttp.ClientError, TimeoutError, OSError, KeyError, TypeError, AttributeError) as error:
            self.findings.append(Finding(rule=rule, holds=False, because=f"no answer that can be read ({type(error).__name__})"))
        else:
            self.findings.append(Finding(rule=rule, holds=True))


class _ToOne:
    """Three messages to one address."""

    def __init__(self, play: _Play, address: Address, messages: Sequence[dict[str, Any]]) -> None:
        self.told: dict[str, Mapping[str, Any]] = {}
        self._play, self._address = play, address
        self._first, self._second, self._third = messages

    async def is_taken(self) -> None:
        """The first message is taken."""
        said = await self._send(self._first)
        _expect(said, 201)
        self.told[self._first["key"]] = _receipt(said, self._first)

    async def is_the_same_again(self) -> None:
        """Whoever asks again is shown the first receipt."""
        for _ in range(2):
            said = await self._send(self._first)
            _expect(said, 200)
            _same(said.value, self.told[self._first["key"]])

    async def is_no_other(self) -> None:
        """A used key is no other message's."""
        _expect(await self._send({**self._first, "body": "Another text under a used key: must never arrive."}), 422, "key_reused")

    async def is_told(self) -> None:
        """The key asks what became of it."""
        said = await self._play.call("GET", f"/v1/messages/{self._first['key']}")
        _expect(said, 200)
        _same(_receipt(said, self._first), self.told[self._first["key"]])

    async def is_one_of_many(self) -> None:
        """Several at once under one key are one message."""
        answers = await asyncio.gather(*(self._send(self._second) for _ in range(AT_ONCE)))
        new = [said for said in answers if said.status == CREATED]
        _demand(len(new) == 1, f"{len(new)} of {AT_ONCE} requests at once were answered with 201; one is new")
        self.told[self._second["key"]] = _receipt(new[0], self._second)
        for said in answers:
            _demand(said.status in {OK, CREATED} or said.code == "in_progress", f"one was answered with {said}")
            if said.status == OK:
                _same(said.value, self.told[self._second["key"]])

    async def is_not_forged(self) -> None:
        """A forged message is not taken."""
        await self._play.refuses_a_forged(self._third)
        _expect(await self._play.call("GET", f"/v1/messages/{self._third['key']}"), 404, "unknown_key")

    async def is_taken_after_a_refusal(self) -> None:
        """What was refused has not used its key."""
        _expect(await self._send({**self._third, "valid_seconds": 0}), 400, "invalid_request")
        _expect(await self._send({**self._third, "carrier": "telegraph"}), 422, "unsupported_carrier")
        said = await self._send(self._third)
        _expect(said, 201)
        self.told[self._third["key"]] = _receipt(said, self._third)

    async def is_listed(self) -> None:
        """The list has each once, in order, whatever the page's size; and what was taken before `until` only."""
        taken = [_instant(receipt, "taken_at") for receipt in self.told.values()]
        since, until = min(taken) - timedelta(seconds=1), max(taken) + timedelta(seconds=1)
        for limit in ("1", "1000"):
            rows = [row async for row in self._rows(since, until, limit)]
            times = Counter(row.get("key") for row in rows)
            wrong = sum(times[key] != 1 for key in self.told)
            _demand(not wrong, f"with limit={limit}, {wrong} of {len(self.told)} messages are not there exactly once")
            places = [(_instant(row, "taken_at"), str(row.get("key"))) for row in rows]
            _demand(places == sorted(places), f"with limit={limit}, they are not in the order of `taken_at` and `key`")
            for row in rows:
                if row.get("key") in self.told:
                    _same(row, self.told[str(row["key"])])
        before = {row.get("key") async for row in self._rows(since, min(taken), "1000")}
        _demand(not before & self.told.keys(), "`until` itself is not left out")
        _demand(len({receipt["id"] for receipt in self.told.values()}) == len(self.told), "two messages bear one id")

    async def _rows(self, since: datetime, until: datetime, limit: str) -> AsyncIterator[Mapping[str, Any]]:
        cursor: str | None = None
        for _ in range(PAGES_MAX):
            said = await self._play.call("GET", _list(since.isoformat(), until.isoformat(), limit=limit, cursor=cursor))
            _expect(said, 200)
            page = said.value.get("messages")
            _demand(isinstance(page, list) and all(isinstance(row, dict) for row in page), "`messages` is no list of objects")
            _demand(len(page) <= int(limit), f"a page has {len(page)} messages with limit={limit}")
            _demand(self._address.to not in said.text, "an address stands in the list")
            for row in page:
                yield row
            cursor = said.value.get("next")
            if cursor is None:
                return
            _demand(isinstance(cursor, str) and bool(page), "`next` is no cursor, or follows an empty page")
        raise BrokenRule(f"the list has no end: {PAGES_MAX} pages")

    async def _send(self, message: Mapping[str, Any]) -> _Said:
        return await self._play.call("POST", "/v1/messages", _json(message))


@asynccontextmanager
async def listening(host: str, port: int, url: str, keys: SigningKeys) -> AsyncIterator[Ear]:
    """Hear statuses while the block lasts."""
    ear = Ear(url, keys)
    await ear.open(host, port)
    try:
        yield ear
    finally:
        await ear.close()


async def _hear(ear: Ear, told: Mapping[str, Mapping[str, Any]], seconds: float) -> None:
    """Wait until each message has ended, or the time is over."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and not all(_ENDS & {said["status"] for said in ear.heard.get(key, ())} for key in told):
        await ear.more(until - time.monotonic())
    _demand(not ear.refused, f"{ear.refused} statuses were not signed, or not as the page says")
    silent = [key for key in told if not ear.heard.get(key)]
    _demand(not silent, f"of {len(silent)} of {len(told)} messages nothing was told within {seconds:.0f} s")
    for key, receipt in told.items():
        for said in ear.heard[key]:
            _demand(said.get("id") == receipt["id"], "a status names another id than the receipt: was it sent twice?")
            _demand(state_of(PROVIDER, str(said.get("status"))) is not None, f"{said.get('status')!r} is no status")
            _instant(said, "at")


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _list(since: str, until: str, *, limit: str = "100", cursor: str | None = None) -> str:
    where = {"since": since, "until": until, "limit": limit, **({} if cursor is None else {"cursor": cursor})}
    return "/v1/messages?" + urlencode(where, quote_via=quote)


def _demand(holds: object, because: str) -> None:
    """Go on where it holds.

    Raises:
        BrokenRule: It does not.
    """
    if not holds:
        raise BrokenRule(because)


def _expect(said: _Said, status: int, code: str = "") -> None:
    _demand(said.status == status and said.code == code, f"answered with {said}, not with {status} {code}".rstrip())


def _receipt(said: _Said, message: Mapping[str, Any]) -> Mapping[str, Any]:
    """The receipt, checked."""
    receipt: Mapping[str, Any] = said.value
    _demand(receipt.get("key") == message["key"] and receipt.get("carrier") == message["carrier"], "the receipt is another message's")
    _demand(is_id(receipt.get("id")), "`id` is not 1 to 128 printable characters without spaces")
    _demand(state_of(PROVIDER, str(receipt.get("status"))) is not None, f"{receipt.get('status')!r} is no status")
    _instant(receipt, "taken_at")
    _instant(receipt, "updated_at")
    _demand(message["to"] not in said.text, "the receipt repeats the address")
    return receipt


def _same(now: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    for name in ("key", "id", "taken_at"):
        _demand(now.get(name) == before[name], f"`{name}` is not that of the first receipt")


def _instant(value: Mapping[str, Any], name: str) -> datetime:
    try:
        at = datetime.fromisoformat(str(value.get(name)))
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise BrokenRule(f"`{name}` is no instant with an offset")
    return at

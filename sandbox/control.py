"""The control API: the clock, the town, what phones received, what the wallet took in, faults.

In:   requests of a test, a demo or an auditor, on loopback.
Out:  JSON, JSON lines, CSV. docs/sandbox.md lists the routes.
Pure: no. A real provider has nothing of this; no sender may depend on it.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox import lender_app
from sandbox.happenings import Paid, Phone
from sandbox.issuer import PEOPLE
from sandbox.people import invent_people
from sandbox.print_shop import fetch
from sandbox.signed import GatewayError
from sandbox.social import Button
from sandbox.twilio import is_loopback_url
from sandbox.wallets import wallet
from sandbox.world import Received, World

ROWS_MAX = 100_000
# ISO 4217 currencies whose minor unit is not a hundredth; the feed also writes amounts as people read them.
_DECIMALS = dict.fromkeys(("JPY", "KRW", "VND", "CLP", "PYG", "UGX", "RWF", "XOF", "XAF"), 0) | dict.fromkeys(
    ("BHD", "KWD", "OMR", "TND", "JOD"), 3
)
_FEED = (
    "external_id",
    "loan_ref",
    "amount_minor",
    "amount",
    "currency",
    "paid_at",
    "posted_at",
    "rail",
    "state",
    "reverses_external_id",
    "reversal_reason",
)
_RESIDENT_FIELDS = frozenset({"phone", "push_token", "messenger_id", "locale", "zone", "loans"})
MEDIA_MAX = 10
_WEBHOOKS = ("inbound_url", "acknowledgement_url", "gateway_inbound_url", "wallet_webhook_url")
_ANSWERS = ("human", "machine", "fax", "unknown", "busy", "no-answer", "failed")
_KEYS = frozenset("0123456789*#")
_RESET_FIELDS = frozenset({"seed", "at", "world", "drawn", "latency_ms", "latency_jitter_ms", "settle_ms"})


class ControlError(ValueError):
    """A control request that cannot be done; the text says why."""


def routes(world: World) -> list[BaseRoute]:
    """The routes under /sandbox."""
    control = _Control(world)
    table: dict[str, tuple[Callable[[Request], Awaitable[Response]], str]] = {
        "/health": (control.health, "GET"),
        "/clock": (control.clock, "GET POST"),
        "/town": (control.town, "POST"),
        "/received": (control.received, "GET"),
        "/payments.csv": (control.payments, "GET"),
        "/summary": (control.summary, "GET"),
        "/faults": (control.faults, "GET POST DELETE"),
        "/open": (control.open, "GET"),
        "/issuer": (control.issuer, "GET POST"),
        "/latency": (control.latency, "POST"),
        "/webhooks": (control.webhooks, "POST"),
        "/texts": (control.texts, "POST"),
        "/templates": (control.templates, "POST"),
        "/phones": (control.phones, "POST"),
        "/settle": (control.settle, "POST"),
        "/reset": (control.reset, "POST"),
        "/invent": (control.invent, "POST"),
        "/wallets": (control.wallets, "POST"),
        "/service-account": (control.service_account, "GET"),
        "/print-shop": (control.print_shop, "POST"),
        **lender_app.control_routes(world),
    }
    return [Route(path, _guarded(endpoint), methods=methods.split()) for path, (endpoint, methods) in table.items()]


def _guarded(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Turn what cannot be done into a 400 with its reason."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except (ValueError, GatewayError) as error:
            return JSONResponse({"error": str(error)}, 400)

    return answer


class _Control:
    """The endpoints."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def health(self, request: Request) -> Response:
        del request
        return JSONResponse({"status": "ok", "at": self._world.now.isoformat()})

    async def clock(self, request: Request) -> Response:
        if request.method == "POST":
            await self._world.step(_instant((await _object(request)).get("at"), "at"))
        return JSONResponse({"at": self._world.now.isoformat(), "runs": self._world.options.wall_clock})

    async def town(self, request: Request) -> Response:
        """Load residents: all or none of a chunk's rows are checked before the first moves in."""
        if request.headers.get("content-type", "").startswith("text/csv"):
            rows = _csv_residents(await request.body())
        else:
            given = (await _object(request)).get("residents")
            if not isinstance(given, list):
                raise ControlError("residents is a list")
            rows = [_resident(row, number) for number, row in enumerate(given, start=1)]
        for number, row in enumerate(rows, start=1):
            try:
                self._world.town.settle(**row)
            except ValueError as error:
                raise ControlError(f"resident {number}: {error}") from error
        return JSONResponse({"residents": self._world.town.residents, "rows": len(rows)})

    async def received(self, request: Request) -> Response:
        """JSON lines; `after` and the header X-Next-After page through them."""
        channel = request.query_params.get("channel")
        after, limit = _whole(request, "after", 0), min(_whole(request, "limit", ROWS_MAX), ROWS_MAX)
        lines: list[str] = []
        last = after
        for serial, row in enumerate(self._world.received[after:], start=after + 1):
            if len(lines) == limit:
                break
            last = serial
            if channel in {None, row.channel}:
                lines.append(json.dumps(_shown(serial, row), ensure_ascii=False))
        return Response("".join(f"{line}\n" for line in lines), 200, {"X-Next-After": str(last)}, "application/x-ndjson")

    async def print_shop(self, request: Request) -> Response:
        """Fetch the letters of an outbox folder; answers the print shop's list."""
        folder = (await _object(request)).get("outbox")
        if not isinstance(folder, str):
            raise ControlError("outbox is the path of a folder")
        return Response(await asyncio.to_thread(fetch, self._world, Path(folder)), 200, media_type="text/csv")

    async def payments(self, request: Request) -> Response:
        """The wallet's feed: what was posted after `since`."""
        since = _instant(request.query_params["since"], "since") if "since" in request.query_params else None
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(_FEED)
        writer.writerows(_feed_row(paid) for paid in self._world.payments if since is None or paid.at > since)
        return PlainTextResponse(out.getvalue(), media_type="text/csv")

    async def summary(self, request: Request) -> Response:
        del request
        return JSONResponse(self._world.summary())

    async def faults(self, request: Request) -> Response:
        if request.method == "DELETE":
            self._world.faults.put([])
        elif request.method == "POST":
            given = (await _object(request)).get("faults")
            if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
                raise ControlError("faults is a list of objects")
            self._world.faults.put(given)
        return JSONResponse({"faults": self._world.faults.in_force})

    async def open(self, request: Request) -> Response:
        """Who waits at this moment: callers by their local port, our own posts to webhooks, and whatever is due and has not happened."""
        del request
        world = self._world
        return JSONResponse({"calls": sorted(world.calling), "posts": world.postman.under_way, "at_rest": world.at_rest})

    async def latency(self, request: Request) -> Response:
        given = await _object(request)
        for name in ("latency_ms", "latency_jitter_ms"):
            if name in given:
                setattr(self._world.options, name, _milliseconds(given[name], name))
        return JSONResponse({name: getattr(self._world.options, name) for name in ("latency_ms", "latency_jitter_ms")})

    async def webhooks(self, request: Request) -> Response:
        given = await _object(request)
        for name in _WEBHOOKS:
            if name not in given:
                continue
            url = given[name]
            if url is not None and not (isinstance(url, str) and is_loopback_url(url)):
                raise ControlError(f"{name} is an address on loopback, or null")
            setattr(self._world.options, name, url)
        return JSONResponse({name: getattr(self._world.options, name) for name in _WEBHOOKS})

    async def texts(self, request: Request) -> Response:
        """Someone texts the lender of their own accord, taps a button, or sends pictures."""
        given = await _object(request)
        if not all(isinstance(given.get(name), str) for name in ("from", "to", "text")):
            raise ControlError("from, to and text are strings")
        if isinstance(given.get("carrier"), str):
            await self._world.text_by_gateway(carrier=given["carrier"], sender=given["from"], to=given["to"], text=given["text"])
            return JSONResponse({})
        sid, media, tapped = given.get("messaging_service_sid"), given.get("media", 0), given.get("button")
        if not isinstance(media, int) or not 0 <= media <= MEDIA_MAX:
            raise ControlError(f"media is a number of pictures, at most {MEDIA_MAX}")
        if tapped is not None and not (isinstance(tapped, dict) and set(tapped) == {"text", "payload"}):
            raise ControlError("button is {text, payload}")
        button = None if tapped is None else Button(str(tapped["text"]), str(tapped["payload"]))
        record = await self._world.text_from(
            sender=given["from"], to=given["to"], text=given["text"], service_sid=sid, tapped=button, media=media
        )
        return JSONResponse({"sid": record.sid})

    async def templates(self, request: Request) -> Response:
        """Content templates of the account."""
        given = (await _object(request)).get("templates")
        if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
            raise ControlError("templates is a list of objects")
        self._world.account.templates.put(given)
        return JSONResponse({"templates": len(self._world.account.templates)})

    async def phones(self, request: Request) -> Response:
        """How a number answers from now on, whoever lives there."""
        given = await _object(request)
        answers, keys = given.get("answers"), given.get("keys", [])
        if not isinstance(given.get("number"), str) or answers not in _ANSWERS:
            raise ControlError(f"number is a string, answers one of {', '.join(_ANSWERS)}")
        if not isinstance(keys, list) or not all(isinstance(key, str) and (not key or key in _KEYS) for key in keys):
            raise ControlError("keys is a list of keys; an empty one is none")
        self._world.town.lend(given["number"], Phone(answers, tuple(keys)))
        return JSONResponse({"number": given["number"], "answers": answers})

    async def issuer(self, request: Request) -> Response:
        """Who can sign in with the issuer, and what is wrong with it."""
        if request.method == "POST":
            self._world.issuer.put_fault((await _object(request)).get("fault"))
        return JSONResponse({"url": self._world.issuer.url, "people": PEOPLE, "fault": self._world.issuer.fault})

    async def settle(self, request: Request) -> Response:
        """Let what is due by now happen, without moving the clock."""
        del request
        await self._world.settle()
        return JSONResponse({"at": self._world.now.isoformat()})

    async def reset(self, request: Request) -> Response:
        given = await _object(request, may_be_empty=True)
        unknown = set(given) - _RESET_FIELDS
        if unknown:
            raise ControlError(f"reset does not take {', '.join(sorted(unknown))}")
        changes = dict(given)
        if "seed" in changes:
            changes["seed"] = str(changes["seed"])
        if changes.get("at") is not None:
            changes["at"] = _instant(changes["at"], "at")
        for name in ("latency_ms", "latency_jitter_ms", "settle_ms"):
            if name in changes and not (name == "settle_ms" and changes[name] is None):
                changes[name] = _milliseconds(changes[name], name)
        if not isinstance(changes.get("world", {}), dict) or not isinstance(changes.get("drawn", False), bool):
            raise ControlError("world is an object of parameters, drawn is true or false")
        await self._world.reset(changes)
        return JSONResponse({"at": self._world.now.isoformat()})

    async def invent(self, request: Request) -> Response:
        given = await _object(request)
        count = given.get("count")
        if not isinstance(count, int) or isinstance(count, bool):
            raise ControlError("count is a whole number")
        people = invent_people(given.get("seed", self._world.options.seed), str(given.get("country")), count)
        return JSONResponse({"people": [asdict(person) for person in people]})

    async def wallets(self, request: Request) -> Response:
        """What moved in the wallets of these owners in the last days: [owner, day, kind, amount]."""
        given = await _object(request)
        owners, a_month = given.get("owners"), given.get("a_month")
        if not isinstance(owners, list) or not all(isinstance(owner, str) for owner in owners):
            raise ControlError("owners is a list of texts")
        if not isinstance(a_month, int) or isinstance(a_month, bool) or a_month < 1:
            raise ControlError("a_month is a whole number above zero")
        until, seed = date.fromisoformat(str(given.get("until"))), given.get("seed", self._world.options.seed)
        found = {owner: wallet(seed, owner, until=until, a_month=a_month) for owner in owners}
        rows = [[owner, day.isoformat(), kind, amount] for owner, days in found.items() for day, kind, amount in days]
        return JSONResponse({"rows": rows})

    async def service_account(self, request: Request) -> Response:
        del request
        return JSONResponse(self._world.project.service_account)


async def _object(request: Request, *, may_be_empty: bool = False) -> dict[str, Any]:
    body = await request.body()
    if not body and may_be_empty:
        return {}
    try:
        given = json.loads(body)
    except ValueError as error:
        raise ControlError("the body is not JSON") from error
    if not isinstance(given, dict):
        raise ControlError("the body is a JSON object")
    return given


def _instant(text: object, name: str) -> datetime:
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ControlError(f"{name} is an instant with its offset, like 2026-03-17T09:00:00Z")
    return at.astimezone(UTC)


def _whole(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isascii() or not text.isdigit():
        raise ControlError(f"{name} is a whole number from 0")
    return int(text)


def _milliseconds(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 600_000:  # noqa: PLR2004  # ten minutes
        raise ControlError(f"{name} is milliseconds from 0 to 600000")
    return float(value)


def _resident(row: Any, number: int) -> dict[str, Any]:
    if not isinstance(row, dict) or set(row) - _RESIDENT_FIELDS:
        raise ControlError(f"resident {number}: an object of {', '.join(sorted(_RESIDENT_FIELDS))}")
    loans = row.get("loans") or []
    if not isinstance(loans, list):
        raise ControlError(f"resident {number}: loans is a list")
    return {
        "phone": row.get("phone") or None,
        "push_token": row.get("push_token") or None,
        "messenger_id": row.get("messenger_id") or None,
        "locale": str(row.get("locale") or "en"),
        "zone": str(row.get("zone") or "UTC"),
        "loans": [_loan(loan, number) for loan in loans],
    }


def _loan(loan: Any, number: int) -> tuple[str, str, int]:
    try:
        loan_ref, currency, owed_minor = loan["loan_ref"], loan["currency"], loan["owed_minor"]
    except (KeyError, TypeError) as error:
        raise ControlError(f"resident {number}: a loan is {{loan_ref, currency, owed_minor}}") from error
    if not isinstance(owed_minor, int) or isinstance(owed_minor, bool) or owed_minor <= 0:
        raise ControlError(f"resident {number}: owed_minor is a whole number from 1")
    return str(loan_ref), str(currency), owed_minor


def _csv_residents(body: bytes) -> list[dict[str, Any]]:
    """One row a loan: phone, push_token, locale, zone, loan_ref, currency, owed_minor."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ControlError("the CSV is not UTF-8") from error
    rows: Iterable[Mapping[str, str | None]] = csv.DictReader(io.StringIO(text))
    residents = []
    for number, row in enumerate(rows, start=1):
        loans: list[dict[str, Any]] = []
        if row.get("loan_ref"):
            owed = row.get("owed_minor") or ""
            loans = [{"loan_ref": row["loan_ref"], "currency": row.get("currency"), "owed_minor": int(owed) if owed.isdigit() else None}]
        residents.append(_resident({name: row.get(name) for name in _RESIDENT_FIELDS - {"loans"}} | {"loans": loans}, number))
    return residents


def _shown(serial: int, row: Received) -> dict[str, Any]:
    shown: dict[str, Any] = {"serial": serial, "channel": row.channel, "to": row.to}
    if row.channel == "voice":
        # Who answered, as machine detection had it.
        shown |= {"answered_by": row.title, "from": row.sender, "body": row.body}
    elif row.channel == "push" and row.data is not None:
        shown |= {"title": row.title, "body": row.body, "data": row.data}
    elif not row.title:
        shown |= {"from": row.sender, "body": row.body}
    else:
        shown |= {"from": row.sender, "title": row.title, "body": row.body}
    return shown | {"received_at": row.received_at.isoformat(), "provider_id": row.provider_id}


def _feed_row(paid: Paid) -> tuple[object, ...]:
    decimals = _DECIMALS.get(paid.currency, 2)
    sign, digits = "-" if paid.amount_minor < 0 else "", str(abs(paid.amount_minor)).rjust(decimals + 1, "0")
    amount = f"{sign}{digits[:-decimals]}.{digits[-decimals:]}" if decimals else f"{sign}{digits}"
    returned = paid.reverses_external_id is not None
    return (
        paid.external_id,
        paid.loan_ref,
        paid.amount_minor,
        amount,
        paid.currency,
        paid.paid_at.isoformat(),
        paid.at.isoformat(),
        "wallet",
        paid.state,
        paid.reverses_external_id or "",
        "returned" if returned else "",
    )

"""HTTP of the lender's core system and wallet: their routes, the wallet's page, and the control API of both.

In:   requests on loopback.
Out:  answers as docs/core.md and docs/wallet.md of the product say.
Pure: no.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from sandbox.core import STATES
from sandbox.signed import GatewayError, Signed
from sandbox.wallet import REASONS, confirm_page
from sandbox.world import World

SignedEndpoint = Callable[[Request, bytes], Awaitable[Response]]
Guard = Callable[[Callable[[], Signed], SignedEndpoint], Callable[[Request], Awaitable[Response]]]


def routes(world: World, guarded: Guard) -> list[BaseRoute]:
    """The routes of both.

    Args:
        world: Which has them.
        guarded: Lets in what is signed with one of the system's keys, and turns refusals into error bodies (app.py).
    """

    async def tell(request: Request, body: bytes) -> Response:
        del request
        told, is_new = await world.take_instruction(body)
        return JSONResponse(told.answer, 201 if is_new else 200)

    async def told(request: Request, body: bytes) -> Response:
        del body
        await world.before_listing("", channel="core", refusal=GatewayError("unavailable"))
        return JSONResponse(world.core.fetch(request.path_params["key"]).answer)

    async def pay(request: Request, body: bytes) -> Response:
        asked, is_new = await world.take_payment(body)
        return JSONResponse(asked.shown(_base(request)), 201 if is_new else 200)

    async def paid(request: Request, body: bytes) -> Response:
        del body
        await world.before_listing("", channel="wallet", refusal=GatewayError("unavailable"))
        return JSONResponse(world.wallet.fetch(request.path_params["key"]).shown(_base(request)))

    async def confirm(request: Request) -> Response:
        asked = world.wallet.by_id(request.path_params["id"])
        if asked is None:
            return Response(status_code=404)
        if request.method == "GET":
            return HTMLResponse(confirm_page(asked))
        word = dict(parse_qsl((await request.body()).decode())).get("do")
        await world.conclude_payment(asked, "paid" if word == "confirm" else "failed", None if word == "confirm" else "declined")
        return RedirectResponse(asked.return_url or "/", 303)

    core = [
        Route("/v1/instructions", guarded(lambda: world.core, tell), methods=["POST"]),
        Route("/v1/instructions/{key}", guarded(lambda: world.core, told), methods=["GET"]),
    ]
    wallet = [
        Route("/v1/payments", guarded(lambda: world.wallet, pay), methods=["POST"]),
        Route("/v1/payments/{key}", guarded(lambda: world.wallet, paid), methods=["GET"]),
        Route("/confirm/{id}", confirm, methods=["GET", "POST"]),
    ]
    return [Mount("/core", routes=core), Mount("/wallet", routes=wallet)]


def _base(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}"


def control_routes(world: World) -> dict[str, tuple[Callable[[Request], Awaitable[Response]], str]]:
    """What a test, a demo or a person may have the core system and the wallet do."""

    async def core(request: Request) -> Response:
        if request.method == "POST":
            await _have_core(world, await request.json())
        return JSONResponse({"instructions": [{**one.answer, "given": one.given, "effects": one.effects} for one in world.core.listed]})

    async def wallet(request: Request) -> Response:
        if request.method == "POST":
            await _have_wallet(world, await request.json())
        return JSONResponse({"payments": [one.shown(_base(request)) for one in world.wallet.listed]})

    return {"/core": (core, "GET POST"), "/wallet": (wallet, "GET POST")}


async def _have_core(world: World, given: dict[str, Any]) -> None:
    """`{at_once?, later?, reason?}` sets how the next ones are answered; `{key, state, reason?}` answers one now; `{forget}` loses one."""
    if "forget" in given:
        world.core.forget(str(given["forget"]))
    elif "key" in given:
        if given.get("state") not in STATES:
            raise ValueError(f"state is one of {', '.join(STATES)}")
        await world.answer_instruction(str(given["key"]), str(given["state"]), given.get("reason"))
    else:
        known = asdict(world.core.manners)
        if unknown := set(given) - set(known):
            raise ValueError(f"manners have no {', '.join(sorted(unknown))}")
        if not {given.get("at_once", "received"), *given.get("later", [])} <= set(STATES):
            raise ValueError(f"at_once and later are of {', '.join(STATES)}")
        for name, value in given.items():
            setattr(world.core.manners, name, value)


async def _have_wallet(world: World, given: dict[str, Any]) -> None:
    """Have the wallet's owner do something.

    `{"do": "pay", creditor, loan, amount_minor, currency}`, `{"do": "confirm" | "decline" | "expire", id}`,
    `{"do": "return", id, reason, amount_minor?}`.
    """
    word = given.get("do")
    if word == "pay":
        await world.pay_in_wallet(given)
        return
    asked = world.wallet.by_id(str(given.get("id")))
    if asked is None:
        raise ValueError("id is a payment's")
    if word in {"confirm", "decline", "expire"}:
        status, error = {"confirm": ("paid", None), "decline": ("failed", "declined"), "expire": ("expired", None)}[str(word)]
        await world.conclude_payment(asked, status, error)
    elif word == "return" and given.get("reason") in REASONS:
        await world.return_payment(asked, str(given["reason"]), int(given.get("amount_minor", asked.amount_minor)))
    else:
        raise ValueError(f"do is pay, confirm, decline, expire, or return with a reason: {', '.join(REASONS)}")

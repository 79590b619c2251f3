"""The sandbox's HTTP face: Twilio's and FCM's routes, those of a lender's gateway and of an issuer of sign-ins beside the control API.

In:   requests on loopback.
Out:  answers in each provider's form.
Pure: no.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Receive, Scope, Send

from sandbox import control, lender_app
from sandbox import relay as relaying
from sandbox.fcm import FcmError, OAuthError
from sandbox.gateway import CARRIERS
from sandbox.lender_app import SignedEndpoint
from sandbox.signed import GatewayError, Signed
from sandbox.twilio import TwilioError
from sandbox.world import DropConnectionError, World, wall_seconds

# The protocol (__main__.py) leaves here how to break the connection.
BREAK_CONNECTION = "sandbox.break_connection"
Endpoint = Callable[[Request], Awaitable[Response]]


class DroppedResponse(Response):
    """No answer: the connection breaks."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Break it, and wait until the server has noticed, so that it does not write an error of its own."""
        del send
        scope[BREAK_CONNECTION]()
        while (await receive())["type"] != "http.disconnect":
            pass


def as_json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer, in UTF-8."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Response(body, status, headers, "application/json;charset=utf-8")


class Twilio:
    """Twilio's routes."""

    def __init__(self, world: World) -> None:
        """Know the credentials that will be asked for."""
        self._world = world
        pair = f"{world.options.account_sid}:{world.options.auth_token}"
        self._authorisation = f"Basic {base64.b64encode(pair.encode()).decode()}"

    @property
    def routes(self) -> list[BaseRoute]:
        """Messages and calls, and nothing else."""
        account = "/2010-04-01/Accounts/{account}"
        return [
            Route(f"{account}/Messages.json", self._guarded(self._create), methods=["POST"]),
            Route(f"{account}/Messages.json", self._guarded(self._list), methods=["GET"]),
            Route(f"{account}/Messages/{{sid}}.json", self._guarded(self._one), methods=["GET", "POST", "DELETE"]),
            Route(f"{account}/Calls.json", self._guarded(self._create_call), methods=["POST"]),
            Route(f"{account}/Calls.json", self._guarded(self._list_calls), methods=["GET"]),
            Route(f"{account}/Calls/{{sid}}.json", self._guarded(self._one_call), methods=["GET", "POST"]),
            Route("/2010-04-01/{rest:path}", self._guarded(self._nothing), methods=["GET", "POST", "DELETE"]),
        ]

    def _guarded(self, endpoint: Endpoint) -> Endpoint:
        """Check who asks, and turn refusals into Twilio's error bodies."""

        async def answer(request: Request) -> Response:
            try:
                self._admit(request)
                return await endpoint(request)
            except TwilioError as error:
                return as_json(error.body, error.status)
            except DropConnectionError:
                return DroppedResponse()

        return answer

    def _admit(self, request: Request) -> None:
        account_sid = self._world.options.account_sid
        if request.headers.get("authorization") != self._authorisation:
            raise TwilioError(20003, 401)
        if request.path_params.get("account", account_sid) != account_sid:
            raise TwilioError(20404, 404)

    async def _create(self, request: Request) -> Response:
        with _calling(self._world, request):
            record = await self._world.create_text(await _form(request))
        return as_json(self._world.account.resource(record), 201)

    async def _list(self, request: Request) -> Response:
        with _calling(self._world, request):
            await self._world.before_listing(request.query_params.get("To", ""))
        return as_json(self._world.account.page(dict(request.query_params)))

    async def _one(self, request: Request) -> Response:
        sid = request.path_params["sid"]
        if request.method == "DELETE":
            self._world.account.delete(sid)
            return Response(status_code=204)
        account = self._world.account
        record = self._world.update_text(sid, await _form(request)) if request.method == "POST" else account.fetch(sid)
        return as_json(account.resource(record))

    async def _create_call(self, request: Request) -> Response:
        with _calling(self._world, request):
            record = await self._world.create_call(await _form(request))
        return as_json(self._world.calls.resource(record), 201)

    async def _list_calls(self, request: Request) -> Response:
        with _calling(self._world, request):
            await self._world.before_listing(request.query_params.get("To", ""), channel="voice")
        return as_json(self._world.calls.page(dict(request.query_params)))

    async def _one_call(self, request: Request) -> Response:
        sid, calls = request.path_params["sid"], self._world.calls
        record = self._world.update_call(sid, await _form(request)) if request.method == "POST" else calls.fetch(sid)
        return as_json(calls.resource(record))

    async def _nothing(self, request: Request) -> Response:
        del request
        raise TwilioError(20404, 404)


class Fcm:
    """FCM's routes, and Google's token endpoint."""

    def __init__(self, world: World) -> None:
        """Answer for a world."""
        self._world = world

    @property
    def routes(self) -> list[BaseRoute]:
        """Send, and get a token to send with."""
        return [
            Route("/v1/projects/{project}/messages:send", self._send, methods=["POST"]),
            Route("/token", self._token, methods=["POST"]),
        ]

    async def _send(self, request: Request) -> Response:
        try:
            self._world.project.authorise(request.headers.get("authorization", ""), wall_seconds())
            try:
                body = json.loads(await request.body())
            except ValueError as error:
                raise FcmError("INVALID_ARGUMENT", "Invalid JSON payload received.") from error
            with _calling(self._world, request):
                push = await self._world.create_push(request.path_params["project"], body)
        except FcmError as error:
            wait = error.retry_after_seconds
            return as_json(error.body, error.status, None if wait is None else {"Retry-After": f"{wait:g}"})
        except DropConnectionError:
            return DroppedResponse()
        return as_json({"name": push.name})

    async def _token(self, request: Request) -> Response:
        try:
            return as_json(self._world.project.grant(dict(await _form(request)), wall_seconds()))
        except OAuthError as error:
            return as_json(error.body, 400)


def guarded(system: Callable[[], Signed], endpoint: SignedEndpoint) -> Endpoint:
    """Let in what is signed with a key of one of the lender's own systems, and turn refusals into error bodies."""

    async def answer(request: Request) -> Response:
        body = await request.body()
        query = request.scope["query_string"].decode("latin-1")
        target = request.scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
        header = request.headers.get("tideover-signature")
        try:
            system().admit(method=request.method, target=target, body=body, header=header, wall_seconds=wall_seconds())
            return await endpoint(request, body)
        except GatewayError as error:
            wait = error.retry_after_seconds
            return as_json(error.body, error.status, None if wait is None else {"Retry-After": f"{wait:g}"})
        except DropConnectionError:
            return DroppedResponse()

    return answer


class Gateway:
    """The routes of a lender's own gateway."""

    def __init__(self, world: World) -> None:
        """Answer for a world."""
        self._world = world

    @property
    def routes(self) -> list[BaseRoute]:
        """Send, ask, list, say who it is."""
        return [
            Route("/v1", self._guarded(self._self), methods=["GET"]),
            Route("/v1/messages", self._guarded(self._send), methods=["POST"]),
            Route("/v1/messages", self._guarded(self._list), methods=["GET"]),
            Route("/v1/messages/{key}", self._guarded(self._one), methods=["GET"]),
        ]

    def _guarded(self, endpoint: SignedEndpoint) -> Endpoint:
        return guarded(lambda: self._world.gateway, endpoint)

    async def _self(self, request: Request, body: bytes) -> Response:
        del request, body
        return as_json({"carriers": list(CARRIERS), "time": datetime.fromtimestamp(wall_seconds(), UTC).isoformat()})

    async def _send(self, request: Request, body: bytes) -> Response:
        with _calling(self._world, request):
            taken, is_new = await self._world.create_by_gateway(body)
        return as_json(taken.receipt, 201 if is_new else 200)

    async def _list(self, request: Request, body: bytes) -> Response:
        del body
        with _calling(self._world, request):
            await self._world.before_listing("", channel="gateway", refusal=GatewayError("unavailable"))
        return as_json(self._world.gateway.page(dict(request.query_params)))

    async def _one(self, request: Request, body: bytes) -> Response:
        del body
        with _calling(self._world, request):
            await self._world.before_listing("", channel="gateway", refusal=GatewayError("unavailable"))
        return as_json(self._world.gateway.fetch(request.path_params["key"]).receipt)


@contextlib.contextmanager
def _calling(world: World, request: Request) -> Iterator[None]:
    """Note who waits for an answer; a connection carries one call at a time."""
    port = request.client.port if request.client is not None else 0
    world.calling.add(port)
    try:
        yield
    finally:
        world.calling.discard(port)


async def _form(request: Request) -> list[tuple[str, str]]:
    """The fields of a form body; what is not one has none."""
    try:
        return parse_qsl((await request.body()).decode(), keep_blank_values=True)
    except UnicodeDecodeError:
        return []


def build(world: World, say_ready: Callable[[], None]) -> Starlette:
    """The application.

    Args:
        world: What it speaks for.
        say_ready: Called once, when requests can be answered.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        settling = asyncio.create_task(world.keep_settling())
        relay, world.smtp_port = await relaying.listen(world, world.options.smtp_port)
        say_ready()
        yield
        relay.close()
        settling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await settling
        await world.postman.close()

    gateway = Mount("/gateway", routes=Gateway(world).routes)
    issuer = Mount("/issuer", routes=world.issuer.routes)
    own = lender_app.routes(world, guarded)
    routes = [*Twilio(world).routes, *Fcm(world).routes, gateway, issuer, *own, Mount("/sandbox", routes=control.routes(world))]
    return Starlette(routes=routes, lifespan=lifespan)

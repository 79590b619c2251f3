"""The sandbox's HTTP face: Twilio's and FCM's routes beside the control API.

In:   requests on loopback.
Out:  answers in each provider's form.
Pure: no.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Receive, Scope, Send

from sandbox import control
from sandbox.fcm import FcmError, OAuthError
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
        """Messages, and nothing else."""
        account = "/2010-04-01/Accounts/{account}"
        return [
            Route(f"{account}/Messages.json", self._guarded(self._create), methods=["POST"]),
            Route(f"{account}/Messages.json", self._guarded(self._list), methods=["GET"]),
            Route(f"{account}/Messages/{{sid}}.json", self._guarded(self._one), methods=["GET", "POST", "DELETE"]),
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
        record = await self._world.create_text(await _form(request))
        return as_json(self._world.account.resource(record), 201)

    async def _list(self, request: Request) -> Response:
        return as_json(self._world.account.page(dict(request.query_params)))

    async def _one(self, request: Request) -> Response:
        sid = request.path_params["sid"]
        if request.method == "DELETE":
            self._world.account.delete(sid)
            return Response(status_code=204)
        account = self._world.account
        record = self._world.update_text(sid, await _form(request)) if request.method == "POST" else account.fetch(sid)
        return as_json(account.resource(record))

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
        say_ready()
        yield
        settling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await settling
        await world.postman.close()

    routes = [*Twilio(world).routes, *Fcm(world).routes, Mount("/sandbox", routes=control.routes(world))]
    return Starlette(routes=routes, lifespan=lifespan)

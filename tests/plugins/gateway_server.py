"""Fixture: a gateway on loopback in a thread of the test's process, whole, or broken in one named way.

It is the sandbox's own, with a part replaced: what `tideover gateway check` must find.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Any

import pytest
import uvicorn

from sandbox.app import build
from sandbox.gateway import Gateway, GatewayError, Taken
from sandbox.signature import gateway_signature
from sandbox.world import Options, World

KEYS = (("2026-03", "lantern-example-secret-of-nobody-1"), ("2025-11", "lantern-example-secret-of-nobody-0"))
SECONDS_MAX = 10


class _Broken(Gateway):
    """What every broken gateway is made of: told how by name."""

    how = ""

    def admit(self, *, method: str, target: str, body: bytes, header: str | None, wall_seconds: float) -> None:
        if self.how == "believes anybody":
            return
        if self.how == "believes any time" and header is not None and header.startswith("t="):
            wall_seconds = float(header[2:].split(",")[0])
        if self.how == "forgets the old key" and header is not None and KEYS[1][0] in header:
            raise GatewayError("unknown_key_id")
        if self.how == "signs the body alone":
            known = {key_id: secret for key_id, secret in self.keys if header and f"k={key_id}," in header}
            seconds = int(header[2:].split(",")[0]) if header and header.startswith("t=") else 0
            for key_id, secret in known.items():
                # Whatever stands in the path: a signature of one question serves every other.
                if any(
                    gateway_signature(secret, key_id, seconds, method=one, target=path, body=body) == header
                    for one in ("GET", "POST")
                    for path in (target, "/gateway/v1", "/gateway/v1/messages")
                ):
                    return
        super().admit(method=method, target=target, body=body, header=header, wall_seconds=wall_seconds)

    def again(self, given: Mapping[str, Any], body: bytes) -> Taken | None:
        if self.how == "sends the same key again":
            return None
        if self.how == "takes any text for a used key":
            return self._by_key.get(given["key"])
        return super().again(given, body)

    def take(self, given: Mapping[str, Any], body: bytes, now: Any) -> Taken:
        if self.how == "looks before it writes" and given["key"] in self._by_key:
            return super().take(given, body, now)
        taken = super().take(given, body, now)
        if self.how == "sends twice in silence":
            twin = super().take({**given, "key": str(given["key"])[:-4] + "beef"}, body, now)
            twin.key = taken.key
        return taken

    def fetch(self, key: str) -> Taken:
        if self.how == "forgets":
            raise GatewayError("unknown_key")
        return super().fetch(key)

    def page(self, query: Mapping[str, str]) -> dict[str, Any]:
        if self.how == "takes any limit":
            query = {**query, "limit": "1000"}
        page = super().page(query)
        if self.how == "lists a part" and page["messages"]:
            page["messages"] = page["messages"][:-1]
        if self.how == "lists each twice":
            page["messages"] = [row for row in page["messages"] for _ in range(2)]
        if self.how == "lists the newest first":
            page["messages"] = page["messages"][::-1]
        if self.how == "lists the first page for ever" and "cursor" in query:
            page = super().page({name: value for name, value in query.items() if name != "cursor"})
        if self.how == "lists numbers":
            page["messages"] = [{**row, "to": self.fetch(row["key"]).to} for row in page["messages"]]
        return page

    def read(self, body: bytes) -> dict[str, Any]:
        if self.how == "takes whatever comes":
            return {**dict.fromkeys(("carrier", "sender", "title", "body"), "sms"), **_anything(body)}
        return super().read(body)

    def status_of(self, taken: Taken) -> dict[str, Any]:
        said = super().status_of(taken)
        return {**said, "id": f"{said['id']}x"} if self.how == "tells of another id" else said


def _anything(body: bytes) -> dict[str, Any]:
    import json  # noqa: PLC0415  # only here

    try:
        given = json.loads(body)
    except ValueError:
        given = {}
    given = given if isinstance(given, dict) else {}
    return {"key": "none", "to": "+12125550142", "title": "", "callback_url": None, **given, "valid_seconds": 60, "carrier": "sms"}


@contextmanager
def serving_gateway(how: str = "", *, settle_ms: float = 10.0) -> Iterator[str]:
    """Serve a gateway, broken as `how` says; yields its address without `/v1`."""
    options = Options(
        account_sid="AC", auth_token="x", app_secret="x", project_id="p", token_uri="http://127.0.0.1:9/token",  # noqa: S106  # made up
        gateway_keys=KEYS, settle_ms=settle_ms,
    )  # fmt: skip
    world = World(options)
    broken = _Broken(keys=KEYS, seed="1")
    broken.how = how
    world.gateway = broken
    if how == "looks before it writes":
        vars(world)["create_by_gateway"] = _racing(world)
    if how == "signs statuses with another key":
        options.gateway_keys = ((KEYS[0][0], "another-secret-that-nobody-was-told-of"),)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(build(world, lambda: None), log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        deadline = time.monotonic() + SECONDS_MAX
        while not server.started and thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert server.started, "the gateway did not start"
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/gateway"
        finally:
            server.should_exit = True
            thread.join(SECONDS_MAX)


def _racing(world: World) -> Callable[[bytes], Any]:
    async def create(body: bytes) -> tuple[Taken, bool]:
        given = world.gateway.read(body)
        known = world.gateway.again(given, body)
        if known is not None:
            return known, False
        # Between the look and the write others look too.
        await asyncio.sleep(0.05)
        return world.gateway.take(given, body, world.now + timedelta(0)), True

    return create


@pytest.fixture
def serve_gateway() -> Callable[..., AbstractContextManager[str]]:
    """Serve a gateway as long as a `with` lasts."""
    return serving_gateway

"""`python -m sandbox`: the sandbox as a process of its own, on loopback only.

In:   command-line options.
Out:  one JSON line on standard output when it answers (address, credentials, service-account file), then silence.
Pure: no.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import secrets
import socket
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sandbox.app import BREAK_CONNECTION, build
from sandbox.parameters import UnknownParameterError, drawn_world
from sandbox.twilio import is_loopback_url
from sandbox.world import Options, World

BACKLOG = 2048


class BreakableProtocol(HttpToolsProtocol):
    """HTTP whose connection a fault may break."""

    def on_message_begin(self) -> None:
        """Leave the way to break the connection where the application finds it."""
        super().on_message_begin()
        cast("dict[str, Any]", self.scope)[BREAK_CONNECTION] = self.transport.abort


def main() -> None:
    """Serve until stopped."""
    parser = _parser()
    given = parser.parse_args()
    listener = _listen(parser, given.host, given.port)
    url = f"http://{given.host if ':' not in given.host else f'[{given.host}]'}:{listener.getsockname()[1]}"
    options = _options(parser, given, url)
    try:
        drawn_world(options.seed, options.world)
    except UnknownParameterError as error:
        parser.error(str(error))
    world = World(options)
    account_file = _write_service_account(given.service_account_file, world.project.service_account)

    def say_ready() -> None:
        ready = {
            "url": url,
            "smtp_url": f"smtp://127.0.0.1:{world.smtp_port}",
            "account_sid": options.account_sid,
            "auth_token": options.auth_token,
            "app_secret": options.app_secret,
            "project_id": options.project_id,
            "service_account_file": str(account_file),
            "gateway_url": f"{url}/gateway",
            "issuer_url": world.issuer.url,
            "client_secret": options.client_secret,
            "gateway_keys": _joined(options.gateway_keys),
            "core_url": f"{url}/core",
            "core_keys": _joined(options.core_keys),
            "wallet_url": f"{url}/wallet",
            "wallet_keys": _joined(options.wallet_keys),
        }
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()

    config = uvicorn.Config(
        build(world, say_ready),
        http=BreakableProtocol,
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=2,
    )
    uvicorn.Server(config).run(sockets=[listener])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="Twilio, FCM, a lender's own systems, an issuer of sign-ins and a town of borrowers, on loopback.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address")
    parser.add_argument("--port", type=int, default=9100, help="0: any free one, named in the ready line")
    parser.add_argument("--smtp-port", type=int, default=0, help="of the relay on 127.0.0.1; 0: any free one, named in the ready line")
    parser.add_argument("--seed", default="1", help="of the town, the ids and the faults")
    parser.add_argument("--at", help="where the clock starts, like 2026-03-17T09:00:00Z (default: now)")
    parser.add_argument("--auto", action="store_true", help="the clock runs with the real one, messages end within milliseconds")
    parser.add_argument("--settle-ms", type=float, help="messages end that many real milliseconds after they were taken")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="how long each call takes")
    parser.add_argument("--latency-jitter-ms", type=float, default=0.0, help="how much that varies, either way")
    parser.add_argument("--drawn", action="store_true", help="draw the town's parameters from their ranges (default: their defaults)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the town (docs/town.md)")
    parser.add_argument("--inbound-url", help="where texts from residents are posted")
    parser.add_argument("--acknowledgement-url", help="where the lender's app acknowledges pushes")
    parser.add_argument("--gateway-inbound-url", help="where texts from residents to a lender's own gateway are posted")
    parser.add_argument("--client-secret", default=secrets.token_hex(32), help="of every client of the issuer of sign-ins")
    parser.add_argument("--wallet-webhook-url", help="where the wallet tells of payments that were made in it")
    for system in ("gateway", "core", "wallet"):
        parser.add_argument(
            f"--{system}-keys", default=f"sandbox:{secrets.token_hex(32)}", help="KEYID:SECRET pairs; the first signs, all are believed"
        )
    parser.add_argument("--account-sid", default="AC" + secrets.token_hex(16))
    parser.add_argument("--auth-token", default=secrets.token_hex(16))
    parser.add_argument("--app-secret", default=secrets.token_hex(16))
    parser.add_argument("--project-id", default="tideover-sandbox")
    parser.add_argument("--service-account-file", type=Path, help="where to write it (default: a temporary file)")
    parser.add_argument("--messages-max", type=int, default=1_000_000, help="more are refused")
    parser.add_argument("--webhook-timeout-seconds", type=float, default=10.0)
    return parser


def _listen(parser: argparse.ArgumentParser, host: str, port: int) -> socket.socket:
    """A listening socket, or an error if the address is not loopback's or is taken."""
    address = "127.0.0.1" if host == "localhost" else host
    try:
        is_loopback = ipaddress.ip_address(address).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        parser.error(f"{host} is not a loopback address; the sandbox listens nowhere else")
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
    except (OSError, OverflowError) as error:
        parser.error(f"port {port}: {error}")
    listener.listen(BACKLOG)
    return listener


def _options(parser: argparse.ArgumentParser, given: argparse.Namespace, url: str) -> Options:
    for name in ("inbound_url", "acknowledgement_url", "gateway_inbound_url", "wallet_webhook_url"):
        address = getattr(given, name)
        if address is not None and not is_loopback_url(address):
            parser.error(f"--{name.replace('_', '-')} must be on loopback")
    settle_ms = given.settle_ms if given.settle_ms is not None else (50.0 if given.auto else None)
    return Options(
        account_sid=given.account_sid,
        auth_token=given.auth_token,
        app_secret=given.app_secret,
        project_id=given.project_id,
        token_uri=f"{url}/token",
        smtp_port=given.smtp_port,
        issuer_url=f"{url}/issuer",
        client_secret=given.client_secret,
        seed=given.seed,
        at=_start(parser, given.at),
        wall_clock=given.auto,
        settle_ms=settle_ms,
        latency_ms=given.latency_ms,
        latency_jitter_ms=given.latency_jitter_ms,
        drawn=given.drawn,
        world=dict(_setting(parser, text) for text in given.set),
        inbound_url=given.inbound_url,
        acknowledgement_url=given.acknowledgement_url,
        gateway_inbound_url=given.gateway_inbound_url,
        gateway_keys=_pairs(parser, "gateway", given.gateway_keys),
        core_keys=_pairs(parser, "core", given.core_keys),
        wallet_keys=_pairs(parser, "wallet", given.wallet_keys),
        wallet_webhook_url=given.wallet_webhook_url,
        messages_max=given.messages_max,
        webhook_timeout_seconds=given.webhook_timeout_seconds,
    )


def _start(parser: argparse.ArgumentParser, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        parser.error(f"--at {text}: not an instant")
    if at.tzinfo is None:
        parser.error("--at needs an offset, like 2026-03-17T09:00:00Z")
    return at.astimezone(UTC)


def _pairs(parser: argparse.ArgumentParser, system: str, text: str) -> tuple[tuple[str, str], ...]:
    pairs = tuple((key_id, secret) for key_id, _, secret in (one.partition(":") for one in text.split(",")))
    if not all(key_id and secret for key_id, secret in pairs):
        parser.error(f"--{system}-keys: KEYID:SECRET pairs with commas between")
    return pairs


def _joined(keys: tuple[tuple[str, str], ...]) -> str:
    return ",".join(":".join(pair) for pair in keys)


def _setting(parser: argparse.ArgumentParser, text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        parser.error(f"--set {text}: NAME=VALUE with a number")


def _write_service_account(path: Path | None, account: dict[str, str]) -> Path:
    """Write the key file, readable by its owner alone."""
    target = path or Path(tempfile.mkdtemp(prefix="sandbox-")) / "service-account.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(account, file)
    return target


if __name__ == "__main__":
    main()

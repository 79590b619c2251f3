"""`tideover gateway check`: play docs/gateway.md against a lender's own gateway.

In:   where it is, addresses of the operator's own; the keys of the settings.
Out:  a line for each rule on standard output, or JSON; exit 0 where all hold, 1 where one does not, 2 where it could not be tried.
Pure: no. Rooms are imported inside commands, so that the others start without them.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, NoReturn
from urllib.parse import urlsplit

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from channels.gateway_check import Address, Finding

BROKEN = 1
NOT_TRIED = 2

gateway = typer.Typer(no_args_is_help=True, help="A lender's own gateway for texts, notifications and in-app messages.")


@gateway.callback()
def about() -> None:
    """A lender's own gateway for texts, notifications and in-app messages."""


@gateway.command()
def check(
    *,
    url: Annotated[str, typer.Option(help="Where it is, without /v1; left out = TIDEOVER_GATEWAY_BASE_URL.")] = "",
    to: Annotated[
        list[str] | None,
        typer.Option(help="CARRIER:ADDRESS of your own, like sms:+12125550142: three tests go there. Repeat for more; none = to nobody."),
    ] = None,
    sender: Annotated[str, typer.Option(help="What stands in `sender`.")] = "TEST",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be sent.")] = False,
    callback_url: Annotated[
        str | None, typer.Option(help="Where the gateway shall tell statuses; with --listen. {port} = the port that is listened at.")
    ] = None,
    listen: Annotated[str | None, typer.Option(help="HOST:PORT to hear statuses at; port 0 = any free one.")] = None,
    status_seconds: Annotated[float, typer.Option(min=1, help="How long to wait for statuses.")] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines in place of words.")] = False,
) -> None:
    """Play docs/gateway.md against a gateway: whom you name gets three test messages, nobody else gets any."""
    from channels.gateway_check import Address, messages_for

    url = _address_of_gateway(url)
    if (callback_url is None) != (listen is None):
        _refuse("--callback-url and --listen go together")
    try:
        addresses = [Address.read(one) for one in to or ()]
    except ValueError as error:
        _refuse(str(error))
    if dry_run:
        for address in addresses:
            for message in messages_for(address, sender, callback_url=callback_url):
                typer.echo(f"POST {url}/v1/messages\n{json.dumps(message, ensure_ascii=False, indent=2)}")
        typer.echo(f"{len(addresses)} addresses, three messages each, some asked for several times; nothing was sent")
        return
    findings = asyncio.run(_play(url, addresses, sender, callback_url, listen, status_seconds))
    for one in findings:
        typer.echo(
            json.dumps(asdict(one))
            if as_json
            else f"{'holds ' if one.holds else 'BROKEN'}  {one.rule}{f': {one.because}' if one.because else ''}"
        )
    broken = sum(not one.holds for one in findings)
    if not as_json:
        typer.echo(f"{len(findings)} rules, {broken} broken")
        for address in addresses:
            typer.echo(
                f"look at {address.carrier}:…{address.to[-2:]}: it must have received the tests 1, 2 and 3, each once, and nothing else"
            )
    raise typer.Exit(BROKEN if broken else 0)


def _address_of_gateway(url: str) -> str:
    from config.settings import LOOPBACK_HOSTS, settings

    given = (url or settings().gateway_base_url).rstrip("/")
    parts = urlsplit(given)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        _refuse("--url is an http or https address, or TIDEOVER_GATEWAY_BASE_URL is")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK_HOSTS:
        _refuse("plain http is for loopback only: numbers and texts would travel in the open")
    return given


async def _play(
    url: str, addresses: Sequence[Address], sender: str, callback_url: str | None, listen: str | None, status_seconds: float
) -> list[Finding]:
    from channels.gateway_check import NotTried, check_gateway, listening
    from config.settings import settings
    from config.signing_keys import read_signing_keys

    keys = read_signing_keys(settings().gateway_keys.get_secret_value())
    if not keys:
        _refuse("TIDEOVER_GATEWAY_KEYS is not set: what both sides sign with")
    async with AsyncExitStack() as stack:
        try:
            ear = None
            if callback_url is not None and listen is not None:
                host, _, port = listen.rpartition(":")
                ear = await stack.enter_async_context(listening(host or "127.0.0.1", int(port), callback_url, keys))
            return await check_gateway(url, keys, addresses=addresses, sender=sender, ear=ear, status_seconds=status_seconds)
        except (NotTried, OSError, ValueError) as error:
            _refuse(str(error))


def _refuse(why: str) -> NoReturn:
    """Say why it cannot be tried, and end.

    Raises:
        typer.Exit: Always.
    """
    typer.echo(why, err=True)
    raise typer.Exit(NOT_TRIED)

"""`tideover gateway check`: a gateway that keeps docs/gateway.md passes, and each way of breaking it is found."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import pytest
from typer.testing import CliRunner

import tideover
from channels.gateway_check import Address, Finding, check_gateway, listening
from config.settings import settings
from tests.plugins.gateway_server import KEYS
from tests.plugins.sandbox_process import Sandbox

TO = Address(carrier="sms", to="+12125550142")
Serve = Callable[..., AbstractContextManager[str]]


def check(url: str, *addresses: Address, hear: bool = False) -> list[Finding]:
    async def run() -> list[Finding]:
        if not hear:
            return await check_gateway(url, KEYS, addresses=addresses)
        async with listening("127.0.0.1", 0, "http://127.0.0.1:{port}/told", KEYS) as ear:
            return await check_gateway(url, KEYS, addresses=addresses, ear=ear, status_seconds=2)

    return asyncio.run(run())


def broken(findings: Sequence[Finding]) -> list[str]:
    return [f"{one.rule}: {one.because}" for one in findings if not one.holds]


def test_a_whole_gateway_keeps_every_rule(serve_gateway: Serve) -> None:
    with serve_gateway() as url:
        findings = check(url, TO, Address(carrier="in_app", to="app-user-of-nobody"), hear=True)
    assert broken(findings) == []
    assert len(findings) == 18 + 2 * 9


def test_with_nobody_named_nobody_is_written_to(sandbox: Sandbox) -> None:
    keys = tuple(tuple(pair.split(":")) for pair in sandbox.gateway_keys.split(","))
    findings = asyncio.run(check_gateway(sandbox.gateway_url, [(one, other) for one, other in keys]))
    assert broken(findings) == []
    sandbox.step("2026-03-17T05:00:00+00:00")
    assert sandbox.received() == []


@pytest.mark.parametrize(
    ("how", "found_by"),
    [
        ("believes anybody", "a request without a signature is refused"),
        ("believes any time", "what was signed long ago is refused"),
        ("forgets the old key", "the key 2025-11 is believed"),
        ("signs the body alone", "a signature for another path is refused"),
        ("sends the same key again", "the same message again gives the first receipt (sms)"),
        ("sends twice in silence", "the list shows each once, page by page, and nobody's address (sms)"),
        ("takes any text for a used key", "another message under a used key is refused (sms)"),
        ("looks before it writes", "5 at once under one key are one message (sms)"),
        ("forgets", "what became of it is told by its key (sms)"),
        ("takes any limit", "a list takes a limit from 1 to 1,000 and instants with an offset"),
        ("lists a part", "the list shows each once, page by page, and nobody's address (sms)"),
        ("lists each twice", "the list shows each once, page by page, and nobody's address (sms)"),
        ("lists the newest first", "the list shows each once, page by page, and nobody's address (sms)"),
        ("lists the first page for ever", "the list shows each once, page by page, and nobody's address (sms)"),
        ("lists numbers", "the list shows each once, page by page, and nobody's address (sms)"),
        ("takes whatever comes", "a malformed message is refused and uses no key"),
        ("tells of another id", "each status is signed, and tells of its own message (sms)"),
        ("signs statuses with another key", "each status is signed, and tells of its own message (sms)"),
    ],
)
def test_each_way_of_breaking_the_page_is_found(serve_gateway: Serve, how: str, found_by: str) -> None:
    with serve_gateway(how) as url:
        found = broken(check(url, TO, hear=True))
    assert [one for one in found if one.startswith(found_by + ":")], found


def test_no_address_stands_in_what_is_found(serve_gateway: Serve) -> None:
    with serve_gateway("lists numbers") as url:
        findings = check(url, TO)
    assert TO.to not in repr(findings)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    monkeypatch.setenv("TIDEOVER_GATEWAY_KEYS", ",".join(":".join(pair) for pair in KEYS))
    settings.cache_clear()

    def invoke(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(tideover.app, ["gateway", "check", *arguments])
        return result.exit_code, result.output

    return invoke


def test_the_command_says_what_holds_and_what_to_look_for(serve_gateway: Serve, run: Callable[..., tuple[int, str]]) -> None:
    with serve_gateway() as url:
        code, told = run(
            "--url", url, "--to", "sms:+12125550142", "--callback-url", "http://127.0.0.1:{port}/told", "--listen", "127.0.0.1:0"
        )
    assert code == 0, told
    assert "27 rules, 0 broken" in told
    assert "look at sms:…42: it must have received the tests 1, 2 and 3, each once" in told


def test_the_command_ends_with_1_where_a_rule_is_broken(serve_gateway: Serve, run: Callable[..., tuple[int, str]]) -> None:
    with serve_gateway("believes anybody") as url:
        code, told = run("--url", url, "--json")
    assert code == 1
    assert {
        "rule": "a request without a signature is refused",
        "holds": False,
        "because": "answered with 200, not with 401 bad_signature",
    } in [json.loads(line) for line in told.splitlines()]


def test_a_dry_run_prints_what_would_be_sent_and_asks_nobody(run: Callable[..., tuple[int, str]]) -> None:
    code, told = run("--url", "https://gateway.lantern.example", "--to", "sms:+12125550142", "--dry-run")
    assert code == 0
    assert told.count("POST https://gateway.lantern.example/v1/messages") == 3
    assert "Test 3 of 3" in told
    assert "nothing was sent" in told


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--url", "http://gateway.lantern.example"], "plain http is for loopback only"),
        (["--url", "gateway"], "--url is an http or https address"),
        (["--url", "https://gateway.lantern.example", "--to", "+12125550142"], "an address is CARRIER:ADDRESS"),
        (["--url", "https://gateway.lantern.example", "--to", "fax:+12125550142"], "an address is CARRIER:ADDRESS"),
        (["--url", "https://gateway.lantern.example", "--listen", "127.0.0.1:0"], "go together"),
    ],
)
def test_what_cannot_be_tried_is_said(run: Callable[..., tuple[int, str]], arguments: list[str], why: str) -> None:
    code, told = run(*arguments)
    assert code == 2
    assert why in told


def test_a_gateway_that_is_not_there_is_not_called_broken(run: Callable[..., tuple[int, str]]) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
    code, told = run("--url", f"http://127.0.0.1:{port}")
    assert code == 2
    assert "nobody answers" in told

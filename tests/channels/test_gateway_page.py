"""docs/gateway.md is true: its examples are played against the sandbox's gateway, its code is run, its tables are the program's."""

from __future__ import annotations

import json
import re
import time
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest

from channels import AccountHalted, BadAddress, ChannelError, FateUnknown, NeverWorks, OptedOut, TryLater, Unreachable, WindowClosed
from channels.codes import Meaning, gateway_refusal, meaning_of_callback, state_of
from channels.gateway import CARRIERS
from channels.signatures import SIGNATURE_SECONDS_MAX, is_signed, sign_request
from config.settings import HOUSE, Settings
from portal.webhooks import routes
from sandbox.gateway import ERRORS
from sandbox.signature import gateway_signature
from tests.plugins.sandbox_process import Sandbox

PAGE = (HOUSE / "docs" / "gateway.md").read_text("utf-8")
BLOCKS = re.findall(r"```http\n(.*?)\n```", PAGE, re.DOTALL)
EXCHANGES = list(zip(BLOCKS[::2], BLOCKS[1::2], strict=True))
CODE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
SIGNED = re.findall(r"^Tideover-Signature: (.+)$", PAGE, re.MULTILINE)
SECRET = "lantern-example-secret-of-nobody-1"  # noqa: S105  # the page's


def rows(heading: str) -> list[list[str]]:
    """Cells of the first table under a heading."""
    part = PAGE.split(f"\n## {heading}", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if not set(line) <= set("|- ")]


def ask(sandbox: Sandbox, given: str) -> tuple[int, Any]:
    """Send one request of the page, signed now."""
    line, _, text = given.partition("\n")
    method, path = line.split(" ")
    url = sandbox.gateway_url + path
    keys = [tuple(pair.split(":")) for pair in sandbox.gateway_keys.split(",")]
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    header = sign_request([(one, other) for one, other in keys], method=method, target=target, body=text.encode(), at_seconds=time.time())
    request = Request(url, data=text.encode() or None, method=method, headers={"Tideover-Signature": header})  # noqa: S310  # loopback
    try:
        with urlopen(request, timeout=5) as answer:  # noqa: S310  # loopback
            return answer.status, json.loads(answer.read())
    except HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def like(shown: Any, got: Any) -> bool:
    """Whether an answer is what the page shows; `…` stands for any ending, and `time` is of the real clock."""
    if isinstance(shown, dict) and isinstance(got, dict):
        return shown.keys() == got.keys() and all(name == "time" or like(value, got[name]) for name, value in shown.items())
    if isinstance(shown, list) and isinstance(got, list):
        return len(shown) == len(got) and all(like(one, other) for one, other in zip(shown, got, strict=True))
    if isinstance(shown, str) and shown.endswith("…"):
        return isinstance(got, str) and got.startswith(shown[:-1])
    return bool(shown == got)


def test_every_exchange_of_the_page_is_answered_as_it_shows(sandbox: Sandbox) -> None:
    assert len(EXCHANGES) == 6
    for request, answer in EXCHANGES:
        status, _, shown = answer.partition("\n")
        got = ask(sandbox, request)
        assert got[0] == int(status), request.splitlines()[0]
        assert like(json.loads(shown), got[1]), (request.splitlines()[0], got[1])


def test_the_pages_code_makes_the_signature_that_it_shows_and_so_do_both_sides() -> None:
    (header,) = SIGNED
    (code,) = CODE
    made: dict[str, Any] = {}
    exec(code, made)  # noqa: S102  # the page's own lines
    assert header == f"t=1773709200, k=2026-03, v1={made['signature']}"
    given: dict[str, Any] = {"method": "POST", "target": "/tideover/v1/messages?x=1", "body": made["body"]}
    keys = [("2026-03", SECRET)]
    assert sign_request(keys, **given, at_seconds=1773709200.9) == header
    assert gateway_signature(SECRET, "2026-03", 1773709200, **given) == header
    for seconds in (-SIGNATURE_SECONDS_MAX, 0, SIGNATURE_SECONDS_MAX):
        assert is_signed(keys, **given, signature=header, at_seconds=1773709200 + seconds)
    for seconds in (-SIGNATURE_SECONDS_MAX - 1, SIGNATURE_SECONDS_MAX + 1):
        assert not is_signed(keys, **given, signature=header, at_seconds=1773709200 + seconds)
    assert f"**{SIGNATURE_SECONDS_MAX} seconds**" in PAGE


FAMILIES: dict[str, type[ChannelError]] = {
    "refused for good": NeverWorks,
    "the account is halted": AccountHalted,
    "the same": AccountHalted,
    "the address is retired": BadAddress,
    "this channel is left": Unreachable,
    "recorded as a stop": OptedOut,
    "the service lets nobody write": WindowClosed,
    "later": TryLater,
    "the fate is unknown": FateUnknown,
}


def test_the_table_of_errors_is_what_the_program_makes_of_them() -> None:
    named: set[str] = set()
    for status, codes, taken, makes in rows("Errors")[1:]:
        if not status.isdecimal() or not taken:
            continue
        for code in re.findall(r"`(\w+)`", codes):
            family = next(family for words, family in FAMILIES.items() if makes.startswith(words))
            if status == "503":
                family = TryLater
            refusal = gateway_refusal(status=int(status), code=code, headers={})
            assert type(refusal) is family, code
            assert (taken == "perhaps") is isinstance(refusal, FateUnknown), code
            named.add(code)
    # What the sandbox may answer stands on the page; `internal` and `unavailable` are any gateway's 5xx.
    assert {code: status for code, status in ERRORS.items() if code not in named} == {
        "internal": 500,
        "unavailable": 503,
        "unknown_key": 404,
    }
    for other in (500, 502, 504, 408, 302, 307):
        assert isinstance(gateway_refusal(status=other, code=None, headers={}), FateUnknown)


def test_the_tables_of_statuses_and_ends_are_the_programs() -> None:
    table = rows("Statuses")
    cut = next(number for number, row in enumerate(table) if row[0].startswith("`error`"))
    statuses = [row[0].strip("`") for row in table[1:cut]]
    assert sorted(statuses) == sorted(word for word in statuses if state_of("gateway", word) == word)
    assert len(statuses) == 6
    ends = [code for row in table[cut + 1 :] for code in re.findall(r"`(\w+)`", row[0].split(";")[0] + row[0].partition("also")[2])]
    assert ends
    assert [code for code in ends if meaning_of_callback(code) is Meaning.NOTHING] == []


def test_the_page_names_the_carriers_settings_and_addresses_that_there_are() -> None:
    field = next(row for row in rows("Send: `POST /v1/messages`") if row[0] == "`carrier`")
    assert set(re.findall(r"`(\w+)`", field[2].split(":")[0])) == set(CARRIERS)
    named = {name.lower() for name in re.findall(r"`TIDEOVER_(GATEWAY_\w+)`", PAGE)}
    assert named == {name for name in Settings.model_fields if name.startswith("gateway_")}
    assert {"/webhooks/gateway/inbound", "/webhooks/gateway/status/{token:uuid}"} <= {route.path for route in routes}


@pytest.mark.parametrize("fault", ["unavailable", "list_unavailable"])
def test_an_example_fails_where_the_gateway_does(sandbox: Sandbox, fault: str) -> None:
    """The exchanges are really played: against a gateway in trouble they do not come out."""
    sandbox.faults({"fault": fault, "channel": "gateway"})
    statuses = [ask(sandbox, request)[0] == int(answer.splitlines()[0]) for request, answer in EXCHANGES]
    assert not all(statuses)

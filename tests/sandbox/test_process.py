"""The process: where it listens, what it refuses, what the control API hands out."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal

import pytest
from twilio.rest import Client  # type: ignore[import-untyped]  # twilio ships no py.typed

from tests.plugins.sandbox_process import HOUSE, Sandbox, SandboxRefusedError
from tests.sandbox.conftest import Webhooks, twilio_client

TO, FROM = "+12025550101", "+12025550150"
PAYS = {f"self_pay_{temper}": 1.0 for temper in ("forgot", "timing", "hardship", "unwilling")}


def _try(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sandbox", "--port", "0", *options]
    return subprocess.run(command, cwd=HOUSE, capture_output=True, text=True, timeout=20, check=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", ""])  # noqa: S104  # to be refused
def test_it_listens_on_loopback_and_nowhere_else(host: str) -> None:
    refused = _try("--host", host)
    assert refused.returncode == 2
    assert "is not a loopback address" in refused.stderr
    assert refused.stdout == ""


@pytest.mark.parametrize(
    "options",
    [
        ("--inbound-url", "http://192.0.2.1/inbound"),
        ("--acknowledgement-url", "https://example.com/ack"),
        ("--gateway-inbound-url", "https://example.com/in"),
        ("--gateway-keys", "nothing"),
        ("--at", "tomorrow"),
        ("--at", "2026-03-17T09:00:00"),
        ("--set", "no_such=1"),
        ("--set", "reply_rate"),
        ("--set", "reply_rate=2"),
    ],
)
def test_an_option_that_cannot_be_is_refused_before_it_listens(options: tuple[str, ...]) -> None:
    refused = _try(*options)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "Traceback" not in refused.stderr


def test_credentials_addresses_and_town_come_from_the_command_line(start_sandbox: Callable[..., Sandbox], webhooks: Webhooks) -> None:
    account_sid = "AC" + "1" * 32
    started = start_sandbox(
        "--account-sid", account_sid, "--auth-token", "secret", "--inbound-url", f"{webhooks.url}/in", "--set", "stop_rate=1"
    )
    assert (started.account_sid, started.auth_token) == (account_sid, "secret")
    started.settle([{"phone": TO, "locale": "en", "zone": "UTC"}])
    twilio_client(started).messages.create(to=TO, from_=FROM, body="x")
    started.control("POST", "texts", {"from": TO, "to": FROM, "text": "hello"})
    assert [post.path for post in webhooks.arrived] == ["/in"]


def test_the_clock_stands_steps_and_does_not_run_backwards(sandbox: Sandbox) -> None:
    assert json.loads(sandbox.control("GET", "clock")) == {"at": "2026-03-17T01:00:00+00:00", "runs": False}
    sandbox.step("2026-03-17T10:00:00+08:00")
    assert json.loads(sandbox.control("GET", "clock"))["at"] == "2026-03-17T02:00:00+00:00"
    for at in ("2026-03-17T01:59:59Z", "2026-03-18", "2026-03-18T00:00:00", "soon"):
        with pytest.raises(SandboxRefusedError):
            sandbox.step(at)


def test_the_feed_shows_what_was_posted_and_only_what_is_new(sandbox: Sandbox) -> None:
    sandbox.reset(world={**PAYS, "partial_share": 0.0, "returned_share": 1.0, "posted_late_share": 0.0, "self_pay_decay_days": 1000})
    loans = {"US": ("USD", 12_345), "JP": ("JPY", 700), "BH": ("BHD", 5)}
    sandbox.settle(
        [{"phone": None, "zone": "UTC", "loans": [{"loan_ref": f"L{key}-{n}", "currency": currency, "owed_minor": owed}]}
         for key, (currency, owed) in loans.items() for n in range(20)]
    )  # fmt: skip
    sandbox.step("2026-03-18T23:59:00Z")
    rows = list(csv.DictReader(io.StringIO(sandbox.control("GET", "payments.csv"))))
    assert {(row["currency"], row["amount_minor"], row["amount"], row["state"]) for row in rows} == {
        ("USD", "12345", "123.45", "posted"),
        ("JPY", "700", "700", "posted"),
        ("BHD", "5", "0.005", "posted"),
    }
    sandbox.step("2026-03-22T23:59:00Z")
    newer = list(csv.DictReader(io.StringIO(sandbox.control("GET", f"payments.csv?since={rows[-1]['posted_at'].replace('+', '%2B')}"))))
    everything = list(csv.DictReader(io.StringIO(sandbox.control("GET", "payments.csv"))))
    assert everything == rows + newer
    returned = [row for row in newer if row["state"] == "reversed"]
    assert returned
    assert {row["reversal_reason"] for row in returned} == {"returned"}
    assert {row["reverses_external_id"] for row in returned} <= {row["external_id"] for row in everything}
    assert all(Decimal(row["amount"]) < 0 for row in returned)


def test_received_pages_through_everything(sandbox: Sandbox, client: Client) -> None:
    for number in range(5):
        client.messages.create(to=TO, from_=FROM, body=str(number))
    sandbox.step("2026-03-17T02:00:00Z")
    first = [json.loads(line) for line in sandbox.control("GET", "received?limit=2").splitlines()]
    rest = [json.loads(line) for line in sandbox.control("GET", "received?after=2").splitlines()]
    assert first + rest == sandbox.received()
    assert [row["serial"] for row in first + rest] == [1, 2, 3, 4, 5]


def test_residents_come_as_json_and_as_csv_and_a_wrong_one_is_named(sandbox: Sandbox) -> None:
    sandbox.settle([{"phone": TO, "locale": "en", "zone": "UTC", "loans": [{"loan_ref": "L1", "currency": "USD", "owed_minor": 5}]}])
    assert sandbox.summary()["owed_minor"] == {"USD": 5}
    for wrong in (
        {"name": "x"},
        {"phone": TO, "zone": "Nowhere/At_All", "loans": [{"loan_ref": "L9", "currency": "USD", "owed_minor": 1}]},
        {"phone": "+12025550107", "zone": "UTC", "loans": [{"loan_ref": "L2", "currency": "USD", "owed_minor": 1.5}]},
        {"phone": "+12025550107", "zone": "UTC", "loans": ["L2"]},
    ):
        with pytest.raises(SandboxRefusedError, match="resident 2"):
            sandbox.settle([{"phone": TO, "zone": "UTC"}, wrong])
    assert sandbox.summary()["residents"] == 1


def test_a_reset_forgets_everything_and_the_same_seed_begins_the_same(sandbox: Sandbox, client: Client) -> None:
    first = client.messages.create(to=TO, from_=FROM, body="x").sid
    sandbox.step("2026-04-17T00:00:00Z")
    sandbox.reset()
    assert sandbox.received() == []
    assert client.messages.list() == []
    assert client.messages.create(to=TO, from_=FROM, body="x").sid == first
    sandbox.reset(seed="2")
    assert client.messages.create(to=TO, from_=FROM, body="x").sid != first
    for wrong in ({"speed": 2}, {"world": {"no_such": 1}}, {"world": 3}, {"settle_ms": -1}):
        with pytest.raises(SandboxRefusedError):
            sandbox.control("POST", "reset", wrong)


def test_people_are_invented_on_request(sandbox: Sandbox) -> None:
    people = json.loads(sandbox.control("POST", "invent", {"count": 3, "country": "TW", "seed": 7}))["people"]
    assert [set(person) for person in people] == [{"name", "phone", "push_token", "country", "locale", "zone"}] * 3
    with pytest.raises(SandboxRefusedError, match="no numbers"):
        sandbox.control("POST", "invent", {"count": 3, "country": "FR"})


def test_webhooks_are_on_loopback_only(sandbox: Sandbox) -> None:
    for url in ("http://192.0.2.1/x", "ftp://127.0.0.1/x", 7):
        with pytest.raises(SandboxRefusedError):
            sandbox.control("POST", "webhooks", {"inbound_url": url})


def test_the_summary_names_nobody(sandbox: Sandbox, client: Client) -> None:
    client.messages.create(to=TO, from_=FROM, body="a private matter")
    sandbox.step("2026-03-17T02:00:00Z")
    summary = json.dumps(sandbox.summary())
    assert TO not in summary
    assert "private" not in summary
    assert sandbox.summary()["received"] == {"sms": 1}


def test_it_is_not_at_rest_while_a_carrier_has_a_message_that_is_due(start_sandbox: Callable[..., Sandbox]) -> None:
    slow = start_sandbox("--settle-ms", "600000")
    twilio_client(slow).messages.create(to=TO, from_=FROM, body="Hello")
    assert not json.loads(slow.control("GET", "open"))["at_rest"]
    slow.control("POST", "settle")
    assert json.loads(slow.control("GET", "open"))["at_rest"]
    assert len(slow.received()) == 1


def test_it_holds_no_more_messages_than_it_may(start_sandbox: Callable[..., Sandbox]) -> None:
    small = twilio_client(start_sandbox("--messages-max", "2"))
    for _ in range(2):
        small.messages.create(to=TO, from_=FROM, body="x")
    with pytest.raises(Exception, match="as many messages as it may"):
        small.messages.create(to=TO, from_=FROM, body="x")

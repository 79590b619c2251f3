"""Each fault does what it says: to the caller, to the phone, to the callbacks."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import psutil
import pytest
import requests
from firebase_admin import exceptions, messaging
from twilio.base.exceptions import TwilioException, TwilioRestException  # type: ignore[import-untyped]  # twilio ships no py.typed
from twilio.http.http_client import TwilioHttpClient  # type: ignore[import-untyped]  # twilio ships no py.typed
from twilio.rest import Client  # type: ignore[import-untyped]  # twilio ships no py.typed

from sandbox.faults import FaultError, Faults
from tests.plugins.prefect_process import until
from tests.plugins.sandbox_process import Sandbox, SandboxRefusedError
from tests.sandbox.conftest import Webhooks
from tests.sandbox.test_fcm import Send

TO, FROM = "+12025550101", "+12025550150"
LATER = "2026-03-17T01:05:00Z"


def _send(client: Client, **fields: object) -> str:
    return str(client.messages.create(to=TO, from_=FROM, body="Hello", **fields).sid)


@pytest.mark.parametrize(("fault", "is_taken"), [("accept_then_drop", True), ("drop_before_accept", False)])
def test_a_dropped_connection_leaves_the_caller_without_an_answer(sandbox: Sandbox, client: Client, fault: str, is_taken: bool) -> None:
    sandbox.faults({"fault": fault, "channel": "sms", "count": 1})
    with pytest.raises(requests.ConnectionError):
        _send(client)
    sandbox.step(LATER)
    assert len(sandbox.received()) == is_taken
    assert len(client.messages.list(to=TO)) == is_taken
    _send(client)


@pytest.mark.parametrize(
    ("fault", "status", "code", "is_taken"),
    [
        ("accept_then_500", 500, 20500, True),
        ("internal", 500, 20500, False),
        ("unavailable", 503, 20503, False),
        ("too_many_requests", 429, 20429, False),
    ],
)
def test_an_error_answer_says_nothing_about_whether_it_was_taken(
    sandbox: Sandbox, client: Client, fault: str, status: int, code: int, is_taken: bool
) -> None:
    sandbox.faults({"fault": fault, "count": 1})
    with pytest.raises(TwilioRestException) as failed:
        _send(client)
    assert (failed.value.status, failed.value.code) == (status, code)
    sandbox.step(LATER)
    assert len(sandbox.received()) == is_taken


def is_waiting(sandbox: Sandbox) -> bool:
    """Whether one caller waits for an answer."""
    return len(json.loads(sandbox.control("GET", "open"))["calls"]) == 1


def test_a_delayed_accept_takes_the_message_after_the_caller_has_gone(sandbox: Sandbox, client: Client) -> None:
    hasty = Client(sandbox.account_sid, sandbox.auth_token, http_client=TwilioHttpClient(timeout=0.1), environment={"_": ""})
    hasty.api.base_url = sandbox.url
    sandbox.faults({"fault": "delayed_accept", "count": 1, "seconds": 1})
    with pytest.raises(requests.ReadTimeout):
        _send(hasty)
    assert client.messages.list(to=TO) == []
    until(lambda: len(client.messages.list(to=TO)) == 1)


def test_what_waits_to_be_taken_or_reported_is_gone_with_a_reset(sandbox: Sandbox, client: Client, webhooks: Webhooks) -> None:
    sandbox.faults({"fault": "callback_late", "count": 1, "seconds": 1})
    _send(client, status_callback=f"{webhooks.url}/status")
    sandbox.step(LATER)
    assert webhooks.statuses() == ["delivered"]
    sandbox.faults({"fault": "delayed_accept", "count": 1, "seconds": 1})
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(_send, client)
        until(lambda: is_waiting(sandbox))
        sandbox.reset()
        with pytest.raises(requests.ConnectionError):
            call.result()
    assert client.messages.list(to=TO) == []
    assert sandbox.summary()["counts"] == {}
    assert webhooks.statuses() == ["delivered"]


def test_a_rejected_message_has_the_code_that_was_asked_for(sandbox: Sandbox, client: Client) -> None:
    sandbox.faults({"fault": "rejected", "channel": "sms", "code": 21612, "to": TO})
    with pytest.raises(TwilioRestException) as refused:
        _send(client)
    assert refused.value.code == 21612
    client.messages.create(to="+12025550102", from_=FROM, body="someone else's is taken")


def test_an_undelivered_message_is_reported_with_the_code_and_received_by_nobody(
    sandbox: Sandbox, client: Client, webhooks: Webhooks
) -> None:
    sandbox.faults({"fault": "undelivered", "channel": "sms", "code": 30007})
    _send(client, status_callback=f"{webhooks.url}/status")
    sandbox.step(LATER)
    assert webhooks.statuses() == ["sent", "undelivered"]
    assert webhooks.arrived[-1].form["ErrorCode"] == "30007"
    assert sandbox.received() == []


def test_a_callback_may_come_before_the_response(sandbox: Sandbox, client: Client, webhooks: Webhooks) -> None:
    sandbox.faults({"fault": "callback_before_response", "count": 1})
    sid = _send(client, status_callback=f"{webhooks.url}/status")
    assert webhooks.statuses() == ["sent", "delivered"]
    assert webhooks.arrived[0].form["MessageSid"] == sid


@pytest.mark.parametrize(
    ("fault", "reported"),
    [
        ("callback_lost", []),
        ("callback_duplicated", ["sent", "sent", "delivered", "delivered"]),
        ("callback_reordered", ["delivered", "sent"]),
    ],
)
def test_callbacks_are_lost_doubled_or_turned_around(
    sandbox: Sandbox, client: Client, webhooks: Webhooks, fault: str, reported: list[str]
) -> None:
    sandbox.faults({"fault": fault})
    _send(client, status_callback=f"{webhooks.url}/status")
    sandbox.step(LATER)
    assert webhooks.statuses() == reported


def test_a_late_callback_comes_after_those_that_came_meanwhile(sandbox: Sandbox, client: Client, webhooks: Webhooks) -> None:
    sandbox.faults({"fault": "callback_late", "count": 1, "seconds": 1})
    _send(client, status_callback=f"{webhooks.url}/status")
    sandbox.step(LATER)
    assert webhooks.statuses() == ["delivered"]
    until(lambda: webhooks.statuses() == ["delivered", "sent"])


def test_a_message_may_be_received_and_never_reported(sandbox: Sandbox, client: Client, webhooks: Webhooks) -> None:
    sandbox.faults({"fault": "never_reported", "count": 1})
    sid = _send(client, status_callback=f"{webhooks.url}/status")
    sandbox.step(LATER)
    assert webhooks.statuses() == []
    assert [row["provider_id"] for row in sandbox.received()] == [sid]
    assert client.messages(sid).fetch().status == "delivered"


@pytest.mark.parametrize(("fault", "error"), [("list_unavailable", TwilioException), ("list_dropped", requests.ConnectionError)])
def test_the_list_may_be_away_while_messages_are_taken(sandbox: Sandbox, client: Client, fault: str, error: type[Exception]) -> None:
    sandbox.faults({"fault": fault, "count": 1})
    sid = _send(client)
    with pytest.raises(error):
        client.messages.list(to=TO)
    assert [message.sid for message in client.messages.list(to=TO)] == [sid]


def test_it_is_known_who_waits_for_an_answer(sandbox: Sandbox, client: Client) -> None:
    assert json.loads(sandbox.control("GET", "open")) == {"calls": [], "posts": 0, "at_rest": True}
    sandbox.faults({"fault": "delayed_answer", "count": 1, "seconds": 2})
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(_send, client)
        until(lambda: is_waiting(sandbox))
        waiting = json.loads(sandbox.control("GET", "open"))["calls"]
        ours = [
            link.laddr.port for link in psutil.Process().net_connections() if link.raddr and link.raddr.port == urlsplit(sandbox.url).port
        ]
        assert set(waiting) <= set(ours)
        call.result()
    assert json.loads(sandbox.control("GET", "open"))["calls"] == []


def test_a_push_may_be_taken_and_the_connection_dropped(sandbox: Sandbox, firebase: Send) -> None:
    # The SDK itself asks once more after a connection error (PROVIDERS B3): two pushes are shown, and no answer came.
    sandbox.faults({"fault": "accept_then_drop", "channel": "push", "count": 2})
    with pytest.raises(exceptions.UnavailableError):
        firebase(messaging.Message(fid="token-of-a-test-phone", data={"ack": "1"}))
    sandbox.step(LATER)
    assert len(sandbox.received("push")) == 2


def test_a_probability_strikes_about_that_often_and_the_same_for_the_same_seed() -> None:
    def strikes(seed: str) -> list[bool]:
        faults = Faults(seed)
        faults.put([{"fault": "unavailable", "probability": 0.3}])
        return [faults.strike("sms", TO, ("unavailable",)) is not None for _ in range(2000)]

    assert strikes("1") == strikes("1")
    assert strikes("1") != strikes("2")
    assert 500 < sum(strikes("1")) < 700


@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "earthquake"},
        {"fault": "unavailable", "probability": 1.5},
        {"fault": "unavailable", "probability": True},
        {"fault": "unavailable", "count": 0},
        {"fault": "unavailable", "seconds": -1},
        {"fault": "unavailable", "channel": "fax"},
        {"fault": "unavailable", "chance": 0.1},
        {"fault": "rejected"},
        {"fault": "rejected", "channel": "push", "code": "NO_SUCH"},
        {"fault": "undelivered", "code": 30007},
    ],
)
def test_a_fault_that_is_described_wrongly_is_refused_and_the_others_stay(fault: dict[str, object]) -> None:
    faults = Faults("1")
    faults.put([{"fault": "unavailable"}])
    with pytest.raises(FaultError):
        faults.put([fault])
    assert [one["fault"] for one in faults.in_force] == ["unavailable"]


def test_faults_are_counted_and_switched_off(sandbox: Sandbox, client: Client) -> None:
    with pytest.raises(SandboxRefusedError, match="earthquake"):
        sandbox.faults({"fault": "earthquake"})
    sandbox.faults({"fault": "unavailable", "count": 2})
    for _ in range(2):
        with pytest.raises(TwilioRestException):
            _send(client)
    _send(client)
    assert sandbox.summary()["faults"][0]["struck"] == 2
    sandbox.faults()
    assert sandbox.summary()["faults"] == []


def test_latency_is_waited_for_and_does_not_queue(sandbox: Sandbox, client: Client) -> None:
    sandbox.control("POST", "latency", {"latency_ms": 400})
    started = time.monotonic()
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda _: _send(client), range(5)))
    assert 0.4 <= time.monotonic() - started < 5 * 0.4

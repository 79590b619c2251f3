"""Twilio's calls as the unmodified SDK sees them: who answers, what is said to whom, which keys are pressed."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException  # type: ignore[import-untyped]  # twilio ships no py.typed
from twilio.rest import Client  # type: ignore[import-untyped]  # as above

from sandbox.keys import WANTS, key_for
from tests.plugins.sandbox_process import Sandbox, SandboxRefusedError
from tests.sandbox.conftest import Arrived, Webhooks

TO, FROM = "+12025550101", "+12025550150"
EVERY_STEP = ["initiated", "ringing", "answered", "completed"]
LATER = "2026-03-17T01:05:00Z"
MENU = b"""<Response><Gather numDigits="1" action="/key"><Say>If you are Nobody 7, press 1.</Say></Gather><Say>Goodbye.</Say></Response>"""


def call(client: Client, webhooks: Webhooks, **more: Any) -> str:
    given = {
        "to": TO,
        "from_": FROM,
        "url": f"{webhooks.url}/answer",
        "status_callback": f"{webhooks.url}/status",
        "status_callback_event": EVERY_STEP,
    }
    return str(client.calls.create(**{**given, **more}).sid)


def phone(sandbox: Sandbox, answers: str, *keys: str, number: str = TO) -> None:
    sandbox.control("POST", "phones", {"number": number, "answers": answers, "keys": list(keys)})


def at(webhooks: Webhooks, path: str) -> list[Arrived]:
    return [post for post in webhooks.arrived if post.path == path]


def statuses(webhooks: Webhooks) -> list[str]:
    return [post.form["CallStatus"] for post in at(webhooks, "/status")]


def test_a_call_is_queued_and_its_steps_are_told_in_order(sandbox: Sandbox, client: Client, webhooks: Webhooks) -> None:
    phone(sandbox, "human")
    made = client.calls.create(
        to=TO, from_=FROM, url=f"{webhooks.url}/answer", status_callback=f"{webhooks.url}/status", status_callback_event=EVERY_STEP
    )
    assert (made.status, bool(re.fullmatch(r"CA[0-9a-f]{32}", str(made.sid)))) == ("queued", True)
    sandbox.step(LATER)
    assert statuses(webhooks) == ["initiated", "ringing", "in-progress", "completed"]
    assert [post.form["SequenceNumber"] for post in at(webhooks, "/status")] == ["0", "1", "2", "3"]
    fetched = client.calls(str(made.sid)).fetch()
    assert (fetched.status, fetched.duration) == ("completed", "1")


def test_only_the_end_is_told_unless_more_is_asked_for(sandbox: Sandbox, client: Client, webhooks: Webhooks) -> None:
    phone(sandbox, "busy")
    client.calls.create(to=TO, from_=FROM, url=f"{webhooks.url}/answer", status_callback=f"{webhooks.url}/status")
    sandbox.step(LATER)
    assert statuses(webhooks) == ["busy"]


@pytest.mark.parametrize("answers", ["busy", "no-answer", "failed"])
def test_who_does_not_pick_up_hears_nothing(sandbox: Sandbox, client: Client, webhooks: Webhooks, answers: str) -> None:
    phone(sandbox, answers)
    sid = call(client, webhooks)
    sandbox.step(LATER)
    assert statuses(webhooks)[-1] == answers
    assert (at(webhooks, "/answer"), sandbox.received("voice")) == ([], [])
    assert client.calls(sid).fetch().status == answers


def test_a_key_is_posted_where_the_menu_says_and_the_answer_is_heard(sandbox: Sandbox, client: Client, webhooks: Webhooks) -> None:
    webhooks.answer = MENU
    phone(sandbox, "human", "1")
    sid = call(client, webhooks)
    sandbox.step(LATER)
    (pressed, again) = (at(webhooks, "/key")[0], at(webhooks, "/answer"))
    assert (pressed.form["Digits"], pressed.form["CallSid"], len(again)) == ("1", sid, 1)
    # The same menu came once more and no key was pressed: then what stands behind it is heard.
    [heard] = sandbox.received("voice")
    assert heard["body"] == "If you are Nobody 7, press 1. If you are Nobody 7, press 1. Goodbye."


def test_nobody_presses_a_key_for_a_machine(sandbox: Sandbox, client: Client, webhooks: Webhooks) -> None:
    webhooks.answer = MENU
    phone(sandbox, "machine", "1")
    call(client, webhooks, machine_detection="DetectMessageEnd")
    sandbox.step(LATER)
    assert at(webhooks, "/key") == []
    assert [(heard["body"], heard["answered_by"]) for heard in sandbox.received("voice")] == [
        ("If you are Nobody 7, press 1. Goodbye.", "machine_end_beep")
    ]


@pytest.mark.parametrize(
    ("detection", "answers", "told"),
    [
        ({}, "machine", None),
        ({"machine_detection": "Enable"}, "machine", "machine_start"),
        ({"machine_detection": "DetectMessageEnd"}, "machine", "machine_end_beep"),
        ({"machine_detection": "DetectMessageEnd"}, "human", "human"),
        ({"machine_detection": "Enable"}, "fax", "fax"),
        ({"machine_detection": "Enable"}, "unknown", "unknown"),
    ],
)
def test_who_answered_is_told_where_it_was_asked(
    sandbox: Sandbox, client: Client, webhooks: Webhooks, detection: dict[str, str], answers: str, told: str | None
) -> None:
    phone(sandbox, answers)
    call(client, webhooks, **detection)
    sandbox.step(LATER)
    assert at(webhooks, "/answer")[0].form.get("AnsweredBy") == told
    assert at(webhooks, "/status")[-1].form.get("AnsweredBy") == told


@pytest.mark.parametrize("answer", [b"not xml", b"<Response><Hangup/><Say>never</Say></Response>", b""])
def test_what_says_nothing_ends_the_call(sandbox: Sandbox, client: Client, webhooks: Webhooks, answer: bytes) -> None:
    webhooks.answer = answer
    phone(sandbox, "human")
    call(client, webhooks)
    sandbox.step(LATER)
    assert statuses(webhooks)[-1] == "completed"
    assert sandbox.received("voice") == []


def test_words_may_come_with_the_call_itself(sandbox: Sandbox, client: Client) -> None:
    phone(sandbox, "human")
    client.calls.create(to=TO, from_=FROM, twiml="<Response><Say>Hello</Say></Response>")
    sandbox.step(LATER)
    assert [heard["body"] for heard in sandbox.received("voice")] == ["Hello"]


def test_a_menu_that_leads_to_itself_ends(sandbox: Sandbox, client: Client, webhooks: Webhooks) -> None:
    webhooks.answer = b"<Response><Redirect>/answer</Redirect></Response>"
    phone(sandbox, "human")
    call(client, webhooks)
    sandbox.step(LATER)
    assert statuses(webhooks)[-1] == "completed"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"to": "", "from_": FROM}, 21201),
        ({"to": TO, "from_": ""}, 21213),
        ({"to": "2025550101", "from_": FROM}, 21211),
        ({"to": TO, "from_": "Lantern"}, 21212),
        ({"to": TO, "from_": FROM, "url": None}, 21205),
        ({"to": TO, "from_": FROM, "url": "https://example.com/x"}, 21205),
        ({"to": TO, "from_": FROM, "machine_detection": "Maybe"}, 20001),
        ({"to": TO, "from_": FROM, "status_callback_event": ["paid"]}, 20001),
    ],
)
def test_what_twilio_refuses_is_refused_with_twilios_code(client: Client, webhooks: Webhooks, fields: dict[str, Any], code: int) -> None:
    with pytest.raises(TwilioRestException) as refused:
        client.calls.create(**{"url": f"{webhooks.url}/answer", **fields})
    assert (refused.value.status, refused.value.code) == (400, code)


def test_a_call_that_has_not_been_answered_is_taken_back(sandbox: Sandbox, client: Client, webhooks: Webhooks) -> None:
    phone(sandbox, "human")
    sid = call(client, webhooks)
    assert client.calls(sid).update(status="canceled").status == "canceled"
    sandbox.step(LATER)
    assert at(webhooks, "/answer") == []
    with pytest.raises(TwilioRestException) as refused:
        client.calls(sid).update(status="completed")
    assert refused.value.code == 21220


def test_the_list_pages_through_every_call_newest_first(sandbox: Sandbox, client: Client, webhooks: Webhooks) -> None:
    made = [call(client, webhooks) for _ in range(5)]
    client.calls.create(to="+12025550102", from_=FROM, url=f"{webhooks.url}/answer")
    assert [one.sid for one in client.calls.stream(to=TO, page_size=2)] == made[::-1]
    sandbox.step(LATER)
    since = datetime(2026, 3, 17, 1, tzinfo=UTC)
    assert len(client.calls.list(to=TO, start_time_after=since)) == 5
    assert client.calls.list(to=TO, start_time_before=since) == []
    assert len(client.calls.list(status="no-answer")) == 6


@pytest.mark.parametrize(
    ("fault", "taken"), [("accept_then_500", 1), ("drop_before_accept", 0), ("unavailable", 0), ("accept_then_drop", 1)]
)
def test_faults_strike_calls_as_they_strike_texts(sandbox: Sandbox, client: Client, webhooks: Webhooks, fault: str, taken: int) -> None:
    sandbox.faults({"fault": fault, "channel": "voice", "count": 1})
    client.messages.create(to=TO, from_=FROM, body="untouched")
    with pytest.raises(Exception):  # noqa: B017, PT011  # whatever the SDK makes of it
        call(client, webhooks)
    assert len(client.calls.list()) == taken


def test_a_callback_may_be_lost(sandbox: Sandbox, client: Client, webhooks: Webhooks) -> None:
    phone(sandbox, "busy")
    sandbox.faults({"fault": "callback_lost", "channel": "voice"})
    call(client, webhooks)
    sandbox.step(LATER)
    assert statuses(webhooks) == []


def test_residents_answer_machines_answer_and_some_press_keys(sandbox: Sandbox, client: Client, webhooks: Webhooks) -> None:
    sandbox.reset(at="2026-03-17T15:00:00+00:00", world={"call_answered": 0.6, "call_confirmed": 1.0, "wrong_number_share": 0.0})
    numbers = [f"+1212555{number:04}" for number in range(100, 160)]
    loans = [{"currency": "USD", "owed_minor": 100}]
    sandbox.settle(
        [{"phone": number, "locale": "en", "zone": "America/New_York", "loans": [{**loans[0], "loan_ref": number}]} for number in numbers]
    )
    webhooks.answer = MENU
    for number in numbers:
        call(client, webhooks, to=number, machine_detection="DetectMessageEnd")
    sandbox.step("2026-03-17T15:10:00Z")
    ends = sandbox.summary()["calls"]
    assert {"completed", "no-answer", "busy"} <= set(ends)
    assert {heard["answered_by"] for heard in sandbox.received("voice")} == {"human", "machine_end_beep"}
    assert {post.form["Digits"] for post in at(webhooks, "/key")} == {"1"}


@pytest.mark.parametrize(
    ("want", "heard", "locale", "key"),
    [
        ("me", "If you are Nobody 7, press 1. If you are not Nobody 7, press 2.", "en-US", "1"),
        ("not_me", "If you are Nobody 7, press 1. If you are not Nobody 7, press 2.", "en", "2"),
        ("paid", "If you have paid, press 1. To stop calls, press 9.", "en", "1"),
        ("stop", "If you have paid, press 1. To stop these calls, press 9.", "en", "9"),
        ("paid", "Si ya pagó, oprima 1.", "es-MX", "1"),
        ("stop", "如果不再希望接到来电，请按9。", "zh-Hans", "9"),
        ("paid", "Hello.", "en", None),
    ],
)
def test_the_key_is_the_one_in_the_sentence_about_it(want: str, heard: str, locale: str, key: str | None) -> None:
    assert want in WANTS
    assert key_for(want, heard, locale) == key


def test_a_phone_that_cannot_be_lent_is_refused(sandbox: Sandbox) -> None:
    for wrong in ({"answers": "nobody"}, {"answers": "human", "keys": ["12"]}, {"answers": "human", "keys": "1"}):
        with pytest.raises(SandboxRefusedError):
            sandbox.control("POST", "phones", {"number": TO, **wrong})

"""WhatsApp, Messenger and RCS in the sandbox, spoken by the unmodified SDK: prefixes, templates, the window, receipts, buttons."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException  # type: ignore[import-untyped]  # twilio ships no py.typed
from twilio.rest import Client  # type: ignore[import-untyped]  # as above

from sandbox.happenings import Message, Replied, Seen, Sent, Undelivered
from sandbox.parameters import default_world
from sandbox.people import invent_people
from sandbox.social import Button
from sandbox.town import Town
from tests.plugins.sandbox_process import Sandbox, SandboxRefusedError
from tests.sandbox.conftest import Webhooks

PHONE = "+12025550101"
PERSON = "5400000000000101"
OURS = {"whatsapp": "whatsapp:+12025550150", "messenger": "messenger:100200300400500", "rcs": "rcs:lantern_agent"}
THEIRS = {"whatsapp": f"whatsapp:{PHONE}", "messenger": f"messenger:{PERSON}", "rcs": f"rcs:{PHONE}"}
TEMPLATE = "HX" + "1" * 32
BUTTONS = [
    {"text": "I have paid", "payload": "paid"},
    {"text": "More time, please", "payload": "more_time"},
    {"text": "Stop", "payload": "stop"},
]
START = datetime(2026, 3, 17, 1, tzinfo=UTC)


def register(sandbox: Sandbox, **changes: Any) -> None:
    sandbox.control("POST", "templates", {"templates": [{"sid": TEMPLATE, "body": "{{1}}: {{2}} was due.", "buttons": BUTTONS} | changes]})


def write(sandbox: Sandbox, channel: str, text: str = "hello", **more: Any) -> None:
    """Somebody writes to the lender."""
    sandbox.control("POST", "texts", {"from": THEIRS[channel], "to": OURS[channel], "text": text, **more})


def refusal(client: Client, **fields: Any) -> int:
    with pytest.raises(TwilioRestException) as caught:
        client.messages.create(**fields)
    return int(caught.value.code)


def fate(client: Client, sandbox: Sandbox, at: str = "2026-03-17T02:00:00Z", **fields: Any) -> tuple[str, int | None]:
    """What became of a message by an instant."""
    created = client.messages.create(**fields)
    sandbox.step(at)
    now = client.messages(created.sid).fetch()
    return str(now.status), now.error_code


@pytest.mark.parametrize("channel", ["whatsapp", "messenger"])
def test_free_words_reach_only_who_wrote_within_a_day_and_to_that_sender(sandbox: Sandbox, client: Client, channel: str) -> None:
    asked = {"to": THEIRS[channel], "from_": OURS[channel], "body": "words"}
    assert fate(client, sandbox, "2026-03-17T02:00:00Z", **asked) == ("undelivered", 63016)
    write(sandbox, channel)
    assert fate(client, sandbox, "2026-03-17T03:00:00Z", **asked) == ("delivered", None)
    other = {"whatsapp": "whatsapp:+12025550151", "messenger": "messenger:100200300400501"}[channel]
    assert fate(client, sandbox, "2026-03-18T01:59:59Z", **{**asked, "from_": other}) == ("undelivered", 63016)
    assert fate(client, sandbox, "2026-03-18T02:30:00Z", **asked) == ("delivered", None)
    assert fate(client, sandbox, "2026-03-18T03:00:00Z", **asked) == ("undelivered", 63016)
    assert [row["to"] for row in sandbox.received(channel)] == [THEIRS[channel].partition(":")[2]] * 2


def test_a_messaging_service_that_was_written_to_may_answer(sandbox: Sandbox, client: Client) -> None:
    service = "MG" + "a" * 32
    write(sandbox, "whatsapp", messaging_service_sid=service)
    assert fate(client, sandbox, to=THEIRS["whatsapp"], messaging_service_sid=service, body="words") == ("delivered", None)


def test_an_approved_template_reaches_whom_free_words_do_not(sandbox: Sandbox, client: Client) -> None:
    register(sandbox)
    asked = {
        "to": THEIRS["whatsapp"],
        "from_": OURS["whatsapp"],
        "content_sid": TEMPLATE,
        "content_variables": '{"1": "Lantern", "2": "$100.00"}',
    }
    assert fate(client, sandbox, "2026-03-17T02:00:00Z", **asked) == ("delivered", None)
    assert [row["body"] for row in sandbox.received("whatsapp")] == ["Lantern: $100.00 was due."]
    register(sandbox, approved=False)
    assert fate(client, sandbox, "2026-03-17T03:00:00Z", **asked) == ("undelivered", 63016)
    register(sandbox)
    by_page = asked | {"to": THEIRS["messenger"], "from_": OURS["messenger"]}
    assert fate(client, sandbox, "2026-03-17T04:00:00Z", **by_page) == ("undelivered", 63016)


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ('{"1": "Lantern"}', 63028),
        ('{"1": "Lantern", "2": ""}', 21656),
        ('{"1": "Lantern", "2": null}', 21656),
        ("not JSON", 21656),
        ('{"1": "Lantern", "2": "a\\nb"}', 63013),
        ('{"1": "Lantern", "2": "a    b"}', 63013),
        (json.dumps({"1": "Lantern", "2": "x" * 1024}), 63021),
    ],
)
def test_variables_that_do_not_fit_are_refused(sandbox: Sandbox, client: Client, variables: str, code: int) -> None:
    register(sandbox)
    asked = {"to": THEIRS["whatsapp"], "from_": OURS["whatsapp"], "content_sid": TEMPLATE}
    assert refusal(client, **asked, content_variables=variables) == code


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"to": THEIRS["whatsapp"], "from_": "+12025550150", "body": "x"}, 21910),
        ({"to": PHONE, "from_": OURS["whatsapp"], "body": "x"}, 21910),
        ({"to": "whatsapp:120363000000000000@g.us", "from_": OURS["whatsapp"], "body": "x"}, 21211),
        ({"to": "messenger:lanternwallet", "from_": OURS["messenger"], "body": "x"}, 21211),
        ({"to": THEIRS["whatsapp"], "from_": "whatsapp:lantern", "body": "x"}, 21212),
        ({"to": THEIRS["whatsapp"], "from_": OURS["whatsapp"], "content_sid": "HX" + "9" * 32}, 21655),
        ({"to": THEIRS["rcs"], "from_": OURS["rcs"], "body": "x", "fallback_from": "+12025550150"}, 21664),
    ],
)
def test_what_twilio_would_refuse_is_refused(sandbox: Sandbox, client: Client, fields: dict[str, Any], code: int) -> None:
    del sandbox
    assert refusal(client, **fields) == code


def test_who_is_not_on_a_channel_is_not_reached_there_and_rcs_stays_rcs(sandbox: Sandbox, client: Client) -> None:
    sandbox.reset(world={"whatsapp_share": 0.0, "rcs_share": 0.0, "wrong_number_share": 0.0, "landline_share": 0.0, "sms_delivered": 1.0})
    sandbox.settle([{"phone": PHONE, "zone": "America/New_York", "loans": []}])
    register(sandbox)
    assert fate(client, sandbox, "2026-03-17T02:00:00Z", to=THEIRS["rcs"], from_=OURS["rcs"], body="x") == ("undelivered", 63036)
    variables = '{"1": "Lantern", "2": "$100.00"}'
    asked = {"to": THEIRS["whatsapp"], "from_": OURS["whatsapp"], "content_sid": TEMPLATE, "content_variables": variables}
    assert fate(client, sandbox, "2026-03-17T03:00:00Z", **asked) == ("undelivered", 63024)
    assert sandbox.received() == []


def test_a_message_that_was_read_is_reported_so(sandbox: Sandbox, client: Client, webhooks: Webhooks) -> None:
    everyone = {
        "whatsapp_share": 1.0,
        "sms_read": 1.0,
        "read_receipts": 1.0,
        "wrong_number_share": 0.0,
        "landline_share": 0.0,
        "sms_delivered": 1.0,
    }
    sandbox.reset(at="2026-03-17T16:00:00+00:00", world=everyone)
    sandbox.settle([{"phone": PHONE, "zone": "America/New_York", "loans": []}])
    write(sandbox, "whatsapp")
    client.messages.create(to=THEIRS["whatsapp"], from_=OURS["whatsapp"], body="x", status_callback=f"{webhooks.url}/status")
    sandbox.step("2026-03-18T16:00:00Z")
    assert webhooks.statuses() == ["sent", "delivered", "read"]
    last = webhooks.arrived[-1].form
    assert (last["ChannelPrefix"], last["EventType"], last["To"]) == ("whatsapp", "READ", THEIRS["whatsapp"])


def test_who_writes_tells_what_was_tapped_and_sent(sandbox: Sandbox, webhooks: Webhooks) -> None:
    sandbox.webhooks(inbound_url=f"{webhooks.url}/inbound")
    write(sandbox, "whatsapp", "More time, please", button=BUTTONS[1])
    write(sandbox, "whatsapp", "", media=2)
    tapped, sent = (post.form for post in webhooks.arrived)
    assert (tapped["From"], tapped["To"], tapped["WaId"]) == (THEIRS["whatsapp"], OURS["whatsapp"], PHONE.removeprefix("+"))
    assert (tapped["ButtonPayload"], tapped["ButtonText"], tapped["Body"]) == ("more_time", "More time, please", "More time, please")
    assert (sent["NumMedia"], sent["MediaContentType1"], sent["Body"]) == ("2", "image/jpeg", "")
    assert "FromCountry" not in tapped


def test_faults_strike_the_channel_that_they_name(sandbox: Sandbox, client: Client) -> None:
    sandbox.faults({"fault": "rejected", "channel": "whatsapp", "code": 63007})
    assert refusal(client, to=THEIRS["whatsapp"], from_=OURS["whatsapp"], body="x") == 63007
    assert client.messages.create(to=PHONE, from_="+12025550150", body="x").status == "queued"
    sandbox.faults({"fault": "undelivered", "channel": "rcs", "code": 63036, "to": PHONE})
    assert fate(client, sandbox, to=THEIRS["rcs"], from_=OURS["rcs"], body="x") == ("undelivered", 63036)


@pytest.mark.parametrize(
    "template",
    [
        {"sid": "HX1", "body": "x"},
        {"sid": TEMPLATE},
        {"sid": TEMPLATE, "body": "x", "buttons": [{"text": "x"}]},
        {"sid": TEMPLATE, "body": "x", "more": 1},
    ],
)
def test_a_template_that_is_none_is_refused_by_name(sandbox: Sandbox, template: dict[str, Any]) -> None:
    with pytest.raises(SandboxRefusedError):
        sandbox.control("POST", "templates", {"templates": [template]})


def test_people_answer_by_the_button_that_says_what_they_mean_and_read_receipts_follow_reading() -> None:
    everyone = {
        "whatsapp_share": 1.0,
        "sms_read": 1.0,
        "reply_rate": 1.0,
        "stop_rate": 0.0,
        "wrong_number_share": 0.0,
        "landline_share": 0.0,
    }
    town = Town(seed="7", world=default_world(everyone), now=START)
    buttons = tuple(Button(one["text"], one["payload"]) for one in BUTTONS)
    people = invent_people(7, "US", 60)
    for person in people:
        town.settle(phone=person.phone, push_token=None, locale="en", zone=person.zone, loans=[(f"L-{person.phone}", "USD", 10_000)])
        town.submit(
            Message(
                person.phone, "whatsapp", person.phone, OURS["whatsapp"], "You owe 100.00", START + timedelta(hours=10), buttons=buttons
            )
        )
    events = list(town.advance(START + timedelta(days=1)))
    replies = [event for event in events if isinstance(event, Replied)]
    tapped = {event.intent: event.tapped.payload for event in replies if event.tapped is not None}
    assert tapped.items() <= {"paid": "paid", "cannot_pay": "more_time", "stop": "stop"}.items()
    assert "cannot_pay" in tapped
    assert all(event.text == event.tapped.text for event in replies if event.tapped is not None)
    seen = sum(isinstance(event, Seen) for event in events)
    sent = sum(isinstance(event, Sent) for event in events) - sum(isinstance(event, Undelivered) for event in events)
    assert 0 < seen < sent

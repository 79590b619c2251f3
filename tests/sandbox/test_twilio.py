"""Twilio's API as the unmodified SDK sees it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from twilio.base.exceptions import TwilioRestException  # type: ignore[import-untyped]  # twilio ships no py.typed
from twilio.http.async_http_client import AsyncTwilioHttpClient  # type: ignore[import-untyped]  # twilio ships no py.typed
from twilio.rest import Client  # type: ignore[import-untyped]  # twilio ships no py.typed

from tests.plugins.sandbox_process import Sandbox, SandboxRefusedError
from tests.sandbox.conftest import Webhooks

TO, FROM, SERVICE = "+12025550101", "+12025550150", "MG" + "a" * 32
EVERYONE = {"sms_delivered": 1.0, "wrong_number_share": 0.0, "landline_share": 0.0, "reply_rate": 0.0, "stop_rate": 0.0}


def _refusal(client: Client, **fields: object) -> TwilioRestException:
    with pytest.raises(TwilioRestException) as refused:
        client.messages.create(**fields)
    return refused.value


def test_a_text_is_queued_from_a_number_and_accepted_from_a_service(client: Client) -> None:
    from_number = client.messages.create(to=TO, from_=FROM, body="Hello")
    from_service = client.messages.create(to=TO, messaging_service_sid=SERVICE, body="Hello")
    assert (from_number.status, from_service.status) == ("queued", "accepted")
    assert re.fullmatch(r"SM[0-9a-f]{32}", str(from_number.sid))
    assert (from_number.num_segments, from_service.num_segments) == ("1", "0")
    assert from_service.from_ is None
    assert from_number.sid != from_service.sid


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"from_": FROM, "body": "x", "to": ""}, 21604),
        ({"to": TO, "body": "x"}, 21603),
        ({"to": TO, "from_": FROM}, 21602),
        ({"to": "12025550101", "from_": FROM, "body": "x"}, 21211),
        ({"to": "+1202555", "from_": "??", "body": "x"}, 21212),
        ({"to": TO, "from_": TO, "body": "x"}, 21266),
        ({"to": TO, "from_": FROM, "body": "x" * 1601}, 21617),
        ({"to": TO, "from_": FROM, "body": "x", "validity_period": 0}, 90007),
        ({"to": TO, "from_": FROM, "body": "x", "validity_period": 36001}, 90007),
        ({"to": TO, "from_": FROM, "body": "x", "status_callback": "https://example.com/x"}, 21609),
        ({"to": TO, "from_": FROM, "body": "x", "schedule_type": "fixed"}, 35118),
        ({"to": TO, "messaging_service_sid": SERVICE, "body": "x", "schedule_type": "fixed"}, 35111),
        ({"to": TO, "messaging_service_sid": SERVICE, "body": "x", "schedule_type": "fixed", "send_at": "soon"}, 35114),
    ],
)
def test_what_twilio_refuses_is_refused_with_twilios_code(client: Client, fields: dict[str, object], code: int) -> None:
    refused = _refusal(client, **fields)
    assert (refused.status, refused.code) == (400, code)


def test_the_longest_text_is_taken(client: Client) -> None:
    assert client.messages.create(to=TO, from_=FROM, body="x" * 1600).num_segments == "11"


def test_a_field_that_twilio_does_not_know_is_refused(sandbox: Sandbox, client: Client) -> None:
    answer = client.request(
        "POST",
        f"{sandbox.url}/2010-04-01/Accounts/{sandbox.account_sid}/Messages.json",
        data={"To": TO, "From": FROM, "Body": "x", "IdempotencyKey": "1"},
    )
    assert answer.status_code == 400
    assert "IdempotencyKey" in answer.text


def test_a_wrong_token_is_turned_away(sandbox: Sandbox) -> None:
    stranger = Client(sandbox.account_sid, "wrong", environment={"_": ""})
    stranger.api.base_url = sandbox.url
    refused = _refusal(stranger, to=TO, from_=FROM, body="x")
    assert (refused.status, refused.code) == (401, 20003)


def test_another_account_and_another_resource_are_not_found(sandbox: Sandbox, client: Client) -> None:
    for path in (f"AC{'0' * 32}/Messages.json", f"{sandbox.account_sid}/Conferences.json"):
        answer = client.request("GET", f"{sandbox.url}/2010-04-01/Accounts/{path}")
        assert (answer.status_code, '"code":20404' in answer.text) == (404, True)


def test_status_callbacks_come_after_the_step_in_order_and_never_for_the_first_status(
    sandbox: Sandbox, client: Client, webhooks: Webhooks
) -> None:
    sid = client.messages.create(to=TO, from_=FROM, body="Hello", status_callback=f"{webhooks.url}/status").sid
    assert webhooks.arrived == []
    sandbox.step("2026-03-17T01:01:00Z")
    assert webhooks.statuses() == ["sent", "delivered"]
    last = webhooks.arrived[-1].form
    assert (last["MessageSid"], last["To"], last["From"], last["RawDlrDoneDate"]) == (sid, TO, FROM, "2603170100")
    fetched = client.messages(str(sid)).fetch()
    assert fetched.status == "delivered"
    assert fetched.date_sent is not None
    [received] = sandbox.received("sms")
    assert (received["to"], received["body"], received["provider_id"]) == (TO, "Hello", sid)


def test_a_failing_webhook_is_tried_twice_more(sandbox: Sandbox, client: Client, webhooks: Webhooks) -> None:
    webhooks.fail_first = 2
    client.messages.create(to=TO, from_=FROM, body="Hello", status_callback=f"{webhooks.url}/status")
    sandbox.step("2026-03-17T01:01:00Z")
    assert webhooks.statuses() == ["sent", "sent", "sent", "delivered"]
    webhooks.fail_first = 6
    client.messages.create(to=TO, from_=FROM, body="Hello", status_callback=f"{webhooks.url}/status")
    sandbox.step("2026-03-17T01:02:00Z")
    assert sandbox.summary()["webhooks"]["lost"] >= 2


def test_the_list_pages_through_everything_newest_first_exactly_once(client: Client) -> None:
    made = [client.messages.create(to=TO, from_=FROM, body=str(number)).sid for number in range(7)]
    client.messages.create(to="+12025550102", from_=FROM, body="someone else's")
    listed = [message.sid for message in client.messages.stream(to=TO, page_size=3)]
    assert listed == made[::-1]
    assert len(client.messages.list(to=TO, page_size=3, limit=4)) == 4


def test_a_message_made_while_paging_neither_repeats_nor_hides_another(client: Client) -> None:
    made = [client.messages.create(to=TO, from_=FROM, body=str(number)).sid for number in range(4)]
    first = client.messages.page(to=TO, page_size=2)
    client.messages.create(to=TO, from_=FROM, body="late")
    second = first.next_page()
    assert second is not None
    assert [message.sid for message in second] == made[1::-1]


def test_the_list_filters_by_date_sent_and_leaves_out_what_was_not_sent(sandbox: Sandbox, client: Client) -> None:
    client.messages.create(to=TO, from_=FROM, body="first day")
    sandbox.step("2026-03-18T01:00:00Z")
    client.messages.create(to=TO, from_=FROM, body="second day")
    sandbox.step("2026-03-18T02:00:00Z")
    client.messages.create(to=TO, from_=FROM, body="not yet sent")
    day = datetime(2026, 3, 18, tzinfo=UTC)
    assert [m.body for m in client.messages.list(to=TO, date_sent_after=day)] == ["second day"]
    assert [m.body for m in client.messages.list(to=TO, date_sent_before=day)] == ["first day"]
    assert [m.body for m in client.messages.list(to=TO, date_sent=day)] == ["second day"]
    assert len(client.messages.list(to=TO)) == 3
    assert client.messages.list(to=TO, from_="+12025550151") == []


def test_a_message_that_waits_can_be_canceled_and_one_that_is_finished_redacted(sandbox: Sandbox, client: Client) -> None:
    waiting = client.messages.create(
        to=TO, messaging_service_sid=SERVICE, body="later", schedule_type="fixed", send_at=datetime(2026, 3, 17, 2, tzinfo=UTC)
    )
    assert waiting.status == "scheduled"
    assert client.messages(str(waiting.sid)).update(status="canceled").status == "canceled"
    done = client.messages.create(to=TO, from_=FROM, body="secret")
    with pytest.raises(TwilioRestException, match="not finished"):
        client.messages(str(done.sid)).update(body="")
    sandbox.step("2026-03-17T03:00:00Z")
    assert client.messages(str(done.sid)).update(body="").body == ""
    with pytest.raises(TwilioRestException) as refused:
        client.messages(str(done.sid)).update(status="canceled")
    assert refused.value.code == 30409
    assert [row["body"] for row in sandbox.received()] == ["secret"]
    assert client.messages(str(done.sid)).delete()
    with pytest.raises(TwilioRestException) as gone:
        client.messages(str(done.sid)).fetch()
    assert gone.value.status == 404


def test_a_scheduled_text_leaves_at_its_time(sandbox: Sandbox, client: Client) -> None:
    at = datetime(2026, 3, 17, 2, tzinfo=UTC)
    client.messages.create(to=TO, messaging_service_sid=SERVICE, body="later", schedule_type="fixed", send_at=at)
    sandbox.step("2026-03-17T01:59:00Z")
    assert sandbox.received() == []
    sandbox.step("2026-03-17T03:00:00Z")
    [received] = sandbox.received()
    assert timedelta(0) <= datetime.fromisoformat(received["received_at"]) - at < timedelta(minutes=1)


def test_a_stop_word_blocks_the_sender_that_was_answered_until_a_start_word(sandbox: Sandbox, client: Client) -> None:
    sandbox.control("POST", "texts", {"from": TO, "to": FROM, "text": " stop "})
    assert _refusal(client, to=TO, from_=FROM, body="x").code == 21610
    client.messages.create(to=TO, from_="+12025550151", body="another sender is not blocked")
    client.messages.create(to="+12025550102", from_=FROM, body="another person is not blocked")
    sandbox.control("POST", "texts", {"from": TO, "to": FROM, "text": "START"})
    client.messages.create(to=TO, from_=FROM, body="welcome back")


def test_a_sentence_with_stop_in_it_does_not_block_at_the_provider(sandbox: Sandbox, client: Client) -> None:
    sandbox.control("POST", "texts", {"from": TO, "to": FROM, "text": "please stop"})
    client.messages.create(to=TO, from_=FROM, body="x")


def test_what_the_webhook_answers_is_sent_back_but_not_to_who_just_said_stop(sandbox: Sandbox, client: Client, webhooks: Webhooks) -> None:
    sandbox.webhooks(inbound_url=f"{webhooks.url}/inbound")
    webhooks.answer = b"<Response><Message>Noted &amp; filed</Message></Response>"
    sandbox.control("POST", "texts", {"from": TO, "to": FROM, "text": "I paid"})
    sandbox.control("POST", "texts", {"from": "+12025550102", "to": FROM, "text": "STOP"})
    sandbox.step("2026-03-17T01:05:00Z")
    assert [(row["to"], row["body"]) for row in sandbox.received()] == [(TO, "Noted & filed")]
    assert {m.direction for m in client.messages.list()} == {"inbound", "outbound-reply"}


def test_validity_that_passes_while_the_phone_is_off_ends_in_30036_and_nothing_is_received(
    sandbox: Sandbox, client: Client, webhooks: Webhooks
) -> None:
    # Everyone loses their phone on the first night, so it is off for at least a day.
    sandbox.reset(world={**EVERYONE, "phone_lost_rate": 1.0})
    sandbox.settle([{"phone": TO, "locale": "en", "zone": "UTC"}])
    sandbox.step("2026-03-18T09:00:00Z")
    callback = f"{webhooks.url}/status"
    client.messages.create(to=TO, from_=FROM, body="short", validity_period=600, status_callback=callback)
    patient = client.messages.create(to=TO, from_=FROM, body="long").sid
    sandbox.step("2026-03-18T09:09:00Z")
    assert webhooks.statuses() == []
    sandbox.step("2026-03-18T15:00:00Z")
    assert webhooks.statuses() == ["failed"]
    assert webhooks.arrived[-1].form["ErrorCode"] == "30036"
    assert client.messages(str(patient)).fetch().error_code == 30003
    assert sandbox.received() == []


@pytest.mark.parametrize(("world", "code"), [({"sms_delivered": 0.0, "wrong_number_share": 0.0}, 30005), ({"landline_share": 1.0}, 30006)])
def test_dead_numbers_and_landlines_are_reported_as_such(sandbox: Sandbox, client: Client, world: dict[str, float], code: int) -> None:
    sandbox.reset(world={**EVERYONE, **world})
    people = [f"+120255501{number:02}" for number in range(30)]
    sandbox.settle([{"phone": phone, "locale": "en", "zone": "UTC"} for phone in people])
    sids = [client.messages.create(to=phone, from_=FROM, body="x").sid for phone in people]
    sandbox.step("2026-03-17T20:00:00Z")
    ended = [client.messages(str(sid)).fetch() for sid in sids]
    assert code in {message.error_code for message in ended}
    received = {row["provider_id"] for row in sandbox.received()}
    assert all((message.status == "delivered") == (message.sid in received) for message in ended)


# The stock SDK's transport still hands a BasicAuth to aiohttp.
@pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning", "ignore:The 'auth' parameter:DeprecationWarning")
def test_the_asynchronous_sdk_sends_and_is_answered(sandbox: Sandbox) -> None:
    async def send() -> list[str | None]:
        http = AsyncTwilioHttpClient()
        client = Client(sandbox.account_sid, sandbox.auth_token, http_client=http, environment={"_": ""})
        client.api.base_url = sandbox.url
        try:
            texts = [client.messages.create_async(to=TO, from_=FROM, body=str(number)) for number in range(20)]
            return [message.sid for message in await asyncio.gather(*texts)]
        finally:
            await http.close()

    assert len(set(asyncio.run(send()))) == 20


def test_carriers_may_be_told_to_take_real_milliseconds_while_the_clock_stands(
    client: Client, sandbox: Sandbox, webhooks: Webhooks
) -> None:
    sandbox.reset(settle_ms=10_000)
    client.messages.create(to=TO, from_=FROM, body="Hello", status_callback=f"{webhooks.url}/status")
    sandbox.control("POST", "settle")
    assert webhooks.statuses() == ["sent", "delivered"]
    assert sandbox.summary()["at"] == "2026-03-17T01:00:00+00:00"


def test_a_clock_that_runs_cannot_be_stepped(start_sandbox: Callable[..., Sandbox]) -> None:
    running = start_sandbox("--auto")
    with pytest.raises(SandboxRefusedError, match="runs with the real one"):
        running.step("2030-01-01T00:00:00Z")

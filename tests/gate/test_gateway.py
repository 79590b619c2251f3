"""A creditor's sender may name the lender's own gateway: the same gate, the same fates; what is not known is asked for by its key."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from datetime import date, timedelta
from time import sleep
from typing import Any

import pytest
from sqlalchemy import text

from channels.registry import keyed_openers, list_openers, openers
from config.settings import settings
from gate import reconcile as module
from gate.lane import LaneHalted, run_lane
from gate.reconcile import Reconciled, reconcile
from ledger.engine import connection
from tasks.audit import read_lists
from tests.plugins.portfolio import TODAY, Portfolio, noon
from tests.plugins.sandbox_process import Sandbox
from tests.plugins.sending import Outbox

NOON = noon("US")
Serve = Callable[[], AbstractContextManager[str]]


@pytest.fixture
def town(portfolio: Portfolio, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """The sandbox as Twilio and as a gateway; the creditor's texts go through the gateway. It is noon in New York on either clock."""
    for name, value in {
        "TWILIO_BASE_URL": sandbox.url,
        "TWILIO_ACCOUNT_SID": sandbox.account_sid,
        "TWILIO_AUTH_TOKEN": sandbox.auth_token,
        "FCM_BASE_URL": sandbox.url,
        "FCM_TOKEN_URL": f"{sandbox.url}/token",
        "FCM_SERVICE_ACCOUNT_FILE": sandbox.service_account_file,
        "GATEWAY_BASE_URL": sandbox.gateway_url,
        "GATEWAY_KEYS": sandbox.gateway_keys,
        "CALL_SECONDS_MAX": "1",
    }.items():
        monkeypatch.setenv(f"TIDEOVER_{name}", value)
    settings.cache_clear()
    portfolio.clock(NOON)
    portfolio.creditor("US")
    speak(sms="gateway:LANTERN")
    sandbox.step(NOON.isoformat())
    return sandbox


def speak(**senders: str) -> None:
    with connection() as tx:
        tx.execute(text("UPDATE creditor SET senders = CAST(:senders AS jsonb)"), {"senders": json.dumps(senders)})


def send(run: int) -> None:
    # So many failures in a row may halt the lane for a while; that is not what is looked at here.
    with suppress(LaneHalted):
        run_lane(run, shard=None, channels=openers())


def ask() -> Reconciled:
    return reconcile({**list_openers(), **keyed_openers()})


def pass_time(minutes: float = 10) -> None:
    """Let calls have ended, and looks have been made, so long ago, on the wall clock."""
    with connection() as tx:
        tx.execute(
            text("""UPDATE attempt SET call_deadline = call_deadline - make_interval(secs => :seconds),
                                       not_listed_at = not_listed_at - make_interval(secs => :seconds)
                    WHERE call_deadline IS NOT NULL"""),
            {"seconds": minutes * 60},
        )


def taken(town: Sandbox) -> int:
    return int(town.summary()["counts"].get("gateway sms accepted", 0))


def by_twilio(town: Sandbox) -> int:
    return int(sum(town.summary()["messages"].values()))


def test_a_text_goes_through_the_gateway_that_its_sender_names_and_its_statuses_come_back(
    town: Sandbox, portfolio: Portfolio, outbox: Outbox, serve_portal: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = outbox.plan(run := outbox.run(), who := portfolio.borrower(number="+12125550101"))
    with serve_portal() as portal:
        monkeypatch.setenv("TIDEOVER_PUBLIC_URL", portal)
        settings.cache_clear()
        town.webhooks(gateway_inbound_url=f"{portal}/webhooks/gateway/inbound")
        send(run)
        row = outbox.attempt(attempt)
        assert (row["state"], row["provider"]) == ("accepted", "gateway")
        assert row["provider_id"].startswith("GW")
        town.step((NOON + timedelta(minutes=10)).isoformat())
        assert outbox.attempt(attempt)["state"] == "delivered"
        (received,) = town.received()
        assert (received["channel"], received["to"], received["from"]) == ("sms", "+12125550101", "LANTERN")
        town.control("POST", "texts", {"carrier": "sms", "from": "+12125550101", "to": "LANTERN", "text": "STOP"})
        assert outbox.attempt(attempt)["state"] == "replied"
    assert by_twilio(town) == 0
    stops = outbox.rows("SELECT channel FROM opt_out WHERE party_id = :party AND superseded_at IS NULL", party=who.party_id)
    assert "all" in [row.channel for row in stops]


def test_a_channel_whose_sender_names_no_gateway_keeps_its_own_provider(town: Sandbox, portfolio: Portfolio, outbox: Outbox) -> None:
    speak(sms="gateway:LANTERN", push="lantern")
    run = outbox.run()
    by_gateway, by_fcm = outbox.plan(run, portfolio.borrower()), outbox.plan(run, portfolio.borrower(), channel="push")
    send(run)
    assert [outbox.attempt(one)["provider"] for one in (by_gateway, by_fcm)] == ["gateway", "fcm"]
    assert (taken(town), town.summary()["counts"]["push accepted"]) == (1, 1)


def test_notifications_may_go_through_the_gateway_too(town: Sandbox, portfolio: Portfolio, outbox: Outbox) -> None:
    speak(push="gateway:app")
    attempt = outbox.plan(run := outbox.run(), portfolio.borrower(), channel="push")
    send(run)
    assert outbox.attempt(attempt)["provider"] == "gateway"
    town.step((NOON + timedelta(minutes=10)).isoformat())
    assert [(one["from"], one["title"]) for one in town.received("push")] == [("app", "Lantern Wallet US")]


TAKEN = ["accept_then_drop", "accept_then_500", "delayed_answer", "delayed_accept"]
NOT_TAKEN = ["drop_before_accept", "unavailable", "internal"]


@pytest.mark.parametrize("fault", TAKEN)
def test_I2_what_the_gateway_took_is_found_by_its_key_and_never_sent_again(
    town: Sandbox, portfolio: Portfolio, outbox: Outbox, fault: str
) -> None:
    attempt = outbox.plan(run := outbox.run(), portfolio.borrower())
    town.faults({"fault": fault, "channel": "gateway", "seconds": 1.5})
    send(run)
    assert outbox.states() == ["unknown"]
    for _ in range(100):
        if taken(town):
            break
        sleep(0.05)
    town.faults()
    # Since then the creditor has gone back to its other provider: asked is whoever was called.
    speak(sms="+15005550006")
    pass_time()
    done = ask()
    row = outbox.attempt(attempt)
    assert (row["state"], row["provider"], row["segments"]) == ("accepted", "gateway", 2)
    assert (dict(done.settled), done.parked, done.questions) == ({"accepted": 1}, 0, 1)
    send(run)
    assert (taken(town), by_twilio(town)) == (1, 0)


@pytest.mark.parametrize("fault", NOT_TAKEN)
def test_I2_what_the_gateway_says_twice_that_it_does_not_know_has_failed(
    town: Sandbox, portfolio: Portfolio, outbox: Outbox, fault: str
) -> None:
    attempt = outbox.plan(run := outbox.run(), portfolio.borrower())
    town.faults({"fault": fault, "channel": "gateway"})
    send(run)
    town.faults()
    # A request that is still under way somewhere could be taken yet: no answer proves anything now.
    for _ in range(2):
        pass_time(1.9)
        assert (dict(ask().settled), outbox.states()) == ({}, ["unknown"])
    pass_time()
    assert dict(ask().settled) == {}
    pass_time()
    assert dict(ask().settled) == {"failed": 1}
    assert outbox.causes(attempt)[-1] == ("unknown", "failed", module.NOT_LISTED)
    send(run)
    assert taken(town) == 0


def test_one_that_the_gateway_is_at_just_now_waits_and_the_others_are_settled(town: Sandbox, portfolio: Portfolio, outbox: Outbox) -> None:
    run = outbox.run()
    for number in ("+12125550101", "+12125550102", "+12125550103"):
        outbox.plan(run, portfolio.borrower(number=number))
    town.faults(
        {"fault": "delayed_accept", "channel": "gateway", "seconds": 6, "to": "+12125550101"},
        {"fault": "accept_then_500", "channel": "gateway"},
    )
    send(run)
    town.faults()
    pass_time()
    done = ask()
    assert (dict(done.settled), done.trouble, done.waiting) == ({"accepted": 2}, None, 1)


def test_many_in_doubt_are_read_from_the_list_first(
    town: Sandbox, portfolio: Portfolio, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channels.gateway_list.PAGE_SIZE", 7)
    monkeypatch.setattr("channels.gateway_list.GatewayList.page_size", 7)
    run = outbox.run()
    for _ in range(20):
        outbox.plan(run, portfolio.borrower())
    town.faults(
        {"fault": "drop_before_accept", "channel": "gateway", "count": 2}, {"fault": "accept_then_500", "channel": "gateway", "count": 18}
    )
    send(run)
    assert set(outbox.states()) == {"unknown"}
    pass_time()
    done = ask()
    assert dict(done.settled) == {"accepted": 18}
    # Three pages, and a question for each that they do not show.
    assert done.questions == 3 + 2
    pass_time()
    assert dict(ask().settled) == {"failed": 2}
    assert len({row.provider_id for row in outbox.rows("SELECT provider_id FROM attempt WHERE provider_id IS NOT NULL")}) == 18


def test_who_made_the_call_and_is_gone_left_a_key_to_ask_for(town: Sandbox, portfolio: Portfolio, outbox: Outbox) -> None:
    attempt = outbox.plan(run := outbox.run(), portfolio.borrower())
    town.faults({"fault": "accept_then_drop", "channel": "gateway"})
    send(run)
    with connection() as tx:
        tx.execute(text("UPDATE attempt SET state = 'submitting', error_code = NULL WHERE called_at IS NOT NULL"))
    pass_time()
    done = ask()
    assert (done.called_unknown, dict(done.settled)) == (1, {"accepted": 1})
    assert outbox.attempt(attempt)["provider"] == "gateway"


def test_a_gateway_that_does_not_answer_loses_and_parks_nobody(
    town: Sandbox, portfolio: Portfolio, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox.plan(run := outbox.run(), portfolio.borrower())
    town.faults({"fault": "drop_before_accept", "channel": "gateway"})
    send(run)
    monkeypatch.setattr("channels.gateway_list.REST_SECONDS_MAX", 0.01)
    for name, value, trouble in (
        ("GATEWAY_KEYS", f"other:{'x' * 40}", "unknown_key_id"),
        ("GATEWAY_BASE_URL", "http://127.0.0.1:9", "ClientConnectorError"),
        # Another server at that address: its 404 is not the gateway's.
        ("GATEWAY_BASE_URL", f"{town.url}/nowhere", "404"),
        ("GATEWAY_BASE_URL", "", "gateway_base_url_not_set"),
    ):
        monkeypatch.setenv(f"TIDEOVER_{name}", value)
        settings.cache_clear()
        pass_time()
        done = ask()
        assert (done.trouble, done.parked, outbox.states()) == (trouble, 0, ["unknown"]), name


def test_a_sender_without_a_gateway_sends_nothing_and_takes_no_other_way(
    town: Sandbox, portfolio: Portfolio, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = outbox.plan(run := outbox.run(), portfolio.borrower())
    monkeypatch.setenv("TIDEOVER_GATEWAY_BASE_URL", "")
    settings.cache_clear()
    with pytest.raises(LaneHalted, match="not_set_up"):
        run_lane(run, shard=None, channels=openers())
    assert by_twilio(town) == taken(town) == 0
    assert outbox.attempt(attempt)["state"] == "rejected"


def test_what_surely_was_not_taken_may_take_another_way_the_next_time(town: Sandbox, portfolio: Portfolio, outbox: Outbox) -> None:
    attempt = outbox.plan(run := outbox.run(), portfolio.borrower())
    town.faults({"fault": "too_many_requests", "channel": "gateway", "seconds": 40})
    send(run)
    row = outbox.attempt(attempt)
    assert (row["state"], row["provider"]) == ("planned", None)
    speak(sms="+15005550006")
    portfolio.clock(NOON + timedelta(minutes=5))
    send(run)
    row = outbox.attempt(attempt)
    assert (row["state"], row["provider"]) == ("accepted", "twilio")


def test_a_stop_that_the_gateway_knows_of_is_ours(town: Sandbox, portfolio: Portfolio, outbox: Outbox) -> None:
    outbox.plan(run := outbox.run(), who := portfolio.borrower())
    town.faults({"fault": "rejected", "code": "opted_out", "channel": "gateway"})
    send(run)
    stops = outbox.rows("SELECT channel, source FROM opt_out WHERE party_id = :party AND superseded_at IS NULL", party=who.party_id)
    assert [tuple(row) for row in stops] == [("sms", "provider:gateway")]


def lists() -> Any:
    day: date = TODAY
    return read_lists(day, day)


def test_the_audit_reads_the_gateways_list_and_knows_whose_each_message_is(town: Sandbox, portfolio: Portfolio, outbox: Outbox) -> None:
    attempt = outbox.plan(run := outbox.run(), portfolio.borrower(number="+12125550101"))
    send(run)
    found = lists()
    assert found.trouble == []
    assert [one.provider_id for one in found.listed["sms"]] == [outbox.attempt(attempt)["provider_id"]]
    (index,) = outbox.rows(
        "SELECT v.blind_index FROM contact_point_version v JOIN attempt a ON a.contact_point_id = v.contact_point_id WHERE a.id = :id",
        id=attempt,
    )[0]
    assert found.listed["sms"][0].blind_index == index
    assert "sms" in found.complete
    town.faults({"fault": "list_unavailable", "channel": "gateway"})
    found = lists()
    assert "sms" not in found.complete
    assert any("gateway's list could not be read" in trouble for trouble in found.trouble)

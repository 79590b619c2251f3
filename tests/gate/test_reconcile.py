"""What nobody knows the fate of is settled by the provider's own list, fails by it, or is parked; never sent again, always counted."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from time import sleep
from typing import Any

import pytest
from sqlalchemy import text

from channels.codes import state_of
from channels.push import Push
from channels.sms import Sms
from channels.sms_list import SmsList
from config.settings import settings
from gate import reconcile as module
from gate.lane import LaneHalted, run_lane
from gate.reconcile import Reconciled, reconcile
from ledger import outbox as outbox_of_points
from ledger.attempts import NO_RECORD, StatusEvent, apply_provider_events
from ledger.engine import connection
from tests.plugins.portfolio import Portfolio, noon
from tests.plugins.sandbox_process import Sandbox
from tests.plugins.sending import Outbox

NOON = noon("US")


@pytest.fixture
def town(portfolio: Portfolio, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """The sandbox as both providers; it is noon in New York on either clock."""
    for name, value in {
        "TWILIO_BASE_URL": sandbox.url,
        "TWILIO_ACCOUNT_SID": sandbox.account_sid,
        "TWILIO_AUTH_TOKEN": sandbox.auth_token,
        "FCM_BASE_URL": sandbox.url,
        "FCM_TOKEN_URL": f"{sandbox.url}/token",
        "FCM_SERVICE_ACCOUNT_FILE": sandbox.service_account_file,
        "CALL_SECONDS_MAX": "1",
    }.items():
        monkeypatch.setenv(f"TIDEOVER_{name}", value)
    settings.cache_clear()
    portfolio.clock(NOON)
    sandbox.step(NOON.isoformat())
    return sandbox


def send(run: int) -> None:
    # So many failures in a row may halt the lane for a while; that is not what is looked at here.
    with suppress(LaneHalted):
        run_lane(run, shard=None, channels={"sms": lambda: Sms(settings()), "push": lambda: Push(settings())})


def pass_time(minutes: float = 10) -> None:
    """Let calls have ended, and looks have been made, so long ago, on the wall clock."""
    with connection() as tx:
        tx.execute(
            text("""UPDATE attempt SET call_deadline = call_deadline - make_interval(secs => :seconds),
                                       not_listed_at = not_listed_at - make_interval(secs => :seconds)
                    WHERE call_deadline IS NOT NULL"""),
            {"seconds": minutes * 60},
        )


def ask() -> Reconciled:
    return reconcile({"sms": lambda: SmsList(settings())})


def texts(town: Sandbox) -> int:
    """How many text messages the provider took."""
    return int(sum(town.summary()["messages"].values()))


def counting(outbox: Outbox) -> int:
    return int(outbox.rows("SELECT count(*) FILTER (WHERE counts) - count(*) FILTER (WHERE uncounts) FROM contact_event")[0][0])


TAKEN = ["accept_then_drop", "accept_then_500", "delayed_answer", "delayed_accept"]
NOT_TAKEN = ["drop_before_accept", "unavailable", "internal"]


@pytest.mark.parametrize("fault", TAKEN)
def test_what_the_provider_took_is_found_by_its_number(town: Sandbox, portfolio: Portfolio, outbox: Outbox, fault: str) -> None:
    attempt = outbox.plan(run := outbox.run(), portfolio.borrower())
    town.faults({"fault": fault, "channel": "sms", "seconds": 1.5})
    send(run)
    assert outbox.states() == ["unknown"]
    for _ in range(100):
        if texts(town):
            break
        sleep(0.05)
    town.faults()
    pass_time()
    done = ask()
    row = outbox.attempt(attempt)
    assert (row["state"], row["provider"], row["segments"]) == ("accepted", "twilio", 2)
    assert row["provider_id"].startswith("SM")
    assert (dict(done.settled), done.parked) == ({"accepted": 1}, 0)
    assert outbox.causes(attempt)[-1] == ("unknown", "accepted", "found in the provider's list")
    send(run)
    assert texts(town) == 1


@pytest.mark.parametrize("fault", NOT_TAKEN)
def test_I2_what_a_whole_list_did_not_show_twice_has_failed_counts_and_is_never_sent_again(
    town: Sandbox, portfolio: Portfolio, outbox: Outbox, fault: str
) -> None:
    attempt = outbox.plan(run := outbox.run(), portfolio.borrower())
    town.faults({"fault": fault, "channel": "sms"})
    send(run)
    town.faults()
    pass_time()
    # However long ago the call was: one look is none, and neither are two in quick succession.
    for _ in range(2):
        done = ask()
        assert (done.parked, dict(done.settled), done.waiting) == (0, {}, 1)
        pass_time(1)
    assert outbox.attempt(attempt)["state"] == "unknown"
    pass_time(1)
    done = ask()
    assert (done.parked, dict(done.settled), done.waiting) == (0, {"failed": 1}, 0)
    row = outbox.attempt(attempt)
    assert (row["state"], row["error_code"], row["provider_id"]) == ("failed", NO_RECORD, None)
    assert outbox.causes(attempt)[-1] == ("unknown", "failed", module.NOT_LISTED)
    assert outbox.events(attempt) == [("sent", True, False)]
    send(run)
    ask()
    assert outbox.states() == ["failed"]
    assert texts(town) == 0


def test_a_look_at_a_list_that_could_not_be_read_is_none(
    town: Sandbox, portfolio: Portfolio, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = outbox.plan(run := outbox.run(), portfolio.borrower())
    town.faults({"fault": "drop_before_accept", "channel": "sms"})
    send(run)
    pass_time()
    monkeypatch.setattr("channels.questions.REST_SECONDS_MAX", 0.01)
    town.faults({"fault": "list_unavailable"})
    assert ask().trouble is not None
    assert outbox.attempt(attempt)["not_listed_at"] is None
    pass_time()
    town.faults()
    assert ask().waiting == 1


@pytest.mark.parametrize("word", ["queued", "sent", "delivered"])
def test_a_late_callback_corrects_what_the_provider_had_no_record_of(
    town: Sandbox, portfolio: Portfolio, outbox: Outbox, word: str
) -> None:
    attempt = outbox.plan(run := outbox.run(), portfolio.borrower())
    town.faults({"fault": "drop_before_accept", "channel": "sms"})
    send(run)
    for _ in range(2):
        pass_time()
        ask()
    assert outbox.states() == ["failed"]
    state = state_of("twilio", word)
    assert state is not None
    told: dict[str, Any] = {"event_id": 1, "token": outbox.token(attempt), "provider_id": "SM" + "1" * 32, "error_code": None, "at": NOON}
    with connection() as tx:
        assert apply_provider_events(tx, [StatusEvent(state=state, **told)], at=NOON) == {1: "correction"}
    row = outbox.attempt(attempt)
    assert (row["state"], row["provider_id"], row["error_code"]) == (state, "SM" + "1" * 32, None)
    # It counts once, as before.
    assert counting(outbox) == 1


def test_a_number_that_is_another_one_now_proves_nothing(town: Sandbox, portfolio: Portfolio, outbox: Outbox) -> None:
    attempt = outbox.plan(run := outbox.run(), who := portfolio.borrower())
    town.faults({"fault": "drop_before_accept", "channel": "sms"})
    send(run)
    with connection() as tx:
        outbox_of_points.retire_contact_points(tx, [who.sms_id or 0], at=NOON, source="test")
    for _ in range(2):
        pass_time()
        ask()
    assert outbox.causes(attempt)[-1] == ("unknown", "parked", module.NOT_TO_BE_ASKED)


def test_many_that_the_days_list_does_not_show_twice_have_failed(
    town: Sandbox, portfolio: Portfolio, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BULK_MIN", 3)
    run = outbox.run()
    for _ in range(12):
        outbox.plan(run, portfolio.borrower())
    town.faults({"fault": "drop_before_accept", "channel": "sms", "count": 8})
    monkeypatch.setenv("TIDEOVER_SMS_CONCURRENCY", "30")
    settings.cache_clear()
    send(run)
    assert outbox.states().count("unknown") == 8
    pass_time()
    # One list, not one a number.
    assert ask().questions <= 2
    pass_time()
    assert dict(ask().settled) == {"failed": 8}
    assert sorted(outbox.states()) == ["accepted"] * 4 + ["failed"] * 8


def test_many_at_whose_numbers_texts_without_a_token_are_listed_are_asked_for_one_by_one(
    town: Sandbox, portfolio: Portfolio, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider shows other words than it was given, or a redacted text: that is no proof that it has no record of ours."""
    monkeypatch.setattr(module, "BULK_MIN", 1)
    run = outbox.run()
    for _ in range(6):
        outbox.plan(run, portfolio.borrower())
    town.faults({"fault": "accept_then_500", "channel": "sms"})
    send(run)
    monkeypatch.setattr("gate.matching.tokens_in", lambda _: [])  # as if links had been shortened
    for _ in range(2):
        pass_time()
        ask()
    # The very words still stand there, each at its own number; what is shown of them is the attempt's.
    assert set(outbox.states()) == {"accepted"}
    assert len({row.provider_id for row in outbox.rows("SELECT provider_id FROM attempt")}) == 6


def test_with_more_such_texts_than_can_be_kept_nothing_is_proved(
    town: Sandbox, portfolio: Portfolio, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BULK_MIN", 1)
    monkeypatch.setattr(module, "STRANGE_MAX", 2)
    run = outbox.run()
    attempts = [outbox.plan(run, portfolio.borrower()) for _ in range(6)]
    town.faults({"fault": "accept_then_500", "channel": "sms"})
    send(run)
    monkeypatch.setattr("gate.matching.tokens_in", lambda _: [])
    for _ in range(2):
        pass_time()
        ask()
    assert {outbox.causes(one)[-1] for one in attempts} == {("unknown", "parked", module.UNREADABLE)}


def test_what_was_delivered_or_failed_meanwhile_ends_where_the_list_says(town: Sandbox, portfolio: Portfolio, outbox: Outbox) -> None:
    run = outbox.run()
    reached = outbox.plan(run, portfolio.borrower(number="+12125550101"))
    nobody = outbox.plan(run, gone := portfolio.borrower(number="+12125550102"))
    town.settle([{"phone": "+12125550101", "push_token": None, "locale": "en", "zone": "America/New_York", "loans": []}])
    town.faults(
        {"fault": "callback_lost", "channel": "sms"},
        {"fault": "undelivered", "channel": "sms", "code": 30005, "to": "+12125550102", "count": 1},
    )
    send(run)
    # Their answers were lost on the way: as far as we know they are unknown, with no id.
    forget(outbox)
    town.step((NOON + timedelta(hours=1)).isoformat())
    pass_time()
    done = ask()
    states = {outbox.attempt(reached)["state"], outbox.attempt(nobody)["state"]}
    assert outbox.attempt(nobody)["state"] == "undelivered"
    assert states - {"delivered", "undelivered"} == set()
    assert sum(done.settled.values()) == 2
    # What the provider says of the handset is ours, as if its callback had come.
    (status,) = outbox.rows(
        "SELECT status FROM contact_point_version WHERE contact_point_id = :id AND superseded_at IS NULL", id=gone.sms_id
    )[0]
    assert status == "unreachable"


def forget(outbox: Outbox) -> None:
    """As if a call's answer had never come."""
    with connection() as tx:
        tx.execute(text("UPDATE attempt SET state = 'unknown', provider_id = NULL, provider = NULL WHERE state = 'accepted'"))
    assert set(outbox.states()) == {"unknown"}


def test_many_in_doubt_are_settled_by_the_days_list_and_its_pages(
    town: Sandbox, portfolio: Portfolio, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channels.sms_list.PAGE_SIZE", 7)
    monkeypatch.setattr(module, "BULK_MIN", 3)
    monkeypatch.setattr(module, "PAGE", 5)
    run = outbox.run()
    for _ in range(26):
        outbox.plan(run, portfolio.borrower())
    town.faults({"fault": "accept_then_500", "channel": "sms", "count": 20})
    monkeypatch.setenv("TIDEOVER_SMS_CONCURRENCY", "30")
    settings.cache_clear()
    send(run)
    assert outbox.states().count("unknown") == 20
    town.faults({"fault": "callback_lost", "channel": "sms"})
    pass_time()
    done = ask()
    assert outbox.states() == ["accepted"] * 26
    assert done.settled == {"accepted": 20}
    # Nothing was sent by the sandbox's standing clock, so only the list without a date shows them: four pages of seven, and not one a message.
    assert 4 <= done.questions <= 6
    assert len({row.provider_id for row in outbox.rows("SELECT provider_id FROM attempt")}) == 26


def test_the_list_by_date_finds_what_has_left_and_reads_no_further_than_it_must(
    town: Sandbox, portfolio: Portfolio, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BULK_MIN", 1)
    monkeypatch.setattr(module, "QUEUED_MAX", timedelta(0))
    run = outbox.run()
    for _ in range(8):
        outbox.plan(run, portfolio.borrower())
    town.faults({"fault": "callback_lost", "channel": "sms"})
    send(run)
    forget(outbox)
    town.step((NOON + timedelta(minutes=10)).isoformat())
    pass_time()
    done = ask()
    assert sum(done.settled.values()) == 8
    assert done.questions == 1


def test_a_message_of_other_words_at_that_number_is_not_taken_for_ours(town: Sandbox, portfolio: Portfolio, outbox: Outbox) -> None:
    run = outbox.run()
    attempts = [outbox.plan(run, portfolio.borrower()) for _ in range(2)]
    town.faults({"fault": "accept_then_500", "channel": "sms"})
    send(run)
    assert outbox.states() == ["unknown", "unknown"]
    # The link is taken out of what the provider shows: the token cannot be read there any more.
    with connection() as tx:
        tx.execute(text("UPDATE attempt SET token = gen_random_uuid(), text_hash = 'of other words'"))
    for _ in range(2):
        pass_time()
        done = ask()
    assert (done.parked, dict(done.settled)) == (0, {"failed": 2})
    assert {cause for _, _, cause in (outbox.causes(one)[-1] for one in attempts)} == {module.NOT_LISTED}


def test_push_has_no_list_and_is_parked_by_its_age(town: Sandbox, portfolio: Portfolio, outbox: Outbox) -> None:
    attempt = outbox.plan(run := outbox.run(), portfolio.borrower(), channel="push")
    town.faults({"fault": "accept_then_500", "channel": "push"})
    send(run)
    assert outbox.states() == ["unknown"]
    town.faults()
    pass_time(2)
    assert ask().parked == 0
    pass_time(2)
    assert ask().parked == 1
    assert outbox.causes(attempt)[-1] == ("unknown", "parked", module.NO_LIST)
    send(run)
    assert town.summary()["counts"]["push accepted"] == 1


def test_who_made_the_call_and_is_gone_left_an_attempt_whose_fate_is_asked(town: Sandbox, portfolio: Portfolio, outbox: Outbox) -> None:
    attempt = outbox.plan(run := outbox.run(), portfolio.borrower())
    town.faults({"fault": "accept_then_drop", "channel": "sms"})
    send(run)
    with connection() as tx:
        tx.execute(text("UPDATE attempt SET state = 'submitting', error_code = NULL WHERE called_at IS NOT NULL"))
    assert ask().called_unknown == 0
    pass_time()
    done = ask()
    assert (done.called_unknown, dict(done.settled)) == (1, {"accepted": 1})
    assert outbox.attempt(attempt)["state"] == "accepted"


def test_whoever_is_asked_too_early_waits_and_nothing_is_given_up(town: Sandbox, portfolio: Portfolio, outbox: Outbox) -> None:
    outbox.plan(run := outbox.run(), portfolio.borrower())
    town.faults({"fault": "drop_before_accept", "channel": "sms"})
    send(run)
    pass_time(0.1)
    done = ask()
    assert (done.questions, done.parked, done.waiting) == (0, 0, 1)
    # Old enough to ask; a first look ends nothing.
    pass_time(2)
    done = ask()
    assert (done.questions, done.parked, done.waiting) == (1, 0, 1)
    assert outbox.states() == ["unknown"]


def test_a_provider_that_does_not_answer_parks_nobody(
    town: Sandbox, portfolio: Portfolio, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = outbox.run()
    for _ in range(3):
        outbox.plan(run, portfolio.borrower())
    town.faults({"fault": "drop_before_accept", "channel": "sms"})
    send(run)
    pass_time()
    monkeypatch.setattr("channels.questions.REST_SECONDS_MAX", 0.01)
    monkeypatch.setenv("TIDEOVER_TWILIO_AUTH_TOKEN", "another")
    settings.cache_clear()
    done = ask()
    assert (done.trouble, done.parked, done.waiting) == ("401", 0, 3)
    monkeypatch.setenv("TIDEOVER_TWILIO_BASE_URL", "http://127.0.0.1:9")
    settings.cache_clear()
    assert (ask().trouble, outbox.states()) == ("ClientConnectorError", ["unknown"] * 3)


def test_a_callback_settles_what_was_parked(town: Sandbox, portfolio: Portfolio, outbox: Outbox) -> None:
    attempt = outbox.plan(run := outbox.run(), portfolio.borrower(), channel="push")
    town.faults({"fault": "drop_before_accept", "channel": "push"})
    send(run)
    pass_time()
    assert ask().parked == 1
    told: dict[str, Any] = {"event_id": 1, "token": outbox.token(attempt), "provider_id": "SM" + "1" * 32, "error_code": None, "at": NOON}
    with connection() as tx:
        assert apply_provider_events(tx, [StatusEvent(state="delivered", **told)], at=NOON) == {1: "applied"}
    assert outbox.attempt(attempt)["state"] == "delivered"

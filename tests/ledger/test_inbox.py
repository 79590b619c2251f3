"""The inbox: kept first, applied once, whatever the order, however often it is said."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from channels import codes
from config.replies import reply_policy_in_force
from ledger import answers, inbox, vault
from ledger.answers import in_danger
from ledger.engine import connection
from ledger.inbox import Said, Vocabulary
from ledger.locks import lock_borrowers
from tests.plugins.portfolio import TODAY, BorrowerIds, Portfolio, made_up_number, noon
from tests.plugins.sending import Outbox
from tests.plugins.sent import Known, Sent

NUMBER = made_up_number("US", 42)
SID = "SM" + "0" * 32
VOCABULARY = Vocabulary(
    state_of=codes.state_of, meaning_of=codes.meaning_of_callback, intent_of=codes.intent_of, replies=reply_policy_in_force()
)
Send = Callable[..., Sent]


@pytest.fixture
def borrower(portfolio: Portfolio) -> BorrowerIds:
    portfolio.clock(noon("US"))
    return portfolio.borrower(number=NUMBER)


def status(word: str, sent: Sent, *, error_code: str | None = None, provider_id: str | None = None, token: UUID | None = None) -> Said:
    return Said(
        provider="twilio",
        provider_id=provider_id or sent.provider_id,
        kind="status",
        status=word,
        token=token or sent.token,
        error_code=error_code,
        fields={"MessageStatus": word},
    )


def acknowledgement(word: str, sent: Sent) -> Said:
    return Said(
        provider="app", provider_id=str(sent.token), kind="acknowledgement", status=word, token=sent.token, error_code=None, fields={}
    )


def reply(body: str, *, sid: str | None = None, number: str = NUMBER, opt_out_type: str | None = None) -> Said:
    fields = {"From": number, "Body": body} | ({"OptOutType": opt_out_type} if opt_out_type else {})
    return Said(
        provider="twilio",
        provider_id=sid or f"SM{uuid4().hex}",
        kind="inbound",
        status="received",
        token=None,
        error_code=None,
        fields=fields,
    )


def say(*said: Said) -> list[int]:
    return [event_id for one in said for event_id in inbox.receive([one], VOCABULARY)]


def effects(provider_id: str) -> list[tuple[str, int, str | None]]:
    with connection() as tx:
        return list(inbox.events(tx, provider_id))


# --- statuses ------------------------------------------------------------------------------------------------------


def test_a_status_moves_the_attempt_and_stands_in_the_contact_log(borrower: BorrowerIds, send: Send, outbox: Outbox) -> None:
    sent = send(borrower)
    say(status("sent", sent), status("delivered", sent))
    assert outbox.attempt(sent.attempt_id)["state"] == "delivered"
    assert outbox.events(sent.attempt_id) == [("sent", True, False), ("delivered", False, False)]


def test_a_status_said_twice_has_one_effect(borrower: BorrowerIds, send: Send, outbox: Outbox) -> None:
    sent = send(borrower)
    first, again = say(status("delivered", sent), status("delivered", sent))
    assert first == again
    assert effects(sent.provider_id) == [("delivered", 2, "applied")]
    assert len(outbox.events(sent.attempt_id)) == 2


def test_a_status_that_comes_before_the_answer_of_our_own_call_is_found_by_the_token(
    borrower: BorrowerIds, send: Send, outbox: Outbox
) -> None:
    sent = send(borrower, answered=False)
    assert outbox.attempt(sent.attempt_id)["state"] == "submitting"
    say(status("delivered", sent))
    attempt = outbox.attempt(sent.attempt_id)
    assert (attempt["state"], attempt["provider_id"]) == ("delivered", SID)


def test_statuses_out_of_order_never_lower_a_state(borrower: BorrowerIds, send: Send, outbox: Outbox) -> None:
    sent = send(borrower)
    say(status("delivered", sent), status("sent", sent), status("queued", sent))
    assert outbox.attempt(sent.attempt_id)["state"] == "delivered"
    assert [effect for _, _, effect in effects(sent.provider_id)] == ["applied", "late", "late"]


def test_a_status_of_a_message_that_nobody_knows_is_kept_and_counted(borrower: BorrowerIds, send: Send) -> None:
    sent = send(borrower)
    say(status("delivered", sent, token=uuid4(), provider_id="SM" + "f" * 32))
    assert effects("SM" + "f" * 32) == [("delivered", 1, "no_attempt")]


def test_a_status_that_is_not_known_says_nothing(borrower: BorrowerIds, send: Send, outbox: Outbox) -> None:
    sent = send(borrower)
    say(status("teleported", sent))
    assert outbox.attempt(sent.attempt_id)["state"] == "accepted"
    assert effects(sent.provider_id) == [("teleported", 1, "says_nothing")]


@pytest.mark.parametrize(
    ("code", "becomes"),
    [("30005", "unreachable"), ("30006", "unreachable"), ("21211", "invalid"), ("30003", "active"), ("30007", "active"), (None, "active")],
)
def test_a_failure_says_of_a_number_what_its_code_says(
    borrower: BorrowerIds, send: Send, known: Known, outbox: Outbox, code: str | None, becomes: str
) -> None:
    sent = send(borrower)
    say(status("undelivered", sent, error_code=code))
    assert known.status(borrower.sms_id) == becomes
    assert outbox.attempt(sent.attempt_id)["error_code"] == code


def test_a_failure_of_what_was_delivered_retires_no_number(borrower: BorrowerIds, send: Send, known: Known) -> None:
    sent = send(borrower)
    say(status("delivered", sent), status("undelivered", sent, error_code="30005"))
    assert known.status(borrower.sms_id) == "active"


def test_a_stop_that_the_provider_heard_is_ours(borrower: BorrowerIds, send: Send, known: Known) -> None:
    say(status("failed", send(borrower), error_code="21610"))
    assert known.opt_outs(borrower) == [("sms", True)]


def test_the_app_says_that_a_notification_arrived_and_was_opened(borrower: BorrowerIds, send: Send, outbox: Outbox) -> None:
    sent = send(borrower, channel="push", provider_id="projects/p/messages/1")
    say(acknowledgement("received", sent))
    assert outbox.attempt(sent.attempt_id)["state"] == "delivered"
    say(acknowledgement("opened", sent), acknowledgement("received", sent))
    attempt = outbox.attempt(sent.attempt_id)
    assert (attempt["state"], attempt["provider_id"]) == ("read", "projects/p/messages/1")


# --- answers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "channel"), [("STOP", "all"), ("退訂", "all"), ("BAJA", "all"), ("不要再傳", "sms"), ("please stop texting me", "sms")]
)
def test_a_stop_opts_out_at_once(borrower: BorrowerIds, send: Send, known: Known, outbox: Outbox, word: str, channel: str) -> None:
    sent = send(borrower)
    say(reply(word))
    assert known.opt_outs(borrower) == [(channel, True)]
    assert known.outcomes(borrower) == [("stop", False)]
    assert known.inbound(borrower) == [("sms", "received", False)]
    assert outbox.attempt(sent.attempt_id)["state"] == "replied"


def test_a_stop_of_everything_stops_every_channel(borrower: BorrowerIds, known: Known) -> None:
    say(reply("Do not contact me again"))
    assert known.opt_outs(borrower) == [("all", True)]


def test_the_same_message_twice_has_one_effect(borrower: BorrowerIds, known: Known) -> None:
    say(reply("I already paid", sid=SID), reply("I already paid", sid=SID))
    assert known.outcomes(borrower) == [("paid", False)]
    assert len(known.holds(borrower)) == 1
    assert len(known.inbound(borrower)) == 1
    assert effects(SID) == [("received", 2, "paid")]


def test_stopping_twice_is_one_stop_and_two_answers(borrower: BorrowerIds, known: Known) -> None:
    say(reply("STOP"), reply("STOP"))
    assert known.opt_outs(borrower) == [("all", True)]
    assert known.outcomes(borrower) == [("stop", False)] * 2


def test_the_providers_own_word_counts_as_a_stop(borrower: BorrowerIds, known: Known) -> None:
    say(reply("arrêtez", opt_out_type="STOP"))
    assert known.opt_outs(borrower) == [("all", True)]


def test_start_ends_a_stop_that_a_reply_brought_but_no_other(borrower: BorrowerIds, known: Known, portfolio: Portfolio) -> None:
    portfolio.opt_out(borrower.party_id, channel="all")
    say(reply("stop texting me"), reply("START"))
    assert known.opt_outs(borrower) == [("all", True), ("sms", False)]
    assert known.outcomes(borrower) == [("stop", False), ("start", False)]


def test_start_after_a_stop_of_everything_opens_the_channel_that_it_came_by_alone(borrower: BorrowerIds, known: Known) -> None:
    say(reply("STOP"), reply("START"))
    stops = dict(known.opt_outs(borrower))
    assert stops.pop("all") is False
    assert "sms" not in stops
    assert {"push", "whatsapp", "voice", "call", "email"} <= stops.keys()
    assert all(stops.values())


def test_a_promise_is_written_down_and_leaves_in_peace_until_its_payment_has_settled(
    borrower: BorrowerIds, known: Known, outbox: Outbox
) -> None:
    say(reply("I'll pay $50 on Friday"), reply("I will pay $50 on Friday!!"))
    friday = TODAY + timedelta(days=3)
    # Two business days of settlement after Friday: Monday and Tuesday.
    assert known.holds(borrower) == [("promise", noon("US", friday + timedelta(days=4)) + timedelta(hours=12))]
    assert known.outcomes(borrower) == [("promise", False)] * 2
    assert [tuple(row) for row in outbox.rows("SELECT due_on, amount_minor, currency, state FROM promise")] == [
        (friday, 5000, "USD", "open")
    ]
    assert [tuple(row) for row in outbox.rows("SELECT due_on, amount_minor FROM outcome")] == [(friday, 5000)] * 2


def spoke_of(sent: Sent, *loans: int) -> None:
    """Say of which loans a message spoke."""
    with connection() as tx:
        tx.execute(text("UPDATE contact_event SET loans = :loans WHERE attempt_id = :id"), {"loans": list(loans), "id": sent.attempt_id})


def test_a_promise_names_the_loan_that_the_message_spoke_of(
    borrower: BorrowerIds, portfolio: Portfolio, send: Send, outbox: Outbox
) -> None:
    # In another money: the amount is of the loan that was spoken of.
    portfolio.loan(borrower.party_id, country="MX")
    spoke_of(send(borrower), borrower.loan_id)
    say(reply("I'll pay 50 on Friday"), reply("I will pay 50 on Friday!!"))
    known = outbox.rows("SELECT loan_id, amount_minor, currency FROM promise WHERE superseded_at IS NULL")
    assert [tuple(row) for row in known] == [(borrower.loan_id, 5000, "USD")]


def test_another_amount_for_the_same_day_and_loan_takes_the_former_ones_place(borrower: BorrowerIds, send: Send, outbox: Outbox) -> None:
    spoke_of(send(borrower), borrower.loan_id)
    say(reply("I'll pay $50 on Friday"), reply("I'll pay $70 on Friday"))
    assert [tuple(row) for row in outbox.rows("SELECT amount_minor, superseded_at IS NULL FROM promise ORDER BY id")] == [
        (5000, False),
        (7000, True),
    ]


def test_a_promise_after_a_message_about_several_loans_names_none(
    borrower: BorrowerIds, portfolio: Portfolio, send: Send, outbox: Outbox
) -> None:
    spoke_of(send(borrower), borrower.loan_id, portfolio.loan(borrower.party_id))
    say(reply("I'll pay $50 on Friday"))
    assert [tuple(row) for row in outbox.rows("SELECT loan_id, amount_minor FROM promise")] == [(None, 5000)]


@pytest.mark.parametrize("word", ["I will pay soon", "I'll pay on June 1", "I'll pay $5 on Friday"])
def test_a_promise_without_a_day_or_too_far_ahead_or_too_small_waits_for_a_person(
    borrower: BorrowerIds, known: Known, outbox: Outbox, word: str
) -> None:
    say(reply(word))
    assert known.outcomes(borrower) == [("promise", True)]
    assert known.holds(borrower) == []
    assert outbox.rows("SELECT 1 FROM promise") == []


def test_a_promise_that_is_moved_takes_the_place_of_the_first(borrower: BorrowerIds, outbox: Outbox) -> None:
    del borrower
    say(reply("I'll pay on Friday"), reply("Sorry, I'll pay on Monday"), reply("I'll pay $60 on Monday"))
    current = "SELECT due_on, amount_minor, state FROM promise WHERE superseded_at IS NULL ORDER BY due_on, id"
    friday, monday = TODAY + timedelta(days=3), TODAY + timedelta(days=6)
    assert [tuple(row) for row in outbox.rows(current)] == [(friday, None, "withdrawn"), (monday, 6000, "open")]


def test_whoever_moved_two_promises_gets_no_third_pause_but_a_person(borrower: BorrowerIds, known: Known, outbox: Outbox) -> None:
    say(reply("I'll pay on Thursday"), reply("I'll pay on Friday"))
    before = known.holds(borrower)
    say(reply("I'll pay on Monday"))
    assert known.holds(borrower) == before
    assert known.outcomes(borrower) == [("promise", False), ("promise", False), ("promise", True)]
    assert [row.due_on for row in outbox.rows("SELECT due_on FROM promise WHERE state = 'open' AND superseded_at IS NULL")] == [
        TODAY + timedelta(days=6)
    ]


def test_a_payment_by_a_slow_rail_is_waited_for_longer(borrower: BorrowerIds, known: Known, portfolio: Portfolio) -> None:
    portfolio.payment(borrower.loan_id, 100, paid_on=TODAY - timedelta(days=3))
    with connection() as tx:
        tx.execute(text("UPDATE payment SET rail = 'cheque'"))
    say(reply("I paid already"))
    # Seven business days: to Thursday of the week after.
    assert known.holds(borrower) == [("paid_claimed", noon("US", TODAY + timedelta(days=9)) + timedelta(hours=12))]


def test_whoever_cannot_pay_is_left_in_peace_until_a_person_has_looked(borrower: BorrowerIds, known: Known) -> None:
    say(reply("I lost my job, I can't pay"))
    assert known.holds(borrower) == [("hardship", None)]
    assert known.outcomes(borrower) == [("cannot_pay", True)]


def test_a_dispute_holds_what_the_message_spoke_of(borrower: BorrowerIds, send: Send, known: Known, outbox: Outbox) -> None:
    sent = send(borrower)
    spoke_of(sent, borrower.loan_id)
    say(reply("the amount is wrong"))
    assert [tuple(row) for row in outbox.rows("SELECT kind, loan_id, until FROM hold")] == [("dispute", borrower.loan_id, None)]
    assert known.outcomes(borrower) == [("dispute", True)]


def test_a_dispute_of_nothing_that_we_know_holds_everything(borrower: BorrowerIds, outbox: Outbox) -> None:
    say(reply("I never took this loan"))
    assert [tuple(row) for row in outbox.rows("SELECT party_id, kind, loan_id FROM hold")] == [(borrower.party_id, "dispute", None)]


def test_whoever_asks_for_a_call_waits_for_it_and_for_nothing_else(borrower: BorrowerIds, known: Known) -> None:
    say(reply("please call me back"))
    assert known.holds(borrower) == [("callback", noon("US", TODAY + timedelta(days=1)) + timedelta(hours=12))]
    assert known.outcomes(borrower) == [("call_me", True)]


def test_a_promise_and_a_stop_of_calls_in_one_text_both_take_effect(borrower: BorrowerIds, known: Known) -> None:
    say(reply("I'll pay Friday, stop calling"))
    assert known.opt_outs(borrower) == [("call", True), ("voice", True)]
    assert [kind for kind, _ in known.holds(borrower)] == ["promise"]
    assert known.outcomes(borrower) == [("stop", False), ("promise", False)]


@pytest.mark.parametrize("word", ["I'll pay Friday", "I can't pay", "I dispute this", "call me"])
def test_of_a_shared_number_what_one_says_of_the_debt_waits_for_a_person(
    borrower: BorrowerIds, known: Known, portfolio: Portfolio, word: str
) -> None:
    portfolio.borrower(number=NUMBER)
    say(reply(word))
    assert known.holds(borrower) == []
    assert [needs_person for _, needs_person in known.outcomes(borrower)] == [True]


def test_paid_holds_for_three_business_days(borrower: BorrowerIds, known: Known) -> None:
    say(reply("I already paid"))
    # Tuesday noon in New York: Wednesday, Thursday, Friday, to the midnight after.
    assert known.holds(borrower) == [("paid_claimed", noon("US", TODAY + timedelta(days=3)) + timedelta(hours=12))]


def test_paid_said_again_is_a_dispute_and_not_a_timer(borrower: BorrowerIds, known: Known, portfolio: Portfolio) -> None:
    say(reply("I already paid"))
    portfolio.clock(noon("US", TODAY + timedelta(days=5)))
    say(reply("I PAID. Check your records"))
    assert [kind for kind, _ in known.holds(borrower)] == ["paid_claimed", "dispute"]
    assert known.holds(borrower)[1][1] is None
    assert known.outcomes(borrower) == [("paid", False), ("paid", True)]


def test_not_paid_yet_holds_nothing_and_waits_for_a_person(borrower: BorrowerIds, known: Known) -> None:
    say(reply("not paid yet"), reply("還沒付"))
    assert known.holds(borrower) == []
    assert known.outcomes(borrower) == [("unclear", True)] * 2


def test_danger_holds_until_a_person_has_looked(borrower: BorrowerIds, known: Known) -> None:
    say(reply("My husband died last week. stop"))
    assert known.holds(borrower) == [("bereavement", None)]
    assert known.outcomes(borrower) == [("danger", True), ("stop", False)]
    assert known.opt_outs(borrower) == [("all", True)]


@pytest.mark.usefixtures("borrower")
def test_a_person_is_called_for_danger_until_it_is_old() -> None:
    say(reply("I want to die"), reply("who is this?"))
    with connection() as tx:
        waiting = in_danger(tx, since=noon("US") - timedelta(days=1), at_most=10)
        assert len(waiting) == 1
        assert in_danger(tx, since=noon("US"), at_most=10) == []


@pytest.mark.parametrize(
    ("locale", "body", "holds", "outcomes", "stops"),
    [
        ("th", "หยุดโทรได้แล้ว", [], [("stop", False)], {"voice", "call"}),
        ("sw", "ACHA", [], [("stop", False)], {"all"}),
        ("id", "sudah bayar kemarin, jangan sms lagi", ["paid_claimed"], [("stop", False), ("paid", False)], {"sms"}),
        ("pt-BR", "sexta eu pago", ["promise"], [("promise", False)], set()),
        ("hi", "naukri chali gayi, paise nahi hai", ["hardship"], [("cannot_pay", True)], set()),
        ("vi", "tôi không vay tiền", ["dispute"], [("dispute", True)], set()),
        ("fil", "pakitawagan po ako", ["callback"], [("call_me", True)], set()),
        ("ko", "죽고 싶어요", ["mental_health_crisis"], [("danger", True)], set()),
        ("ja", "どなたですか", [], [("help", True)], set()),
    ],
)
def test_each_answer_has_its_effect_at_once_in_every_language(
    portfolio: Portfolio, known: Known, locale: str, body: str, holds: list[str], outcomes: list[tuple[str, bool]], stops: set[str]
) -> None:
    portfolio.clock(noon("US"))
    borrower = portfolio.borrower(number=NUMBER, locale=locale)
    say(reply(body))
    assert [kind for kind, _ in known.holds(borrower)] == holds
    assert known.outcomes(borrower) == outcomes
    assert {channel for channel, _ in known.opt_outs(borrower)} == stops


def test_a_wrong_person_blocks_the_number_for_everybody(borrower: BorrowerIds, known: Known, portfolio: Portfolio) -> None:
    portfolio.ownership(NUMBER, "claimed")
    say(reply("Wrong number"), reply("wrong number!!"))
    assert known.ownership(vault.blind_index(NUMBER)) == "wrong"
    assert known.outcomes(borrower) == [("wrong_person", True)] * 2


def test_a_number_of_nobody_is_kept_and_changes_nothing(borrower: BorrowerIds, known: Known) -> None:
    number = made_up_number("US", 43)
    say(reply("hello?", sid=SID, number=number))
    assert effects(SID) == [("received", 1, "no_party")]
    assert known.outcomes(borrower) == []
    assert known.ownership(vault.blind_index(number)) is None


@pytest.mark.parametrize("word", ["STOP", "wrong number"])
def test_a_stop_from_a_number_of_nobody_is_kept_for_whoever_it_will_belong_to(borrower: BorrowerIds, known: Known, word: str) -> None:
    number = made_up_number("US", 43)
    say(reply(word, number=number))
    assert known.ownership(vault.blind_index(number)) == "wrong"
    assert known.outcomes(borrower) == []


def test_a_stop_from_a_shared_number_stops_all_its_people(borrower: BorrowerIds, known: Known, portfolio: Portfolio) -> None:
    other = portfolio.borrower(number=NUMBER)
    say(reply("STOP"))
    assert known.opt_outs(borrower) == known.opt_outs(other) == [("all", True)]


def test_paid_from_a_shared_number_waits_for_a_person(borrower: BorrowerIds, known: Known, portfolio: Portfolio) -> None:
    other = portfolio.borrower(number=NUMBER)
    say(reply("paid"))
    assert known.holds(borrower) == known.holds(other) == []
    assert known.outcomes(borrower) == known.outcomes(other) == [("paid", True)]


def test_paid_from_a_shared_number_is_the_one_who_was_written_to(
    borrower: BorrowerIds, known: Known, portfolio: Portfolio, send: Send
) -> None:
    other = portfolio.borrower(number=NUMBER)
    send(borrower)
    say(reply("paid"))
    assert [kind for kind, _ in known.holds(borrower)] == ["paid_claimed"]
    assert known.holds(other) == []
    assert known.outcomes(other) == []


def test_a_disowned_number_claims_no_payment(borrower: BorrowerIds, known: Known, portfolio: Portfolio) -> None:
    portfolio.ownership(NUMBER, "reassigned")
    say(reply("paid"))
    assert known.holds(borrower) == []
    assert known.outcomes(borrower) == [("paid", True)]


def test_a_reply_long_after_the_message_follows_none(borrower: BorrowerIds, portfolio: Portfolio, send: Send, outbox: Outbox) -> None:
    sent = send(borrower)
    portfolio.clock(noon("US", TODAY + timedelta(days=15)))
    say(reply("ok"))
    assert outbox.attempt(sent.attempt_id)["state"] == "accepted"


def test_a_reply_by_another_channel_stops_that_channel(borrower: BorrowerIds, known: Known) -> None:
    say(reply("stop sending me messages", number=f"whatsapp:{NUMBER}"))
    assert known.opt_outs(borrower) == [("whatsapp", True)]


# --- crashes and rivals --------------------------------------------------------------------------------------------


def test_what_was_kept_and_not_applied_is_applied_later(borrower: BorrowerIds, known: Known) -> None:
    with connection() as tx:
        inbox.keep(tx, [reply("STOP"), reply("paid")])
    assert known.opt_outs(borrower) == []
    assert inbox.apply_waiting(VOCABULARY) == 2
    assert known.opt_outs(borrower) == [("all", True)]
    assert inbox.apply_waiting(VOCABULARY) == 0
    assert known.outcomes(borrower) == [("stop", False), ("paid", False)]


def test_one_that_cannot_be_applied_stays_waiting_and_stops_no_other(
    borrower: BorrowerIds, known: Known, caplog: pytest.LogCaptureFixture
) -> None:
    with connection() as tx:
        (broken,) = inbox.keep(tx, [reply("STOP")])
        tx.execute(text("UPDATE provider_event_payload SET key_id = 'gone' WHERE provider_event_id = :id"), {"id": broken})
        inbox.keep(tx, [reply("paid")])
    with caplog.at_level(logging.DEBUG):
        assert inbox.apply_waiting(VOCABULARY) == 1
    assert known.outcomes(borrower) == [("paid", False)]
    assert f"inbox rows {broken}..{broken} wait" in caplog.text
    with connection() as tx:
        assert inbox.counts_waiting(tx) == 1


def test_a_message_is_kept_encrypted_and_said_in_no_log(borrower: BorrowerIds, caplog: pytest.LogCaptureFixture) -> None:
    del borrower
    with caplog.at_level(logging.DEBUG):
        say(reply("my secret words"))
    with connection() as tx:
        kept = tx.execute(text("SELECT payload_encrypted FROM provider_event_payload")).scalar_one()
        everything = str(tx.execute(text("SELECT * FROM provider_event")).all()) + str(tx.execute(text("SELECT * FROM outcome")).all())
    for told in (everything, caplog.text):
        assert "secret" not in told
        assert NUMBER not in told
    assert b"secret" not in kept


def test_two_workers_apply_one_message_once(borrower: BorrowerIds, known: Known) -> None:
    with connection() as tx:
        (event_id,) = inbox.keep(tx, [reply("paid")])
    with connection() as first:
        assert inbox.apply(first, [event_id], VOCABULARY) == {event_id: "paid"}
        with connection() as second:
            assert inbox.apply(second, [event_id], VOCABULARY) == {}
    assert known.outcomes(borrower) == [("paid", False)]


def test_what_comes_together_does_what_it_does_alone(borrower: BorrowerIds, send: Send, outbox: Outbox, known: Known) -> None:
    sent = send(borrower)
    group = [
        status("sent", sent),
        status("undelivered", sent, error_code="30005"),
        status("sent", sent),
        status("teleported", sent),
        reply("STOP", sid="SM" + "a" * 32),
        reply("STOP", sid="SM" + "a" * 32),
    ]
    assert len(inbox.receive(group, VOCABULARY)) == 4
    assert {(word, times, effect) for word, times, effect in effects(sent.provider_id)} == {
        ("sent", 2, "applied"),
        ("undelivered", 1, "applied"),
        ("teleported", 1, "says_nothing"),
    }
    assert outbox.attempt(sent.attempt_id)["state"] == "undelivered"
    assert known.status(borrower.sms_id) == "unreachable"
    assert known.outcomes(borrower) == [("stop", False)]


def test_what_comes_together_is_heard_in_the_order_in_which_it_was_said(borrower: BorrowerIds, known: Known) -> None:
    inbox.receive([reply("stop texting me", sid="SM" + "b" * 32), reply("START", sid="SM" + "a" * 32)], VOCABULARY)
    assert known.opt_outs(borrower) == [("sms", False)]


def test_one_status_that_cannot_be_applied_stays_waiting_and_stops_no_other(borrower: BorrowerIds, send: Send, outbox: Outbox) -> None:
    sent = send(borrower)

    def breaks(provider: str, word: str) -> str | None:
        if word == "sending":
            raise RuntimeError("a word that nobody foresaw")
        return codes.state_of(provider, word)

    fragile = Vocabulary(state_of=breaks, meaning_of=codes.meaning_of_callback, intent_of=codes.intent_of, replies=reply_policy_in_force())
    inbox.receive([status("sending", sent), status("delivered", sent)], fragile)
    assert outbox.attempt(sent.attempt_id)["state"] == "delivered"
    with connection() as tx:
        assert inbox.counts_waiting(tx) == 1
    assert inbox.apply_waiting(VOCABULARY) == 1


def test_an_answer_waits_for_whoever_holds_the_borrower(borrower: BorrowerIds, known: Known) -> None:
    """Invariant I4: the gate reads its facts under that lock."""
    done = threading.Event()

    def answer() -> None:
        say(reply("STOP"))
        done.set()

    worker = threading.Thread(target=answer)
    with connection() as tx:
        lock_borrowers(tx, [borrower.party_id])
        worker.start()
        assert not done.wait(0.3)
        assert known.opt_outs(borrower) == []
    worker.join(10)
    assert known.opt_outs(borrower) == [("all", True)]


def test_a_hold_that_reaches_as_far_is_not_written_again(borrower: BorrowerIds, known: Known) -> None:
    at = noon("US")
    with connection() as tx:
        lock_borrowers(tx, [borrower.party_id])
        written = [
            answers.hold(tx, borrower.party_id, "illness", starts_at=at, until=at + timedelta(days=days) if days else None)
            for days in (2, 1, 3, 0, 9)
        ]
    assert written == [True, False, True, True, False]
    assert len(known.holds(borrower)) == 3

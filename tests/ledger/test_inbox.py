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


@pytest.mark.parametrize("word", ["STOP", "退訂", "不要再傳", "BAJA", "please stop texting me"])
def test_a_stop_opts_out_at_once(borrower: BorrowerIds, send: Send, known: Known, outbox: Outbox, word: str) -> None:
    sent = send(borrower)
    say(reply(word))
    assert known.opt_outs(borrower) == [("sms", True)]
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
    assert known.opt_outs(borrower) == [("sms", True)]
    assert known.outcomes(borrower) == [("stop", False)] * 2


def test_the_providers_own_word_counts_as_a_stop(borrower: BorrowerIds, known: Known) -> None:
    say(reply("arrêtez", opt_out_type="STOP"))
    assert known.opt_outs(borrower) == [("sms", True)]


def test_start_ends_a_stop_that_a_reply_brought_but_no_other(borrower: BorrowerIds, known: Known, portfolio: Portfolio) -> None:
    portfolio.opt_out(borrower.party_id, channel="all")
    say(reply("STOP"), reply("START"))
    assert known.opt_outs(borrower) == [("all", True), ("sms", False)]
    assert known.outcomes(borrower) == [("stop", False), ("start", False)]


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
    assert known.opt_outs(borrower) == [("sms", True)]


def test_a_wrong_person_blocks_the_number_for_everybody(borrower: BorrowerIds, known: Known, portfolio: Portfolio) -> None:
    portfolio.ownership(NUMBER, "claimed")
    say(reply("Wrong number"), reply("wrong number!!"))
    assert known.ownership(vault.blind_index(NUMBER)) == "wrong"
    assert known.outcomes(borrower) == [("wrong_person", True)] * 2


def test_a_number_of_nobody_is_kept_and_changes_nothing(borrower: BorrowerIds, known: Known) -> None:
    say(reply("STOP", sid=SID, number=made_up_number("US", 43)))
    assert effects(SID) == [("received", 1, "no_party")]
    assert known.outcomes(borrower) == []


def test_a_stop_from_a_shared_number_stops_all_its_people(borrower: BorrowerIds, known: Known, portfolio: Portfolio) -> None:
    other = portfolio.borrower(number=NUMBER)
    say(reply("STOP"))
    assert known.opt_outs(borrower) == known.opt_outs(other) == [("sms", True)]


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
    say(reply("STOP", number=f"whatsapp:{NUMBER}"))
    assert known.opt_outs(borrower) == [("whatsapp", True)]


# --- crashes and rivals --------------------------------------------------------------------------------------------


def test_what_was_kept_and_not_applied_is_applied_later(borrower: BorrowerIds, known: Known) -> None:
    with connection() as tx:
        inbox.keep(tx, [reply("STOP"), reply("paid")])
    assert known.opt_outs(borrower) == []
    assert inbox.apply_waiting(VOCABULARY) == 2
    assert known.opt_outs(borrower) == [("sms", True)]
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
    inbox.receive([reply("STOP", sid="SM" + "b" * 32), reply("START", sid="SM" + "a" * 32)], VOCABULARY)
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
    assert known.opt_outs(borrower) == [("sms", True)]


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

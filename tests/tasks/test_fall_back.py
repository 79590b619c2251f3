"""Falling back: whom today's message surely did not reach is tried by the next channel, that day, once, within the same budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from prefect.logging import disable_run_logger

from channels import BadAddress, ChannelError, FateUnknown, Message, NeverWorks, Permit, Receipt, Unreachable, WindowClosed
from config.policies import policies
from config.strategy_files import strategy
from decisions.strategy import Step, Strategy
from gate.lane import run_lane
from ledger.attempts import NO_RECORD, Move, move
from ledger.campaigns import left_to_do, open_run, read_run, unfinished
from ledger.engine import connection
from ledger.inbox import Said, receive
from ledger.law import law_in_force
from ledger.outbox import lanes_due
from portal.webhooks import vocabulary
from tasks.choose import choose
from tasks.fall_back import fall_back
from tasks.pick import pick
from tests.plugins.portfolio import TODAY, Portfolio, made_up_number, noon
from tests.plugins.sending import Outbox, RecordingChannel, taken

NOON = noon("US")


def ladder(*channels: str) -> Strategy:
    step = Step(number=1, from_day=1, channels=channels, message="early_reminder", offers=())
    return replace(strategy("static-ladder", "early"), steps=(step,))


@pytest.fixture
def at_noon(portfolio: Portfolio, monkeypatch: pytest.MonkeyPatch) -> Portfolio:
    """Noon in New York, and an early stage that falls back from the app to a text message."""
    portfolio.clock(NOON)
    use(monkeypatch, ladder("push", "sms"))
    return portfolio


def use(monkeypatch: pytest.MonkeyPatch, chosen: Strategy) -> None:
    monkeypatch.setattr("tasks.fall_back.strategy", lambda *_: chosen)


def send(run: int, refusal: Callable[[int], ChannelError] | None = None) -> dict[str, list[Message]]:
    """A lane of both channels; the app's provider answers with a refusal, if one is given."""

    def answer(message: Message, permit: Permit) -> Receipt | ChannelError:
        return refusal(permit.attempt_id) if refusal else taken(message)

    push, sms = RecordingChannel("push", answer=answer), RecordingChannel("sms")
    run_lane(run, shard=None, channels={"push": lambda: push, "sms": lambda: sms})
    return {"push": push.sent, "sms": sms.sent}


REFUSALS: dict[str, Callable[[int], ChannelError]] = {
    "a dead address": lambda attempt: BadAddress(code="UNREGISTERED", attempt_id=attempt),
    "an address that nothing reaches": lambda attempt: Unreachable(code="30005", attempt_id=attempt),
    "a closed window": lambda attempt: WindowClosed(code="63016", attempt_id=attempt),
    "a refused text": lambda attempt: NeverWorks(code="63041", attempt_id=attempt),
}


@pytest.mark.parametrize("why", sorted(REFUSALS))
def test_who_is_not_reached_by_the_first_channel_gets_the_second_that_day_and_only_once(
    at_noon: Portfolio, outbox: Outbox, why: str
) -> None:
    run, borrower = outbox.run(), at_noon.borrower()
    first = outbox.plan(run, borrower, channel="push")
    send(run, REFUSALS[why])
    assert outbox.attempt(first)["state"] == "rejected"
    assert (fall_back(), fall_back()) == (1, 0)
    (second,) = outbox.rows("SELECT * FROM attempt WHERE try_number = 2")
    assert (second.channel, second.contact_point_id, second.message, second.state) == ("sms", borrower.sms_id, "early_reminder", "planned")
    assert second.decision_id == outbox.attempt(first)["decision_id"]
    assert len(send(run)["sms"]) == 1
    assert (fall_back(), len(send(run)["sms"])) == (0, 0)
    assert outbox.states() == ["rejected", "accepted"]


def test_what_is_reported_as_not_delivered_falls_back_too(at_noon: Portfolio, outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, ladder("sms", "push"))
    run, borrower = outbox.run(), at_noon.borrower()
    first = outbox.plan(run, borrower)
    send(run)
    assert fall_back() == 0
    said = Said(
        provider="twilio",
        provider_id=f"R{outbox.token(first)}",
        kind="status",
        status="undelivered",
        token=outbox.token(first),
        error_code="30005",
        fields={},
    )
    receive([said], vocabulary())
    assert outbox.attempt(first)["state"] == "undelivered"
    assert fall_back() == 1
    assert len(send(run)["push"]) == 1


@pytest.mark.parametrize(
    ("reasons", "planned"),
    [
        (["window_closed"], 1),
        (["template_not_registered"], 1),
        (["no_sender"], 1),
        (["no_envelope"], 1),
        (["HOUSE-PROVIDER-WHATSAPP", "window_closed"], 1),
        (["window_closed", "HOUSE-HOLD"], 0),
        (["HOUSE-OWNERSHIP"], 0),
        (["nothing_due"], 0),
        (["words_refused:opt_out"], 0),
    ],
)
def test_what_stood_against_the_way_alone_is_no_answer_and_any_other_reason_is(
    at_noon: Portfolio, outbox: Outbox, reasons: list[str], planned: int
) -> None:
    run, borrower = outbox.run(), at_noon.borrower()
    attempt = outbox.plan(run, borrower, channel="push")
    with connection() as tx:
        changes = {"permit": {"blocked_by": reasons}}
        cause = f"blocked: {', '.join(reasons)}"
        move(
            tx,
            [Move(business_date=TODAY, attempt_id=attempt, from_state="planned", to_state="withheld", cause=cause, changes=changes)],
            at=NOON,
        )
    assert fall_back() == planned
    assert len(send(run)["sms"]) == planned


STOPS: dict[str, Callable[[Portfolio, Any], object]] = {
    "a payment": lambda world, who: world.payment(who.loan_id, 10_500),
    "a stop": lambda world, who: world.opt_out(who.party_id),
    "a hold": lambda world, who: world.hold(who.party_id, "dispute"),
    "a contact of somebody else's": lambda world, who: world.contact(who.party_id, NOON - timedelta(minutes=5), loans=[who.loan_id]),
    "night": lambda world, _: world.clock(NOON + timedelta(hours=11)),
}


@pytest.mark.parametrize("what", sorted(STOPS))
def test_what_stops_a_first_message_stops_the_next_channel(at_noon: Portfolio, outbox: Outbox, what: str) -> None:
    run, borrower = outbox.run(), at_noon.borrower()
    outbox.plan(run, borrower, channel="push")
    send(run, REFUSALS["a dead address"])
    STOPS[what](at_noon, borrower)
    assert fall_back() == 0
    assert send(run)["sms"] == []


@pytest.mark.parametrize("fate", ["unknown", "no record", "withheld", "expired"])
def test_what_is_not_sure_and_what_was_decided_against_falls_back_on_nothing(at_noon: Portfolio, outbox: Outbox, fate: str) -> None:
    """I2: the app may have shown it."""
    run, borrower = outbox.run(), at_noon.borrower()
    attempt = outbox.plan(run, borrower, channel="push")
    if fate in {"withheld", "expired"}:
        with connection() as tx:
            move(
                tx,
                [Move(business_date=TODAY, attempt_id=attempt, from_state="planned", to_state=fate, cause="a test", changes={})],
                at=NOON,
            )
    else:
        send(run, lambda attempt_id: FateUnknown(code="timeout", attempt_id=attempt_id))
    if fate == "no record":
        changes = {"error_code": NO_RECORD}
        with connection() as tx:
            move(
                tx,
                [Move(business_date=TODAY, attempt_id=attempt, from_state="unknown", to_state="failed", cause="a test", changes=changes)],
                at=NOON,
            )
    assert fall_back() == 0
    assert send(run)["sms"] == []


@pytest.mark.parametrize("change", ["preview = true", "state = 'paused'"])
def test_a_run_that_may_not_send_falls_back_on_nothing(at_noon: Portfolio, outbox: Outbox, change: str) -> None:
    run, borrower = outbox.run(), at_noon.borrower()
    outbox.plan(run, borrower, channel="push")
    send(run, REFUSALS["a dead address"])
    with connection() as tx:
        tx.exec_driver_sql(f"UPDATE campaign_run SET {change}")  # noqa: S608  # of the two above
    assert fall_back() == 0


def test_a_channel_on_which_the_creditor_has_no_sender_is_passed_over(
    at_noon: Portfolio, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would be withheld at the gate, day after day, and the channel behind it never tried."""
    use(monkeypatch, ladder("push", "rcs", "sms"))
    run, borrower = outbox.run(), at_noon.borrower()
    outbox.plan(run, borrower, channel="push")
    send(run, REFUSALS["a dead address"])
    with connection() as tx:
        tx.exec_driver_sql("UPDATE creditor SET senders = senders - 'sms'")
    assert fall_back() == 0
    with connection() as tx:
        tx.exec_driver_sql("""UPDATE creditor SET senders = senders || '{"sms/collection": "+15005550006"}'""")
    assert fall_back() == 1


def test_where_no_step_has_a_second_channel_nothing_falls_back(at_noon: Portfolio, outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, strategy("static-ladder", "early"))
    run, borrower = outbox.run(), at_noon.borrower()
    outbox.plan(run, borrower, channel="push")
    send(run, REFUSALS["a dead address"])
    assert fall_back() == 0


def test_a_sender_that_is_gone_at_the_gate_falls_back_that_day_by_the_ladder_that_ships(portfolio: Portfolio, outbox: Outbox) -> None:
    """Planned, judged, refused, decided again and sent with nothing replaced: the every-channel ladder on its fifth day."""
    portfolio.clock(NOON)
    borrower = portfolio.borrower(days_past_due=5)
    with connection() as tx:
        run = open_run(
            tx,
            stage="early",
            business_date=TODAY,
            preview=False,
            borrowers_max=None,
            policies=policies("early", named="every-channel"),
            at=NOON,
        )
    with disable_run_logger():
        (shard,) = pick.fn(run)
        assert choose.fn(shard, run) == 1
    ((reasons,),) = outbox.rows("SELECT r.reasons FROM decision d JOIN reason_set r ON r.id = d.reason_set_id")
    # A chat would have come first; the lender has none.
    assert reasons == ["no_sender"]
    with connection() as tx:
        assert read_run(tx, run).strategy == "every-channel"
        tx.exec_driver_sql("UPDATE creditor SET senders = senders - 'sms'")
    assert send(run) == {"push": [], "sms": []}
    ((state, permit),) = outbox.rows("SELECT state, permit FROM attempt")
    assert (state, permit["blocked_by"]) == ("withheld", ["no_sender"])
    assert (fall_back(), fall_back()) == (1, 0)
    assert [len(sent) for sent in send(run).values()] == [1, 0]
    (second,) = outbox.rows("SELECT * FROM attempt WHERE try_number = 2")
    assert (second.channel, second.contact_point_id, second.step, second.message) == ("push", borrower.push_id, 1, "early_reminder")


def test_a_clearance_that_is_gone_at_the_gate_falls_back_that_day(
    at_noon: Portfolio, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, ladder("whatsapp", "sms"))
    borrower = at_noon.borrower(consent=("sms", "whatsapp"))
    chat = at_noon.contact_point(borrower.party_id, "whatsapp", made_up_number("US", 77), country="US")
    with connection() as tx:
        tx.exec_driver_sql("""UPDATE creditor SET senders = senders || '{"whatsapp": "+15005550006"}'""")
        law = law_in_force(tx)
    run = outbox.run()
    first = outbox.plan(run, replace(borrower, push_id=chat), channel="whatsapp")
    uncleared = replace(law, packs=law.packs.model_copy(update={"clearances": ()}))
    monkeypatch.setattr("gate.lane.law_in_force", lambda _: uncleared)
    monkeypatch.setattr("tasks.fall_back.law_in_force", lambda _: uncleared)
    talks, sms = RecordingChannel("whatsapp"), RecordingChannel("sms")
    run_lane(run, shard=None, channels={"whatsapp": lambda: talks, "sms": lambda: sms})
    assert "HOUSE-PROVIDER-WHATSAPP" in outbox.attempt(first)["permit"]["blocked_by"]
    assert fall_back() == 1
    run_lane(run, shard=None, channels={"whatsapp": lambda: talks, "sms": lambda: sms})
    assert (len(talks.sent), len(sms.sent)) == (0, 1)


def test_a_call_that_waits_for_a_person_leaves_nothing_undone_and_no_lane_is_opened_for_it(at_noon: Portfolio, outbox: Outbox) -> None:
    run, borrower = outbox.run(stage="mid"), at_noon.borrower(days_past_due=45)
    outbox.plan(run, replace(borrower, push_id=borrower.sms_id), channel="call", message="early_call")
    with connection() as tx:
        assert unfinished(tx, run) == {}
        assert left_to_do(tx, run).due == 0
        assert lanes_due(tx, at=NOON, at_most=10) == []

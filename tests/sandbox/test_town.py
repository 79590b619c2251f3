"""The town as a kernel: seeded, ordered, and like people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.happenings import (
    Borrowed,
    Complained,
    Delivered,
    Event,
    Message,
    NotTaken,
    Opened,
    Paid,
    PickedUp,
    Replied,
    Ringing,
    Said,
    TookPlan,
    Undelivered,
)
from sandbox.parameters import default_world
from sandbox.people import invent_people
from sandbox.town import SLEEPS, WAKES, Town

START = datetime(2026, 3, 17, 1, tzinfo=UTC)
TEXT = "You owe 100.00 USD. Pay at https://pay.example/x"
PEOPLE = {country: invent_people(7, country, 150) for country in ("US", "TW", "CN", "MX")}
EVERYONE = {"sms_delivered": 1.0, "sms_read": 1.0, "wrong_number_share": 0.0, "landline_share": 0.0}


def _town(
    world: Mapping[str, float] | None = None, *, seed: str = "7", country: str = "US", backwards: bool = False, owed_minor: int = 10_000
) -> Town:
    town = Town(seed=seed, world=default_world(world), now=START)
    for person in PEOPLE[country][:: -1 if backwards else 1]:
        loans = [(f"L-{person.phone}", "USD", owed_minor)] if owed_minor else []
        town.settle(phone=person.phone, push_token=person.push_token, locale=person.locale, zone=person.zone, loans=loans)
    return town


def _text_everyone(town: Town, country: str = "US", *, channel: str = "sms", backwards: bool = False, text: str = TEXT) -> None:
    for person in PEOPLE[country][:: -1 if backwards else 1]:
        address = person.phone if channel == "sms" else person.push_token
        # An id says nothing: it is another one each time.
        message_id = f"{address} {town.now} {backwards}"
        town.submit(Message(message_id, channel, address, "+12025550199", text, town.now + timedelta(hours=10)))


def _play(town: Town, days: float, *, country: str = "US", backwards: bool = False, steps: int = 1) -> list[Event]:
    """A text to everyone each day, and what came of it."""
    events: list[Event] = []
    end = town.now + timedelta(days=days)
    while town.now < end:
        _text_everyone(town, country, backwards=backwards)
        for _ in range(steps):
            events.extend(town.advance(town.now + timedelta(days=1) / steps))
    return events


def _stories(events: list[Event]) -> list[tuple[object, ...]]:
    """Events without the provider's ids."""
    return [
        (type(event), event.at, event.loan_ref, event.amount_minor, event.external_id)
        if isinstance(event, Paid)
        else (type(event), event.at, event.message.address, getattr(event, "text", ""), getattr(event, "reason", ""))
        for event in events
        if not isinstance(event, Ringing | PickedUp | NotTaken | Said | Complained | TookPlan | Borrowed)
    ]


def test_the_same_seed_tells_the_same_story_and_another_seed_another() -> None:
    story = _stories(_play(_town(), 5))
    assert story == _stories(_play(_town(), 5))
    assert story != _stories(_play(_town(seed="8"), 5))
    assert {kind for kind, *_ in story} >= {Delivered, Undelivered, Replied, Paid}


def test_neither_the_order_of_loading_nor_of_sending_nor_the_size_of_steps_changes_the_story() -> None:
    story = _stories(_play(_town(), 4))
    assert story == _stories(_play(_town(backwards=True), 4, backwards=True))
    assert story == _stories(_play(_town(), 4, steps=9))


def test_events_come_in_order_and_none_from_the_future() -> None:
    town = _town()
    _text_everyone(town)
    events = list(town.advance(START + timedelta(days=3)))
    times = [event.at for event in events]
    assert times == sorted(times)
    assert times[0] >= START
    assert times[-1] <= town.now == START + timedelta(days=3)


def test_the_clock_does_not_run_backwards_and_may_stand() -> None:
    town = _town()
    assert list(town.advance(START)) == []
    with pytest.raises(ValueError, match="backwards"):
        list(town.advance(START - timedelta(seconds=1)))


@settings(max_examples=15, deadline=None)
@given(
    seed=st.text(max_size=8), owed_minor=st.integers(1, 10**12), returned=st.sampled_from([0.0, 0.5, 1.0]), late=st.sampled_from([0.0, 0.5])
)
def test_money_is_neither_made_nor_lost(seed: str, owed_minor: int, returned: float, late: float) -> None:
    world = {"self_pay_forgot": 0.9, "self_pay_timing": 0.9, "partial_share": 0.5, "returned_share": returned, "posted_late_share": late}
    town = _town(world, seed=seed, owed_minor=owed_minor)
    posted: Counter[str] = Counter()
    for event in town.advance(START + timedelta(days=6)):
        assert isinstance(event, Paid)
        assert event.paid_at <= event.at
        posted[event.loan_ref] += event.amount_minor
        if late == 0:
            # What came back was posted before, and nobody overpays.
            assert 0 <= posted[event.loan_ref] <= owed_minor
    accounted = town.owed_minor["USD"] + sum(posted.values())
    # A payment that the feed does not show yet has left what is owed.
    assert accounted == owed_minor * 150 if late == 0 else accounted <= owed_minor * 150


def test_a_returned_payment_names_what_it_takes_back_and_is_owed_again() -> None:
    town = _town(
        {"self_pay_forgot": 1.0, "self_pay_timing": 1.0, "self_pay_hardship": 1.0, "self_pay_unwilling": 1.0, "returned_share": 1.0}
    )
    before = town.owed_minor["USD"]
    events = [event for event in town.advance(START + timedelta(days=1)) if isinstance(event, Paid)]
    assert town.owed_minor["USD"] < before
    events += [event for event in town.advance(START + timedelta(days=8)) if isinstance(event, Paid)]
    posted = {event.external_id: event.amount_minor for event in events if event.state == "posted"}
    returned = [event for event in events if event.state == "reversed"]
    assert returned
    assert all(posted[str(event.reverses_external_id)] == -event.amount_minor for event in returned)


def test_payments_have_different_ids() -> None:
    town = _town({"self_pay_forgot": 1.0, "self_pay_timing": 1.0, "partial_share": 1.0})
    ids = [event.external_id for event in town.advance(START + timedelta(days=10)) if isinstance(event, Paid)]
    assert len(ids) == len(set(ids)) > 200


@pytest.mark.parametrize("country", ["US", "TW", "CN", "MX"])
def test_people_answer_and_pay_at_humane_hours_of_their_own(country: str) -> None:
    town = _town(EVERYONE | {"reply_rate": 0.5, "self_pay_forgot": 0.3}, country=country)
    zones = {person.phone: person.zone for person in PEOPLE[country]}
    hours = Counter[int]()
    for event in _play(town, 4, country=country):
        if isinstance(event, Replied):
            hours[event.at.astimezone(ZoneInfo(zones[event.message.address])).hour] += 1
        elif isinstance(event, Paid) and event.state == "posted":
            hours[event.paid_at.astimezone(ZoneInfo(zones[event.loan_ref[2:]])).hour] += 1
    assert sum(hours.values()) > 50
    # Who reads just before sleeping may write or pay a little after.
    assert all(WAKES <= hour <= SLEEPS or hour < 2 for hour in hours)
    assert sum(count for hour, count in hours.items() if hour < WAKES) <= 0.05 * sum(hours.values())


def test_a_message_that_is_read_brings_payments_and_one_without_effect_brings_none() -> None:
    still = {f"self_pay_{temper}": 0.0 for temper in ("forgot", "timing", "hardship", "unwilling")}
    silent = {"reply_rate": 0.0, "stop_rate": 0.0, **still, **EVERYONE}
    moved = _town(silent | {"sms_effect_forgot": 1.0})
    unmoved = _town(silent | {f"sms_effect_{temper}": 0.0 for temper in ("forgot", "timing", "hardship", "unwilling")})
    assert sum(isinstance(event, Paid) for event in _play(moved, 2)) > 20
    assert not any(isinstance(event, Paid) for event in _play(unmoved, 2))


def test_where_no_message_has_an_effect_contacting_everyone_and_no_one_bring_the_same_payments() -> None:
    world = {f"sms_effect_{temper}": 0.0 for temper in ("forgot", "timing", "hardship", "unwilling")} | {"promise_kept": 0.0}
    contacted = [event for event in _play(_town(world), 10) if isinstance(event, Paid)]
    left_alone = list(_town(world).advance(START + timedelta(days=10)))
    assert len(left_alone) > 5
    assert contacted == left_alone


def test_a_text_that_names_neither_amount_nor_way_to_pay_moves_fewer() -> None:
    paid = {}
    for text in (TEXT, "Hello"):
        town = _town(EVERYONE | {"sms_effect_forgot": 1.0, "unclear_text_factor": 0.3, "hour_taste_spread": 0.0})
        _text_everyone(town, text=text)
        paid[text] = sum(isinstance(event, Paid) for event in town.advance(START + timedelta(days=1)))
    assert paid["Hello"] < 0.5 * paid[TEXT]


def test_a_share_that_is_set_is_kept() -> None:
    town = _town({"sms_delivered": 0.5, "wrong_number_share": 0.0, "landline_share": 0.0})
    _text_everyone(town)
    ended = Counter(type(event) for event in town.advance(START + timedelta(hours=6)) if isinstance(event, Delivered | Undelivered))
    assert sum(ended.values()) == 150
    assert 0.35 < ended[Delivered] / 150 < 0.65


def test_every_text_ends_exactly_once() -> None:
    town = _town({"sms_delivered": 0.6, "landline_share": 0.1})
    _text_everyone(town)
    ends = Counter(
        event.message.address for event in town.advance(START + timedelta(hours=11)) if isinstance(event, Delivered | Undelivered)
    )
    assert len(ends) == 150
    assert set(ends.values()) == {1}


def test_a_stranger_says_so_once_and_never_pays() -> None:
    town = _town({**EVERYONE, "wrong_number_share": 1.0} | {"stranger_answers": 1.0}, owed_minor=0)
    replies = [event for event in _play(town, 3) if isinstance(event, Replied)]
    assert {event.intent for event in replies} == {"wrong_person"}
    assert set(Counter(event.message.address for event in replies).values()) == {1}


def test_who_paid_says_so() -> None:
    town = _town(EVERYONE | {"self_pay_forgot": 1.0, "self_pay_timing": 1.0, "payday_factor": 3.0, "reply_rate": 1.0, "stop_rate": 0.0})
    list(town.advance(START + timedelta(days=2)))
    _text_everyone(town)
    replies = [event for event in town.advance(town.now + timedelta(days=1)) if isinstance(event, Replied)]
    assert Counter(event.intent for event in replies)["paid"] > 50


@pytest.mark.parametrize(("country", "word"), [("US", "STOP"), ("TW", "退訂"), ("CN", "退订"), ("MX", "BAJA")])
def test_people_stop_in_their_own_language(country: str, word: str) -> None:
    town = _town(EVERYONE | {"stop_rate": 1.0}, country=country)
    texts = {event.text for event in _play(town, 1, country=country) if isinstance(event, Replied)}
    assert word in texts


def test_a_promise_names_a_day_to_come_and_most_are_kept() -> None:
    still = {f"self_pay_{temper}": 0.0 for temper in ("forgot", "timing", "hardship", "unwilling")}
    town = _town(EVERYONE | still | {"reply_rate": 1.0, "stop_rate": 0.0, "promise_kept": 1.0, "sms_effect_forgot": 0.0})
    _text_everyone(town)
    events = list(town.advance(START + timedelta(days=12)))
    promised = {event.message.address for event in events if isinstance(event, Replied) and event.intent == "promise"}
    paid = {event.loan_ref[2:] for event in events if isinstance(event, Paid)}
    assert len(promised) > 50
    assert promised <= paid


def test_whoever_does_not_live_here_receives_and_keeps_silent() -> None:
    town = Town(seed="7", world=default_world(), now=START)
    _text_everyone(town)
    events = list(town.advance(START + timedelta(days=2)))
    assert sum(isinstance(event, Delivered) for event in events) == 150
    assert not any(isinstance(event, Replied | Undelivered | Opened | Paid) for event in events)


def test_a_loan_that_is_known_stays_as_it_is_and_a_household_shares_a_phone() -> None:
    town = Town(seed="7", world=default_world(), now=START)
    first = town.settle(phone="+12025550101", push_token=f"token-{1}", locale="en", zone="UTC", loans=[("L1", "USD", 500)])
    again = town.settle(phone="+12025550101", push_token=f"token-{1}", locale="en", zone="UTC", loans=[("L1", "USD", 900)])
    other = town.settle(phone="+12025550101", push_token=f"token-{2}", locale="en", zone="UTC", loans=[("L2", "USD", 70)])
    assert first is again
    assert other is not first
    assert (town.residents, town.owed_minor) == (2, {"USD": 570})


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"zone": "Mars/Olympus"}, "unknown zone"),
        ({"zone": "../../etc/passwd"}, "unknown zone"),
        ({"loans": [("L1", "USD", 0)]}, "positive"),
        ({"phone": None}, "needs"),
    ],
)
def test_a_resident_that_cannot_be_is_refused(fields: dict[str, object], reason: str) -> None:
    town = Town(seed="7", world=default_world(), now=START)
    resident = {"phone": "+12025550101", "push_token": None, "locale": "en", "zone": "UTC", "loans": [], **fields}
    with pytest.raises(ValueError, match=reason):
        town.settle(**resident)  # type: ignore[arg-type]  # on purpose
    assert town.residents == 0


def test_people_move_and_their_day_moves_with_them() -> None:
    town = _town({"moved_rate": 0.5})
    zones = {resident.zone for resident in town._residents.values()}  # noqa: SLF001  # where they live is hidden
    list(town.advance(START + timedelta(days=20)))
    moved = {resident.zone for resident in town._residents.values()}  # noqa: SLF001  # as above
    assert moved <= zones
    assert sum(len(neighbours) for neighbours in town._by_zone.values()) == 150  # noqa: SLF001  # as above

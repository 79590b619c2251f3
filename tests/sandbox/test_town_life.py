"""What people of the town do beside reading texts: they talk, complain, take plans and keep them, and pay with borrowed money."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

from sandbox.happenings import Borrowed, Complained, Event, Message, Paid, Plan, Ring, Said, TookPlan
from sandbox.parameters import default_world
from sandbox.people import invent_people
from sandbox.town import Town

START = datetime(2026, 3, 17, 1, tzinfo=UTC)
FIRST = date(2026, 3, 20)
PEOPLE = invent_people(7, "TW", 200)
QUIET = {f"self_pay_{temper}": 0.0 for temper in ("forgot", "timing", "hardship", "unwilling")}
HEARS = {"sms_delivered": 1.0, "sms_read": 1.0, "wrong_number_share": 0.0, "landline_share": 0.0, "call_answered": 1.0, "call_busy": 0.0}
MOVED = {f"{kind}_effect_{temper}": 1.0 for kind in ("sms", "call") for temper in ("forgot", "timing", "hardship", "unwilling")}
AGREES = {f"plan_accept_{temper}": 1.0 for temper in ("forgot", "timing", "hardship", "unwilling")}
PLAN = Plan(tuple((FIRST + timedelta(days=30 * number), 2_000) for number in range(5)))
TEXT = "You owe 100.00. Pay at https://pay.example/x"


def _town(world: Mapping[str, float], *, income_minor: int = 1_000_000) -> Town:
    town = Town(seed="7", world=default_world({**QUIET, **HEARS, **world}), now=START, prompt=True)
    for person in PEOPLE:
        town.settle(
            phone=person.phone,
            push_token=person.push_token,
            email=f"{person.phone}@people.example",
            locale=person.locale,
            zone=person.zone,
            loans=[(f"L-{person.phone}", "TWD", 10_000)],
            income_minor=income_minor,
        )
    return town


def _write(town: Town, *, channel: str = "sms", text: str = TEXT, plan: Plan | None = None) -> None:
    for person in PEOPLE:
        address = {"sms": person.phone, "push": person.push_token, "email": f"{person.phone}@people.example"}[channel]
        town.submit(Message(f"{channel} {address} {town.now}", channel, address, "+1", text, town.now + timedelta(hours=10), plan=plan))


def _call(town: Town, *, by_person: bool = True, plan: Plan | None = None) -> None:
    for person in PEOPLE:
        town.ring(Ring(f"{person.phone} {town.now}", person.phone, "+1", 30, by_person=by_person, named=False, plan=plan))


def _days(town: Town, days: float) -> list[Event]:
    return list(town.advance(town.now + timedelta(days=days)))


def _count(events: list[Event]) -> Counter[str]:
    return Counter(type(event).__name__ for event in events)


def test_a_talk_moves_people_to_pay_and_one_without_effect_moves_nobody() -> None:
    paid = {}
    for name, effect in (("moved", MOVED), ("unmoved", dict.fromkeys(MOVED, 0.0))):
        town = _town({**effect, "call_says": 0.0})
        _call(town)
        paid[name] = _count(_days(town, 1))["Paid"]
    assert paid["moved"] > 150
    assert paid["unmoved"] == 0


def test_people_say_what_they_think_on_the_phone_and_keep_some_promises() -> None:
    town = _town({**dict.fromkeys(MOVED, 0.0), "call_says": 1.0, "promise_kept": 1.0})
    _call(town)
    events = _days(town, 12)
    said = Counter(event.intent for event in events if isinstance(event, Said))
    assert {"promise", "cannot_pay", "dispute"} <= set(said)
    promised = {event.ring.address for event in events if isinstance(event, Said) and event.intent == "promise"}
    assert {event.loan_ref.removeprefix("L-") for event in events if isinstance(event, Paid)} == promised


def test_a_named_caller_is_answered_more_often() -> None:
    talks = []
    for named in (False, True):
        town = _town({"call_answered": 0.24, "call_answered_named": 0.53, "call_machine_share": 0.0})
        for person in PEOPLE:
            town.ring(Ring(person.phone, person.phone, "+1", 30, by_person=True, named=named))
        talks.append(_count(_days(town, 0.1))["PickedUp"])
    assert talks[0] < talks[1]


def test_an_email_is_opened_by_some_and_moves_some() -> None:
    town = _town({**MOVED, "email_opened": 0.5, "email_effect_factor": 1.0})
    _write(town, channel="email")
    counts = _count(_days(town, 2))
    assert 60 < counts["Opened"] < 140
    assert counts["Paid"] > 20


def test_complaints_come_of_contacts_and_the_more_of_them_the_likelier() -> None:
    complaints = []
    for every_hours in (72, 6):
        town = _town({"complaint_call": 0.02, "call_says": 0.0, **dict.fromkeys(MOVED, 0.0)})
        calls = 0
        heard = Counter[str]()
        while town.now < START + timedelta(days=12):
            _call(town)
            calls += len(PEOPLE)
            heard += _count(_days(town, every_hours / 24))
        complaints.append(heard["Complained"] / calls)
    assert 0 < complaints[0] < complaints[1]
    town = _town({"complaint_call": 0.0, "complaint_message": 0.0})
    _call(town)
    _write(town)
    assert not any(isinstance(event, Complained) for event in _days(town, 3))


def test_a_plan_is_taken_where_it_is_seen_and_its_payments_come_on_their_days() -> None:
    town = _town({**AGREES, "plan_kept": 1.0, "spare_spread": 0.0, "partial_share": 0.0, "returned_share": 0.0, "posted_late_share": 0.0})
    _write(town, plan=PLAN)
    events = _days(town, 160)
    assert _count(events)["TookPlan"] == 200
    days = {event.paid_at.astimezone(UTC).date() for event in events if isinstance(event, Paid)}
    assert len(days) <= 2 * len(PLAN.payments)
    assert town.owed_minor["TWD"] == 0


def test_a_plan_beyond_what_is_free_breaks_and_where_fit_does_not_matter_it_does_not() -> None:
    owed = {}
    for name, world, income_minor in (
        ("within", {}, 1_000_000),
        ("beyond", {"plan_strain": 3.0}, 20_000),
        ("beyond, fit does not matter", {"plan_strain": 0.0}, 20_000),
    ):
        town = _town({**AGREES, "plan_kept": 0.95, **world}, income_minor=income_minor)
        _write(town, plan=PLAN)
        _days(town, 160)
        owed[name] = town.owed_minor["TWD"]
    assert owed["beyond"] > 2 * owed["within"]
    assert owed["beyond, fit does not matter"] == owed["within"]


def test_nobody_takes_a_plan_that_is_not_offered() -> None:
    town = _town(AGREES)
    _write(town)
    assert not any(isinstance(event, TookPlan) for event in _days(town, 3))


def test_who_is_moved_with_an_empty_wallet_may_borrow_for_it() -> None:
    harm = []
    for share in (0.0, 1.0):
        town = _town({**MOVED, "empty_wallet_share": 0.5, "borrows_elsewhere": share})
        _write(town)
        events = _days(town, 2)
        harm.append(_count(events)["Borrowed"])
        assert {event.loan_ref for event in events if isinstance(event, Borrowed)} <= {
            event.loan_ref for event in events if isinstance(event, Paid)
        }
    assert harm[0] == 0
    assert harm[1] > 20


def test_words_about_consequences_wear_off_and_kind_ones_do_not() -> None:
    paid = Counter[str]()
    base = {
        **dict.fromkeys(MOVED, 0.3),
        "tone_warm": 1.2,
        "tone_consequence": 1.2,
        "tone_worn": 0.0,
        "fatigue_factor": 1.0,
        "memory_per_day": 1.0,
        "promise_kept": 0.0,
        "returned_share": 0.0,
    }
    for kind, text in (("warm", "We can help. "), ("harsh", "Legal consequences. ")):
        town = _town(base)
        _write(town, text=text + TEXT)
        _days(town, 10)
        _write(town, text=text + TEXT)
        paid[kind] = _count(_days(town, 3))["Paid"]
    assert paid["warm"] > 10
    assert paid["harsh"] == 0


def test_the_feed_may_be_late_for_everything_and_what_works_may_change() -> None:
    town = _town({**MOVED, "posting_delay_days": 14, "posted_late_share": 0.0})
    _write(town)
    events = _days(town, 20)
    delays = {(event.at - event.paid_at).days for event in events if isinstance(event, Paid) and event.amount_minor > 0}
    assert delays == {14}
    town = _town({**MOVED, "drift_day": 5, "drift_factor": 0.0})
    _days(town, 6)
    _write(town)
    assert _count(_days(town, 2))["Paid"] == 0

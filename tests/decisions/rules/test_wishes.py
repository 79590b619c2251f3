"""Wishes as far as a law carries them: spoken ones for some days, quiet hours up to a number a week."""

from __future__ import annotations

from typing import Any

import pytest

from tests.plugins.packs import rule
from tests.plugins.rule_cases import EAST, WEST, Row, answer, instant, local

WEEKDAYS = ["mon", "tue", "wed", "thu", "fri"]
HOUSE = rule("HOUSE-WISH", "wish", wishes=["not_at", "not_place", "not_channel"], basis="house")


def wishes(value: Row) -> Row:
    return rule("XA-WISH", "wish", wishes=["not_at", "not_place", "not_channel"], values={"2020-01-01": value})


def quiet(since: str, begins: str, ends: str, days: list[str] | None = None, **columns: Any) -> Row:
    return {"kind": "not_at", "days": days or [], "from": begins, "to": ends, "since": local(since), **columns}


SPOKEN = wishes({"oral_lasts": "P10D"})
AT_WORK = {"kind": "not_place", "place": "work", "since": local("2026-02-27T16:00")}
CALL_AT_WORK = {"channel": "call", "contact_point": "W"}
WORK = [{"id": "W", "kind": "landline", "employer_owned": True}]


def at_work(at: str, **columns: Any) -> Row:
    return answer(SPOKEN, at, wishes=[{**AT_WORK, **columns}], contact_points=WORK, proposed=CALL_AT_WORK)


def test_a_spoken_wish_is_good_for_ten_days_the_day_it_was_said_being_the_first() -> None:
    # 27 February to 8 March, the day on which the clock goes forward.
    assert at_work("2026-03-08T23:59", form="oral")["next_allowed_at"] == instant("2026-03-09T00:00")
    assert at_work("2026-03-09T00:00", form="oral")["allowed"]


@pytest.mark.parametrize("form", ["written", None])
def test_a_written_wish_lasts_and_so_does_one_of_which_the_form_is_not_known(form: str | None) -> None:
    assert at_work("2026-06-01T12:00", form=form)["blocked_for_good"]


def test_a_spoken_wish_of_which_the_day_is_not_known_lasts() -> None:
    assert not at_work("2026-06-01T12:00", form="oral", since=None)["allowed"]


def test_a_spoken_wish_ends_at_its_own_earlier_end() -> None:
    assert at_work("2026-03-02T12:00", form="oral", until=local("2026-03-02T12:00"))["allowed"]


def test_a_spoken_wish_ends_where_the_day_ends_last() -> None:
    wish = {"kind": "not_channel", "channels": ["sms"], "since": local("2026-03-10T02:00"), "form": "oral"}
    assert answer(SPOKEN, "2026-03-19T23:59", EAST, WEST, wishes=[wish])["next_allowed_at"] == instant("2026-03-20T00:00")
    assert answer(SPOKEN, "2026-03-18T23:59", WEST, wishes=[wish])["next_allowed_at"] == instant("2026-03-19T00:00", WEST)


def test_the_house_honours_what_the_law_no_longer_carries() -> None:
    wish = {"kind": "not_channel", "channels": ["sms"], "since": local("2026-01-01T09:00"), "form": "oral"}
    assert answer(SPOKEN, "2026-03-17T12:00", wishes=[wish], house=HOUSE)["blocked_by"] == ["HOUSE-WISH"]


HOURS = wishes({"hours_per_week": 28})
# Tuesday 2026-03-17.
NINE, NOON, FOUR, NIGHT = "2026-03-17T09:30", "2026-03-17T12:00", "2026-03-17T16:00", "2026-03-17T23:30"
FIRST = quiet("2026-03-01T09:00", "09:00", "13:00", WEEKDAYS)  # 20 hours a week


@pytest.mark.parametrize(("ends", "granted"), [("17:00", True), ("17:01", False)])
def test_quiet_hours_are_granted_up_to_twenty_eight_a_week(ends: str, granted: bool) -> None:
    eight = quiet("2026-03-02T09:00", "15:00", ends, ["mon", "tue", "wed", "thu"])
    found = answer(HOURS, FOUR, wishes=[eight, FIRST])
    assert (found["allowed"], found["next_allowed_at"]) == (not granted, instant("2026-03-17T17:00" if granted else FOUR))
    assert not answer(HOURS, NOON, wishes=[eight, FIRST])["allowed"]


def test_one_wish_for_more_than_the_law_grants_is_not_carried_by_it_and_the_house_honours_it() -> None:
    all_day = quiet("2026-03-01T09:00", "09:00", "15:00", WEEKDAYS)
    assert answer(HOURS, NOON, wishes=[all_day])["allowed"]
    assert answer(HOURS, NOON, wishes=[all_day], house=HOUSE)["blocked_by"] == ["HOUSE-WISH"]


def test_what_was_asked_for_first_goes_first_whatever_the_order_of_the_file() -> None:
    later = quiet("2026-03-02T09:00", "15:00", "19:00", WEEKDAYS)
    for given in ([FIRST, later], [later, FIRST]):
        assert not answer(HOURS, NOON, wishes=given)["allowed"]
        assert answer(HOURS, FOUR, wishes=given)["allowed"]


def test_a_wish_that_does_not_fit_leaves_its_hours_to_a_later_one() -> None:
    too_much = quiet("2026-03-02T09:00", "15:00", "19:00", WEEKDAYS)
    fits = quiet("2026-03-03T09:00", "23:00", "00:00", WEEKDAYS)
    assert answer(HOURS, FOUR, wishes=[FIRST, too_much, fits])["allowed"]
    assert not answer(HOURS, NIGHT, wishes=[FIRST, too_much, fits])["allowed"]


def test_a_wish_that_was_over_when_the_next_was_uttered_takes_no_hours() -> None:
    over = {**FIRST, "until": local("2026-03-02T09:00")}
    later = quiet("2026-03-02T09:00", "15:00", "19:00", WEEKDAYS)
    assert not answer(HOURS, FOUR, wishes=[over, later])["allowed"]
    assert answer(HOURS, FOUR, wishes=[{**over, "until": local("2026-03-02T09:01")}, later])["allowed"]


@pytest.mark.parametrize(
    ("begins", "ends", "days", "granted"),
    [
        ("22:00", "02:00", [], True),  # 4 hours of 7 days
        ("22:00", "02:01", [], False),
        ("00:00", "24:00", ["tue"], True),
        ("00:00", "24:00", ["tue", "wed"], False),
        ("12:00", "12:00", ["tue"], True),  # the whole day round
        ("12:00", "12:00", ["tue", "sun"], False),
    ],
)
def test_hours_over_midnight_and_whole_days_are_counted(begins: str, ends: str, days: list[str], granted: bool) -> None:
    assert answer(HOURS, NIGHT, wishes=[quiet("2026-03-01T09:00", begins, ends, days)])["allowed"] is not granted


def test_the_same_wish_in_two_records_takes_its_hours_once() -> None:
    ten = quiet("2026-03-01T09:00", "09:00", "11:00", WEEKDAYS)
    later = quiet("2026-03-02T09:00", "15:00", "17:00", WEEKDAYS)
    assert not answer(HOURS, FOUR, wishes=[ten, dict(ten), later])["allowed"]


def test_wishes_about_places_and_channels_take_no_hours() -> None:
    too_much = quiet("2026-03-01T09:00", "09:00", "15:00", WEEKDAYS)
    texts = {"kind": "not_channel", "channels": ["sms"], "since": local("2026-03-02T09:00")}
    assert answer(HOURS, NOON, wishes=[too_much, texts])["blocked_for_good"]

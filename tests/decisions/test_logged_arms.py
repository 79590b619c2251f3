"""A log as arms: the same words by the same way are the same arm, and nothing else is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl

from decisions.choose import Considered
from decisions.logged_arms import arms_of_log, arms_of_target, side_by_side, slots_of_ways
from decisions.parts import PARTS

NOON = datetime(2026, 3, 17, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 18, tzinfo=UTC)
WAYS = pl.DataFrame(
    {"party_id": [1, 1], "channel": ["sms", "push"], "contact_point_id": [5, 6], "message": ["early_reminder", "early_need_time"]}
)
LOGGED = {
    "party_id": pl.Int64,
    "channel": pl.String,
    "contact_point_id": pl.Int64,
    "message": pl.String,
    "offer": pl.String,
    "probability": pl.Float64,
    "propensities": pl.String,
    "hour_slot": pl.Int32,
}


def logged(*rows: tuple[object, ...]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=LOGGED, orient="row")


def considered(*, send_after: datetime = NOON, message: str = "early_reminder") -> Considered:
    """A strategy that writes an SMS with three parts of four, else nothing."""
    frame = pl.DataFrame
    return Considered(
        stands=frame({"party_id": [1], "day_ends_at": [MIDNIGHT]}),
        candidates=frame(
            {
                "party_id": [1],
                "candidate": [0],
                "channel": ["sms"],
                "contact_point_id": [5],
                "message": [message],
                "plannable": [True],
                "send_after": [send_after],
            }
        ),
        verdicts=frame(),
        arms=frame(
            {
                "party_id": [1, 1],
                "candidate": [0, None],
                "offer": ["pay_link", None],
                "hour_slot": [None, None],
                "parts": [PARTS * 3 // 4, PARTS // 4],
            },
            schema_overrides={"hour_slot": pl.Int32},
        ),
    )


ONE = logged(
    (
        1,
        "sms",
        5,
        "early_reminder",
        "pay_link",
        0.6,
        '{"sms:5:pay_link": 0.600000000, "push:6:-": 0.300000000, "no_contact": 0.100000000}',
        None,
    )
)


def test_both_strategies_stand_side_by_side_with_what_only_one_would_do() -> None:
    arms = side_by_side(arms_of_log(ONE, WAYS), arms_of_target(considered()))
    assert arms.select("arm", "message", "logged", "target", "chosen").rows() == [
        ("no_contact", "", 0.1, 0.25, False),
        ("push:6:-", "early_need_time", 0.3, 0.0, False),
        ("sms:5:pay_link", "early_reminder", 0.6, 0.75, True),
    ]


def test_other_words_by_the_same_way_are_another_arm_and_unknown_words_are_like_none() -> None:
    arms = side_by_side(arms_of_log(ONE, WAYS), arms_of_target(considered(message="late_situation")))
    assert dict(arms.filter(pl.col("arm") == "sms:5:pay_link").select("message", "target").rows()) == {
        "early_reminder": 0.0,
        "late_situation": 0.75,
    }
    nothing_known = arms_of_log(ONE, WAYS.clear())
    assert dict(nothing_known.select("arm", "message").rows())["push:6:-"] == "?"


def test_what_nothing_was_left_to_chance_for_has_one_arm() -> None:
    sure = logged((1, None, None, None, None, 1.0, None, None), (2, "sms", 9, "early_reminder", None, 1.0, None, None))
    assert arms_of_log(sure, WAYS).select("party_id", "arm", "message", "logged", "chosen").rows() == [
        (1, "no_contact", "", 1.0, True),
        (2, "sms:9:-", "early_reminder", 1.0, True),
    ]


def test_a_ladder_is_judged_by_a_log_of_hours_in_the_part_of_the_day_in_which_it_would_send() -> None:
    hours = logged(
        (
            1,
            "sms",
            5,
            "early_reminder",
            "pay_link",
            0.5,
            '{"sms:5:pay_link:3": 0.500000000, "sms:5:pay_link:4": 0.400000000, "no_contact": 0.100000000}',
            3,
        )
    )
    arms = side_by_side(arms_of_log(hours, WAYS), arms_of_target(considered(), in_slots=True))
    assert arms.select("arm", "logged", "target").rows() == [
        ("no_contact", 0.1, 0.25),
        ("sms:5:pay_link:3", 0.5, 0.75),
        ("sms:5:pay_link:4", 0.4, 0.0),
    ]
    at = {NOON - timedelta(microseconds=1): 2, NOON: 3, NOON + timedelta(hours=4): 4, MIDNIGHT - timedelta(seconds=1): 5}
    assert [slots_of_ways(considered(send_after=instant))["hour_slot"].item() for instant in at] == list(at.values())


def test_a_log_without_hours_gets_them_where_the_other_strategy_weighs_them() -> None:
    slots = pl.DataFrame(
        {"party_id": [1, 1], "channel": ["sms", "push"], "contact_point_id": [5, 6], "hour_slot": [3, 2]},
        schema_overrides={"hour_slot": pl.Int32},
    )
    assert arms_of_log(ONE, WAYS, slots)["arm"].to_list() == ["sms:5:pay_link:3", "push:6:-:2", "no_contact"]

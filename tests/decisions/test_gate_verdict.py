"""What follows for an attempt from what the rules say of it now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from decisions.facts import type_instant
from decisions.gate_verdict import EXPIRE, LATER, LEAVE, SEND, WITHHOLD, verdicts

NOW = datetime(2026, 3, 17, 16, tzinfo=UTC)
HOUR = timedelta(hours=1)


def verdict(*, expires_at: datetime = NOW + 5 * HOUR, paused: bool = False, lacks: tuple[str, ...] = (), **answer: Any) -> dict[str, Any]:
    planned = pl.DataFrame(
        [{"candidate": 1, "expires_at": expires_at, "paused": paused, "lacks": list(lacks)}],
        schema={"candidate": pl.Int64, "expires_at": type_instant, "paused": pl.Boolean, "lacks": pl.List(pl.String)},
    )
    said = {
        "candidate": 1,
        "allowed": True,
        "blocked_by": [],
        "asked_by": [],
        "blocked_for_good": False,
        "next_allowed_at": NOW,
        "allowed_until": NOW + 4 * HOUR,
    }
    judged = pl.DataFrame(
        [{**said, **answer}],
        schema={
            "candidate": pl.Int64,
            "allowed": pl.Boolean,
            "blocked_by": pl.List(pl.String),
            "asked_by": pl.List(pl.String),
            "blocked_for_good": pl.Boolean,
            "next_allowed_at": type_instant,
            "allowed_until": type_instant,
        },
    )
    return verdicts(planned, judged, at=NOW).row(0, named=True)


def blocked(next_at: datetime | None, **more: Any) -> dict[str, Any]:
    return verdict(allowed=False, blocked_by=["RULE"], next_allowed_at=next_at, allowed_until=None, **more)


def test_what_is_allowed_and_whole_is_sent_and_ends_with_the_first_of_both_windows() -> None:
    assert (verdict()["action"], verdict()["ends_at"]) == (SEND, NOW + 4 * HOUR)
    assert verdict(expires_at=NOW + HOUR)["ends_at"] == NOW + HOUR
    assert verdict(allowed_until=None)["ends_at"] == NOW + 5 * HOUR


def test_what_is_free_later_but_in_time_waits() -> None:
    later = blocked(NOW + HOUR)
    assert (later["action"], later["send_after"], later["reasons"]) == (LATER, NOW + HOUR, ["RULE"])


@pytest.mark.parametrize("next_at", [None, NOW + 5 * HOUR, NOW + 6 * HOUR])
def test_what_is_not_free_before_it_expires_is_withheld(next_at: datetime | None) -> None:
    assert blocked(next_at)["action"] == WITHHOLD
    assert blocked(next_at)["send_after"] is None


def test_what_is_blocked_for_good_is_withheld_whatever_instant_is_named() -> None:
    assert blocked(NOW + HOUR, blocked_for_good=True)["action"] == WITHHOLD


def test_what_lacks_something_is_withheld_with_all_reasons() -> None:
    assert verdict(lacks=("no_sender",))["action"] == WITHHOLD
    assert blocked(NOW + HOUR, lacks=("no_sender",))["reasons"] == ["RULE", "no_sender"]
    assert blocked(NOW + HOUR, lacks=("no_sender",))["action"] == WITHHOLD


def test_a_pause_leaves_it_planned_even_where_it_is_blocked() -> None:
    assert blocked(None, paused=True)["action"] == LEAVE


@pytest.mark.parametrize(("left", "action"), [(timedelta(milliseconds=999), EXPIRE), (timedelta(seconds=1), SEND)])
def test_without_a_whole_second_to_deliver_in_it_has_expired(left: timedelta, action: str) -> None:
    assert verdict(expires_at=NOW + left)["action"] == action
    assert verdict(allowed_until=NOW + left)["action"] == action


def test_an_attempt_that_the_rules_did_not_answer_for_is_a_bug() -> None:
    with pytest.raises(ValueError, match="not judged"):
        verdict(candidate=2)


def test_what_asks_for_a_person_is_withheld_and_says_what_asked() -> None:
    said = verdict(allowed=False, asked_by=["UK-CONC-7.9-TIME"], blocked_for_good=True, next_allowed_at=None)
    assert (said["action"], said["reasons"]) == (WITHHOLD, ["UK-CONC-7.9-TIME"])

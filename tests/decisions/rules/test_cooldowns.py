"""Cool-downs after contacts by another channel."""

from __future__ import annotations

from typing import Any

import pytest

from tests.plugins.packs import rule
from tests.plugins.rule_cases import POINTS, Row, answer, instant, local

MONDAY, WEDNESDAY, NEXT_MONDAY = "2026-03-02T10:00", "2026-03-04T10:00", "2026-03-09T00:00"


def quiet(**counts: Any) -> Row:
    return rule("XA-CHANNEL", "cooldown", counts={"span": "calendar_week", "other_channels_only": True, **counts})


def said(one: Row, *history: Row, proposed: Row | None = None) -> Row:
    rows = [{"direction": "outbound", **row} for row in history]
    return answer(one, WEDNESDAY, history=rows, contact_points=POINTS, loans=[{"id": "L1"}, {"id": "L2"}], proposed=proposed)


def test_one_channel_a_week_leaves_that_channel_and_closes_the_others() -> None:
    one = quiet(per="person")
    texted = {"at": local(MONDAY), "channel": "sms"}
    assert said(one, texted)["allowed"]
    called = said(one, texted, proposed={"channel": "call"})
    assert (called["allowed"], called["next_allowed_at"]) == (False, instant(NEXT_MONDAY))
    assert said(one, {**texted, "at": local("2026-03-01T23:59")}, proposed={"channel": "call"})["allowed"]


def test_it_is_free_when_the_last_of_the_other_channels_stops_to_count() -> None:
    one = quiet(per="person", span="P2D")
    history = [{"at": local(MONDAY), "channel": "email"}, {"at": local("2026-03-03T10:00"), "channel": "push"}]
    own = {"at": local("2026-03-04T09:00"), "channel": "sms"}
    assert said(one, *history, own)["next_allowed_at"] == instant("2026-03-05T00:00")


@pytest.mark.parametrize(
    ("per", "then", "counts"),
    [
        ("person", {"party": "spouse"}, False),
        ("household", {"party": "spouse"}, True),
        ("debt", {"loans": ["L2"]}, False),
        ("debt", {"loans": []}, True),
        ("account", {"loans": ["L1"], "party": "spouse"}, True),
        ("contact_point", {"contact_point": "H"}, False),
        ("contact_point", {"contact_point": "M"}, True),
        ("contact_point", {}, True),
    ],
)
def test_other_channels_count_with_whom_and_about_what_the_rule_says(per: str, then: Row, counts: bool) -> None:
    history = [{"at": local(MONDAY), "channel": "call", **then}, {"at": local(MONDAY), "channel": "sms"}]
    assert said(quiet(per=per), *history, proposed={"loans": ["L1"], "contact_point": "M"})["allowed"] is not counts

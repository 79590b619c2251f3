"""Replies: who writes first is answered once, until that day is over anywhere."""

from __future__ import annotations

from tests.plugins.packs import rule
from tests.plugins.rule_cases import EAST, WEST, answer, local

HOURS = {"opens": "08:00", "closes": "21:00"}
WINDOW = rule("XA-HOURS", "window", clock="every_plausible_zone", values={"2020-01-01": HOURS}, one_reply="P1D")


def test_a_reply_is_allowed_until_the_day_ends_where_it_ends_first() -> None:
    # 23:30 in New York; in Los Angeles the day lasts three hours more.
    history = [{"at": local("2026-03-17T23:30"), "channel": "sms", "direction": "inbound"}]
    reply = {"reply_to": 0}
    assert answer(WINDOW, "2026-03-17T23:59", EAST, WEST, history=history, proposed=reply)["allowed"]
    assert not answer(WINDOW, "2026-03-18T00:00", EAST, WEST, history=history, proposed=reply)["allowed"]
    assert answer(WINDOW, "2026-03-17T21:00", WEST, history=history, proposed=reply)["allowed"]

"""Reply windows: free words while the person wrote lately, the registered template later, and nothing where there is none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from channels.windows import REPLY_WINDOWS, ROOM_MIN, form_of, open_until

NOW = datetime(2026, 3, 17, 16, tzinfo=UTC)
DAY = timedelta(hours=24)


def form(channel: str, wrote_ago: timedelta | None, *, registered: bool) -> str | None:
    until = open_until(channel, None if wrote_ago is None else NOW - wrote_ago)
    return form_of(channel, until=until, at=NOW, is_registered=registered)


@pytest.mark.parametrize(
    ("channel", "wrote_ago", "registered", "expected"),
    [
        ("whatsapp", timedelta(hours=1), False, "free"),
        ("whatsapp", timedelta(hours=1), True, "free"),
        ("whatsapp", DAY, False, None),
        ("whatsapp", DAY, True, "template"),
        ("whatsapp", None, False, None),
        ("whatsapp", None, True, "template"),
        ("messenger", timedelta(hours=1), False, "free"),
        ("messenger", None, False, None),
        ("messenger", None, True, None),
        ("messenger", DAY, True, None),
        ("rcs", None, False, "free"),
        ("rcs", None, True, "template"),
        ("sms", None, False, "free"),
    ],
)
def test_the_form_in_which_a_message_may_leave(channel: str, wrote_ago: timedelta | None, registered: bool, expected: str | None) -> None:
    assert form(channel, wrote_ago, registered=registered) == expected


@pytest.mark.parametrize("channel", sorted(REPLY_WINDOWS))
def test_a_window_shuts_before_the_providers_own(channel: str) -> None:
    lasts = REPLY_WINDOWS[channel].lasts
    assert timedelta(hours=23) < lasts < DAY
    assert form(channel, lasts - ROOM_MIN, registered=False) == "free"
    assert form(channel, lasts - ROOM_MIN + timedelta(microseconds=1), registered=False) is None

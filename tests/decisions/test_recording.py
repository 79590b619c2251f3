"""Recording a call: the strictest place holds, and what is not known is not recorded."""

from __future__ import annotations

import pytest

from config.agents import recording_rules
from decisions.recording import RecordingRule, recording_of

RULES = {
    rule.jurisdiction: rule
    for rule in (
        RecordingRule(jurisdiction="US", way="announce", by_region=True),
        RecordingRule(jurisdiction="US-NY", way="announce"),
        RecordingRule(jurisdiction="US-CA", way="ask"),
        RecordingRule(jurisdiction="TW", way="announce"),
        RecordingRule(jurisdiction="XK", way="none"),
        RecordingRule(jurisdiction="DE", way="ask"),
    )
}


@pytest.mark.parametrize(
    ("attached", "way", "whose"),
    [
        (["US", "US-NY"], "announce", "US"),
        (["US", "US-NY", "US-NY-NYC"], "announce", "US"),
        (["US", "US-CA"], "ask", "US-CA"),
        (["US", "US-NY", "US-CA"], "ask", "US-CA"),
        (["US", "US-WY"], "none", None),
        (["US"], "none", None),
        (["TW"], "announce", "TW"),
        (["TW", "MX"], "none", None),
        (["TW", "XK"], "none", "XK"),
        (["EU", "DE"], "ask", "DE"),
        (["EU", "FR"], "none", None),
        ([], "none", None),
    ],
)
def test_the_strictest_of_all_places_holds(attached: list[str], way: str, whose: str | None) -> None:
    found = recording_of(attached, RULES)
    assert (found.way, found.jurisdiction) == (way, whose)


def test_what_ships_records_nobody_in_a_place_that_is_not_named() -> None:
    shipped = recording_rules()
    assert recording_of(["US", "US-CA"], shipped).way == "ask"
    for country in ("CN", "MX", "GB", "BR", "KE", "JP"):
        assert recording_of([country], shipped).way == "none"

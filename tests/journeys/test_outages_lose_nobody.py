"""The database away, the provider away, a full disk, the clocks changed: one installation, and in the end the phones' own record.

Small and short here; `python -m tests.chaos --outages` plays them longer (docs/sandbox.md, "Chaos").
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from prefect.context import refresh_global_settings_context

from config.settings import settings
from ledger.engine import engine_of
from tests.chaos.house import House
from tests.chaos.outages import AUTUMN, SPRING, Journey, clock_change, database_away, disk_full, provider_away, provider_unavailable
from tests.chaos.plan import NOON

MESSAGES = 40
# Longer than a permit lives and than a call may take, shorter than a lane's patience with its receipts: what 30 s would meet, 8 s meet.
AWAY_SECONDS = 8


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    """An installation for all journeys of this file."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("TIDEOVER_")]:
        del os.environ[name]
    house = House(seed=1, at=NOON.isoformat(), latency_ms=(100, 50), with_relay=True)
    try:
        house.start()
        house.wait()
        refresh_global_settings_context()
        yield house
    finally:
        house.stop()
        os.environ.clear()
        os.environ.update(before)
        settings.cache_clear()
        engine_of.cache_clear()
        refresh_global_settings_context()


def nobody_was_harmed(journey: Journey) -> None:
    """Every message reached its person at most once, as we say of it, and as every rule allows."""
    verdict = journey.verdict
    found = (verdict.twice, verdict.lost, verdict.against_rule, verdict.unknown)
    assert found == (0, 0, 0, 0), (verdict.because, verdict.attempts_in_question)
    assert journey.violations == ()
    assert journey.messages > 0
    assert journey.hits > 0, "the trouble met nothing"


def test_two_workers_send_one_campaign_while_the_database_is_away(house: House) -> None:
    journey = database_away(house, messages=MESSAGES, seconds=AWAY_SECONDS)
    nobody_was_harmed(journey)


def test_the_provider_is_away_for_ten_minutes_of_the_day(house: House) -> None:
    journey = provider_away(house, messages=MESSAGES, seconds=AWAY_SECONDS)
    nobody_was_harmed(journey)


def test_the_provider_answers_503_for_ten_minutes_of_the_day(house: House) -> None:
    journey = provider_unavailable(house, messages=MESSAGES, seconds=AWAY_SECONDS)
    nobody_was_harmed(journey)


def test_no_room_for_the_evidence_stops_no_contact_and_is_said(house: House, tmp_path: Path) -> None:
    journey = disk_full(house, messages=MESSAGES, folder=tmp_path)
    nobody_was_harmed(journey)
    assert journey.warnings == (), "with room again the audit has kept the head"


@pytest.mark.parametrize("on", [SPRING, AUTUMN])
def test_what_is_queued_while_the_clocks_change_goes_out_in_its_hours(house: House, on: date) -> None:
    journey = clock_change(house, messages=MESSAGES, on=on)
    nobody_was_harmed(journey)
    # Sent when it opened in one zone after the other, not all at once.
    assert journey.hits > 1

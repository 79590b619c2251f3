"""The one clock: it stands, it steps forward, and in live mode it is real."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from config.settings import settings
from ledger import clock
from ledger.engine import connection

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_the_simulated_clock_stands_until_it_is_stepped(ledger_url: str) -> None:
    del ledger_url
    with connection() as tx:
        clock.step(tx, NOON)
    with connection() as tx:
        assert clock.now(tx) == NOON
        assert clock.now(tx) == NOON


def test_the_simulated_clock_never_steps_back(ledger_url: str) -> None:
    del ledger_url
    with connection() as tx:
        clock.step(tx, NOON)
        with pytest.raises(ValueError, match="only steps forward"):
            clock.step(tx, NOON - timedelta(seconds=1))


def test_an_instant_without_a_zone_is_refused(ledger_url: str) -> None:
    del ledger_url
    with connection() as tx, pytest.raises(ValueError, match="with a zone"):
        clock.step(tx, NOON.replace(tzinfo=None))


def test_without_a_simulated_instant_the_clock_is_real(ledger_url: str) -> None:
    del ledger_url
    with connection() as tx:
        assert abs(clock.now(tx) - datetime.now(UTC)) < timedelta(minutes=1)


def test_live_mode_refuses_a_simulated_clock(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    del ledger_url
    with connection() as tx:
        clock.step(tx, NOON)
    for name, value in {
        "TIDEOVER_MODE": "live",
        "TIDEOVER_ENCRYPTION_KEYS": "own:aaaa",
        "TIDEOVER_INDEX_KEY": "own",
        "TIDEOVER_SEED": "own",
        "TIDEOVER_PUBLIC_URL": "https://pay.example",
    }.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    with connection() as tx:
        assert clock.now(tx) > NOON
        with pytest.raises(clock.LiveClockError):
            clock.step(tx, datetime(2030, 1, 1, tzinfo=UTC))

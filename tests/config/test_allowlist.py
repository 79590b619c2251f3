"""Allowlist mode: the real providers, only for staff; the gate withholds everybody else, and the channel refuses besides."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from channels import ForbiddenHost, NotOnAllowlist, Receipt, allow_host
from config.allowlist import allowed_indexes
from config.blind_index import blind_index_of
from config.settings import Settings, settings
from gate.lane import run_lane
from ledger import clock, vault
from ledger.clock import LiveClockError
from ledger.engine import connection
from tests.channels import test_sms
from tests.config.test_settings import LIVE
from tests.plugins.portfolio import Portfolio, noon
from tests.plugins.sending import Outbox, RecordingChannel
from tests.plugins.wire import Wire
from tideover import app

STAFF = "+12125550142"
OTHER = "+12125550143"
KEY = LIVE["TIDEOVER_INDEX_KEY"].encode()
LINE = blind_index_of(STAFF, KEY).hex()


def own(monkeypatch: pytest.MonkeyPatch, **changes: str) -> Settings:
    for name, value in {**LIVE, "TIDEOVER_MODE": "allowlist", "TIDEOVER_ALLOWLIST": LINE, **changes}.items():
        monkeypatch.setenv(name, value)
    return Settings()


def test_only_who_is_on_the_list_may_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    found = own(monkeypatch)
    assert (found.is_real, found.may_reach(STAFF), found.may_reach(OTHER)) == (True, True, False)
    live = own(monkeypatch, TIDEOVER_MODE="live")
    assert (live.reachable, live.may_reach(OTHER)) == (None, True)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("TIDEOVER_ALLOWLIST", "", "without TIDEOVER_ALLOWLIST"),
        ("TIDEOVER_ALLOWLIST", f"{LINE},+12125550143", "neither a list"),
        ("TIDEOVER_ALLOWLIST", "/nowhere/staff.txt", "cannot be read"),
        ("TIDEOVER_INDEX_KEY", "madeup-1", "made up"),
        ("TIDEOVER_TWILIO_BASE_URL", "http://127.0.0.1:9100", "allowlist mode with a provider on loopback"),
    ],
)
def test_allowlist_mode_is_refused_without_a_list_or_with_parts_of_the_sandbox(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    with pytest.raises(ValidationError, match=says):
        own(monkeypatch, **{name: value})


def test_the_list_may_be_a_file_and_a_number_in_it_is_refused_without_being_repeated(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.txt", tmp_path / "bad.txt"
    good.write_text(f"# staff\n{LINE}  # anna\n\n")
    bad.write_text(f"{LINE}\n{OTHER}\n")
    assert allowed_indexes(str(good)) == {bytes.fromhex(LINE)}
    with pytest.raises(ValueError, match="line 2") as refused:
        allowed_indexes(str(bad))
    assert OTHER not in str(refused.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9100", "https://other.example"])
def test_in_allowlist_mode_only_the_providers_own_host_is_talked_to(url: str) -> None:
    assert allow_host("https://api.twilio.com", "api.twilio.com", mode="allowlist")
    with pytest.raises(ForbiddenHost):
        allow_host(url, "api.twilio.com", mode="allowlist")


def test_I9_the_clock_is_not_simulated_in_allowlist_mode(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with connection() as tx:
        clock.step(tx, noon("US"))
    own(monkeypatch, TIDEOVER_DATABASE_URL=ledger_url)
    settings.cache_clear()
    with connection() as tx:
        assert clock.now(tx) != noon("US")
        assert not clock.is_simulated(tx)
        with pytest.raises(LiveClockError):
            clock.step(tx, noon("US"))


def test_the_gate_withholds_everybody_else_with_the_reason(portfolio: Portfolio, outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    portfolio.clock(noon("US"))
    run = outbox.run()
    staff, other = (outbox.plan(run, portfolio.borrower(number=number)) for number in (STAFF, OTHER))
    monkeypatch.setattr(Settings, "reachable", frozenset({vault.blind_index(STAFF)}))
    channel = RecordingChannel()
    run_lane(run, shard=None, channels={"sms": lambda: channel})
    assert [message.to for message in channel.sent] == [STAFF]
    assert outbox.attempt(staff)["state"] == "accepted"
    assert outbox.attempt(other)["permit"]["blocked_by"] == ["not_on_allowlist"]
    assert outbox.events(other) == []


def test_a_channel_calls_nobody_else_whatever_it_is_handed(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Settings, "reachable", frozenset({blind_index_of(STAFF, b"own-index")}))
    monkeypatch.setenv("TIDEOVER_INDEX_KEY", "own-index")
    wire.says(test_sms.MESSAGES, test_sms.TAKEN)
    allowed, refused = test_sms.send(wire.url, test_sms.message(to=STAFF), test_sms.message(to=OTHER))
    assert isinstance(allowed, Receipt)
    assert isinstance(refused, NotOnAllowlist)
    assert len(wire.asked_at(test_sms.MESSAGES)) == 1


def test_the_command_makes_the_lines_and_complains_without_repeating_a_number(keys: None) -> None:
    del keys
    made = CliRunner().invoke(app, ["allowlist"], input=f"+1 212 555 0142\n\n{'t' * 40}\n")
    assert made.stdout.split() == [vault.blind_index(STAFF).hex(), vault.blind_index("t" * 40).hex()]
    bad = CliRunner().invoke(app, ["allowlist"], input=f"{STAFF}\n0912345678\n")
    assert (bad.exit_code, "0912345678" in bad.output, "standard input:2" in bad.stderr) == (2, False, True)

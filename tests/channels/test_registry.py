"""The registry: one row says all that gate, tasks and portal need to know of a channel."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from channels.registry import WAYS, callback_url, list_openers, openers, per_second, provider_of, ready_openers
from config.settings import Settings, settings
from decisions.segments import SEGMENTED
from decisions.strategy import REACHABLE
from decisions.words import CHANNELS, GATEWAY_CHANNELS
from portal import unsubscribe, webhooks

ACCOUNT = "AC" + "1" * 32


@pytest.mark.parametrize("name", sorted(WAYS))
def test_a_channel_is_one_of_the_closed_list_and_reaches_some_kind_of_contact_point(name: str) -> None:
    assert name == WAYS[name].name
    assert name in CHANNELS
    assert name in REACHABLE


@pytest.mark.parametrize("name", sorted(WAYS))
def test_what_a_channel_needs_are_fields_of_the_settings(name: str) -> None:
    way = WAYS[name]
    assert set(way.needs) <= set(Settings.model_fields)
    chosen = Settings(_env_file=None)
    assert way.concurrency(chosen) > 0
    assert way.per_second(chosen) > 0


def test_a_sandboxed_channel_opens_under_its_own_name() -> None:
    chosen = Settings(
        _env_file=None, twilio_base_url="http://127.0.0.1:1", twilio_account_sid=ACCOUNT, twilio_auth_token=SecretStr("token")
    )
    opened = WAYS["sms"].open_channel(chosen)
    assert (opened.name, opened.provider) == ("sms", WAYS["sms"].provider)


def test_a_provider_reports_to_an_address_that_the_portal_hears() -> None:
    routes = [*webhooks.routes, *(route for route in unsubscribe.routes if "POST" in (route.methods or ()))]
    heard = {route.path.removesuffix("/{token:uuid}") for route in routes if route.path.endswith("/{token:uuid}")}
    reported = {f"/{way.callback_path}" for way in WAYS.values() if way.callback_path}
    assert reported
    assert reported <= heard
    assert callback_url("sms", "t0ken") == f"{settings().public_url}/webhooks/twilio/status/t0ken"
    assert callback_url("push", "t0ken") is None
    assert callback_url("visit", "t0ken") is None


@pytest.mark.parametrize(
    ("given", "ready", "missing"), [({}, [], ["TIDEOVER_TWILIO_ACCOUNT_SID"]), ({"twilio_account_sid": ACCOUNT}, ["sms"], [])]
)
def test_only_channels_whose_provider_is_set_up_are_ready(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], ready: list[str], missing: list[str]
) -> None:
    monkeypatch.delenv("TIDEOVER_TWILIO_ACCOUNT_SID", raising=False)
    monkeypatch.delenv("TIDEOVER_FCM_SERVICE_ACCOUNT_FILE", raising=False)
    chosen = Settings(_env_file=None, **given)
    monkeypatch.setattr("channels.registry.settings", lambda: chosen)
    assert [name for name in ready_openers() if name in {"sms", "push"}] == ready
    assert WAYS["sms"].missing(chosen) == missing
    assert set(openers()) == set(WAYS)


def test_a_sender_says_whether_its_channel_goes_through_the_lenders_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = Settings(_env_file=None, gateway_per_second=7.0)
    monkeypatch.setattr("channels.registry.settings", lambda: chosen)
    assert (provider_of("gateway:LANTERN", own="twilio"), provider_of("+15005550006", own="twilio")) == ("gateway", "twilio")
    assert (per_second("sms", "gateway:LANTERN"), per_second("sms", "+15005550006")) == (7.0, chosen.sms_per_second)
    assert callback_url("push", "t0ken", sender="gateway:app") == f"{chosen.public_url}/webhooks/gateway/status/t0ken"
    assert callback_url("push", "t0ken", sender="app") is None


def test_a_gateway_makes_ready_what_it_can_carry_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = SecretStr("2026-03:lantern-example-secret-of-nobody-1")
    chosen = Settings(
        _env_file=None, twilio_account_sid="", fcm_service_account_file=None, gateway_base_url="http://127.0.0.1:1", gateway_keys=keys
    )
    monkeypatch.setattr("channels.registry.settings", lambda: chosen)
    by_gateway = set(ready_openers()) - {name for name, way in WAYS.items() if not way.missing(chosen)}
    assert {"sms", "push"} <= by_gateway <= GATEWAY_CHANNELS
    assert "in_app" in ready_openers()


def test_what_is_charged_by_the_segment_is_planned_by_the_segment() -> None:
    assert {way.name for way in WAYS.values() if way.counts_segments} == SEGMENTED


def test_a_provider_without_a_list_is_not_asked() -> None:
    assert set(list_openers()) == {way.name for way in WAYS.values() if way.open_list}
    assert "push" not in list_openers()


def test_every_file_that_sends_has_its_row() -> None:
    """A channel that the registry does not name would be reached by nobody, or past it."""
    folder = Path(__file__).parents[2] / "channels"
    marks = ("    async def send(self, message: Message", "(TwilioMessages):")
    sending = {path.stem for path in folder.glob("*.py") if any(mark in path.read_text() for mark in marks)}
    opened = set(re.findall(r"from channels\.(\w+) import [A-Z]", (folder / "registry.py").read_text()))
    # What all channels are, and what those of one resource of Twilio's share.
    assert sending - {"__init__", "twilio_messages"} - opened == set()
    assert {"sms", "push", "gateway"} <= sending

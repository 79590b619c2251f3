"""Settings: sandbox and live mode cannot be confused."""

from __future__ import annotations

from uuid import UUID

import pytest
from pydantic import ValidationError

from config.settings import Settings

RUN = UUID(int=1)
LIVE = {
    "TIDEOVER_MODE": "live",
    "TIDEOVER_ENCRYPTION_KEYS": "2026-a:a2V5",
    "TIDEOVER_INDEX_KEY": "own-index",
    "TIDEOVER_SEED": "own-seed",
    "TIDEOVER_PUBLIC_URL": "https://pay.lender.example",
}


def _settings(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Settings:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Settings()


def test_the_default_mode_is_the_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _settings(monkeypatch).mode == "sandbox"


def test_live_mode_with_keys_of_its_own_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _settings(monkeypatch, **LIVE).mode == "live"


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("TIDEOVER_ENCRYPTION_KEYS", "madeup-1:a2V5", "made up"),
        ("TIDEOVER_ENCRYPTION_KEYS", "own:a2V5,madeup-1:a2V5", "made up"),
        ("TIDEOVER_INDEX_KEY", "madeup-1", "made up"),
        ("TIDEOVER_SEED", "madeup-1", "made up"),
        ("TIDEOVER_SEED", "", "TIDEOVER_SEED"),
        ("TIDEOVER_TWILIO_BASE_URL", "http://127.0.0.1:9100", "TIDEOVER_TWILIO_BASE_URL"),
        ("TIDEOVER_FCM_TOKEN_URL", "http://localhost:9100/token", "TIDEOVER_FCM_TOKEN_URL"),
        ("TIDEOVER_MODE", "production", "sandbox"),
    ],
)
def test_live_mode_refuses_parts_of_the_sandbox_and_says_which(monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        _settings(monkeypatch, **{**LIVE, name: value})


@pytest.mark.parametrize("address", ["http://twilio.example", "ftp://127.0.0.1", "not an address", "http://"])
def test_plain_http_beyond_loopback_is_refused(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    with pytest.raises(ValidationError):
        _settings(monkeypatch, TIDEOVER_TWILIO_BASE_URL=address)


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        ({}, None),
        ({"PREFECT_API_URL": "http://127.0.0.1:4200/api"}, f"http://127.0.0.1:4200/runs/flow-run/{RUN}"),
        ({"PREFECT_API_URL": "http://127.0.0.1:4200/api/"}, f"http://127.0.0.1:4200/runs/flow-run/{RUN}"),
        (
            {"PREFECT_API_URL": "http://10.0.0.4:4200/api", "TIDEOVER_PREFECT_UI_URL": "https://prefect.lender.example/"},
            f"https://prefect.lender.example/runs/flow-run/{RUN}",
        ),
    ],
)
def test_a_run_is_shown_where_people_open_prefect(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], address: str | None
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert _settings(monkeypatch, **environment).flow_run_address(RUN) == address

"""Secrets from Prefect: asked only where the environment says so, and never half of them (tests/deploy tries it on a real server)."""

from __future__ import annotations

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from config.secret_blocks import SecretsAwayError, block_name, secret_names
from config.settings import Settings

# Port 1 of loopback: nobody answers there.
NOBODY = "http://127.0.0.1:1/api"


def test_every_secret_and_the_ledgers_address_may_stand_in_a_block() -> None:
    assert {"twilio_auth_token", "encryption_keys", "index_key", "seed", "app_secret", "metrics_token", "database_url"} <= set(
        secret_names(Settings)
    )
    assert "mode" not in secret_names(Settings)
    assert block_name("twilio_auth_token") == "tideover-twilio-auth-token"


def test_nobody_is_asked_unless_the_environment_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDEOVER_SECRETS", raising=False)
    with temporary_settings({PREFECT_API_URL: NOBODY}):
        assert Settings().index_key.get_secret_value() == ""


@pytest.mark.parametrize(("address", "says"), [(NOBODY, "cannot be asked"), (None, "PREFECT_API_URL is not set")])
def test_a_process_that_cannot_ask_does_not_start(monkeypatch: pytest.MonkeyPatch, address: str | None, says: str) -> None:
    monkeypatch.setenv("TIDEOVER_SECRETS", "prefect")
    monkeypatch.setenv("PREFECT_CLIENT_MAX_RETRIES", "0")
    with temporary_settings({PREFECT_API_URL: address}), pytest.raises(SecretsAwayError, match=says):
        Settings()

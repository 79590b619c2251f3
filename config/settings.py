"""What the environment says: where the ledger, the providers and the portal are, and whether this is live.

In:   environment variables with the prefix `TIDEOVER_` (CASES.md, "Settings that outsiders rely on") and the file
      `.tideover/env` that `make up` writes (keys, addresses of what is running).
Out:  one frozen `Settings` value.
Pure: no; reads the environment and one file. The only other reader of files is config/load.py.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

HOUSE = Path(__file__).resolve().parent.parent
# Keys, addresses and logs of what `make up` runs; tests and the demo have folders of their own.
STATE_FOLDER = Path(os.environ.get("TIDEOVER_STATE_DIR") or HOUSE / ".tideover")
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
# A key made by `make up` says so in its id; live mode refuses it.
MADE_UP_KEY_PREFIX = "madeup-"


class Settings(BaseSettings):
    """Settings of one process.

    Raises:
        ValidationError: A value is malformed, or live mode is asked for with sandbox parts.
    """

    model_config = SettingsConfigDict(env_prefix="TIDEOVER_", env_file=STATE_FOLDER / "env", extra="ignore", frozen=True)

    mode: Literal["sandbox", "live"] = "sandbox"
    # None = the embedded PostgreSQL of ledger/embedded.py.
    database_url: str | None = None
    data_dir: Path | None = None

    twilio_base_url: str = "https://api.twilio.com"
    twilio_account_sid: str = ""
    twilio_auth_token: SecretStr = SecretStr("")
    fcm_base_url: str = "https://fcm.googleapis.com"
    fcm_token_url: str = "https://oauth2.googleapis.com/token"  # noqa: S105  # an address, not a secret
    fcm_service_account_file: Path | None = None
    # Where webhooks reach the portal, as the providers see it.
    public_url: str = "http://127.0.0.1:8790"
    app_secret: SecretStr = SecretStr("")

    # The local date of a run without `as_of` is the date in this zone.
    business_zone: str = "Asia/Taipei"

    # `KEYID:base64` pairs; the first encrypts, all decrypt.
    encryption_keys: SecretStr = SecretStr("")
    index_key: SecretStr = SecretStr("")
    seed: SecretStr = SecretStr("")

    call_seconds_max: float = Field(default=10.0, gt=0)
    sms_concurrency: int = Field(default=64, ge=1, le=512)
    push_concurrency: int = Field(default=32, ge=1, le=128)
    sms_per_second: float = Field(default=100.0, gt=0)
    push_per_second: float = Field(default=400.0, gt=0)

    @field_validator("twilio_base_url", "fcm_base_url", "fcm_token_url", "public_url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("must be an http or https address")
        if parts.scheme == "http" and parts.hostname not in LOOPBACK_HOSTS:
            raise ValueError("plain http is for loopback only")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _live_is_whole(self) -> Settings:
        """Live mode refuses whatever belongs to the sandbox; sandbox mode refuses whatever reaches a real person."""
        providers = {
            "TIDEOVER_TWILIO_BASE_URL": self.twilio_base_url,
            "TIDEOVER_FCM_BASE_URL": self.fcm_base_url,
            "TIDEOVER_FCM_TOKEN_URL": self.fcm_token_url,
        }
        on_loopback = [name for name, address in providers.items() if urlsplit(address).hostname in LOOPBACK_HOSTS]
        if self.mode == "live":
            if on_loopback:
                raise ValueError(
                    f"live mode with a provider on loopback: {', '.join(on_loopback)}; unset them or use TIDEOVER_MODE=sandbox"
                )
            if any(key.startswith(MADE_UP_KEY_PREFIX) for key in self.encryption_keys.get_secret_value().split(",")):
                raise ValueError(
                    "live mode with keys made up by `make up`; set TIDEOVER_ENCRYPTION_KEYS and TIDEOVER_INDEX_KEY to your own"
                )
            missing = [
                name
                for name, secret in (
                    ("TIDEOVER_ENCRYPTION_KEYS", self.encryption_keys),
                    ("TIDEOVER_INDEX_KEY", self.index_key),
                    ("TIDEOVER_SEED", self.seed),
                )
                if not secret.get_secret_value()
            ]
            if missing:
                raise ValueError(f"live mode without {', '.join(missing)}")
            if self.index_key.get_secret_value().startswith(MADE_UP_KEY_PREFIX) or self.seed.get_secret_value().startswith(
                MADE_UP_KEY_PREFIX
            ):
                raise ValueError("live mode with keys made up by `make up`; set TIDEOVER_INDEX_KEY and TIDEOVER_SEED to your own")
        return self


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()

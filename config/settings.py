"""What the environment says: where the ledger, the providers and the portal are, and whether this is live.

In:   environment variables with the prefix `TIDEOVER_` (CASES.md, "Settings that outsiders rely on"), a program that prints keys
      and Prefect's Secret blocks where they are asked for (config/keys_command.py, config/secret_blocks.py), and the file
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
from uuid import UUID

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from config.allowlist import allowed_indexes
from config.blind_index import blind_index_of
from config.keys_command import KeysCommand
from config.secret_blocks import SecretBlocks
from config.signing_keys import read_signing_keys

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

    # sandbox: nobody real. allowlist: the real providers, and only who is in `allowlist`. live: everybody.
    mode: Literal["sandbox", "allowlist", "live"] = "sandbox"
    # Blind indexes of staff numbers and tokens, or the path of a file of them (config/allowlist.py).
    allowlist: str = ""
    # How the portal writes its log; Prefect's programs: config/prefect-logging.yaml.
    log: Literal["text", "json"] = "text"
    # None = the embedded PostgreSQL of ledger/embedded.py.
    database_url: str | None = None
    # Prepare statements in each session, where no pooler stands in between (docs/adr/0072): for the portal.
    database_prepares: bool = False
    data_dir: Path | None = None

    twilio_base_url: str = "https://api.twilio.com"
    twilio_account_sid: str = ""
    twilio_auth_token: SecretStr = SecretStr("")
    fcm_base_url: str = "https://fcm.googleapis.com"
    fcm_token_url: str = "https://oauth2.googleapis.com/token"  # noqa: S105  # an address, not a secret
    fcm_service_account_file: Path | None = None
    # The lender's own gateway (docs/gateway.md); empty = there is none.
    gateway_base_url: str = ""
    # `KEYID:SECRET` pairs; the first signs, all are believed.
    gateway_keys: SecretStr = SecretStr("")
    # The lender's core system (docs/core.md) and wallet (docs/wallet.md), likewise.
    core_base_url: str = ""
    core_keys: SecretStr = SecretStr("")
    wallet_base_url: str = ""
    wallet_keys: SecretStr = SecretStr("")
    # Where webhooks reach the portal, as the providers see it.
    public_url: str = "http://127.0.0.1:8790"
    app_secret: SecretStr = SecretStr("")
    # Who has it may read the portal's /metrics; unset = this machine only.
    metrics_token: SecretStr = SecretStr("")

    # Who vouches for the staff's sign-ins (OpenID Connect); empty = nobody signs in at a desk.
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret: SecretStr = SecretStr("")
    # Where the staff open the desks, if elsewhere than borrowers their pages; empty = at `public_url`.
    desk_url: str = ""
    # Ways of signing in that the issuer must name (claim `acr`), separated by commas; empty = any of the issuer's.
    oidc_acr: str = ""

    # The wallet's own log-in, in place of a code, for the borrowers of one lender (`creditor.external_id`); empty = codes alone.
    wallet_oidc_issuer: str = ""
    wallet_oidc_client_id: str = ""
    wallet_oidc_client_secret: SecretStr = SecretStr("")
    wallet_oidc_creditor: str = ""
    # Which claim is the lender's own id of the borrower (`party.external_id`).
    wallet_oidc_claim: str = "sub"
    # Whether approval codes may be made on a terminal, in any name: left out, they may until people sign in for real (docs/adr/0054).
    terminal_codes: bool | None = None

    # Where people open the Prefect UI; left out, it is where its API is. Prefect's own names are heard too.
    prefect_ui_url: str | None = Field(default=None, validation_alias=AliasChoices("TIDEOVER_PREFECT_UI_URL", "PREFECT_UI_URL"))
    prefect_api_url: str | None = Field(default=None, validation_alias=AliasChoices("TIDEOVER_PREFECT_API_URL", "PREFECT_API_URL"))

    # Where config/rules/ cannot be read: go on with the packs of the last run that could, in place of contacting nobody.
    rules_last_good: bool = False

    # Where Prefect's automations tell operations what happened: an incoming webhook's address. It may hold a secret.
    notify_url: SecretStr = SecretStr("")

    # The strategy in force where a run names none: a folder of config/strategies.
    strategy: str = Field(default="static-ladder", pattern=r"^[a-z0-9][a-z0-9_-]*$")

    # Among how many runs of Prefect's pool a stage shares its work; 1 = its own run does all (docs/scale.md).
    hands: int = Field(default=1, ge=1, le=16)

    # A Dask cluster that runs a stage's shards, such as tcp://10.0.0.5:8786; empty = threads of the stage's own process.
    dask_scheduler: str = ""

    # The local date of a run without `as_of` is the date in this zone.
    business_zone: str = "Asia/Taipei"

    # `KEYID:base64` pairs; the first encrypts, all decrypt.
    encryption_keys: SecretStr = SecretStr("")
    index_key: SecretStr = SecretStr("")
    seed: SecretStr = SecretStr("")

    # Where the heads of the evidence are kept outside the database; None = the state folder's `evidence`.
    evidence_dir: Path | None = None
    # Where the flow `report` leaves the pages of months; None = the state folder's `reports`.
    report_dir: Path | None = None

    # Where letters lie for the print shop, and how it posts them; None = the state folder's `letters`, in sandbox mode alone.
    letter_outbox: Path | None = None
    letter_service: Literal["ordinary", "tracked", "registered"] = "ordinary"
    # Where feeds lie for agencies, encrypted (docs/agencies.md); None = the state folder's `agencies`, in sandbox mode alone.
    agency_outbox: Path | None = None
    # The relay that takes email: smtp://HOST:PORT (STARTTLS) or smtps://HOST:PORT; empty = there is none.
    smtp_url: str = ""
    smtp_user: str = ""
    smtp_password: SecretStr = SecretStr("")
    # Who vouches for the relay's certificate, where that is not one of the machine's own authorities.
    smtp_ca_file: Path | None = None

    call_seconds_max: float = Field(default=10.0, gt=0)
    sms_concurrency: int = Field(default=64, ge=1, le=512)
    push_concurrency: int = Field(default=32, ge=1, le=128)
    whatsapp_concurrency: int = Field(default=64, ge=1, le=512)
    messenger_concurrency: int = Field(default=16, ge=1, le=512)
    rcs_concurrency: int = Field(default=64, ge=1, le=512)
    sms_per_second: float = Field(default=100.0, gt=0)
    push_per_second: float = Field(default=400.0, gt=0)
    # WhatsApp gives a number 80 messages a second before more is asked for; the others are no faster (PROVIDERS.md A9).
    whatsapp_per_second: float = Field(default=80.0, gt=0)
    messenger_per_second: float = Field(default=40.0, gt=0)
    rcs_per_second: float = Field(default=80.0, gt=0)
    letter_concurrency: int = Field(default=2, ge=1, le=32)
    letter_per_second: float = Field(default=50.0, gt=0)
    email_concurrency: int = Field(default=8, ge=1, le=128)
    email_per_second: float = Field(default=20.0, gt=0)
    gateway_concurrency: int = Field(default=64, ge=1, le=512)
    gateway_per_second: float = Field(default=100.0, gt=0)
    # Twilio begins one call a second for each account, unless it has agreed to more (PROVIDERS.md A4).
    voice_concurrency: int = Field(default=4, ge=1, le=64)
    voice_per_second: float = Field(default=1.0, gt=0)
    # Whom a voicemail asks to be called back: the law wants a person's name in it. Without one nothing is left with a machine.
    voicemail_name: str = ""

    # So long after its call's deadline an unknown attempt is asked about; so long, and what was not found is parked (PROVIDERS.md A8).
    reconcile_after_seconds: float = Field(default=60.0, ge=0)
    park_after_seconds: float = Field(default=180.0, ge=0)

    # So many days after its end a month is closed: what is learned of it later counts as an adjustment, on the day it was learned.
    month_closes_after_days: int = Field(default=5, ge=0, le=60)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Where values come from, the first one wins."""
        return init_settings, env_settings, KeysCommand(settings_cls), SecretBlocks(settings_cls), dotenv_settings, file_secret_settings

    @field_validator("twilio_base_url", "fcm_base_url", "fcm_token_url", "public_url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("must be an http or https address")
        if parts.scheme == "http" and parts.hostname not in LOOPBACK_HOSTS:
            raise ValueError("plain http is for loopback only")
        return value.rstrip("/")

    @field_validator("smtp_url")
    @classmethod
    def _is_a_relay(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in {"smtp", "smtps"} or not parts.hostname or parts.path.strip("/") or "@" in parts.netloc):
            raise ValueError("must be smtp://HOST:PORT or smtps://HOST:PORT; user and password have settings of their own")
        return value.rstrip("/")

    @field_validator("oidc_issuer", "wallet_oidc_issuer")
    @classmethod
    def _is_an_issuer(cls, value: str) -> str:
        # As written: what an issuer is called is compared sign by sign.
        cls._is_an_address_or_empty(value)
        return value

    @field_validator("gateway_base_url", "core_base_url", "wallet_base_url", "desk_url")
    @classmethod
    def _is_an_address_or_empty(cls, value: str) -> str:
        return cls._is_an_address(value) if value else value

    @field_validator("gateway_keys", "core_keys", "wallet_keys")
    @classmethod
    def _are_signing_keys(cls, value: SecretStr) -> SecretStr:
        read_signing_keys(value.get_secret_value())
        return value

    @property
    def is_real(self) -> bool:
        """Whether the real providers are spoken to: what holds for live mode holds, whoever may be reached."""
        return self.mode != "sandbox"

    @property
    def terminal_codes_allowed(self) -> bool:
        """Whether whoever has the terminal may make approval codes in any name."""
        return not (self.is_real and self.oidc_issuer) if self.terminal_codes is None else self.terminal_codes

    @property
    def reachable(self) -> frozenset[bytes] | None:
        """Blind indexes of whoever may be reached; None = everybody, as the rules say."""
        return allowed_indexes(self.allowlist) if self.mode == "allowlist" else None

    def may_reach(self, value: str) -> bool:
        """Whether a number or token may be reached at all in this mode."""
        only = self.reachable
        return only is None or blind_index_of(value, self.index_key.get_secret_value().encode()) in only

    def flow_run_address(self, flow_run_id: UUID) -> str | None:
        """Where people see a run of a Prefect flow; None where no address of a Prefect UI is set."""
        base = self.prefect_ui_url or (self.prefect_api_url or "").removesuffix("/").removesuffix("/api")
        return f"{base.rstrip('/')}/runs/flow-run/{flow_run_id}" if base else None

    @property
    def _own_systems(self) -> dict[str, tuple[str, str]]:
        """The lender's own, by the word in their settings' names: address and keys."""
        return {
            "GATEWAY": (self.gateway_base_url, self.gateway_keys.get_secret_value()),
            "CORE": (self.core_base_url, self.core_keys.get_secret_value()),
            "WALLET": (self.wallet_base_url, self.wallet_keys.get_secret_value()),
        }

    @model_validator(mode="after")
    def _nothing_is_unsigned(self) -> Settings:
        """What is the lender's own is spoken to with keys, and not with made-up ones in earnest."""
        for name, (address, keys) in self._own_systems.items():
            if address and not keys:
                raise ValueError(f"TIDEOVER_{name}_BASE_URL without TIDEOVER_{name}_KEYS: nothing is sent unsigned")
            if self.is_real and any(pair.strip().startswith(MADE_UP_KEY_PREFIX) for pair in keys.split(",")):
                raise ValueError(f"{self.mode} mode with keys made up by `make up`; set TIDEOVER_{name}_KEYS to your own")
        return self

    @model_validator(mode="after")
    def _live_is_whole(self) -> Settings:
        """Live and allowlist mode refuse whatever belongs to the sandbox; allowlist mode refuses to be without its list."""
        providers = {
            "TIDEOVER_TWILIO_BASE_URL": self.twilio_base_url,
            "TIDEOVER_FCM_BASE_URL": self.fcm_base_url,
            "TIDEOVER_FCM_TOKEN_URL": self.fcm_token_url,
            "TIDEOVER_SMTP_URL": self.smtp_url,
            **{f"TIDEOVER_{name}_BASE_URL": address for name, (address, _) in self._own_systems.items()},
            "TIDEOVER_OIDC_ISSUER": self.oidc_issuer,
            "TIDEOVER_WALLET_OIDC_ISSUER": self.wallet_oidc_issuer,
        }
        on_loopback = [name for name, address in providers.items() if urlsplit(address).hostname in LOOPBACK_HOSTS]
        if self.oidc_issuer and not (self.oidc_client_id and self.oidc_client_secret.get_secret_value()):
            raise ValueError("TIDEOVER_OIDC_ISSUER without TIDEOVER_OIDC_CLIENT_ID and TIDEOVER_OIDC_CLIENT_SECRET")
        wallet = (self.wallet_oidc_client_id, self.wallet_oidc_client_secret.get_secret_value(), self.wallet_oidc_creditor)
        if self.wallet_oidc_issuer and not all(wallet):
            raise ValueError("TIDEOVER_WALLET_OIDC_ISSUER without TIDEOVER_WALLET_OIDC_CLIENT_ID, …_CLIENT_SECRET and …_CREDITOR")
        if self.is_real:
            if on_loopback:
                raise ValueError(
                    f"{self.mode} mode with a provider on loopback: {', '.join(on_loopback)}; unset them or use TIDEOVER_MODE=sandbox"
                )
            if any(key.startswith(MADE_UP_KEY_PREFIX) for key in self.encryption_keys.get_secret_value().split(",")):
                raise ValueError(
                    f"{self.mode} mode with keys made up by `make up`; set TIDEOVER_ENCRYPTION_KEYS and TIDEOVER_INDEX_KEY to your own"
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
                raise ValueError(f"{self.mode} mode without {', '.join(missing)}")
            if self.index_key.get_secret_value().startswith(MADE_UP_KEY_PREFIX) or self.seed.get_secret_value().startswith(
                MADE_UP_KEY_PREFIX
            ):
                raise ValueError(f"{self.mode} mode with keys made up by `make up`; set TIDEOVER_INDEX_KEY and TIDEOVER_SEED to your own")
        if self.mode == "allowlist" and not allowed_indexes(self.allowlist):
            raise ValueError("allowlist mode without TIDEOVER_ALLOWLIST: name the staff numbers, as `tideover allowlist` writes them")
        return self


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()

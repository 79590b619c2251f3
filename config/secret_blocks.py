"""Secrets from Prefect: with `TIDEOVER_SECRETS=prefect`, what the environment does not say is read from Secret blocks.

Block `tideover-twilio-auth-token` is the setting `TIDEOVER_TWILIO_AUTH_TOKEN`, and so for every secret, and the ledger's address. The
environment comes first, then the blocks, then the file `.tideover/env`. Where Prefect cannot be asked the process does not start: half of
its secrets would be worse than none.

In:   Prefect's API, as `PREFECT_API_URL` and `PREFECT_API_AUTH_STRING` name it.
Out:  setting → value.
Pure: no; asks Prefect, once a process.
"""

from __future__ import annotations

import os
from typing import Any, Final

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

SWITCH: Final = "TIDEOVER_SECRETS"
WORD: Final = "prefect"
PREFIX: Final = "tideover-"
# Not typed as a secret, but it may hold a password.
ALSO: Final = frozenset({"database_url"})


class SecretsAwayError(RuntimeError):
    """Prefect was to be asked for secrets and could not be; the message says what to do."""


class SecretBlocks(PydanticBaseSettingsSource):
    """Prefect's Secret blocks, where the environment asks for them."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Part of the protocol; everything is read at once by `__call__`."""
        del field
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """The secrets that blocks name and the environment does not.

        Raises:
            SecretsAwayError: Prefect cannot be asked, or refuses.
        """
        if os.environ.get(SWITCH, "") != WORD:
            return {}
        wanted = [name for name in secret_names(self.settings_cls) if f"TIDEOVER_{name.upper()}" not in os.environ]
        found = _read(wanted)
        return {name: value for name, value in found.items() if value is not None}


def secret_names(settings_class: type[BaseSettings]) -> list[str]:
    """The settings that may stand in a block."""
    return [name for name, field in settings_class.model_fields.items() if field.annotation is SecretStr or name in ALSO]


def block_name(setting: str) -> str:
    """The block of a setting."""
    return PREFIX + setting.replace("_", "-")


def _read(names: list[str]) -> dict[str, str | None]:
    # Whoever does not ask for it starts without Prefect: it takes seconds to import.
    from prefect.client.orchestration import get_client  # noqa: PLC0415  # as above
    from prefect.exceptions import ObjectNotFound  # noqa: PLC0415  # as above
    from prefect.settings import PREFECT_API_URL  # noqa: PLC0415  # as above

    if not PREFECT_API_URL.value():
        # Its client would start a server of its own, which has no secrets.
        raise SecretsAwayError(f"{SWITCH}={WORD}, and PREFECT_API_URL is not set")
    found: dict[str, str | None] = {}
    try:
        with get_client(sync_client=True) as client:
            for name in names:
                try:
                    document = client.read_block_document_by_name(block_name(name), block_type_slug="secret", include_secrets=True)
                except ObjectNotFound:
                    found[name] = None
                else:
                    found[name] = str(document.data["value"])
    except Exception as error:  # noqa: BLE001  # whatever it is: its words may hold an address
        raise SecretsAwayError(
            f"{SWITCH}={WORD}, and Prefect cannot be asked ({type(error).__name__}): look at PREFECT_API_URL and PREFECT_API_AUTH_STRING"
            " (where its server asks for it)"
        ) from None
    return found

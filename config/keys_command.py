"""Keys from a command: with `TIDEOVER_KEYS_COMMAND`, a program of the lender's prints them, for whoever keeps them in a KMS.

It is run once a process, without a shell, and prints lines such as `TIDEOVER_ENCRYPTION_KEYS=2027:…` and `TIDEOVER_INDEX_KEY=…`: it asks
its KMS to unwrap them. The environment comes first, then the command, then Prefect's blocks. Where the command fails or prints something
else the process does not start; what it printed is said nowhere.

In:   the environment; a program.
Out:  setting → value.
Pure: no; starts a program.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from typing import Any, Final

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

SWITCH: Final = "TIDEOVER_KEYS_COMMAND"
PREFIX: Final = "TIDEOVER_"
# What a command may say; anything else it has no business with.
KEYS: Final = frozenset({"encryption_keys", "index_key", "seed", "app_secret"})
SECONDS_MAX: Final = 30


class KeysAwayError(RuntimeError):
    """The command was to print the keys and did not; the message says what to look at."""


class KeysCommand(PydanticBaseSettingsSource):
    """What the lender's own program prints, where the environment names one."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Part of the protocol; everything is read at once by `__call__`."""
        del field
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """The keys that the command prints and the environment does not name.

        Raises:
            KeysAwayError: It cannot be run, fails, takes too long, or prints something else.
        """
        command = os.environ.get(SWITCH, "")
        if not command:
            return {}
        return {name: value for name, value in _printed(command) if f"{PREFIX}{name.upper()}" not in os.environ}


def _printed(command: str) -> list[tuple[str, str]]:
    try:
        # The operator's own words from the environment, in no shell; its complaints go where the process's own go.
        done = subprocess.run(shlex.split(command), check=False, stdout=subprocess.PIPE, text=True, timeout=SECONDS_MAX)  # noqa: S603  # as above
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise KeysAwayError(f"{SWITCH}: its program cannot be run, or takes longer than {SECONDS_MAX} s ({type(error).__name__})") from None
    if done.returncode != 0:
        raise KeysAwayError(f"{SWITCH}: its program ended with {done.returncode}")
    return [_pair(line, number) for number, line in enumerate(done.stdout.splitlines(), start=1) if line.strip()]


def _pair(line: str, number: int) -> tuple[str, str]:
    name, _, value = line.strip().partition("=")
    setting = name.removeprefix(PREFIX).lower()
    if not name.startswith(PREFIX) or setting not in KEYS or not value:
        named = ", ".join(sorted(f"{PREFIX}{one.upper()}" for one in KEYS))
        raise KeysAwayError(f"{SWITCH}: line {number} of what its program prints is not NAME=VALUE with one of {named}")
    return setting, value

"""Reads config/free_help.yaml: free help that is not ours, by country, each with its source.

In:   the file.
Out:  `Service` values.
Pure: no; reads one file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final, Literal, get_args

from pydantic import Field

from config.load import ConfigError, Day, Strict, read

HELP_FILE: Final = Path(__file__).with_name("free_help.yaml")
HelpKind = Literal["advice", "complaint", "legal"]
HELP_KINDS: Final[tuple[str, ...]] = get_args(HelpKind)
Web = Annotated[str, Field(pattern=r"^https?://[^\s]+$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Free help.

    Attributes:
        kind: One of `HELP_KINDS`.
        name: As it calls itself.
        phone: To be called; None = not known.
        address: Of its site; None = not known.
        language: Of the name, BCP 47.
        source: Where that was read.
        read_on: When.
    """

    kind: str
    name: str
    phone: str | None
    address: str | None
    language: str
    source: str
    read_on: date


class ServiceForm(Strict):
    """One service, as written."""

    country: Annotated[str, Field(pattern="^[A-Z]{2}$")]
    kind: HelpKind
    name: Annotated[str, Field(min_length=1)]
    phone: Annotated[str, Field(pattern=r"^[0-9][0-9 -]+$")] | None
    address: Web | None
    language: str
    source: Web
    read_on: Day


class HelpForm(Strict):
    """The file, as written."""

    owner: Annotated[str, Field(min_length=1)]
    reviewed_on: Day
    services: tuple[ServiceForm, ...]


def free_help(path: Path = HELP_FILE) -> Mapping[str, tuple[Service, ...]]:
    """Read the services by country.

    Raises:
        ConfigError: The file is not of that form, or a service can neither be called nor looked at.
    """
    found: dict[str, tuple[Service, ...]] = {}
    for number, one in enumerate(read(path, HelpForm).services):
        if one.phone is None and one.address is None:
            raise ConfigError(path, None, f"services.{number}", "has neither a phone nor an address")
        service = Service(**{name: value for name, value in one.model_dump().items() if name != "country"})
        found[one.country] = (*found.get(one.country, ()), service)
    return found


@lru_cache(maxsize=1)
def free_help_in_force() -> Mapping[str, tuple[Service, ...]]:
    """The shipped file's, read once a process."""
    return free_help()

"""Reads config/limits.yaml: how often one address may do what could be done by guessing.

In:   the file.
Out:  `Limit` by name.
Pure: no; reads one file.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final, Literal, get_args

from pydantic import Field

from config.load import Day, Strict, checked, parse

LIMITS: Final = Path(__file__).with_name("limits.yaml")
# What is counted; all of them have a limit.
What = Literal["dead_link", "code_asked", "code_entered", "sign_in", "sign_in_refused"]


class Limit(Strict):
    """So many times in so many minutes."""

    times: Annotated[int, Field(ge=1)]
    minutes: Annotated[int, Field(ge=1, le=1_440)]


class LimitsForm(Strict):
    """The file, as written."""

    owner: Annotated[str, Field(min_length=1)]
    reviewed_on: Day
    limits: dict[What, Limit]


def limits(path: Path = LIMITS) -> Mapping[What, Limit]:
    """Read the limits.

    Raises:
        ConfigError: The file is not of that form, or one of the limits is not there.
    """
    document = parse(path)
    form = checked(document, document.plain, LimitsForm)
    if missing := sorted(set(get_args(What)) - set(form.limits)):
        raise document.error(["limits"], f"missing {', '.join(missing)}")
    return form.limits


@lru_cache(maxsize=1)
def limits_in_force() -> Mapping[What, Limit]:
    """The shipped file's, read once a process."""
    return limits()

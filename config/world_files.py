"""Reads world files: the worlds in which `tideover simulate` tries strategies.

In:   a YAML file, `worlds: [{id, seed, set: {parameter: value}}]` (CASES.md); whoever knows which parameters there are.
Out:  one `WorldSpec` a world, in the file's order.
Pure: no; reads one file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from config.load import ConfigError, Document, Strict, checked, parse


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldSpec:
    """One world: what is not set is drawn with the seed."""

    id: str
    seed: str
    settings: Mapping[str, float]


class WorldForm(Strict):
    """One world, as written."""

    id: Annotated[str, Field(min_length=1)]
    seed: Annotated[str, Field(min_length=1)]
    settings: Annotated[dict[str, float] | None, Field(alias="set")] = None


class WorldsForm(Strict):
    """The file, as written."""

    worlds: Annotated[list[WorldForm], Field(min_length=1)]


def read_worlds(path: Path, check: Callable[[Mapping[str, float]], object]) -> tuple[WorldSpec, ...]:
    """Read a world file.

    Args:
        path: The file.
        check: Raises ValueError where a world cannot be set so.

    Raises:
        ConfigError: The file is missing or not of that form, two worlds have one id, or a parameter or its value cannot be; with the line.
    """
    document = parse(path)
    form = checked(document, document.plain, WorldsForm)
    seen: set[str] = set()
    worlds = []
    for number, one in enumerate(form.worlds):
        if one.id in seen:
            raise document.error(["worlds", number, "id"], "two worlds have this id")
        seen.add(one.id)
        settings = one.settings or {}
        for name, value in settings.items():
            _check(document, number, name, value, check)
        worlds.append(WorldSpec(id=one.id, seed=one.seed, settings=settings))
    return tuple(worlds)


def _check(document: Document, number: int, name: str, value: float, check: Callable[[Mapping[str, float]], object]) -> None:
    try:
        check({name: value})
    except ConfigError:
        raise
    except ValueError as error:
        raise document.error(["worlds", number, "set", name], str(error)) from None

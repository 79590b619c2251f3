"""The parameters of a world, and that docs/town.md prints them as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.parameters import PARAMETERS, UnknownParameterError, default_world, drawn_world

PAGE = Path(__file__).resolve().parents[2] / "docs" / "town.md"


def test_a_drawn_world_lies_in_its_ranges_and_is_the_seeds() -> None:
    world = drawn_world("7")
    assert world == drawn_world("7") != drawn_world("8")
    assert all(PARAMETERS[name].low <= value <= PARAMETERS[name].high for name, value in world.items())
    assert all(parameter.low <= parameter.default <= parameter.high for parameter in PARAMETERS.values())


def test_what_is_set_is_not_drawn_and_nothing_else_changes() -> None:
    drawn, settled = drawn_world("7"), drawn_world("7", {"reply_rate": 1.0})
    assert settled == drawn | {"reply_rate": 1.0}


@pytest.mark.parametrize(
    "settings", [{"no_such": 1.0}, {"reply_rate": -0.1}, {"reply_rate": 1.1}, {"reply_rate": float("nan")}, {"reply_rate": True}]
)
def test_a_world_that_cannot_be_is_refused(settings: dict[str, float]) -> None:
    for world in (default_world, lambda given: drawn_world("7", given)):
        with pytest.raises(UnknownParameterError):
            world(settings)


def test_the_page_lists_every_parameter_with_its_default_and_range() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    expected = [
        f"| `{name}` | {parameter.default:g} | {parameter.low:g} to {parameter.high:g} | {parameter.basis} | {parameter.meaning} |"
        for name, parameter in PARAMETERS.items()
    ]
    assert rows == expected

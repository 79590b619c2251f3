"""Reads config/fairness.yaml: which attributes of people may be held to see whether groups are treated alike.

In:   the file.
Out:  the attributes that may be taken in of a creditor's people.
Pure: no; reads one file, and the mode.
Source: docs/adr/0094.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from config.load import ConfigError, Day, Strict, read
from config.settings import settings
from decisions.fairness_words import ATTRIBUTES

FAIRNESS: Final = Path(__file__).with_name("fairness.yaml")
Attribute = Literal["age_band", "sex", "disability"]


class HeldForm(Strict):
    """What may be held where, as written."""

    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
    attributes: Annotated[tuple[Attribute, ...], Field(min_length=1)]
    leave: Annotated[str, Field(min_length=1)]


class FairnessForm(Strict):
    """The file, as written."""

    owner: Annotated[str, Field(min_length=1)]
    reviewed_on: Day
    held: tuple[HeldForm, ...]


def attributes_held(country: str, path: Path = FAIRNESS) -> frozenset[str]:
    """Attributes that may be taken in of people of a country's creditors: with the real providers those for which there is leave.

    Args:
        country: Of the creditor.
        path: The file.

    Raises:
        ConfigError: The file is not of that form, or a country stands twice.
    """
    form = read(path, FairnessForm)
    countries = [one.country for one in form.held]
    if twice := sorted({one for one in countries if countries.count(one) > 1}):
        raise ConfigError(path, None, "held", f"{twice[0]} stands twice")
    if not settings().is_real:
        return frozenset(ATTRIBUTES)
    return frozenset(attribute for one in form.held if one.country == country for attribute in one.attributes)

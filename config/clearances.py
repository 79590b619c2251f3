"""Reads config/clearances.yaml: providers' words that a kind of lender may collect by a channel in a country.

In:   the file.
Out:  `decisions.packs.Clearance` values, which stand beside the rule packs.
Pure: no; reads one file.
Source: LAW.md "Further rules", basis `provider_policy`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from config.load import checked, parse
from config.zones import zone_tables
from decisions.packs import EVERYWHERE, Clearance

CLEARANCES: Final = Path(__file__).with_name("clearances.yaml")


def clearances(path: Path = CLEARANCES, text: str | None = None) -> tuple[Clearance, ...]:
    """Read every clearance.

    Args:
        path: The file.
        text: What it holds, where that is kept elsewhere; None = read it.

    Raises:
        ConfigError: The file is malformed; a country does not exist; a reference is empty; one clearance is given twice.
    """
    document = parse(path, text)
    found = checked(document, document.plain, tuple[Clearance, ...])
    seen: set[tuple[str, ...]] = set()
    for number, one in enumerate(found):
        if one.country != EVERYWHERE and one.country not in zone_tables().countries:
            raise document.error([number, "country"], "is no country (ISO 3166-1, two letters), nor * for all")
        if not one.reference.strip():
            raise document.error([number, "reference"], "is empty: who gave the word, and where is it kept?")
        what = (one.provider, one.channel, one.country, one.role, one.mode)
        if what in seen:
            raise document.error([number], "is given twice: same provider, channel, country, role and mode")
        seen.add(what)
    return found

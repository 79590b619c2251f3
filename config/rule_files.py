"""Reads config/rules/*.yaml: the rule packs in force, one file a jurisdiction.

In:   the folder.
Out:  `decisions.packs.Packs`; the version of a pack is the SHA-256 of its file.
Pure: no; reads files. A folder that cannot be read whole is not read at all: nothing is sent with half a law.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Final
from zoneinfo import available_timezones

from pydantic import ValidationError

from config.load import ConfigError, read
from decisions.packs import HOUSE, Pack, Packs, RuleBase, WindowRule
from decisions.rules.windows import public_holidays

RULES: Final = Path(__file__).with_name("rules")


def rule_packs(folder: Path = RULES) -> Packs:
    """Read every pack.

    Raises:
        ConfigError: A pack is missing, malformed, names an unknown key, kind, zone or calendar, has dates out of order or no
            reference; two packs share a jurisdiction or a rule id; there is no pack of the house.
    """
    return _read(folder)


@lru_cache(maxsize=8)
def _read(folder: Path) -> Packs:
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise ConfigError(folder, None, "", "no rule pack is here")
    packs = [_pack(path) for path in files]
    # The law first, the house last: reasons are read in this order.
    packs.sort(key=lambda pack: (pack.jurisdiction == HOUSE, pack.jurisdiction))
    if packs[-1].jurisdiction != HOUSE:
        raise ConfigError(folder, None, "", "no pack of the house is here (jurisdiction: house)")
    try:
        return Packs(packs=tuple(packs))
    except ValidationError as error:
        raise ConfigError(folder, None, "", error.errors()[0]["msg"].removeprefix("Value error, ")) from None


def _pack(path: Path) -> Pack:
    pack = read(path, Pack)
    if pack.version:
        raise ConfigError(path, None, "version", "is the hash of the file and cannot be written in it")
    if path.stem != pack.jurisdiction.lower():
        raise ConfigError(path, None, "jurisdiction", f"{pack.jurisdiction} belongs into {pack.jurisdiction.lower()}.yaml")
    for rule in pack.rules:
        _check(path, rule)
    return pack.model_copy(update={"version": sha256(path.read_bytes()).hexdigest()})


def _check(path: Path, rule: RuleBase) -> None:
    """What only the zones and the calendars themselves can say."""
    if not isinstance(rule, WindowRule):
        return
    if rule.clock != "every_plausible_zone" and rule.clock not in available_timezones():
        raise ConfigError(path, _line(path, rule.id), rule.id, "`clock` is neither every_plausible_zone nor an IANA zone")
    if rule.calendar is not None:
        try:
            public_holidays(rule.calendar, next(iter(rule.values)).year)
        except NotImplementedError:
            raise ConfigError(path, _line(path, rule.id), rule.id, "`calendar` is not known to the holidays library") from None


def _line(path: Path, rule_id: str) -> int | None:
    return next((number for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1) if f"id: {rule_id}" in line), None)


def pack_bodies(folder: Path = RULES) -> Mapping[str, str]:
    """The files' own texts by jurisdiction, which the ledger keeps under their hashes."""
    return {pack.jurisdiction: (folder / f"{pack.jurisdiction.lower()}.yaml").read_text("utf-8") for pack in rule_packs(folder).packs}

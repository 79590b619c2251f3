"""Reads config/rules/*.yaml: the rule packs in force, one file a jurisdiction, and what stands beside them.

In:   the folder; the lender's calendars and the providers' clearances.
Out:  `decisions.packs.Packs`; the version of a pack is the SHA-256 of its file.
Pure: no; reads files. A folder that cannot be read whole is not read at all: nothing is sent with half a law.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Final
from zoneinfo import available_timezones

from pydantic import ValidationError

from config.calendar_files import CALENDARS, calendars, calendars_of
from config.clearances import CLEARANCES, clearances
from config.load import ConfigError, Document, checked, parse
from config.rule_extends import extended, refuse_loosening
from decisions.packs import HOUSE, Calendar, Clearance, Pack, Packs
from decisions.rule_forms import DEBTOR_STATE, EVERY_PLAUSIBLE_ZONE, OWN_COUNTRY, DeadlineRule, OrderRule, Rule, WindowRule
from decisions.rules.calendars import public_holidays

RULES: Final = Path(__file__).with_name("rules")


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """Where the things are that stand beside the packs."""

    calendars: Path = CALENDARS
    clearances: Path = CLEARANCES

    def read(self) -> tuple[tuple[Calendar, ...], tuple[Clearance, ...]]:
        """What is there."""
        return calendars(self.calendars), clearances(self.clearances)


@dataclass(frozen=True, slots=True, kw_only=True)
class BesideThen:
    """What stood beside the packs at another time, as texts that are kept elsewhere.

    Attributes:
        calendars: Name of a file without .yaml → its text.
        clearances: The file's text; None = today's file.
        where: What errors call the place where they are kept.
    """

    calendars: Mapping[str, str]
    clearances: str | None
    where: Path

    def read(self) -> tuple[tuple[Calendar, ...], tuple[Clearance, ...]]:
        """What was there."""
        cleared = clearances() if self.clearances is None else clearances(self.where / CLEARANCES.name, self.clearances)
        return calendars_of(self.calendars, self.where), cleared


def rule_packs(folder: Path = RULES, *, beside: Beside | None = None) -> Packs:
    """Read every pack.

    Args:
        folder: Of the packs.
        beside: Where calendars and clearances are; None = ours.

    Raises:
        ConfigError: A pack is missing, malformed, names an unknown key, kind, zone or calendar, has dates out of order or no
            reference; two packs share a jurisdiction or a rule id; there is no pack of the house. Or a calendar or the
            clearances cannot be read.
    """
    return _read(folder, beside or Beside())[0]


def pack_bodies(folder: Path = RULES) -> Mapping[str, str]:
    """The files' own texts by jurisdiction, which the ledger keeps under their hashes; read together with `rule_packs`."""
    return _read(folder, Beside())[1]


@lru_cache(maxsize=8)
def _read(folder: Path, beside: Beside) -> tuple[Packs, Mapping[str, str]]:
    files = sorted(folder.glob("*.yaml"))
    misnamed = sorted(folder.glob("*.yml"))
    if misnamed:
        raise ConfigError(misnamed[0], None, "", "would not be read: the name of a rule pack ends in .yaml")
    if not files:
        raise ConfigError(folder, None, "", "no rule pack is here")
    texts = {path: pack_text(path) for path in files}
    packs = _whole(folder, texts, beside=beside)
    return packs, {pack.jurisdiction: texts[folder / _file_name(pack.jurisdiction)] for pack in packs.packs}


def pack_text(path: Path) -> str:
    """A file's text, byte for byte: its hash is the pack's version.

    Raises:
        ConfigError: It cannot be read, or is not UTF-8.
    """
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError:
        raise ConfigError(path, None, "", "not UTF-8 text") from None
    except OSError as error:
        raise ConfigError(path, None, "", f"cannot be read: {error.strerror}") from None


def packs_of(bodies: Mapping[str, str], where: Path, *, beside: BesideThen | None = None) -> Packs:
    """Read packs whose files' texts are kept elsewhere, as `rule_packs` reads a folder.

    Args:
        bodies: Text by jurisdiction.
        where: What errors call the place where they are kept.
        beside: Calendars and clearances that stood beside them; None = today's.

    Raises:
        ConfigError: As `rule_packs`.
    """
    return _whole(where, {where / _file_name(jurisdiction): body for jurisdiction, body in bodies.items()}, beside=beside)


def packs_with(text: str, path: Path, folder: Path = RULES) -> tuple[str, Packs]:
    """Read a folder with another text in place of the pack of the same jurisdiction, or beside them all.

    Args:
        text: Of a pack.
        path: What errors call it; it need not be there, nor be named as the jurisdiction is.
        folder: The other packs.

    Returns:
        The text's jurisdiction, and the whole law.

    Raises:
        ConfigError: As `rule_packs`.
    """
    plain = parse(path, _without_mark(text)).plain
    jurisdiction = plain.get("jurisdiction") if isinstance(plain, dict) else None
    if not isinstance(jurisdiction, str):
        raise ConfigError(path, None, "jurisdiction", "is missing: this is no rule pack")
    others = [file for file in sorted(folder.glob("*.yaml")) if file.name != _file_name(jurisdiction)]
    return jurisdiction, _whole(folder, {path: text, **{file: pack_text(file) for file in others}}, named_freely=path)


def _without_mark(text: str) -> str:
    """A text without the mark that says that it is UTF-8."""
    return text.removeprefix("\ufeff")


def _whole(
    folder: Path, texts: Mapping[Path, str], *, named_freely: Path | None = None, beside: Beside | BesideThen | None = None
) -> Packs:
    """Every pack with what stands beside them, or none."""
    beside = beside or Beside()
    documents = [parse(path, _without_mark(text)) for path, text in texts.items()]
    versions = {path: sha256(text.encode()).hexdigest() for path, text in texts.items()}
    packs = [
        _pack(document, plain, versions[document.path], named_freely=document.path == named_freely)
        for document, plain in extended(documents)
    ]
    _refuse_twice(documents, packs)
    refuse_loosening(documents, packs)
    # The law first, the house last: reasons are read in this order.
    packs.sort(key=lambda pack: (pack.jurisdiction == HOUSE, pack.jurisdiction))
    if packs[-1].jurisdiction != HOUSE:
        raise ConfigError(folder, None, "", "no pack of the house is here (jurisdiction: house)")
    try:
        days, cleared = beside.read()
        return Packs(packs=tuple(packs), calendars=days, clearances=cleared)
    except ValidationError as error:
        raise ConfigError(folder, None, "", error.errors()[0]["msg"].removeprefix("Value error, ")) from None


def _pack(document: Document, plain: object, version: str, *, named_freely: bool) -> Pack:
    path, pack = document.path, checked(document, plain, Pack)
    if pack.version:
        raise ConfigError(path, None, "version", "is the hash of the file and cannot be written in it")
    if not named_freely and path.name != _file_name(pack.jurisdiction):
        raise document.error(["jurisdiction"], f"{pack.jurisdiction} belongs into {_file_name(pack.jurisdiction)}")
    for number, rule in enumerate(pack.rules):
        _check(document, number, rule)
    return pack.model_copy(update={"version": version})


def _file_name(jurisdiction: str) -> str:
    return f"{jurisdiction.lower()}.yaml"


def _check(document: Document, number: int, rule: Rule) -> None:
    """What only the zones and the calendars themselves can say."""
    if isinstance(rule, WindowRule) and rule.clock not in {EVERY_PLAUSIBLE_ZONE, DEBTOR_STATE} and rule.clock not in _zones():
        raise document.error(["rules", number, "clock"], "is neither every_plausible_zone, debtor_state nor an IANA zone")
    if not isinstance(rule, WindowRule | OrderRule | DeadlineRule) or rule.calendar is None:
        return
    if isinstance(rule, WindowRule) and rule.calendar == OWN_COUNTRY:
        return
    try:
        public_holidays(rule.calendar, next(iter(rule.values)).year)
    except NotImplementedError:
        raise document.error(["rules", number, "calendar"], "is not known to the holidays library") from None


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    """Names of zones; looked up once, since that reads every zone's file."""
    return frozenset(available_timezones())


def _refuse_twice(documents: Sequence[Document], packs: Sequence[Pack]) -> None:
    """A rule's id is its name in every permit and answer: it stands in one pack, once."""
    seen: dict[str, Path] = {}
    for document, pack in zip(documents, packs, strict=True):
        for number, rule in enumerate(pack.rules):
            if rule.id in seen:
                raise document.error(["rules", number, "id"], f"is given twice, here and in {seen[rule.id].name}")
            seen[rule.id] = document.path

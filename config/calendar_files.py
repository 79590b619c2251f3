"""Reads config/calendars/*.yaml: holidays that a lender knows better than the holidays library, one file a calendar.

In:   the folder.
Out:  `decisions.packs.Calendar` values, which stand beside the rule packs.
Pure: no; reads files. A folder that cannot be read whole is not read at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Final

from config.load import ConfigError, Document, checked, parse
from decisions.packs import Calendar
from decisions.rules.calendars import public_holidays

CALENDARS: Final = Path(__file__).with_name("calendars")


def calendars(folder: Path = CALENDARS) -> tuple[Calendar, ...]:
    """Read every calendar.

    Args:
        folder: Of the files; what is neither .yaml nor .yml is for people.

    Raises:
        ConfigError: The folder is missing; a file is malformed, names a calendar that the holidays library does not know or
            that is not the file's name, changes nothing, or has dates out of order, twice, or both added and removed.
    """
    if not folder.is_dir():
        raise ConfigError(folder, None, "", "no such folder; it may be empty, but not missing")
    misnamed = sorted(folder.glob("*.yml"))
    if misnamed:
        raise ConfigError(misnamed[0], None, "", "would not be read: the name of a calendar ends in .yaml")
    return tuple(_calendar(parse(path)) for path in sorted(folder.glob("*.yaml")))


def calendars_of(bodies: Mapping[str, str], where: Path) -> tuple[Calendar, ...]:
    """Read calendars whose texts are kept elsewhere.

    Args:
        bodies: Name of a file without .yaml → its text.
        where: What errors call the place where they are kept.

    Raises:
        ConfigError: As `calendars`.
    """
    return tuple(_calendar(parse(where / f"{name}.yaml", body)) for name, body in sorted(bodies.items()))


def _calendar(document: Document) -> Calendar:
    found = checked(document, document.plain, Calendar)
    if document.path.name != f"{found.calendar.lower()}.yaml":
        raise document.error(["calendar"], "is not the one that the file is named after")
    changed = sorted({*found.adds, *found.removes})
    if not changed:
        raise document.error([], "neither adds nor removes a day")
    try:
        public_holidays(found.calendar, changed[0].year)
    except NotImplementedError:
        raise document.error(["calendar"], "is not known to the holidays library") from None
    for kind, days in (("adds", found.adds), ("removes", found.removes)):
        _refuse_disorder(document, kind, days)
    both = sorted(found.adds.keys() & found.removes.keys())
    if both:
        raise document.error(["removes", both[0].isoformat()], "is added and removed")
    return found


def _refuse_disorder(document: Document, kind: str, days: Iterable[date]) -> None:
    for before, after in pairwise(days):
        if after <= before:
            raise document.error([kind, after.isoformat()], "dates must ascend")

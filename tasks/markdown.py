"""Markdown that the Prefect UI shows well: sections, tables, instants in the portfolio's zone, and the mode first of all.

In:   rows and words of ours.
Out:  lines of markdown.
Pure: but for the settings' mode and zone, yes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from config.settings import settings

REACHED: Final = {"sandbox": "nobody real is contacted", "allowlist": "the real providers, and nobody but staff (TIDEOVER_ALLOWLIST)"}


def reached() -> tuple[str, str]:
    """The mode, shouted, and who can be reached in it."""
    return settings().mode.upper(), REACHED.get(settings().mode, "real people are contacted")


def mode() -> str:
    """Who can be reached: the first thing that anybody must know about a page."""
    word, who = reached()
    return f"**{word}**: {who}."


def section(title: str, rows: Sequence[Mapping[str, Any]], *, empty: str = "") -> Iterator[str]:
    """A heading and a table, or a sentence in its place."""
    yield ""
    yield f"## {title}"
    yield ""
    yield from table(rows) if rows else [empty]
    yield ""


def table(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Rows with the same columns as a table of markdown; what stands in a cell cannot break it."""
    rows = list(rows)
    columns = list(rows[0])
    numbers = {name for name in columns if all(isinstance(row[name], int | float) for row in rows)}
    yield "| " + " | ".join(columns) + " |"
    yield "|" + "|".join(" ---: " if name in numbers else " --- " for name in columns) + "|"
    for row in rows:
        yield "| " + " | ".join(_cell(row[name]) for name in columns) + " |"


def _cell(value: Any) -> str:
    said = f"{value:,}" if isinstance(value, int) else str(value)
    return said.replace("|", "\\|").replace("\n", " ")


def lasted(span: timedelta) -> str:
    """A span in the largest unit that fits: "20 minutes", "3 hours", "2 days"."""
    minutes = int(span.total_seconds() // 60)
    for unit, size in (("day", 24 * 60), ("hour", 60)):
        if minutes >= size:
            return counted(minutes // size, unit, f"{unit}s")
    return counted(minutes, "minute", "minutes")


def counted(number: int, one: str, more: str) -> str:
    """A number with its noun: "1 person waits", "2 people wait"."""
    return f"{number:,} {one if number == 1 else more}"


def local(at: datetime) -> str:
    """An instant in the portfolio's zone."""
    zone = ZoneInfo(settings().business_zone)
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M} ({settings().business_zone})"

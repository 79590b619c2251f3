"""The book of results, build/bench.json: what is measured again replaces what stood there, and everything else stays.

In:   entries of benchmarks, one at a time, as they come.
Out:  the file, written anew after each of them: whoever stops a run, however rudely, keeps what it had measured.
Pure: no; reads and writes the file. `merged` and `growth` are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from config.settings import HOUSE
from tests.bench.harness import exponent

FILE: Final = HOUSE / "build" / "bench.json"
Entry = dict[str, Any]


def read(file: Path = FILE) -> list[Entry]:
    """What is known; empty where nothing was measured yet.

    Raises:
        SystemExit: The file is no list of entries; it says what to do.
    """
    if not file.exists():
        return []
    try:
        found = json.loads(file.read_text())
        return [dict(entry) for entry in found if entry["name"]]
    except (ValueError, TypeError, KeyError) as error:
        raise SystemExit(f"{file} is no list of results ({error}); move it away and measure again") from error


def add(entries: Iterable[Entry], file: Path = FILE) -> None:
    """Put results into the book; one that was measured before gives way."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_suffix(".new")
    beside.write_text(json.dumps(merged(read(file), entries), ensure_ascii=False, indent=1) + "\n")
    beside.rename(file)


def merged(known: Sequence[Entry], new: Iterable[Entry]) -> list[Entry]:
    """One entry for each name and size, and one for each growth; the newest of each, ordered by name and size."""
    book = {_key(entry): entry for entry in [*known, *new]}
    return [book[key] for key in sorted(book)]


def _key(entry: Entry) -> tuple[str, bool, int]:
    return entry["name"], "exponent" in entry, int(entry.get("size", 0))


def growth(entries: Iterable[Entry]) -> list[Entry]:
    """How each benchmark's time grows with its size, of those that were measured at two sizes and more.

    Args:
        entries: Of one run: another day's machine would be taken for growth.

    Returns:
        `name`, `exponent` and `sizes`; `last_exponent`, between the two largest sizes only, since small ones are mostly fixed costs; and
        `cpu_exponent`, that of CPU time, which says more where others use the machine. Of what does so many `items` whatever the size, the
        growth is that of one item: 0 where a large ledger costs nothing more.
    """
    by_name: dict[str, list[Entry]] = {}
    for entry in entries:
        if "exponent" not in entry:
            by_name.setdefault(entry["name"], []).append(entry)
    found = []
    for name, measured in by_name.items():
        rows = sorted(measured, key=lambda entry: int(entry["size"]))
        sizes = [int(row["size"]) for row in rows]
        if len(set(sizes)) > 1:
            seconds, cpu_seconds = ([float(row[field]) / int(row.get("items", 1)) for row in rows] for field in ("seconds", "cpu_seconds"))
            found.append(
                {
                    "name": name,
                    "exponent": round(exponent(sizes, seconds), 3),
                    "last_exponent": round(exponent(sizes[-2:], seconds[-2:]), 3),
                    "cpu_exponent": round(exponent(sizes, cpu_seconds), 3) if all(cpu_seconds) else None,
                    "sizes": sizes,
                }
            )
    return found

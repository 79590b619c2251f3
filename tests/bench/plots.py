"""The figures and pictures of docs/benchmarks.md, out of build/bench.json: `python -m tests.bench.plots`.

What was published stays published: docs/benchmarks.json holds it, and of each figure the newest counts.

In:   build/bench.json; docs/benchmarks.json; build/bench-year.jsonl where a year was played.
Out:  the table between the markers of docs/benchmarks.md; docs/benchmarks.json; docs/pictures/bench-*.png. What stands outside the
      markers is written by hand and stays.
Pure: no; reads and writes files. `table` is.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from config.settings import HOUSE
from tests.bench import book
from tests.bench.year import FILE as YEAR

PAGE: Final = HOUSE / "docs" / "benchmarks.md"
PUBLISHED: Final = HOUSE / "docs" / "benchmarks.json"
PICTURES: Final = HOUSE / "docs" / "pictures"
# Stands with the section that explains it.
APART: Final = "bench-year.png"
BEGIN: Final = "<!-- begin: python -m tests.bench.plots -->"
END: Final = "<!-- end: python -m tests.bench.plots -->"
GROWING: Final = ("import", "ageing", "plan", "prefect")
SAME_WORK: Final = ("gate", "send", "webhooks")
# As tasks/pictures.py: from light to dark, told apart in print and by colour-blind eyes; each line has a mark of its own besides.
COLOURS: Final = ("#9ecae1", "#4292c6", "#2171b5", "#08306b")
GREY: Final = "#969696"
OURS: Final = "tideover"
MARKS: Final = ("o", "s", "^", "D")
DOTS_PER_INCH: Final = 110
Entry = dict[str, Any]


def main() -> int:
    """Write what there is."""
    # Growth bears no date: it is that of the run that is read last.
    known = sorted([*book.read(PUBLISHED), *book.read(book.FILE)], key=lambda entry: str(entry.get("at", "")))
    if not known:
        sys.stderr.write(f"nothing was measured yet: {book.FILE} does not exist (`make bench-quick`)\n")
        return 1
    book.add(known, PUBLISHED)
    entries = book.read(PUBLISHED)
    written = [name for name, picture in _pictures(entries) if _write(name, picture)]
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        sys.stderr.write(f"{PAGE} has no markers {BEGIN} and {END}\n")
        return 1
    PAGE.write_text(before + BEGIN + "\n" + table(entries, written) + END + after)
    sys.stdout.write(f"{PAGE.relative_to(HOUSE)}: {len(entries)} results; pictures: {', '.join(written) or 'none'}\n")
    return 0


# --- the table ------------------------------------------------------------------------------------------------------


def table(entries: Sequence[Entry], pictures: Sequence[str] = ()) -> str:
    """Markdown: the machines, every result, how each grows."""
    measured = [entry for entry in entries if "exponent" not in entry]
    machines = sorted(
        {", ".join(f"{what} {value}" for what, value in entry["machine"].items()) for entry in measured if "machine" in entry}
    )
    head = "| benchmark | size | wall s | CPU s | floor s | ratio | memory | ledger | target | | as of, load |"
    rows = [f"Machine: {one}." for one in machines]
    rows += ["", head, "|---|--:|--:|--:|--:|--:|--:|--:|---|---|---|", *(_row(entry) for entry in measured), ""]
    if grown := [entry for entry in entries if "exponent" in entry]:
        rows += ["| growth | exponent | of the two largest | of CPU | sizes |", "|---|--:|--:|--:|---|"]
        rows += [
            f"| {one['name']} | {one['exponent']:.2f} | {one['last_exponent']:.2f} | {_number(one.get('cpu_exponent'))} |"
            f" {', '.join(f'{size:,}' for size in one['sizes'])} |"
            for one in grown
        ]
        rows += [""]
    rows += [f"![{name.removeprefix('bench-').removesuffix('.png')}](pictures/{name})\n" for name in pictures if name != APART]
    return "\n".join(rows)


def _row(entry: Entry) -> str:
    size = f"{entry['size']:,} {entry.get('unit', '')}" + (f", {entry['items']:,} {entry['item']}" if "items" in entry else "")
    ledger = f"{entry['database_bytes'] / 2**20:,.0f} MiB" if "database_bytes" in entry else ""
    floor = _number(entry["floor_seconds"]) + (" (extrapolated)" if entry.get("extrapolated") else "")
    cells = [
        entry["name"],
        size,
        _number(entry["seconds"]),
        _number(entry["cpu_seconds"]),
        floor,
        f"{_number(entry['ratio'])} {entry.get('ratio_means', '')}",
        f"{entry['peak_rss_bytes'] / 2**20:,.0f} MiB",
        ledger,
        entry.get("target", ""),
        "" if entry.get("target") in {None, "none"} or entry.get("met") is None else "met" if entry["met"] else "**missed**",
        f"{str(entry.get('at', ''))[:10]}, {entry.get('load', '?')}",
    ]
    return "| " + " | ".join(cells) + " |"


def _number(value: Any) -> str:
    return "" if value is None else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


# --- the pictures ---------------------------------------------------------------------------------------------------


def _pictures(entries: Sequence[Entry]) -> list[tuple[str, Figure | None]]:
    return [("bench-growth.png", _growth(entries)), ("bench-peers.png", _peers(entries)), ("bench-year.png", _year(YEAR))]


def _growth(entries: Sequence[Entry]) -> Figure | None:
    """Time by size, product and floor; beside it the time of one item in ledgers of different sizes."""
    if not (shown := [name for name in (*GROWING, *SAME_WORK) if _of(entries, name)]):
        return None
    figure, axes = _figure(1, 2)
    for panel, names, title in (
        (axes[0], GROWING, "seconds (dashed: the floor)"),
        (axes[1], SAME_WORK, "milliseconds an item, as the ledger grows"),
    ):
        drawn = [name for name in names if name in shown]
        for name, colour, mark in zip(drawn, COLOURS[-len(drawn) :], MARKS, strict=False):
            rows = _of(entries, name)
            sizes = [row["size"] for row in rows]
            share = [1000 / row["items"] if "items" in row else 1 for row in rows]
            panel.plot(sizes, [row["seconds"] * part for row, part in zip(rows, share, strict=True)], color=colour, marker=mark, label=name)
            panel.plot(
                sizes,
                [row["floor_seconds"] * part for row, part in zip(rows, share, strict=True)],
                color=colour,
                marker=mark,
                linestyle="--",
                alpha=0.5,
            )
        _log(panel, sorted({row["size"] for name in drawn for row in _of(entries, name)}))
        panel.set_title(title)
        panel.set_xlabel("borrowers")
        if drawn:
            panel.legend(frameon=False)
    return figure


def _peers(entries: Sequence[Entry]) -> Figure | None:
    """Seconds for the same borrowers, ours and theirs."""
    peers = [entry for entry in entries if entry["name"].startswith("peers-")]
    if not peers:
        return None
    largest = max(entry["size"] for entry in peers)
    peers = [entry for entry in peers if entry["size"] == largest]
    names = {"peers-sql": "one SQL statement", "peers-orm": "a loop over SQLModel rows", "peers-prefect-task": "a Prefect task a borrower"}
    ours = sorted(entry["seconds"] for entry in peers)[len(peers) // 2]
    bars = [
        (OURS, ours),
        *((names[entry["name"]] + (" (extrapolated)" if entry.get("extrapolated") else ""), entry["floor_seconds"]) for entry in peers),
    ]
    bars.sort(key=lambda one: one[1])
    figure, axes = _figure(1, 1, height=2.8)
    drawn = axes[0].barh(
        [name for name, _ in bars], [seconds for _, seconds in bars], color=[COLOURS[-1] if name == OURS else GREY for name, _ in bars]
    )
    axes[0].bar_label(drawn, labels=[f"{seconds:,.3g} s" for _, seconds in bars], padding=3)
    axes[0].set_xscale("log")
    axes[0].invert_yaxis()
    axes[0].margins(x=0.15)
    axes[0].tick_params(axis="x", labelbottom=False, length=0, which="both")
    axes[0].set_title(f"planning {largest:,} borrowers, seconds")
    return figure


def _year(file: Path) -> Figure | None:
    """What planning costs by day, and how the ledger grows."""
    if not file.exists():
        return None
    days = [json.loads(line) for line in file.read_text().splitlines()]
    figure, axes = _figure(1, 2)
    numbers = [one["day"] for one in days]
    axes[0].plot(numbers, [one["plan_seconds"] for one in days], color=COLOURS[0], linewidth=0.8, label="wall")
    axes[0].plot(numbers, [one["plan_cpu_seconds"] for one in days], color=COLOURS[-1], linewidth=1.2, label="CPU")
    axes[0].set_ylim(bottom=0)
    axes[0].legend(frameon=False)
    axes[0].set_title("seconds to plan a day")
    axes[1].plot(numbers, [one["database_bytes"] / 2**20 for one in days], color=COLOURS[-1])
    axes[1].set_ylim(bottom=0)
    axes[1].set_title("ledger, MiB")
    for panel in axes:
        panel.set_xlabel("day")
    return figure


def _of(entries: Sequence[Entry], name: str) -> list[Entry]:
    return sorted((entry for entry in entries if entry["name"] == name and "exponent" not in entry), key=lambda entry: int(entry["size"]))


def _figure(rows: int, columns: int, *, height: float = 4.2) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(11, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for panel in axes:
        panel.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _log(panel: Axes, sizes: Sequence[int]) -> None:
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xticks(sizes, [f"{size:,}" for size in sizes])
    panel.set_xticks([], minor=True)
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))


def _write(name: str, figure: Figure | None) -> bool:
    if figure is not None:
        figure.savefig(PICTURES / name, dpi=DOTS_PER_INCH)
    return figure is not None


if __name__ == "__main__":
    sys.exit(main())

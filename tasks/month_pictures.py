"""Charts of a month's page, in the house style of tasks/pictures.py: from light to dark, told apart in print, numbers beside colours.

In:   frames of decisions/month_kpis.py and ledger/month_figures.py.
Out:  PNG bytes.
Pure: yes; no file, no display, no state of matplotlib's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from tasks.drawing import Estimate, money_against_harm, png
from tasks.month_sections import DAYS
from tasks.pictures import DARK

BLUES: Final = ("#c6dbef", "#9ecae1", "#6baed6", "#4292c6", "#2171b5", "#08519c", "#08306b")
DASHES: Final = ("-", "--", "-.", ":")
WIDTH: Final = 9.0


def _figure(height: float = 3.6) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def flow_picture(flow: pl.DataFrame, buckets: Sequence[str], *, title: str, least: int) -> bytes | None:
    """Late loans by bucket on every aged date, the earliest bucket at the bottom; fewer than `least` are not drawn."""
    days = flow["business_date"].unique().sort().to_list()
    lines = {}
    for bucket in buckets:
        found = dict(flow.filter(pl.col("bucket") == bucket).group_by("business_date").agg(pl.col("loans").sum()).iter_rows())
        counts = [found.get(day, 0) for day in days]
        if max(counts, default=0) >= least:
            lines[bucket] = [count if count >= least else 0 for count in counts]
    if not lines or len(days) < 2:  # noqa: PLR2004  # one day is no flow
        return None
    figure, axes = _figure()
    step = max(1, (len(BLUES) - 1) // max(1, len(lines) - 1))
    axes.stackplot(days, *lines.values(), labels=list(lines), colors=BLUES[::step][: len(lines)] or BLUES, edgecolor="white", linewidth=0.6)
    axes.set_title(f"{title} buckets", fontsize=10)
    axes.set_ylabel("late loans")
    axes.set_xlim(days[0], days[-1])
    handles, names = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], names[::-1], loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, title="bucket")
    axes.tick_params(axis="x", rotation=30)
    return png(figure)


def line_picture(curves: pl.DataFrame, *, x: str, label: str) -> bytes | None:
    """One line a cohort, from light (old) to dark (new), its name at its end; `curves` has `cohort`, `x` and `share`."""
    cohorts = curves["cohort"].unique().sort().to_list()
    if not cohorts:
        return None
    figure, axes = _figure()
    for number, cohort in enumerate(cohorts):
        mine = curves.filter(pl.col("cohort") == cohort).sort(x)
        colour = BLUES[2 + min(len(BLUES) - 3, number * (len(BLUES) - 3) // max(1, len(cohorts) - 1))]
        axes.plot(
            mine[x].to_list(),
            mine["share"].to_list(),
            color=colour,
            linestyle=DASHES[number % len(DASHES)],
            label=cohort,
            marker="" if mine.height > 1 else "o",
        )
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_ylim(bottom=0)
    axes.set_xlabel(label)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, title="cohort")
    return png(figure)


def survival_picture(curve: pl.DataFrame, plans: int) -> bytes:
    """Share of plans not broken, by day, with its 95 % interval."""
    figure, axes = _figure(3.2)
    days = [0, *curve["day"]]
    axes.step(days, [1.0, *curve["survival"]], where="post", color=BLUES[-2])
    axes.fill_between(days, [1.0, *curve["low"]], [1.0, *curve["high"]], step="post", color=BLUES[0], alpha=0.6)
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_xlabel("days since it was agreed")
    axes.set_title(f"plans not broken (n = {plans:,})", fontsize=10)
    return png(figure)


def hour_picture(hours: pl.DataFrame, column: str, *, title: str, enough: int, least: int) -> bytes | None:
    """Weekday by hour: the share of each cell's contacts, with how many they were.

    Cells of less than `enough` contacts stay empty; a share of less than `least` of them is told as being under it, without a colour.
    """
    cells = {(day, hour): (count, part) for day, hour, count, part in hours.select("weekday", "hour", "contacts", column).iter_rows()}
    shown = {place: one for place, one in cells.items() if one[0] >= enough}
    if not shown:
        return None
    first, last = min(hour for _, hour in shown), max(hour for _, hour in shown)
    figure = Figure(figsize=(max(5.0, 1.6 + 0.72 * (last - first + 1)), 3.9), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    told = {place: part / count for place, (count, part) in shown.items() if part >= least or part == 0}
    shares = [[told.get((day, hour), float("nan")) for hour in range(first, last + 1)] for day in range(1, 8)]
    top = max(told.values(), default=0.0) or 1.0
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=top, aspect="auto")
    for (day, hour), (count, _) in shown.items():
        share = told.get((day, hour))
        said = f"{100 * share:.0f} %" if share is not None else f"<{100 * least / count:.0f} %"
        colour = "white" if share is not None and share > DARK * top else "black"
        axes.text(hour - first, day - 1, f"{said}\n{count:,}", ha="center", va="center", fontsize=8, color=colour)
    axes.set_xticks(range(last - first + 1), [f"{hour}" for hour in range(first, last + 1)])
    axes.set_yticks(range(7), list(DAYS))
    axes.set_xlabel("hour where the person is")
    axes.set_title(title, fontsize=10)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return png(figure)


def step_picture(steps: Mapping[str, int], *, least: int) -> bytes | None:
    """Borrowers at each step, from light to dark; steps of few are named and not drawn."""
    if max(steps.values(), default=0) < least:
        return None
    figure, axes = _figure(0.9 + 0.36 * len(steps))
    drawn = [count if count >= least else 0 for count in steps.values()]
    bars = axes.barh(list(steps), drawn, color=[BLUES[min(len(BLUES) - 1, place)] for place in range(len(steps))])
    axes.bar_label(bars, [f"{count:,}" if count >= least or not count else f"fewer than {least}" for count in steps.values()], padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.14)
    axes.tick_params(axis="x", labelbottom=False, length=0)
    return png(figure)


def arms_picture(points: Mapping[str, tuple[Estimate, Estimate]], *, x: str, y: str) -> bytes | None:
    """Money against harm, one point an arm with its intervals; None of fewer than two.

    Args:
        points: Arm → harm and money.
        x: What harm is counted in.
        y: What money is.
    """
    if len(points) < 2:  # noqa: PLR2004  # one point compares nothing
        return None
    figure, axes = _figure(4.0)
    money_against_harm(axes, points, list(points))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, title="arm")
    return png(figure)

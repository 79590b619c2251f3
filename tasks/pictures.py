"""Pictures of a stage's day for the Prefect UI: the funnel beside the reasons for leaving people in peace, and where loans rolled.

In:   a funnel; rolls.
Out:  PNG, as bytes or as an image artifact's address.
Pure: yes; no file, no display, no state of matplotlib's own.
Source: the colour maps are ColorBrewer's "Blues" and greys: from light to dark, so that they are told apart by colour-blind eyes and in
        print; every cell and bar also says its number.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from decisions.kpis import CURED, roll_states
from decisions.month_kpis import masked
from ledger.funnel import STEPS, Funnel
from tasks.drawing import png
from tasks.report import Roll

# From light to dark along the funnel.
STEP_COLOURS: Final = ("#c6dbef", "#9ecae1", "#6baed6", "#4292c6", "#2171b5", "#08306b")
WITHHELD_COLOUR: Final = "#969696"
REASONS_SHOWN_MAX: Final = 12
# A darker cell is written on in white.
DARK: Final = 0.55
# Panels with more columns in all stand one above the other: the UI is a page wide.
BESIDE_COLUMNS_MAX: Final = 11


def as_address(png: bytes) -> str:
    """A picture that needs no server: it travels inside the artifact."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def funnel_picture(funnel: Funnel, *, title: str) -> bytes:
    """The funnel beside the reasons for leaving people in peace, as PNG."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    steps, reasons = figure.subplots(1, 2, width_ratios=(3, 2))

    counts = [funnel.total(step) for step in STEPS]
    bars = steps.barh(STEPS, counts, color=STEP_COLOURS)
    steps.bar_label(bars, padding=3)
    steps.invert_yaxis()
    steps.margins(x=0.12)
    steps.set_title("contacted")

    top = funnel.by_reason.head(REASONS_SHOWN_MAX)
    if top.is_empty():
        reasons.text(0.5, 0.5, "nobody", ha="center", va="center", transform=reasons.transAxes)
        reasons.set_yticks([])
    else:
        bars = reasons.barh(top["reason"].to_list(), top["borrowers"].to_list(), color=WITHHELD_COLOUR)
        reasons.bar_label(bars, padding=3)
        reasons.invert_yaxis()
        reasons.margins(x=0.15)
    reasons.set_title(f"left in peace: {funnel.withheld} of {funnel.borrowers}")
    for axes in (steps, reasons):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(axis="x", labelbottom=False, length=0)

    return png(figure)


def roll_picture(rolls: Sequence[Roll], *, title: str, least: int = 0) -> bytes | None:
    """Roll rates as heat maps, one beside the other, as PNG; None where there is no loan to show.

    Args:
        rolls: One panel each.
        title: Of the whole.
        least: Fewer loans than this are not shown, nor what they could be worked out from.
    """
    shown = [roll for roll in rolls if roll.matrix["accounts"].sum()]
    if not shown:
        return None
    sizes = [(len(_froms(roll)), len(_tos(roll))) for roll in shown]
    stacked = sum(columns for _, columns in sizes) > BESIDE_COLUMNS_MAX
    heights, widths = [1.5 + 0.62 * rows for rows, _ in sizes], [1.6 + 0.95 * columns for _, columns in sizes]
    size = (max(widths), sum(heights)) if stacked else (sum(widths), max(heights))
    figure = Figure(figsize=(max(size[0], 6.5), size[1] + 0.4), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"{title}: where loans went")
    if stacked:
        panels = figure.subplots(len(shown), 1, squeeze=False, height_ratios=heights)[:, 0]
    else:
        panels = figure.subplots(1, len(shown), squeeze=False, width_ratios=widths)[0]
    for axes, roll in zip(panels, shown, strict=True):
        _heat_map(axes, roll, least)
    return png(figure)


def _froms(roll: Roll) -> list[str]:
    """Buckets that had loans at t0, from early to late."""
    return [name for name in roll_states(roll.buckets) if _accounts(roll, "from_bucket", name)]


def _tos(roll: Roll) -> list[str]:
    """States that loans are in at t1, cured first."""
    return [name for name in roll_states(roll.buckets) if _accounts(roll, "to_bucket", name)]


def _accounts(roll: Roll, column: str, name: str) -> int:
    return int(roll.matrix.filter(roll.matrix[column] == name)["accounts"].sum())


def _heat_map(axes: Axes, roll: Roll, least: int) -> None:
    rows, columns = _froms(roll), _tos(roll)
    cells = {(one["from_bucket"], one["to_bucket"]): (one["account_share"], one["accounts"]) for one in roll.matrix.to_dicts()}
    shown = {
        (row, column): count
        for row in rows
        for column, count in zip(columns, masked([cells[row, column][1] for column in columns], least), strict=True)
    }
    shares = [[0.0 if shown[row, column] is None else cells[row, column][0] for column in columns] for row in rows]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for y, row in enumerate(rows):
        for x, column in enumerate(columns):
            share, accounts = cells[row, column]
            if shown[row, column] is None:
                axes.text(x, y, "few", ha="center", va="center", fontsize=9, color="#737373")
            elif accounts:
                axes.text(
                    x,
                    y,
                    f"{100 * share:.1f} %\n{accounts:,}",
                    ha="center",
                    va="center",
                    fontsize=9,
                    color="white" if share > DARK else "black",
                )
    axes.set_xticks(range(len(columns)), [column.replace(" ", "\n") for column in columns])
    wholes = {row: _accounts(roll, "from_bucket", row) for row in rows}
    axes.set_yticks(range(len(rows)), [f"{row}\n{'few' if wholes[row] < least else f'{wholes[row]:,}'} loans" for row in rows])
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.set_xlabel(f"{roll.since:%Y-%m-%d} (rows) to {roll.until:%Y-%m-%d} (columns)")
    cured = sum(column in CURED for column in columns)
    if 0 < cured < len(columns):
        axes.axvline(cured - 0.5, color="#525252", linewidth=1.5)
    axes.set_xticks([x - 0.5 for x in range(1, len(columns))], minor=True)
    axes.set_yticks([y - 0.5 for y in range(1, len(rows))], minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_visible(False)

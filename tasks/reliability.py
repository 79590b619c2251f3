"""A picture of a calibration: what a model predicted beside what came about, each point as large as its rows.

In:   decisions/learning.CALIBRATION.
Out:  PNG, as bytes.
Pure: yes; no file, no display.
"""

from __future__ import annotations

import polars as pl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tasks.drawing import png
from tasks.pictures import STEP_COLOURS, WITHHELD_COLOUR

DOT_MAX = 320.0
DOT_MIN = 12.0


def reliability_picture(calibration: pl.DataFrame, *, title: str) -> bytes:
    """The curve on its diagonal, every point with how many rows it stands for."""
    figure = Figure(figsize=(6.2, 5.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    predicted, observed, rows = (calibration[name].to_list() for name in ("predicted", "observed", "rows"))
    most = min(1.03, 1.08 * max([*predicted, *observed, 0.1]))
    axes.plot([0, most], [0, most], color=WITHHELD_COLOUR, linewidth=1, linestyle="--")
    axes.plot(predicted, observed, color=STEP_COLOURS[3], linewidth=1.5)
    largest = max(rows, default=1)
    axes.scatter(predicted, observed, s=[DOT_MIN + DOT_MAX * one / largest for one in rows], color=STEP_COLOURS[4], zorder=3)
    for x, y, count in zip(predicted, observed, rows, strict=True):
        axes.annotate(f"{count:,}", (x, y), textcoords="offset points", xytext=(9, -12), fontsize=8)
    axes.set_title(f"{title}: predicted and come about, with rows")
    axes.set_xlabel("predicted")
    axes.set_ylabel("came about")
    axes.set_xlim(0, most)
    axes.set_ylim(0, most)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.spines[["top", "right"]].set_visible(False)
    return png(figure)

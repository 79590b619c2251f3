"""What pictures of several pages have in common: how a figure becomes a file, and how money is drawn against harm.

In:   figures, axes; what came of some strategies or arms.
Out:  PNG bytes; points on axes.
Pure: yes; no file, no display, no state of matplotlib's own.
Source: the colours are ColorBrewer's "Blues" and greys: from light to dark, told apart by colour-blind eyes and in print.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

DOTS_PER_INCH: Final = 110
COLOURS: Final = ("#08306b", "#4292c6", "#969696", "#9ecae1", "#252525")
MARKERS: Final = ("o", "s", "^", "D", "v")

# Value, low, high; None = that bound is not known.
Estimate = tuple[float, float | None, float | None]


def png(figure: Figure) -> bytes:
    """A figure as the bytes of a file."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return drawn.getvalue()


def money_against_harm(axes: Axes, points: Mapping[str, tuple[Estimate, Estimate]], names: Sequence[str]) -> None:
    """One point a name, each with its intervals: up is more money, right is more harm.

    Args:
        axes: To draw on.
        points: Name → harm and money.
        names: All that the whole picture shows: a name looks alike on all of its axes.
    """
    for name, (harm, money) in points.items():
        style = names.index(name)
        axes.errorbar(
            harm[0], money[0], xerr=_bars(harm), yerr=_bars(money),
            fmt=MARKERS[style % len(MARKERS)], color=COLOURS[style % len(COLOURS)], capsize=3, label=name,
        )  # fmt: skip
    axes.margins(0.15)
    axes.spines[["top", "right"]].set_visible(False)


def _bars(told: Estimate) -> list[list[float]]:
    """Lengths of an error bar's two arms; none where the bound is not known."""
    return [[0.0 if bound is None else abs(bound - told[0])] for bound in told[1:]]

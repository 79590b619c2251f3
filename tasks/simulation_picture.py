"""What simulated strategies came to, as a picture: money against harm.

In:   the JSON of `tideover simulate` (simulation_report.py).
Out:  a PNG.
Pure: yes.
"""

from __future__ import annotations

import io
from typing import Any, Final

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tasks.simulation_report import CAVEAT

DOTS_PER_INCH: Final = 110
COLOURS: Final = ("#08306b", "#4292c6", "#969696", "#9ecae1", "#252525")
MARKERS: Final = ("o", "s", "^", "D", "v")


def frontier(told: dict[str, Any]) -> bytes:
    """Money against harm, one point a strategy, as PNG: up is more money, left is less harm."""
    panels = list(dict.fromkeys(one["plans"] for one in told["summary"]))
    names = list(dict.fromkeys(one["strategy"] for one in told["summary"]))
    figure = Figure(figsize=(5.6 * len(panels) + 0.6, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle("money against harm, mean over worlds with 95 % intervals")
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for one in (one for one in told["summary"] if one["plans"] == panel):
            style = names.index(one["strategy"])
            x, y = one["complaints_per_1000"], one["recovered_share"]
            axes.errorbar(
                x["value"], 100 * y["value"],
                xerr=[[_arm(x, "low")], [_arm(x, "high")]], yerr=[[100 * _arm(y, "low")], [100 * _arm(y, "high")]],
                fmt=MARKERS[style % len(MARKERS)], color=COLOURS[style % len(COLOURS)], capsize=3,
                label=f"{one['strategy']}: {one['contacts_each']['value']:.1f} contacts each",
            )  # fmt: skip
        axes.set_title(f"plans {panel}" + (" (assumed effects)" if panel == "on" else ""))
        axes.set_xlabel("complaints per 1,000 borrowers")
        axes.set_ylabel("recovered, per cent of what was owed")
        axes.margins(0.15)
        # Most strategies have few: from none on, so that a small difference does not look large.
        axes.set_xlim(left=min(0.0, axes.get_xlim()[0]))
        axes.legend(frameon=False, fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel(CAVEAT, fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return buffer.getvalue()


def _arm(told: dict[str, float | None], side: str) -> float:
    """Length of an error bar; none where the bound is not known."""
    bound, value = told[side], told["value"]
    return 0.0 if bound is None or value is None else abs(bound - value)

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
# What stands against the money → what it is called.
HARMS: Final = {"contacts_each": "contacts of each borrower", "complaints_per_1000": "complaints per 1,000 borrowers"}


def frontier(told: dict[str, Any]) -> bytes:
    """Money against harm, one point a strategy, as PNG: up is more money, left is fewer contacts or fewer complaints."""
    panels = list(dict.fromkeys(one["plans"] for one in told["summary"]))
    names = list(dict.fromkeys(one["strategy"] for one in told["summary"]))
    figure = Figure(figsize=(9.6, 4.2 * len(panels) + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle("money against harm, mean over worlds with 95 % intervals")
    for row, panel in zip(figure.subplots(len(panels), len(HARMS), squeeze=False, sharey="row"), panels, strict=True):
        ones = [one for one in told["summary"] if one["plans"] == panel]
        for axes, (harm, label) in zip(row, HARMS.items(), strict=True):
            _against(axes, ones, harm, names)
            axes.set_xlabel(label)
            axes.set_title(f"plans {panel}" + (" (assumed effects)" if panel == "on" else ""))
        row[0].set_ylabel("recovered, per cent of what was owed")
        row[0].legend(frameon=False, fontsize=8)
    figure.supxlabel(CAVEAT, fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return buffer.getvalue()


def _against(axes: Any, ones: list[dict[str, Any]], harm: str, names: list[str]) -> None:
    for one in ones:
        style = names.index(one["strategy"])
        x, y = one[harm], one["recovered_share"]
        axes.errorbar(
            x["value"], 100 * y["value"],
            xerr=[[_arm(x, "low")], [_arm(x, "high")]], yerr=[[100 * _arm(y, "low")], [100 * _arm(y, "high")]],
            fmt=MARKERS[style % len(MARKERS)], color=COLOURS[style % len(COLOURS)], capsize=3, label=one["strategy"],
        )  # fmt: skip
    axes.margins(0.15)
    # From none on, so that a small difference does not look large.
    axes.set_xlim(left=0)
    axes.spines[["top", "right"]].set_visible(False)


def _arm(told: dict[str, float | None], side: str) -> float:
    """Length of an error bar; none where the bound is not known."""
    bound, value = told[side], told["value"]
    return 0.0 if bound is None or value is None else abs(bound - value)

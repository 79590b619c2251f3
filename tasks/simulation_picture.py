"""What simulated strategies came to, as a picture: money against harm.

In:   the JSON of `tideover simulate` (simulation_report.py).
Out:  a PNG.
Pure: yes.
"""

from __future__ import annotations

from typing import Any, Final

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from tasks.drawing import Estimate, money_against_harm, png
from tasks.simulation_report import CAVEAT

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
            points = {one["strategy"]: (_estimate(one[harm]), _estimate(one["recovered_share"])) for one in ones}
            money_against_harm(axes, points, names)
            # From none on, so that a small difference does not look large.
            axes.set_xlim(left=0)
            axes.set_xlabel(label)
            axes.set_title(f"plans {panel}" + (" (assumed effects)" if panel == "on" else ""))
        row[0].yaxis.set_major_formatter(PercentFormatter(1, symbol=""))
        row[0].set_ylabel("recovered, per cent of what was owed")
        row[0].legend(frameon=False, fontsize=8)
    figure.supxlabel(CAVEAT, fontsize=8)
    return png(figure)


def _estimate(told: dict[str, Any]) -> Estimate:
    return told["value"], told["low"], told["high"]

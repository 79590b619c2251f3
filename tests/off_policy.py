"""How far off-policy estimates are from the truth, in the town.

    python -m tests.off_policy [--worlds 40] [--borrowers 400]

In:   how many worlds of the town's defaults, and of how many borrowers.
Out:  the table of docs/evaluate.md on standard output.
Pure: no; plays.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import polars as pl

from config.evaluation import evaluation
from sandbox.parameters import default_world
from sandbox.simulation import TownWorld, open_world
from tasks.simulate import FIRST_DAY
from tasks.simulated_learning import chooses
from tasks.simulated_truth import Judged, errors, evenly, nobody, summary

EVERYBODY = Judged(name="everybody, any way", decides=evenly)
NOBODY = Judged(name="nobody", decides=nobody)
JUDGED = (EVERYBODY, Judged(name="learned", decides=chooses("learned")), NOBODY)


def found(worlds: int, borrowers: int, judged: Sequence[Judged] = JUDGED) -> pl.DataFrame:
    """`tasks.simulated_truth.errors` in so many worlds, alike but for their people and luck."""

    def opened() -> list[TownWorld]:
        settings = default_world()
        return [open_world(f"w{number}", f"truth-{number}", settings, borrowers=borrowers, first_day=FIRST_DAY) for number in range(worlds)]

    return errors(opened, judged, limits=evaluation().limits)


def lines(told: pl.DataFrame) -> list[str]:
    """The summary as a table of Markdown."""
    head = ["| judged | outcome | estimator | truth | mean estimate | error | covered | by the normal | effective decisions of a log |"]
    head.append("|---|---|---|--:|--:|--:|--:|--:|--:|")
    return head + [
        f"| {row['judged']} | {row['outcome']} | {row['estimator']} | {_figure(row['true'])} | {_figure(row['estimate'])} | {_figure(row['error'])}"
        f" | {row['covered']:.0%} | {row['covered_normal']:.0%} | {row['ess']:.0f} |"
        for row in told.iter_rows(named=True)
    ]


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.4f}"


def main() -> None:
    """Play, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=40)
    parser.add_argument("--borrowers", type=int, default=400)
    asked = parser.parse_args()
    sys.stdout.writelines(f"{line}\n" for line in lines(summary(found(asked.worlds, asked.borrowers))))


if __name__ == "__main__":
    main()

"""Experiments: the looks that were promised, each on its day, before the day's stages.

An arm that is surely worse than its margin allows is stopped: from the next run on its borrowers are treated by the champion. Nobody is
promoted. Scheduled in prefect.yaml; safe to run again: a look is taken once. `tideover experiments look` takes the same one by hand.
"""

from __future__ import annotations

from prefect import flow
from prefect.runtime import flow_run

from tasks.experiments import take_looks
from tasks.record import business_date


def run_name() -> str:
    """Name the run by its date, so that the list in the UI reads as a calendar."""
    return f"experiments {business_date(flow_run.scheduled_start_time)}"


@flow(name="experiments", flow_run_name=run_name, timeout_seconds=1800)
def experiments() -> dict[str, list[str]]:
    """Take the looks that were promised for today.

    Returns:
        Experiment that was looked at → arms that are stopped from now on.
    """
    return take_looks()

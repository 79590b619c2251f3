"""Learn: models from what was decided and what came of it. Contacts nobody, and changes nothing that is decided until people say yes.

Scheduled in prefect.yaml. Safe to run again: the same rows give the same models, which are kept once.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

from prefect import flow
from prefect.runtime import flow_run

from flows.run_names import local_day
from tasks.learn import learn_models
from tasks.record import business_date

Kind = Literal["paid_7d", "paid_30d", "harm_7d", "answered", "self_cured_30d", "promise_kept", "plan_kept"]


def run_name() -> str:
    """Name the run by its date, so that the list in the UI reads as a calendar."""
    return f"learn {flow_run.parameters.get('day') or local_day()}"


@flow(name="learn", flow_run_name=run_name, timeout_seconds=6 * 3600)
def learn(day: date | None = None, kinds: list[Kind] | None = None, *, dry_run: bool = False) -> dict[str, str]:
    """Train models and keep them in the ledger.

    Args:
        day: Local business date: what came about before it counts. Empty = the date on which this run was due, in the portfolio's zone.
        kinds: What is learned. Empty = everything.
        dry_run: Measure and show, keep nothing.

    Returns:
        Kind → version of the model, or why there is none.
    """
    return learn_models(day or business_date(flow_run.scheduled_start_time), tuple(kinds or ()), dry_run=dry_run)

"""The core system: what was agreed reaches the lender's books, every few minutes, and every night it is asked what became of all of it.

Scheduled in prefect.yaml. Neither contacts anybody.
"""

from __future__ import annotations

from prefect import flow

from flows.run_names import by_minute
from tasks.core import deliver_due, reconcile_all


@flow(name="core-delivery", flow_run_name=by_minute("core delivery"), timeout_seconds=1800)
def core_delivery() -> dict[str, int]:
    """Deliver what is due, and open the cases of what is late.

    Returns:
        What the core system said → how often, and `late`.
    """
    return deliver_due()


@flow(name="core-reconcile", flow_run_name=by_minute("core reconcile"), timeout_seconds=2 * 3600)
def core_reconcile() -> dict[str, int]:
    """Ask what became of everything that is not ended.

    Returns:
        What the core system said → how often, and `late`.

    Raises:
        CoreAway: It did not answer; the next run asks again.
    """
    return reconcile_all()

"""Reconcile: settle every attempt whose fate is unknown by asking the provider; park what cannot be settled.

Owns what is `submitting` past its call's deadline, and `unknown`. Scheduled every few minutes in prefect.yaml. Nothing is ever
sent from here: a message that is not found may have been sent all the same.
"""

from __future__ import annotations

from prefect import flow

from flows.run_names import by_minute
from tasks.reconcile import settle_unknown


@flow(name="reconcile", flow_run_name=by_minute("reconcile"), timeout_seconds=2 * 3600)
def reconcile() -> int:
    """Settle what is unknown.

    Returns:
        Attempts that wait for a person (`tideover parked`).

    Raises:
        NobodyAnswered: A provider's list could not be read; the next run asks again.
    """
    return settle_unknown()

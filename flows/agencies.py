"""Agencies: every hour, end what has ended, write what each agency has not been told yet, and say who has not acknowledged.

What a person says, pays or wishes reaches the agency that has her loan with the next hour's feed: on the same day. Scheduled in
prefect.yaml. Contacts nobody. Safe to run again at any time: each thing is told once.
"""

from __future__ import annotations

from prefect import flow

from flows.run_names import by_minute
from tasks.agencies import end_placements, tell_agencies, tell_unacknowledged


@flow(name="agencies", flow_run_name=by_minute("agencies"), timeout_seconds=1800)
def agencies() -> dict[str, int]:
    """End placements that are over, tell agencies what is new, tell people which of them were silent.

    Returns:
        How many placements ran out, were recalled and released; how many lines agencies are told; how many feeds of earlier days
        nobody has acknowledged.
    """
    ended = end_placements()  # first: a recall goes out with the same hour's feed
    return {**ended, "told": sum(tell_agencies().values()), "unacknowledged": tell_unacknowledged()}

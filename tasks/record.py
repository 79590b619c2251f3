"""The frame of a campaign run: open it, close it, and show operations what happened.

In:   a stage and a date; the ledger.
Out:  a campaign run's row; a funnel table and a picture as artifacts of the flow run.
Pure: no. Artifacts hold counts and rule ids only, never a person.
"""

from __future__ import annotations

# Calm colours that stay apart for colour-blind eyes, reached people darker than planned ones.
BAR_COLOURS = ("#9ecae1", "#6baed6", "#4292c6", "#2171b5", "#08519c", "#08306b")
WITHHELD_COLOUR = "#bdbdbd"
REASONS_SHOWN_MAX = 10


class ShardsUnfinished(RuntimeError):
    """Some shards of a run are not done; what is done stands. Run the flow again to complete it."""

    def __init__(self, campaign_run_id: int, unfinished: dict[str, int]) -> None:
        left = ", ".join(f"{count} {what}" for what, count in sorted(unfinished.items()))
        super().__init__(f"campaign run {campaign_run_id} is unfinished: {left}; run the flow again for the same date to complete it")
        self.campaign_run_id = campaign_run_id
        self.unfinished = unfinished

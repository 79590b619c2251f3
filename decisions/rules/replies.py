"""Replies: who writes or calls us first may be answered once, on the same channel, whatever the hour.

In:   the table (history, candidates with the purpose `reply`).
Out:  excuses: when a row is such an answer.
Pure: values only.
Source: 12 CFR 1006.6(b), comment 6(b)(1)-1: one reply to a communication that the consumer initiated. "Within the same block"
      is read as the same local day, or as many as the rule says, in the zone where it ends first.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from decisions.rule_forms import Period
from decisions.rules.constraints import Grants, Spans
from decisions.rules.events import span_ends
from decisions.rules.table import Table

REPLY: Final = "reply"


def excuses(table: Table, days: int) -> Grants:
    """For each row that is a reply: from the person's last message on that channel on, unless it has been answered."""
    said = table.history.group_by("party_id", "channel").agg(
        heard=pl.col("at").filter(pl.col("direction") == "inbound").max(),
        answered=pl.col("at").filter(pl.col("direction") == "outbound").max(),
        place=pl.col("place").first(),
    )
    waiting = said.filter(pl.col("heard").is_not_null() & (pl.col("answered").is_null() | (pl.col("answered") < pl.col("heard"))))
    ends = span_ends(
        waiting["heard"].to_numpy(), waiting["place"].fill_null(0).to_numpy(), table.zone_places, Period("days", days), soonest=True
    )
    waiting = waiting.with_columns(until=pl.Series(ends))
    rows = table.rows.filter(pl.col("purpose") == REPLY).select("row", "party_id", "channel")
    return Grants(Spans.of(rows.join(waiting, on=["party_id", "channel"]).select("row", since="heard", until="until")))

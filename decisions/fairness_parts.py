"""People parted by an attribute, so that no part tells of few: one way for models and for months.

In:   rows of people, their groups.
Out:  parts, with how many people each has.
Pure: no I/O, no clock.
Source: SCIENCE.md C3; docs/report.md ("few people").
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import polars as pl

from decisions.month_kpis import masked

# Of whom an attribute is not known; it counts among the parts, and is never shown as one.
NOT_KNOWN: Final = ""


def parted(each: pl.DataFrame, groups: pl.DataFrame, *, cell_min: int) -> Iterator[tuple[str, str, pl.DataFrame, int | None]]:
    """The rows of every group.

    Args:
        each: `party_id` and whatever else; a person may have several rows.
        groups: `party_id`, `attribute`, `value`.
        cell_min: Fewer people are not shown, nor another part by which they could be worked out.

    Yields:
        Attribute, value, the rows of its people, and how many people those are (None = not to be shown); by attribute and value.
    """
    for (attribute,), mine in groups.sort("attribute").group_by("attribute", maintain_order=True):
        known = each.join(mine.select("party_id", "value"), on="party_id", how="left").with_columns(pl.col("value").fill_null(NOT_KNOWN))
        parts = known.sort("value").partition_by("value", maintain_order=True)
        counts = masked([part["party_id"].n_unique() for part in parts], cell_min)
        for part, count in zip(parts, counts, strict=True):
            if part["value"][0] != NOT_KNOWN:
                yield str(attribute), part["value"][0], part, count

"""What differs between two looks at the same date, and where it is booked.

In:   frames of what was decided or recorded, and of what is found now.
Out:  rows of differences, and counts for people.
Pure: no I/O, no clock.
Source: DOMAIN.md "Two times on every fact": a closed month stays closed; later corrections are adjustments.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

import polars as pl

CONTACT: Final = "contact"
# What makes two decisions different to the person, or to whoever explains them; scores and probabilities do not.
DECIDED: Final = ("action", "channel", "contact_point_id", "message", "offer", "locale", "step", "reasons")


def booked_on(day: date, *, today: date, closes_after_days: int) -> date:
    """The date in whose figures a difference of `day` counts.

    Args:
        day: What it is about.
        today: Local business date on which it became known.
        closes_after_days: So many days after its end a month is closed.

    Returns:
        The day itself while its month is open; after that, today: an adjustment.
    """
    month_ends = (day.replace(day=1) + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    return day if today <= month_ends + timedelta(days=closes_after_days) else today


def changed(before: pl.DataFrame, after: pl.DataFrame, *, key: str, columns: Sequence[str]) -> pl.DataFrame:
    """Rows that differ between two frames, as JSON objects of `columns`.

    Args:
        before: One row a `key`, with `columns`.
        after: Likewise.
        key: Name of an Int64 column.
        columns: What is compared.

    Returns:
        `subject_id`, `before`, `after` (JSON text; null where the frame has no such row), ascending.
    """
    sides = [
        frame.select(pl.col(key).cast(pl.Int64).alias("subject_id"), pl.struct(_plain(frame, columns)).struct.json_encode().alias(name))
        for name, frame in (("before", before), ("after", after))
    ]
    return (
        sides[0]
        .join(sides[1], on="subject_id", how="full", coalesce=True)
        .filter(pl.col("before").ne_missing(pl.col("after")))
        .sort("subject_id")
    )


def _plain(frame: pl.DataFrame, columns: Sequence[str]) -> list[pl.Expr]:
    """The columns as JSON holds them: dates as text."""
    return [pl.col(name).cast(pl.String) if frame.schema[name] == pl.Date else pl.col(name) for name in columns]


def compare_decisions(then: pl.DataFrame, now: pl.DataFrame) -> dict[str, Any]:
    """What one stage did on a date and what it would have done, in counts.

    Args:
        then: `party_id` and `DECIDED`, one row a borrower; empty where nothing was decided.
        now: Likewise.

    Returns:
        `decided`, `contacted`: [then, now]; `by_channel`, `withheld_by_reason`: name → [then, now]; `newly_contacted`,
        `left_in_peace`, `otherwise` (another channel, message, offer, contact point or step), `other_reasons`.
    """
    both = then.join(now, on="party_id", how="full", coalesce=True, suffix="_now")
    was, would = (pl.col("action") == CONTACT).fill_null(False), (pl.col("action_now") == CONTACT).fill_null(False)
    ways = [name for name in DECIDED if name not in {"action", "reasons"}]
    differs = pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"{name}_now")) for name in ways)
    reasons = pl.col("reasons").fill_null([]).ne(pl.col("reasons_now").fill_null([]))
    counted = both.select(
        newly_contacted=(~was & would).sum(),
        left_in_peace=(was & ~would).sum(),
        otherwise=(was & would & differs).sum(),
        other_reasons=(~was & ~would & reasons).sum(),
    ).row(0, named=True)
    frames = (then, now)
    return {
        "decided": [frame.height for frame in frames],
        "contacted": [frame.filter(pl.col("action") == CONTACT).height for frame in frames],
        "by_channel": _pairs([dict(frame.filter(pl.col("action") == CONTACT).group_by("channel").len().iter_rows()) for frame in frames]),
        "withheld_by_reason": _pairs(
            [
                dict(
                    frame.filter(pl.col("action") != CONTACT).explode("reasons").drop_nulls("reasons").group_by("reasons").len().iter_rows()
                )
                for frame in frames
            ]
        ),
        **counted,
    }


def _pairs(two: Sequence[Mapping[str, int]]) -> dict[str, list[int]]:
    return {name: [one.get(name, 0) for one in two] for name in sorted(two[0].keys() | two[1].keys())}


def add_up(steps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Counts of several dates added up, whatever their shape: numbers, lists of numbers, and objects of these."""
    total: dict[str, Any] = {}
    for step in steps:
        for name, value in step.items():
            total[name] = _sum(total.get(name), value)
    return total


def _sum(one: Any, other: Any) -> Any:
    if one is None or isinstance(other, str):
        return add_up([other]) if isinstance(other, Mapping) else other
    if isinstance(other, Mapping):
        return add_up([one, other])
    if isinstance(other, Sequence):
        return [left + right for left, right in zip(one, other, strict=True)]
    return one + other


def counted(names: Sequence[str]) -> dict[str, int]:
    """How often each name occurs, by name."""
    return dict(sorted(Counter(names).items()))
